import { describe, expect } from 'vitest';
import {
  migrateDown,
  migrateUp,
  planMigrateUp,
  readStatus,
  validateMigrations,
} from '../../../src/index.ts';
import { LEDGER_FORMAT } from '../../../src/migrate/ledger/ledger.ts';

import { type MigrateStage, test } from '../../support/migrate-kit.ts';

async function applyTwo(stage: MigrateStage): Promise<void> {
  await stage.migration('001_a', 'create table a (id int);\n', 'drop table a;\n');
  await stage.migration('003_c', 'create table c (id int);\n', 'drop table c;\n');
  await migrateUp(stage.options);
}

async function statesOf(stage: MigrateStage): Promise<string[]> {
  const { migrations } = await readStatus(stage.options);
  return migrations.map(({ label, state }) => `${label} ${state}`);
}

async function findingsOf(stage: MigrateStage) {
  return (await validateMigrations(stage.options)).findings;
}

describe('files that differ from the ledger', () => {
  test('are refused where the SQL changed, with the difference', async ({ stage }) => {
    await applyTwo(stage);
    await stage.migration('001_a', 'create table a (id bigint);\n');
    await stage.migration('004_d', 'create table d ();');
    expect(await statesOf(stage)).toEqual(['001 changed', '003 applied', '004 pending']);
    await expect(migrateUp(stage.options)).rejects.toMatchObject({
      code: 'CHANGED_MIGRATION',
      message: '001_a changed after being applied',
      details: {
        versions: ['1'],
        diff: expect.stringContaining('-create table a (id int);\n+create table a (id bigint);'),
      },
    });
    expect(await stage.relations()).toEqual(['a', 'c']);
    expect(await findingsOf(stage)).toMatchObject([
      { code: 'NO_DOWN' },
      {
        severity: 'error',
        code: 'CHANGED_MIGRATION',
        details: { diff: expect.stringContaining('+create') },
      },
    ]);
  });

  test('are a warning where only comments and white space changed', async ({ stage }) => {
    await applyTwo(stage);
    await stage.migration('001_a', '-- why\ncreate  table a\n  (id int)');
    await stage.migration('004_d', 'create table d ();', 'drop table d;');
    expect(await statesOf(stage)).toEqual(['001 reworded', '003 applied', '004 pending']);
    const { steps, warnings } = await migrateUp(stage.options);
    expect(steps).toMatchObject([{ label: '004' }]);
    expect(warnings).toMatchObject([
      {
        code: 'REWORDED',
        version: '1',
        message: expect.stringContaining('001_a differs'),
        diff: expect.stringContaining('+-- why'),
      },
    ]);
    expect(stage.heard).toContainEqual({ kind: 'warning', warning: warnings[0] });
    expect(await findingsOf(stage)).toMatchObject([{ severity: 'warning', code: 'REWORDED' }]);
  });

  test('warn also where there is nothing to apply, once', async ({ stage }) => {
    await applyTwo(stage);
    await stage.migration('001_a', '-- why\ncreate table a (id int);');
    stage.heard.length = 0;
    const { steps, warnings } = await migrateUp(stage.options);
    expect(steps).toEqual([]);
    expect(warnings).toHaveLength(1);
    expect(stage.heard).toEqual([{ kind: 'warning', warning: warnings[0] }]);
  });

  test('show no difference where the text was too long to keep', async ({ stage }) => {
    await stage.migration('001_a', 'create table a (id int);\n');
    await migrateUp({ ...stage.options, storedTextLimitBytes: 5 });
    await stage.migration('001_a', 'create table a (id bigint);\n');
    const failure = migrateUp(stage.options);
    await expect(failure).rejects.toMatchObject({ code: 'CHANGED_MIGRATION' });
    await expect(failure).rejects.not.toHaveProperty('details.diff', expect.any(String));
  });

  test('are the same where only line ends and the byte order mark changed', async ({ stage }) => {
    await applyTwo(stage);
    await stage.migration('001_a', '\uFEFFcreate table a (id int);\r\n');
    expect(await statesOf(stage)).toEqual(['001 applied', '003 applied']);
    expect(await migrateUp(stage.options)).toMatchObject({ steps: [], warnings: [] });
  });

  test('are the same where the file was only renamed', async ({ stage }) => {
    await applyTwo(stage);
    await stage.remove('001_a');
    await stage.migration('1_better', 'create table a (id int);\n', 'drop table a;\n');
    expect(await statesOf(stage)).toEqual(['1 applied', '003 applied']);
  });

  test('are refused where one of the older files is gone', async ({ stage }) => {
    await applyTwo(stage);
    await stage.remove('001_a');
    expect(await statesOf(stage)).toEqual(['001 missing', '003 applied']);
    await expect(migrateUp(stage.options)).rejects.toMatchObject({
      code: 'MISSING_MIGRATION',
      message: '001_a is applied, but the file is gone',
      hint: expect.stringContaining('--from-ledger'),
    });
    expect(await findingsOf(stage)).toMatchObject([
      { severity: 'error', code: 'MISSING_MIGRATION' },
    ]);
  });

  test('are refused where a new one is older than the newest applied one', async ({ stage }) => {
    await applyTwo(stage);
    await stage.migration('002_b', 'create table b ();', 'drop table b;');
    expect(await statesOf(stage)).toEqual(['001 applied', '002 outOfOrder', '003 applied']);
    await expect(migrateUp(stage.options)).rejects.toMatchObject({
      code: 'OUT_OF_ORDER',
      message: '002_b is pending, but the newer 003_c is applied already',
      details: { versions: ['2'], newest: '3' },
    });
    expect(await findingsOf(stage)).toMatchObject([{ severity: 'error', code: 'OUT_OF_ORDER' }]);

    await migrateUp({ ...stage.options, outOfOrder: true });
    expect(await stage.ledger()).toEqual(['001 applied', '002 applied', '003 applied']);
    expect(await stage.history()).toEqual(['up 001', 'up 003', 'up 002']);
  });

  test('are a warning where the ledger is ahead of them, and an error with strict', async ({
    stage,
  }) => {
    await applyTwo(stage);
    await stage.remove('003_c');
    expect(await statesOf(stage)).toEqual(['001 applied', '003 ahead']);
    stage.heard.length = 0;
    const { steps, warnings } = await migrateUp(stage.options);
    expect(steps).toEqual([]);
    expect(warnings).toMatchObject([
      { code: 'LEDGER_AHEAD', message: expect.stringContaining('003_c is applied and not here') },
    ]);
    expect(stage.heard).toEqual([{ kind: 'warning', warning: warnings[0] }]);
    await expect(migrateUp({ ...stage.options, strict: true })).rejects.toMatchObject({
      code: 'LEDGER_AHEAD',
      hint: expect.stringContaining('--strict'),
    });
    expect(await findingsOf(stage)).toMatchObject([{ severity: 'warning', code: 'LEDGER_AHEAD' }]);
  });
});

