import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type CreateMigrationOptions, createMigration } from '../../../src/migrate/files/create.ts';
import { readScript } from '../../../src/migrate/files/source.ts';
import { splitStatements } from '../../../src/sql/statements.ts';

let root = '';
let directory = '';
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'evdb-create-'));
  directory = join(root, 'deep', 'migrations');
});
afterEach(() => rmSync(root, { recursive: true }));

const now = new Date('2026-11-22T14:03:05.678Z');

function create(name: string, options: Partial<CreateMigrationOptions> = {}): string[] {
  return createMigration({ directory, name, now, ...options }).files.map((path) => basename(path));
}

describe('createMigration', () => {
  it('writes a pair of files with a timestamp into an empty folder', () => {
    expect(createMigration({ directory, name: 'add venues', now })).toEqual({
      version: '20261122140305',
      name: 'add_venues',
      files: [
        join(directory, '20261122140305_add_venues.sql'),
        join(directory, '20261122140305_add_venues.down.sql'),
      ],
      namesakes: [],
    });
    expect(readdirSync(directory)).toHaveLength(2);
    expect(readFileSync(join(directory, '20261122140305_add_venues.sql'), 'utf8')).toMatch(
      /^-- add venues\n/,
    );
  });

  it('goes on counting in a sequential folder, with as many digits', () => {
    create('one', { numbering: 'sequential' });
    expect(create('two')).toEqual(['002_two.sql', '002_two.down.sql']);
    writeFileSync(join(directory, '0099_x.sql'), '');
    expect(create('three')[0]).toBe('0100_three.sql');
  });

  it('gives a timestamp in a sequential folder where that is asked for', () => {
    create('one', { numbering: 'sequential' });
    expect(create('two', { numbering: 'timestamp' })[0]).toBe('20261122140305_two.sql');
    expect(create('three')[0]).toBe('20261122140306_three.sql');
  });

  it('is the newest also within one second, and behind a clock that is ahead', () => {
    create('one');
    expect(create('two')[0]).toBe('20261122140306_two.sql');
    writeFileSync(join(directory, '20300101000000_x.sql'), '');
    expect(create('three')[0]).toBe('20300101000001_three.sql');
  });

  it('writes the directives that are asked for, and no down script without a way back', () => {
    create('index', { noTransaction: true, numbering: 'sequential' });
    const directives = (name: string) => readScript(join(directory, name)).directives;
    expect(directives('001_index.sql')).toMatchObject({ noTransaction: true });
    expect(directives('001_index.down.sql')).toMatchObject({ noTransaction: true });
    expect(create('merge', { irreversible: true })).toEqual(['002_merge.sql']);
    expect(directives('002_merge.sql').irreversible).toMatch(/why/);
    expect(create('both', { irreversible: true, noTransaction: true })).toEqual(['003_both.sql']);
    expect(directives('003_both.sql')).toMatchObject({
      noTransaction: true,
      irreversible: expect.any(String),
    });
  });

  it.each(['drop\ntable users', 'a\r\nb', 'a\tb', 'a\u2028b'])(
    'writes nothing but comments for the name %j',
    (name) => {
      const [file = ''] = create(name, { numbering: 'sequential' });
      expect(splitStatements(readFileSync(join(directory, file), 'utf8'))).toEqual([]);
    },
  );

  it.each([
    ['Add Venues', 'Add_Venues'],
    ['  add-venues  ', 'add_venues'],
    ['_private', 'private'],
    ['7 up', '7_up'],
  ])('makes of %j the name %s', (words, name) => {
    expect(createMigration({ directory, name: words, now }).name).toBe(name);
  });

  it.each([
    '',
    ' ',
    '../up',
    'a/b',
    'a\\b',
    "it's",
    '"a"',
    '🎈',
    'é',
    'a.b',
    'a\0b',
    '--',
    'x'.repeat(101),
  ])('refuses the name %j and writes nothing', (name) => {
    expect(() => create(name)).toThrow(expect.objectContaining({ code: 'INVALID_NAME' }));
    expect(existsSync(directory)).toBe(false);
  });

  it('shows only the beginning of an endless name', () => {
    expect(() => create('x'.repeat(100_000))).toThrow(/^the name "x{60}…" is longer than 100/);
  });

  it('adds nothing to a folder that is broken', () => {
    create('one', { numbering: 'sequential' });
    writeFileSync(join(directory, 'wrong.sql'), '');
    expect(() => create('two')).toThrow(expect.objectContaining({ code: 'INVALID_NAME' }));
    expect(readdirSync(directory)).toHaveLength(3);
  });

  it('says so where a file stands in the place of the folder', () => {
    writeFileSync(join(root, 'deep'), '');
    expect(() => create('one')).toThrow(expect.objectContaining({ code: 'FILE_UNREADABLE' }));
  });
});
