import type postgres from 'postgres';
import { describe, expect } from 'vitest';
import {
  DatabasePool,
  type MigrateOptions,
  migrateDown,
  migrateUp,
  planImpact,
  proveDowns,
  readDrift,
  readStatus,
} from '../../../src/index.ts';
import {
  closeSql,
  dropDatabase,
  newDatabaseName,
  openSql,
  withDatabase,
} from '../../support/databases.ts';
import { type MigrateStage, test } from '../../support/migrate-kit.ts';

interface Encoded {
  options: MigrateOptions;
  sql: postgres.Sql;
  url: string;
}

/** Works on the stage's project with a database in another encoding. */
async function inEncoding(
  encoding: string,
  { stage, admin }: { stage: MigrateStage; admin: postgres.Sql },
  work: (at: Encoded) => Promise<void>,
): Promise<void> {
  const database = newDatabaseName();
  const [server] = await admin`select current_setting('server_version_num')::int as version`;
  const provider = server?.version >= 150000 ? 'locale_provider libc' : '';
  await admin.unsafe(
    `create database ${database} template template0 encoding '${encoding}' ${provider} lc_collate 'C' lc_ctype 'C'`,
  );
  const url = withDatabase(stage.url, database);
  const sql = openSql(url, 1);
  try {
    const connection = { ...stage.options.connection, database };
    await work({ options: { ...stage.options, connection }, sql, url });
  } finally {
    await closeSql(sql);
    await dropDatabase(admin, database);
  }
}

/** What a person of the language writes. */
const WORDS: Record<string, { word: string; name: string }> = {
  LATIN1: { word: 'Größe - é', name: 'größe' },
  WIN1252: { word: 'Größe – 5 €', name: 'größe' },
  EUC_JP: { word: '日本語', name: '表' },
  EUC_KR: { word: '한국어', name: '표' },
  EUC_CN: { word: '中文', name: '表' },
  SQL_ASCII: { word: 'é 🎈 日本語', name: 'größe' },
};

describe.each(Object.entries(WORDS))('a database in %s', (encoding, { word, name }) => {
  const up = `-- ${word}\ncreate table "${name}" as select '${word}'::text as t;\ncomment on table "${name}" is '${word} '' \\';`;
  const down = `create table public.left_behind as select '${word}'::text as t; -- ${word}\ndrop table "${name}";`;

  test('keeps a script as it is written, and rolls it back from there', async ({
    stage,
    admin,
  }) => {
    await inEncoding(encoding, { stage, admin }, async ({ options, sql }) => {
      await stage.migration('001_a', up, down);
      await migrateUp(options);
      const [kept] = await sql`select up_text, down_text from evdb.migration_text`;
      expect(kept).toEqual({ up_text: up, down_text: down });
      const [made] = await sql`select t from ${sql(name)}`;
      expect(made?.t).toBe(word);
      expect((await readStatus(options)).counts).toMatchObject({ applied: 1, changed: 0 });
      await migrateDown({ ...options, fromLedger: true });
      const [left] = await sql`select t from public.left_behind`;
      expect(left?.t).toBe(word);
    });
  });

  test('finds a schema whose name is in the language', async ({ stage, admin }) => {
    await inEncoding(encoding, { stage, admin }, async ({ options, sql }) => {
      const schema = `tenant_${name}`;
      await stage.migration('001_a', `-- evdb: no-transaction\nselect '${word}';`, 'select 1;');
      await stage.migration('002_b', up, down);
      await migrateUp({ ...options, schema });
      const [made] = await sql`select t from ${sql(schema)}.${sql(name)}`;
      expect(made?.t).toBe(word);
      expect((await readDrift({ ...options, schema })).differences).toEqual([]);
      await migrateDown({ ...options, schema, fromLedger: true });
    });
  });

  test('reads a script as UTF-8 whatever it says of itself', async ({ stage, admin }) => {
    // as dumps of such a database say
    const own = encoding === 'SQL_ASCII' ? 'LATIN1' : encoding;
    const sneak = `create function sneak() returns void language plpgsql as $$ begin
      perform set_config('client_' || 'encoding', '${own}', false); end $$; select sneak(); drop function sneak()`;
    const visible = [
      `set client_encoding = '${own}'`,
      `set names '${own}'`,
      `select pg_catalog.set_config('client_encoding', '${own}', false)`,
      `do $$ begin execute 'set client_encoding = ''${own}'''; end $$`,
    ];
    await inEncoding(encoding, { stage, admin }, async ({ options, sql }) => {
      const schema = `tenant_${name}`;
      for (const [index, text] of visible.entries()) {
        for (const [ten, head] of ['', '-- evdb: no-transaction\n'].entries()) {
          const insert = `create table t_${ten}${index} as select '${word}'::text as t;`;
          await stage.migration(`${ten + 1}0${index}_a`, `${head}${text};\n${insert}`);
        }
      }
      await stage.migration('301_hidden', `${sneak}; -- ${word}`);
      await stage.migration('302_hidden', `-- evdb: no-transaction\n${sneak}; -- ${word}`);
      await migrateUp({ ...options, schema });
      for (const table of ['00', '01', '02', '03', '10', '11', '12', '13']) {
        const [made] = await sql`select t from ${sql(schema)}.${sql(`t_${table}`)}`;
        expect(made?.t).toBe(word);
      }
      const texts = await sql`select up_text from evdb.migration_text where version > 300`;
      expect(texts.map(({ up_text }) => up_text.endsWith(`-- ${word}`))).toEqual([true, true]);
    });
  });
});