describe('the ledger', () => {
  test('shows its texts to its owner alone, whatever default privileges would grant', async ({
    stage,
  }) => {
    const { name, url } = await stage.createRole();
    await stage.sql.unsafe(`
      alter default privileges grant all on tables to public;
      alter default privileges grant all on tables to ${name};
      alter default privileges grant usage on schemas to ${name};`);
    await applyTwo(stage);
    const other = stage.openOther(url);
    expect(await other`select label from evdb.migration order by version`).toHaveLength(2);
    await expect(other`select up_text from evdb.migration_text`).rejects.toMatchObject({
      code: '42501',
    });
    await expect(other`update evdb.migration_text set up_text = ''`).rejects.toMatchObject({
      code: '42501',
    });
  });

  test.for([
    'update evdb.history set error = null',
    'delete from evdb.history',
    'truncate evdb.history',
  ])('keeps its history append-only: %s', async (change, { stage }) => {
    await applyTwo(stage);
    await expect(stage.sql.unsafe(change)).rejects.toMatchObject({
      code: '42501',
      message: expect.stringContaining('append-only'),
    });
    expect(await stage.history()).toEqual(['up 001', 'up 003']);
  });

  test('lives in the schema that is asked for', async ({ stage }) => {
    const options = { ...stage.options, ledgerSchema: "Büch'er" };
    await stage.migration('001_a', 'create table a ();', 'drop table a;');
    await migrateUp(options);
    await migrateDown(options);
    expect(await stage.sql`select action from "Büch'er".history order by id`).toEqual([
      { action: 'up' },
      { action: 'down' },
    ]);
    expect(await stage.sql`select to_regnamespace('evdb') as evdb`).toEqual([{ evdb: null }]);
  });

  test('cannot live in the schema that is migrated', async ({ stage }) => {
    await stage.migration('001_a', 'create table a ();');
    await expect(migrateUp({ ...stage.options, schema: 'evdb' })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
    });
  });

  test.for(['pg_catalog', 'pg_temp', 'information_schema'])(
    'lives in no schema of PostgreSQL itself, and none is migrated: %s',
    async (schema, { stage }) => {
      await stage.migration('001_a', 'create table a ();');
      for (const odd of [{ schema }, { ledgerSchema: schema }]) {
        const refused = { code: 'CONFIG_INVALID', message: expect.stringContaining(schema) };
        await expect(migrateUp({ ...stage.options, ...odd })).rejects.toMatchObject(refused);
      }
    },
  );

  test('of a newer evdb is left alone', async ({ stage }) => {
    await applyTwo(stage);
    await stage.migration('004_d', 'create table d ();');
    await stage.sql`update evdb.ledger_format set format = ${LEDGER_FORMAT + 1}`;
    const tooNew = {
      code: 'LEDGER_TOO_NEW',
      message: expect.stringContaining(`format ${LEDGER_FORMAT + 1}`),
    };
    await expect(readStatus(stage.options)).rejects.toMatchObject(tooNew);
    await expect(migrateUp(stage.options)).rejects.toMatchObject(tooNew);
    await stage.sql`alter table evdb.migration rename column checksum to digest`;
    await expect(migrateUp(stage.options)).rejects.toMatchObject(tooNew);
    expect(await stage.relations()).toEqual(['a', 'c']);
  });
});

