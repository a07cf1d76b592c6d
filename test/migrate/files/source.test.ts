import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  listMigrations,
  readChecksum,
  readScript,
  readSmallChecksum,
} from '../../../src/migrate/files/source.ts';

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'evdb-source-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

function write(name: string, content: string | Uint8Array = 'select 1;'): string {
  const path = join(directory, name);
  writeFileSync(path, content);
  return path;
}

describe('listMigrations', () => {
  it('lists pairs in the order of the numbers', () => {
    for (const name of ['10_c.sql', '2_b.sql', '2_b.down.sql', '001_a-x.y.sql']) write(name);
    expect(listMigrations(directory)).toEqual([
      { version: '1', label: '001', name: 'a-x.y', upPath: join(directory, '001_a-x.y.sql') },
      {
        version: '2',
        label: '2',
        name: 'b',
        upPath: join(directory, '2_b.sql'),
        downPath: join(directory, '2_b.down.sql'),
      },
      { version: '10', label: '10', name: 'c', upPath: join(directory, '10_c.sql') },
    ]);
  });

  it('begins at version 0, beside which a 1 may stand', () => {
    for (const name of ['1_b.sql', '0_a.sql', '0_a.down.sql']) write(name);
    expect(listMigrations(directory)).toMatchObject([
      { version: '0', label: '0', downPath: join(directory, '0_a.down.sql') },
      { version: '1', label: '1' },
    ]);
  });

  it.each([
    ['1_a.up.sql', '1_a.down.sql', 'DOWN_WITHOUT_UP', 'evdb migrate adopt'],
    ['V1__a.sql', 'V2__b.sql', 'INVALID_NAME', 'evdb migrate adopt --from flyway'],
  ])('names the way out for the names of other tools: %s', (first, second, code, hint) => {
    write(first);
    write(second);
    expect(() => listMigrations(directory)).toThrow(
      expect.objectContaining({ code, hint: expect.stringContaining(hint) }),
    );
  });

  it('leaves alone what file systems and editors put beside files', () => {
    write('1_a.sql');
    for (const name of ['._1_a.sql', '.#1_a.sql', '.DS_Store', '._.DS_Store', '1_a.sql~'])
      write(name);
    for (const name of ['.1_a.sql.swp', 'Thumbs.db', 'desktop.ini', '#1_a.sql#']) {
      write(name);
    }
    expect(listMigrations(directory).map(({ name }) => name)).toEqual(['a']);
  });

  it('leaves alone a structure beside the migrations, and no other name', () => {
    for (const name of ['1_a.sql', 'structure.sql']) write(name);
    expect(listMigrations(directory).map(({ name }) => name)).toEqual(['a']);
    write('structures.sql');
    expect(() => listMigrations(directory)).toThrow('"structures.sql"');
  });

  it('refuses an ending in capitals, which would be left out on other systems', () => {
    write('1_a.SQL');
    expect(() => listMigrations(directory)).toThrow('"1_a.SQL"');
  });

  it('leaves alone what does not end in .sql', () => {
    for (const name of ['001_a.sql', 'README.md', '.keep', '002_b.sql.bak']) write(name);
    mkdirSync(join(directory, 'old'));
    expect(listMigrations(directory)).toHaveLength(1);
  });

  it('matches the pair by number, however the digits are written', () => {
    write('001_a.sql');
    write('1_a.down.sql');
    expect(listMigrations(directory)).toMatchObject([
      { label: '001', downPath: join(directory, '1_a.down.sql') },
    ]);
  });

  it.each([
    [['a.sql'], 'INVALID_NAME'],
    [['001_.sql'], 'INVALID_NAME'],
    [['001-a.sql'], 'INVALID_NAME'],
    [['1.5_a.sql'], 'INVALID_NAME'],
    [['001_é.sql'], 'INVALID_NAME'],
    [["001_a'b.sql"], 'INVALID_NAME'],
    [['.sql'], 'INVALID_NAME'],
    [[`${'1'.repeat(19)}_a.sql`], 'INVALID_NAME'],
    [['001_a.sql', '1_a.sql'], 'DUPLICATE_VERSION'],
    [['001_a.sql', '001_a.down.sql', '1_a.down.sql'], 'DUPLICATE_VERSION'],
    [['001_a.down.sql'], 'DOWN_WITHOUT_UP'],
    [['001_a.sql', '001_b.down.sql'], 'DOWN_WITHOUT_UP'],
  ])('refuses %o as %s', (names, code) => {
    for (const name of names) write(name);
    expect(() => listMigrations(directory)).toThrow(expect.objectContaining({ code }));
  });

  it('says which folder is not there', () => {
    expect(() => listMigrations(join(directory, 'nowhere'))).toThrow(
      expect.objectContaining({
        code: 'MIGRATIONS_DIR_MISSING',
        message: expect.stringContaining('nowhere'),
      }),
    );
  });
});

