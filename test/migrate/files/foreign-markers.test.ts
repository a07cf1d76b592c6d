import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  findForeignMarkers,
  refuseForeignMarkers,
} from '../../../src/migrate/files/foreign-markers.ts';
import { LARGE_FILE_BYTES, readScript } from '../../../src/migrate/files/source.ts';

const UP = 'create table a ();';
const DOWN = 'drop table a;';

describe('a script of evdb', () => {
  it.each([
    ['dbmate', `-- migrate:up\n${UP}\n-- migrate:down\n${DOWN}`, 1, '--from dbmate'],
    ['dbmate', `-- migrate:up transaction:false\n${UP}`, 1, '--from dbmate'],
    ['dbmate', `/* licence */\n\n${UP}\n-- migrate:down\n${DOWN}`, 4, '--from dbmate'],
    ['goose', `-- +goose Up\n${UP}\n-- +goose Down\n${DOWN}`, 1, '--from goose'],
    ['goose', `-- +GOOSE NO TRANSACTION\n${UP}`, 1, '-- evdb: no-transaction'],
    ['sql-migrate', `-- +migrate Up\n${UP}\n-- +migrate Down\n${DOWN}`, 1, 'NNN_name.down.sql'],
    ['tern', `${UP}\n---- create above / drop below ----\n${DOWN}`, 2, 'NNN_name.down.sql'],
    ['MyBatis Migrations', `--// First\n${UP}\n--//@UNDO\n${DOWN}`, 3, 'NNN_name.down.sql'],
    ['MyBatis Migrations', `-- // First\n${UP}\n-- //@UNDO\n${DOWN}`, 3, 'NNN_name.down.sql'],
    ['node-pg-migrate', `${UP}\n-- Down Migration\n${DOWN}`, 2, '--from node-pg-migrate'],
    ['node-pg-migrate', `${DOWN}\n--- up migration\n${UP}`, 2, '--from node-pg-migrate'],
    ['Liquibase', `--liquibase formatted sql\n--changeset me:1\n${UP}`, 1, 'evdb migrate baseline'],
    ['shmig', `-- ==== UP ====\n${UP}\n-- ==== DOWN ====\n${DOWN}`, 1, 'NNN_name.down.sql'],
    ['Play evolutions', `-- !Ups\n${UP}\n-- !Downs\n${DOWN}`, 1, 'NNN_name.down.sql'],
    [
      'graphile-migrate',
      `--! Previous: -\n--! Hash: sha1:1\n\n${UP}`,
      1,
      '--from graphile-migrate',
    ],
    ['sqlx', `-- no-transaction\n${UP}`, 1, '-- evdb: no-transaction'],
    ['Atlas', `-- atlas:txmode none\n${UP}`, 1, 'Write instead: -- evdb: no-transaction'],
    ['another tool', `${UP}\n-- Down\n${DOWN}`, 2, 'NNN_name.down.sql'],
    ['another tool', `${UP}\n-- ROLLBACK;\n${DOWN}`, 2, 'NNN_name.down.sql'],
  ])('is refused where it holds a marker of %s: %s', (tool, text, line, hint) => {
    expect(() => refuseForeignMarkers(text, 'migrations/001_a.sql')).toThrow(
      expect.objectContaining({
        code: 'FOREIGN_MARKER',
        message: expect.stringMatching(
          new RegExp(`^migrations/001_a\\.sql:${line}: "--.*" is a marker of ${tool}, which means`),
        ),
        hint: expect.stringContaining(hint),
        details: { file: 'migrations/001_a.sql', line },
      }),
    );
  });

  it.each([
    ['its own directives', `-- evdb: no-transaction\n${UP}`],
    ['a text in a string', `select '\n-- migrate:down\n';`],
    ['a text in a body', `do $$ begin\n-- +goose Down\nend $$;`],
    ['rows of a copy', 'copy a from stdin;\n-- migrate:down\n\\.\n'],
    ['a heading above everything', `-- Down Migration\n${DOWN}`],
    ['a heading below everything', `${UP}\n-- Down Migration is in 001_a.down.sql`],
    ['a word that begins alike', `${UP}\n-- migrate:downwards\n${DOWN}`],
    ['a comment within a statement', 'create table a (\n  -- up\n  b int\n); select 1;'],
    ['a rollback in words', `${UP}\n-- rollback drops it again\n${DOWN}`],
    ['the wish of sqlx below its first line', `\n-- no-transaction\n${UP}`],
  ])('may hold %s', (_, text) => {
    expect(findForeignMarkers(text)).toEqual([]);
  });

  it('is refused where no semicolon stands before the marker', () => {
    expect(findForeignMarkers(`create table a ()\n-- migrate:down\ndrop table a`)).toMatchObject([
      { markers: { tool: 'dbmate' }, meaning: 'down', text: '-- migrate:down' },
    ]);
  });
});

describe('a file', () => {
  let directory = '';
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'evdb-markers-'));
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  it('is refused with line ends of Windows and a byte order mark', () => {
    const path = join(directory, '001_a.sql');
    writeFileSync(path, `\ufeff-- migrate:up\r\n${UP}\r\n-- migrate:down\r\n${DOWN}\r\n`);
    expect(() => readScript(path)).toThrow(expect.objectContaining({ code: 'FOREIGN_MARKER' }));
    expect(readScript(path, { foreign: true }).text).toContain('-- migrate:down\n');
  });

  it('is refused where it is too large to be held', () => {
    const path = join(directory, '002_b.sql');
    const row = `insert into a values ('${'x'.repeat(1000)}');\n`;
    const rows = row.repeat(LARGE_FILE_BYTES / 1000);
    writeFileSync(path, `${rows}-- migrate:down\ndelete from a;\n`);
    const line = rows.split('\n').length;
    expect(() => readScript(path)).toThrow(
      expect.objectContaining({
        code: 'FOREIGN_MARKER',
        details: expect.objectContaining({ line }),
      }),
    );
    expect(readScript(path, { foreign: true })).toMatchObject({ large: { filePath: path } });
  });
});
