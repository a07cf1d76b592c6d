import { describe, expect } from 'vitest';
import { migrateDown, migrateRedo, migrateUp } from '../../../src/index.ts';
import { type MigrateStage, test } from '../../support/migrate-kit.ts';

const HEADER = '-- evdb: no-transaction\n';

/** Writes and runs a migration of these statements, and expects that it stops. */
async function stop(stage: MigrateStage, ...statements: string[]): Promise<unknown> {
  await stage.migration('001_a', script(...statements), `${HEADER}drop table if exists a, b, c;`);
  return migrateUp(stage.options).then(
    () => expect.fail('it did not stop'),
    (error: unknown) => error,
  );
}

function script(...statements: string[]): string {
  return `${HEADER}${statements.map((statement) => `${statement};\n`).join('')}`;
}

async function goOn(stage: MigrateStage, ...statements: string[]): Promise<void> {
  await stage.migration('001_a', script(...statements));
  await migrateUp(stage.options);
}

async function invalidIndexes(stage: MigrateStage): Promise<string[]> {
  const rows = await stage.sql`
    select indexrelid::regclass::text as name from pg_index where not indisvalid`;
  return rows.map(({ name }) => name);
}

describe('a script that stopped half way', () => {
  test('goes on behind its last good statement once the next one is mended', async ({ stage }) => {
    await stop(stage, 'create table a (id int)', 'insert into a select 1/0', 'create table b ()');
    await goOn(stage, 'create table a (id int)', 'insert into a select 1', 'create table b ()');
    expect(await stage.ledger()).toEqual(['001 applied']);
    expect(await stage.relations()).toEqual(['a', 'b']);
    expect(await stage.sql`select id from a`).toEqual([{ id: 1 }]);
    expect(await stage.history()).toEqual(['failed 001', 'resumed 001', 'up 001']);
    expect(await stage.sql`select detail from evdb.history where action = 'resumed'`).toEqual([
      { detail: 'up, at statement 2 of 3: insert' },
    ]);
    const [row] = await stage.sql`
      select up_text, statement_started, statement_checksums from evdb.migration
      join evdb.migration_text using (target_schema, version)`;
    expect(row).toEqual({
      up_text: expect.stringContaining('insert into a select 1;'),
      statement_started: null,
      statement_checksums: null,
    });
    expect(await migrateUp(stage.options)).toMatchObject({ steps: [], warnings: [] });
  });

  test('goes on ahead of the migrations behind it', async ({ stage }) => {
    await stop(stage, 'create table a ()', 'select 1/0');
    await stage.migration('002_b', 'alter table a add column id int;');
    await stage.migration('001_a', script('create table a ()', 'select 1'));
    const { steps } = await migrateUp(stage.options);
    expect(steps).toMatchObject([{ label: '001' }, { label: '002' }]);
  });

  test('goes on although its comments, and what comes behind, were changed', async ({ stage }) => {
    await stop(stage, 'create table a (id int)', 'select 1/0');
    await goOn(stage, '-- the first\ncreate  table a (id int)', 'create table b ()', 'select 1');
    expect(await stage.relations()).toEqual(['a', 'b']);
  });

  test.for([
    ['another one', 'create table a (id bigint)'],
    ['one more ahead of it', 'select 1;\ncreate table a (id int)'],
  ] as const)('is refused where what ran is %s now', async ([, changed], { stage }) => {
    await stop(stage, 'create table a (id int)', 'select 1/0');
    await stage.migration('001_a', script(changed, 'create table b ()'));
    await expect(migrateUp(stage.options)).rejects.toMatchObject({
      code: 'CHANGED_MIGRATION',
      message: 'statement 1 of 001_a is a different one now, after it ran',
      location: { line: 2, column: 1 },
      hint: expect.stringContaining('Put its old text back'),
    });
    expect(await stage.relations()).toEqual(['a']);
  });

  test('is refused where it is transactional now, or what ran is gone', async ({ stage }) => {
    await stop(stage, 'create table a ()', 'create table b ()', 'select 1/0');
    await stage.migration('001_a', 'create table a (); create table b ();');
    await expect(migrateUp(stage.options)).rejects.toMatchObject({ code: 'CHANGED_MIGRATION' });
    await stage.migration('001_a', script('create table a ()'));
    await expect(migrateUp(stage.options)).rejects.toMatchObject({
      code: 'CHANGED_MIGRATION',
      message: 'statement 2 of 001_a is no longer in the file, after it ran',
    });
  });

  test('goes on with the settings and the role that it had made', async ({ stage }) => {
    const { name } = await stage.createRole();
    await stage.sql.unsafe(`create schema side authorization ${name}`);
    const settings = [
      "select pg_catalog.set_config('search_path', 'side', false)",
      `set role ${name}`,
      "set datestyle = 'German'",
    ];
    await stop(stage, ...settings, 'create table a (id int)', 'select 1/0');
    await goOn(
      stage,
      ...settings,
      'create table a (id int)',
      'create table b as select now()::text',
    );
    expect(await stage.relations('side')).toEqual(['a', 'b']);
    expect(await stage.sql`select tableowner from pg_tables where tablename = 'b'`).toEqual([
      { tableowner: name },
    ]);
    expect((await stage.sql`select now from side.b`)[0]?.now).toMatch(/^\d\d\.\d\d\.\d{4} /);
  });

  test('is refused where what it needs was temporary', async ({ stage }) => {
    await stop(stage, 'create temp table ids as select 1 as id', 'select 1/0');
    await expect(
      goOn(stage, 'create temp table ids as select 1 as id', 'table ids'),
    ).rejects.toMatchObject({
      code: 'INCOMPLETE_MIGRATION',
      message: '001_a stopped half way, and what its statement 1 made was temporary and is gone',
    });
  });

  test('is not gone on with below a target, nor by up where it was being rolled back', async ({
    stage,
  }) => {
    await stage.migration('001_z', 'select 1;');
    await stage.migration(
      '002_a',
      script('create table a ()', 'select 1/0'),
      script('drop table a', 'select 1/0'),
    );
    await expect(migrateUp(stage.options)).rejects.toMatchObject({ code: 'MIGRATION_FAILED' });
    await expect(migrateUp({ ...stage.options, to: '1' })).rejects.toMatchObject({
      code: 'INCOMPLETE_MIGRATION',
      message: 'applying 002_a stopped at statement 2 of 2; the 1 before it is committed',
    });
    await expect(migrateDown(stage.options)).rejects.toMatchObject({ code: 'MIGRATION_FAILED' });
    expect(await stage.ledger()).toEqual(['001 applied', '002 reverting']);
    await expect(migrateUp(stage.options)).rejects.toMatchObject({
      code: 'INCOMPLETE_MIGRATION',
      hint: expect.stringContaining('`evdb migrate down` continues it'),
    });
  });

  test('goes on with being rolled back, behind what has run of that', async ({ stage }) => {
    await stage.migration(
      '001_a',
      'create table a (); create table b ();',
      script('drop table a', 'select 1/0', 'drop table b'),
    );
    await migrateUp(stage.options);
    await expect(migrateDown(stage.options)).rejects.toMatchObject({ code: 'MIGRATION_FAILED' });
    await stage.migration(
      '001_a',
      'create table a (); create table b ();',
      script('drop table a', 'drop table b'),
    );
    await migrateDown(stage.options);
    expect(await stage.relations()).toEqual([]);
    expect(await stage.history()).toEqual(['up 001', 'failed 001', 'resumed 001', 'down 001']);
  });

  test('starts from its beginning where it is redone', async ({ stage }) => {
    await stop(stage, 'create table a ()', 'select 1/0');
    await stage.migration(
      '001_a',
      script('create table a ()', 'create table b ()'),
      script('drop table a'),
    );
    await migrateRedo(stage.options);
    expect(await stage.relations()).toEqual(['a', 'b']);
    expect(await stage.history()).toEqual(['failed 001', 'down 001', 'up 001']);
  });

  test('is refused where its file is not here, as in an older build', async ({ stage }) => {
    await stop(stage, 'create table a ()', 'select 1/0');
    await stage.remove('001_a');
    await stage.migration('002_z', 'select 1;');
    await expect(migrateUp(stage.options)).rejects.toMatchObject({
      code: 'INCOMPLETE_MIGRATION',
      hint: expect.stringContaining('Its file is not here: restore it'),
    });
    await migrateDown({ ...stage.options, fromLedger: true });
    expect(await stage.relations()).toEqual([]);
  });

  test('may be mended where a block held what no transaction may hold', async ({ stage }) => {
    const block = "do $$ begin execute 'vacuum a'; end $$";
    expect(await stop(stage, 'create table a (id int)', block)).toMatchObject({
      server: { sqlstate: '25001' },
    });
    await goOn(stage, 'create table a (id int)', 'vacuum a');
    expect(await stage.ledger()).toEqual(['001 applied']);
  });
});