describe('a role', () => {
  test('that may not create the ledger is told what an administrator has to run', async ({
    stage,
  }) => {
    const { name, url } = await stage.createRole();
    await stage.sql.unsafe(`create schema app authorization ${name}`);
    await stage.migration('001_a', 'create table a ();');
    const options = { ...(await stage.optionsFor(url)), schema: 'app' };
    const failure = migrateUp(options);
    const statement = `create schema if not exists "evdb" authorization "${name}";`;
    await expect(failure).rejects.toMatchObject({
      code: 'PERMISSION_DENIED',
      message: `user "${name}" may not create the ledger in schema "evdb"`,
      hint: `Let an administrator run: ${statement}`,
    });
    expect(await stage.relations('app')).toEqual([]);

    await stage.sql.unsafe(statement);
    await migrateUp(options);
    expect(await stage.relations('app')).toEqual(['a']);
  });

  test('that may not create the target schema is told so', async ({ stage }) => {
    const { name, url } = await stage.createRole();
    await stage.sql.unsafe(`create schema evdb authorization ${name}`);
    await stage.migration('001_a', 'create table a ();');
    const options = { ...(await stage.optionsFor(url)), schema: 'app' };
    await expect(migrateUp(options)).rejects.toMatchObject({
      code: 'PERMISSION_DENIED',
      message: expect.stringMatching(/lacks a privilege .* permission denied for database/),
      hint: expect.stringContaining('"app"'),
    });
    expect(await stage.ledger('app')).toEqual([]);
    expect(await stage.history('app')).toEqual(['failed 001']);
  });

  test('that may only read sees the status, needs nothing more where nothing is pending, and cannot apply', async ({
    stage,
  }) => {
    await applyTwo(stage);
    const { name, url } = await stage.createRole();
    const options = await stage.optionsFor(url);
    const refused = await readStatus(options).catch((error: unknown) => error);
    expect(refused).toMatchObject({
      code: 'PERMISSION_DENIED',
      message: `user "${name}" may not read the ledger in schema "evdb"`,
    });
    const grants = /let its owner run: (.*;) The stored/.exec((refused as { hint: string }).hint);
    await stage.sql.unsafe(grants?.[1] ?? 'the hint names no statement');

    expect(await readStatus(options)).toMatchObject({ counts: { applied: 2, pending: 0 } });
    expect(await migrateUp(options)).toMatchObject({ steps: [] });
    await stage.migration('001_a', '-- why\ncreate table a (id int);');
    expect((await planMigrateUp(options)).warnings).toMatchObject([{ code: 'REWORDED' }]);

    await stage.migration('004_d', 'select 1;');
    await expect(migrateUp(options)).rejects.toMatchObject({
      code: 'PERMISSION_DENIED',
      message: expect.stringContaining('permission denied for table migration'),
    });
    expect(await stage.ledger()).toEqual(['001 applied', '003 applied']);
  });

  test('whose connection is read-only is refused before the lock', async ({ stage }) => {
    const { name, url } = await stage.createRole();
    await stage.sql.unsafe(`alter role ${name} set default_transaction_read_only = on`);
    await stage.migration('001_a', 'create table a ();');
    await expect(migrateUp(await stage.optionsFor(url))).rejects.toMatchObject({
      code: 'READ_ONLY',
      message: expect.stringContaining('default_transaction_read_only'),
    });
  });
});
