import { statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { planLintFixes } from '../../../src/index.lint.ts';
import {
  migrateDown,
  migrateUp,
  planMigrateUp,
  readStatus,
  validateMigrations,
} from '../../../src/index.ts';
import { LARGE_FILE_BYTES, readScript } from '../../../src/migrate/files/source.ts';
import { tokenChecksum } from '../../../src/sql/lexical.ts';
import { failUp, type MigrateStage, test } from '../../support/migrate-kit.ts';

const TABLE = 'create table t (id integer, name text);\n';
const ROW = `name 漢 ${'x'.repeat(90)}`;

/** Rows for more than a large file, each about 100 bytes. */
function rows(last = ''): string {
  const count = Math.ceil(LARGE_FILE_BYTES / 100);
  const lines = Array.from({ length: count }, (_, n) => `${n}\t${ROW}\n`).join('');
  return `copy t (id, name) from stdin;\n${lines}${last}\\.\n`;
}

function inserts(): string {
  const values = Array.from({ length: 100 }, (_, n) => `(${n}, '${ROW}')`).join(',\n');
  return `insert into t values\n${values};\n`.repeat(Math.ceil(LARGE_FILE_BYTES / 10_000));
}

const count = async ({ sql }: MigrateStage) =>
  (
    await sql`select count(*)::int as n, count(*) filter (where name = ${ROW})::int as good from t`
  )[0];

describe('a large file', () => {
  test('has its directives before the first statement, and nowhere else', async ({ stage }) => {
    const licence = `/* ${'licence '.repeat(50_000)} */\n-- EVDB: lock-timeout 3s\n`;
    await stage.migration('001_t', `${licence}${TABLE}${inserts()}`);
    const { directives, large } = readScript(`${stage.options.directory}/001_t.sql`);
    expect(large).toBeDefined();
    expect(directives.lockTimeoutMs).toBe(3000);
    for (const text of [
      `${TABLE}${rows()}-- evdb: no-transaction\n`,
      `${TABLE}${rows()}-- evdb: no-transaction\nselect 1;`,
      `${TABLE}${rows()}select 1;\n-- evdb: no-transaction`,
      `${TABLE}-- evdb: no-transaction\n${rows()}`,
      `${TABLE}${inserts()}select 1 -- evdb: no-transaction`,
    ]) {
      await stage.migration('001_t', text);
      const line = text.slice(0, text.indexOf('-- evdb')).split('\n').length;
      await expect(migrateUp(stage.options)).rejects.toMatchObject({
        code: 'DIRECTIVE_INVALID',
        details: { line },
      });
    }
  });

  test.for([
    ['rows', rows],
    ['inserts', inserts],
  ] as const)(
    'is applied, kept by its checksums alone, and rolled back: %s',
    async ([, make], { stage }) => {
      const text = `${TABLE}${make()}\r\nupdate t set id = id + 1; -- end`;
      await stage.migration('001_t', text, 'drop table t;');
      await migrateUp(stage.options);
      const { n, good } = (await count(stage)) ?? {};
      expect(n).toBeGreaterThan(10_000);
      expect(good).toBe(n);
      const [row] = await stage.sql`
      select statements_total, token_checksum, up_text, down_text
      from evdb.migration join evdb.migration_text using (target_schema, version)`;
      const normalised = text.replaceAll('\r\n', '\n');
      expect(row).toMatchObject({
        token_checksum: tokenChecksum(normalised),
        up_text: null,
        down_text: 'drop table t;',
      });
      expect(row?.statements_total).toBe(make === rows ? 3 : inserts().split(';').length + 1);
      expect((await readStatus(stage.options)).migrations).toMatchObject([{ state: 'applied' }]);
      await stage.migration('001_t', `-- reworded\n${text}`);
      expect((await readStatus(stage.options)).migrations).toMatchObject([{ state: 'reworded' }]);
      await migrateDown(stage.options);
      expect(await stage.relations()).toEqual([]);
    },
  );

  test('is planned and validated without its rows', async ({ stage }) => {
    await stage.migration(
      '001_t',
      `${TABLE}${inserts()}create index on t (id);\n${rows()}`,
      'drop table t;',
    );
    const { steps } = await planMigrateUp(stage.options);
    const [step] = steps;
    expect(step?.entry?.statementsTotal).toBeGreaterThan(100);
    expect(step?.script.text.length).toBeLessThan(LARGE_FILE_BYTES / 4);
    expect(step?.statements.at(0)).toMatchObject({ line: 1, command: 'create table' });
    expect(step?.statements.at(-1)).toMatchObject({ command: 'copy' });
    const { connection, directory } = stage.options;
    const { findings } = await validateMigrations({ connection, directory, env: {} });
    expect(findings.filter(({ severity }) => severity === 'error')).toEqual([]);
  });

  test.for([
    ['bytes that are not UTF-8', Buffer.from('caf\xe9', 'latin1'), 'NOT_UTF8', undefined],
    ['a NUL', Buffer.from('\0'), 'NUL_BYTE', undefined],
  ] as const)(
    'with %s in its middle is refused before anything runs',
    async ([, bytes, code], { stage }) => {
      await stage.migration('001_a', 'create table a (id int);');
      const half = rows().slice(0, -3);
      await stage.migration(
        '002_t',
        Buffer.concat([Buffer.from(TABLE + half), bytes, Buffer.from(`\n${half}\\.\n`)]),
      );
      await expect(migrateUp(stage.options)).rejects.toMatchObject({ code });
      expect(await stage.relations()).toEqual([]);
    },
  );

  test.for([
    ['a commit', 'commit;', 'TRANSACTION_CONTROL'],
    ['a command of psql', '\\i other.sql', 'PSQL_COMMAND'],
    ['what no transaction takes', 'vacuum;', 'NEEDS_NO_TRANSACTION'],
    ['wrong syntax', 'create tabel u ();', 'SYNTAX_ERROR'],
    ['an open quote', "insert into t values (1, 'x);", 'SYNTAX_ERROR'],
    [
      'an open quote far back',
      `insert into t values (1, 'x);${' '.repeat(2_000_000)}`,
      'SYNTAX_ERROR',
    ],
    ['rows without an end', 'copy t from stdin;\n1\ta\n', 'COPY_UNTERMINATED'],
  ] as const)(
    'with %s at its end is refused before anything runs',
    async ([, end, code], { stage }) => {
      await stage.migration('001_a', 'create table a (id int);');
      const begin = TABLE + rows() + inserts();
      await stage.migration('002_t', `${begin}  ${end}`);
      const error = await failUp(stage.options);
      const line = begin.split('\n').length;
      expect(error).toMatchObject({ code, location: { line } });
      expect(error.excerpt).toContain(`${line} |   `);
      expect(error.excerpt).toContain(end.startsWith('insert') ? "'x);" : end.slice(0, 6));
      expect(await stage.relations()).toEqual([]);
    },
  );

  test('tells the place of a row that the server refuses, and leaves nothing', async ({
    stage,
  }) => {
    const begin = TABLE + inserts() + rows().slice(0, -3);
    await stage.migration('001_t', `${begin}1\ttwo\tthree\n\\.\n`);
    const error = await failUp(stage.options);
    const line = begin.split('\n').length;
    expect(error).toMatchObject({
      code: 'MIGRATION_FAILED',
      location: { line, column: 1 },
      server: { sqlstate: '22P04' },
    });
    expect(error.excerpt).toContain(`  ${line} | 1 `);
    expect(await stage.relations()).toEqual([]);
  });

  test('tells the place in a statement that the server refuses', async ({ stage }) => {
    const begin = TABLE + rows() + inserts();
    await stage.migration('001_t', `${begin}\n  insert into t\n  values (1, nothing);`);
    const error = await failUp(stage.options);
    const line = begin.split('\n').length + 2;
    expect(error).toMatchObject({ server: { sqlstate: '42703' }, location: { line, column: 14 } });
    expect(error.excerpt).toBe(
      `  ${line} |   values (1, nothing);\n  ${' '.repeat(String(line).length)} |              ^`,
    );
  });

  test('is rolled back where it changes while it runs', async ({ stage }) => {
    await stage.migration('001_t', TABLE + rows());
    const path = join(stage.options.directory, '001_t.sql');
    const { steps } = await planMigrateUp(stage.options);
    expect(steps[0]?.script.checksum).toMatch(/^[0-9a-f]{64}$/);
    const changed = migrateUp({
      ...stage.options,
      onProgress: ({ kind }) => {
        // At once: the file is read on while this would wait.
        if (kind === 'step-started') writeFileSync(path, `${TABLE}${rows()}-- more`);
      },
    });
    await expect(changed).rejects.toMatchObject({ code: 'FILE_CHANGED' });
    expect(await stage.relations()).toEqual([]);
  });

  test('is rolled back where other bytes of the same length and time take the place of its own', async ({
    stage,
  }) => {
    const text = TABLE + rows();
    await stage.migration('001_t', text);
    const path = join(stage.options.directory, '001_t.sql');
    const { atime, mtime } = statSync(path);
    const changed = migrateUp({
      ...stage.options,
      onProgress: ({ kind }) => {
        if (kind !== 'step-started') return;
        writeFileSync(path, text.replace(ROW, ROW.replace('name', 'nama')));
        utimesSync(path, atime, mtime);
      },
    });
    await expect(changed).rejects.toMatchObject({ code: 'FILE_CHANGED' });
    expect(await stage.relations()).toEqual([]);
    // What was checked was never added up, and what is there now is something else.
    expect(await stage.sql`select action, checksum from evdb.history`).toEqual([
      { action: 'failed', checksum: null },
    ]);
  });

  test('tells the place of a statement that fails while others are on their way', async ({
    stage,
  }) => {
    const half = inserts();
    const begin = `${TABLE}${half}`;
    await stage.migration(
      '001_t',
      `${begin}insert into t\nvalues (1, 'é'), (1 / 0, 'x');\n${half}`,
    );
    const error = await failUp(stage.options);
    const line = begin.split('\n').length;
    expect(error).toMatchObject({ server: { sqlstate: '22012' }, location: { line, column: 1 } });
    await stage.migration('001_t', `${begin}insert into t\nvalues (1, 'é'), (nothing);\n${half}`);
    expect(await failUp(stage.options)).toMatchObject({
      server: { sqlstate: '42703' },
      location: { line: line + 1, column: 19 },
    });
    expect(await stage.relations()).toEqual([]);
    const { checksum } = readScript(`${stage.options.directory}/001_t.sql`);
    expect(await stage.sql`select checksum from evdb.history order by id desc limit 1`).toEqual([
      { checksum },
    ]);
  });

  test('without a transaction is held, and runs', async ({ stage }) => {
    await stage.migration('001_t', `-- evdb: no-transaction\n${TABLE}${rows()}vacuum t;`);
    await migrateUp(stage.options);
    expect((await count(stage))?.n).toBeGreaterThan(10_000);
  });

  test('is never written by lint --fix, which sees only a part of it', async ({ stage }) => {
    await stage.migration('001_t', TABLE, 'drop table t;');
    await stage.migration('002_t', `create index i on t (id);\n${rows()}`, 'drop index i;');
    const { files } = await planLintFixes({ directory: stage.options.directory });
    expect(files).toEqual([]);
  });

  test('has the checksum of its normalised text', async ({ stage }) => {
    const text = `\ufeff${TABLE}${rows()}`.replaceAll('\n', '\r\n');
    await stage.migration('001_t', text);
    await stage.migration('002_t', `${TABLE}${rows()}`);
    const [windows, unix] = ['001', '002'].map((label) =>
      readScript(`${stage.options.directory}/${label}_t.sql`),
    );
    expect(windows?.large).toBeDefined();
    expect(windows?.checksum).toBe(unix?.checksum);
  });
});