describe('a concurrent build that fails', () => {
  test('leaves no invalid index, and goes on where it is mended', async ({ stage }) => {
    const table = 'create table a as select 1 as id from generate_series(1, 2)';
    expect(await stop(stage, table, 'create unique index concurrently on a (id)')).toMatchObject({
      code: 'MIGRATION_FAILED',
      server: { sqlstate: '23505' },
    });
    expect(await invalidIndexes(stage)).toEqual([]);
    expect(await stage.relations()).toEqual(['a']);
    await goOn(stage, table, 'create index concurrently a_id_idx on a (id)');
    expect(await stage.relations()).toEqual(['a', 'a_id_idx']);
  });

  test('leaves an index alone that was there before, even an invalid one', async ({ stage }) => {
    await stage.sql`create table a as select 1 as id from generate_series(1, 2)`;
    const cic = 'create unique index concurrently i on a (id)';
    await expect(stage.sql.unsafe(cic)).rejects.toMatchObject({ code: '23505' });
    expect(await stop(stage, cic)).toMatchObject({ server: { sqlstate: '42P07' } });
    expect(await invalidIndexes(stage)).toEqual(['i']);
  });

  test('is not masked by "if not exists": the invalid index is built again', async ({ stage }) => {
    await stage.sql`create table a as select 1 as id from generate_series(1, 2)`;
    const failed = stage.sql.unsafe('create unique index concurrently i on a (id)');
    await expect(failed).rejects.toMatchObject({ code: '23505' });
    await goOn(stage, 'create index concurrently if not exists i on a (id)');
    expect(await invalidIndexes(stage)).toEqual([]);
    expect(await stage.relations()).toEqual(['a', 'i']);
  });
});