describe('a database in WIN1252, beside scripts', () => {
  test('takes rows of a copy, and proves the way back in a copy of itself', async ({
    stage,
    admin,
  }) => {
    await inEncoding('WIN1252', { stage, admin }, async ({ options, sql }) => {
      await stage.migration(
        '001_a',
        'create table "größe" (t text);\ncopy "größe" from stdin;\né €\n\\.\n',
        'drop table "größe";',
      );
      expect(await proveDowns(options)).toMatchObject([{ outcome: 'proven' }]);
      await migrateUp(options);
      expect(await sql`select t from "größe"`).toEqual([{ t: 'é €' }]);
    });
  });

  test('gives parameters of the pool back', async ({ stage, admin }) => {
    await inEncoding('WIN1252', { stage, admin }, async ({ url }) => {
      const pool = new DatabasePool({ connectionString: url });
      try {
        const { rows } = await pool.query('select $1::text as "größe"', ['é €']);
        expect(rows).toEqual([{ größe: 'é €' }]);
      } finally {
        await pool.close();
      }
    });
  });
});

describe('a character that the encoding lacks', () => {
  test('in a statement is shown at its place, and nothing is changed', async ({ stage, admin }) => {
    await inEncoding('LATIN1', { stage, admin }, async ({ options, sql }) => {
      await stage.migration('001_a', "create table a ();\nselect 'é',\n  '🎈';");
      await expect(migrateUp(options)).rejects.toMatchObject({
        code: 'MIGRATION_FAILED',
        location: { line: 3, column: 4 },
        server: { sqlstate: '22P05' },
      });
      expect(await sql`select to_regclass('public.a') as a`).toEqual([{ a: null }]);
    });
  });

  test.for([
    ["create table a ();\nselect 'é',\n  '🎈';", 1, 'at line 3, column 4'],
    ['create table a ();\n-- é 🎈\n', 0, 'at line 2, column 6, which the ledger keeps'],
  ] as const)(
    'is told by plan as up tells it: %s',
    async ([text, index, where], { stage, admin }) => {
      await inEncoding('LATIN1', { stage, admin }, async ({ options }) => {
        await stage.migration('001_a', text);
        await stage.migration('002_b', "comment on table a is 'é';");
        const { steps } = await planImpact(options);
        const told = steps.map((step) => step.statements.map((one) => one.refusals));
        const refusal = { sqlstate: '22P05', message: expect.stringContaining(where) };
        expect(told[0]?.[index]).toMatchObject([refusal]);
        expect(told.flat(2)).toHaveLength(1);
        await expect(migrateUp(options)).rejects.toMatchObject({ server: { sqlstate: '22P05' } });
      });
    },
  );

  test('in one of several statements that are sent together is shown at its place', async ({
    stage,
    admin,
  }) => {
    await inEncoding('LATIN1', { stage, admin }, async ({ options }) => {
      await stage.migration(
        '001_a',
        "create table a ();\ncreate table b ();\ncomment on table b is 'é 🎈';\ncreate table c ();\n",
      );
      await expect(migrateUp(options)).rejects.toMatchObject({
        code: 'MIGRATION_FAILED',
        location: { line: 3, column: 26 },
        server: { sqlstate: '22P05' },
      });
    });
  });

  test('in a comment is shown at its place, because the ledger keeps it', async ({
    stage,
    admin,
  }) => {
    await inEncoding('LATIN1', { stage, admin }, async ({ options, sql }) => {
      await stage.migration('001_a', 'create table a ();\n-- é 🎈\n');
      await expect(migrateUp(options)).rejects.toMatchObject({
        code: 'MIGRATION_FAILED',
        location: { line: 2, column: 6 },
        hint: expect.stringContaining('🎈'),
      });
      expect(await sql`select to_regclass('public.a') as a`).toEqual([{ a: null }]);
    });
  });

  test('in a down script stops the migration before it is applied', async ({ stage, admin }) => {
    await inEncoding('LATIN1', { stage, admin }, async ({ options, sql }) => {
      await stage.migration('001_a', 'create table a ();', 'drop table a; -- 🎈');
      await expect(migrateUp(options)).rejects.toMatchObject({
        code: 'MIGRATION_FAILED',
        message: expect.stringContaining('001_a'),
        hint: expect.stringContaining('🎈'),
      });
      expect(await sql`select to_regclass('public.a') as a`).toEqual([{ a: null }]);
    });
  });
});