describe('readScript', () => {
  const text = "select 'é🎈';\n-- end\n";
  const checksum = createHash('sha256').update(text).digest('hex');

  it.each([
    ['as it is', text],
    ['with Windows line ends', text.replaceAll('\n', '\r\n')],
    ['with a byte order mark', `\uFEFF${text}`],
    ['with both', `\uFEFF${text.replaceAll('\n', '\r\n')}`],
  ])('reads the same text and checksum %s', (_, content) => {
    const path = write('001_a.sql', content);
    expect(readScript(path)).toMatchObject({ text, checksum });
    expect(readChecksum(path)).toBe(checksum);
  });

  it('keeps a carriage return that ends no line', () => {
    expect(readScript(write('001_a.sql', "select 'a\rb';")).text).toBe("select 'a\rb';");
  });

  it.each([
    ['Latin-1', new Uint8Array([0xe9]), 'NOT_UTF8'],
    ['half an emoji', new Uint8Array([0xf0, 0x9f]), 'NOT_UTF8'],
    ['a surrogate', new Uint8Array([0xed, 0xa0, 0x80]), 'NOT_UTF8'],
    ['a NUL', 'select 1;\0', 'NUL_BYTE'],
  ])('refuses %s', (_, content, code) => {
    const path = write('001_a.sql', content);
    expect(() => readScript(path)).toThrow(expect.objectContaining({ code }));
  });

  it('refuses a link that leads to itself', () => {
    const path = join(directory, '001_a.sql');
    symlinkSync(path, path);
    for (const read of [readScript, readChecksum]) {
      expect(() => read(path)).toThrow(expect.objectContaining({ code: 'FILE_UNREADABLE' }));
    }
  });

  it('refuses a folder of that name', () => {
    mkdirSync(join(directory, '001_a.sql'));
    expect(() => readScript(join(directory, '001_a.sql'))).toThrow(
      expect.objectContaining({ code: 'FILE_UNREADABLE' }),
    );
  });
});

describe('what is no file', () => {
  it.skipIf(process.platform === 'win32').each([
    ['an empty pipe', ''],
    ['a pipe that somebody writes into', 'select 1;'],
  ])('%s is not read', (_, written) => {
    const path = join(directory, '001_a.sql');
    execFileSync('mkfifo', [path]);
    const pipe = openSync(path, 'r+');
    try {
      if (written !== '') writeSync(pipe, written);
      expect(readSmallChecksum(path)).toBeUndefined();
      expect(() => readChecksum(path)).toThrow(/is not a regular file/);
      expect(() => readScript(path)).toThrow(/is not a regular file/);
    } finally {
      closeSync(pipe);
    }
  });

  it.skipIf(process.platform === 'win32').each(['/dev/null', '/dev/zero', '/dev/urandom'])(
    '%s is not read',
    (device) => {
      const path = join(directory, '001_a.sql');
      symlinkSync(device, path);
      expect(readSmallChecksum(path)).toBeUndefined();
      expect(() => readChecksum(path)).toThrow(/is not a regular file/);
    },
  );

  it('an empty file has the checksum of no text', () => {
    const none = createHash('sha256').digest('hex');
    expect(readChecksum(write('001_a.sql', ''))).toBe(none);
  });
});
