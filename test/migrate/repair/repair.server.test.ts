import { describe, expect } from 'vitest';
import {
  migrateDown,
  migrateUp,
  planMigrateRepair,
  readStatus,
  repairMigrations,
} from '../../../src/index.ts';
import { test as base, holdRunnerLock, type MigrateStage } from '../../support/migrate-kit.ts';

/** `applied`: 001, 002 and 003 are applied. */
const test = base.extend<{ applied: MigrateStage }>({
  applied: async ({ stage }, use) => {
    await stage.migration('001_a', 'create table a (id integer);', 'drop table a;');
    await stage.migration('002_b', 'create table b (id integer);', 'drop table b;');
    await stage.migration('003_c', 'create table c (id integer);', 'drop table c;');
    await migrateUp(stage.options);
    await use(stage);
  },
});

const REWORDED = '-- the first one\ncreate table a (\n    id integer\n);';

async function countStates({ options }: MigrateStage) {
  const { counts } = await readStatus(options);
  return Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0));
}

async function readLastEntry({ sql }: MigrateStage) {
  const [entry] = await sql`
    select action, label, checksum, detail, database_user as user, tool_version as version
    from evdb.history order by id desc limit 1`;
  return entry;
}

describe('without a version', () => {
  test('takes over what differs only in comments and white space', async ({ applied }) => {
    await applied.migration('001_a', REWORDED);
    const result = await repairMigrations({ ...applied.options, reason: 'formatter' });
    expect(result).toMatchObject({
      schema: 'public',
      repairs: [{ label: '001', state: 'reworded', action: 'accept', risk: null }],
      decisions: [],
    });
    expect(result.repairs[0]?.diff).toContain('+-- the first one');
    expect(await countStates(applied)).toEqual({ applied: 3 });
    expect((await migrateUp(applied.options)).warnings).toEqual([]);
    const [{ checksum } = {}] = await applied.sql`
      select m.checksum from evdb.migration as m where version = 1`;
    const { was, is } = result.repairs[0]?.checksum ?? {};
    expect({ is, differs: was !== is }).toEqual({ is: checksum, differs: true });
    expect(await readLastEntry(applied)).toMatchObject({
      action: 'repaired',
      label: '001',
      checksum,
      detail: `formatter (took over the file, which was reworded; its checksum was ${was})`,
      user: expect.any(String),
      version: expect.any(String),
    });
  });

  test('keeps the new text for diffs and for down', async ({ applied }) => {
    await applied.migration('001_a', REWORDED, '-- gone\ndrop table a;');
    await repairMigrations(applied.options);
    expect(
      await applied.sql`
      select up_text as up, down_text as down from evdb.migration_text where version = 1`,
    ).toEqual([{ up: REWORDED, down: '-- gone\ndrop table a;' }]);
  });

  test('leaves what needs a decision alone, and says what to type', async ({ applied }) => {
    await applied.migration('001_a', REWORDED);
    await applied.migration('002_b', 'create table b (id bigint);');
    await applied.remove('001_a');
    const { repairs, decisions } = await repairMigrations(applied.options);
    expect(repairs).toEqual([]);
    expect(decisions).toMatchObject([
      {
        label: '001',
        state: 'missing',
        message: '001_a is applied, but its file is gone: restore it, or',
        choices: [{ command: 'evdb migrate repair 001 --confirm' }],
      },
      {
        label: '002',
        state: 'changed',
        message: 'the SQL of 002_b changed after it was applied: put the old text back, or',
        diff: expect.stringContaining('+create table b (id bigint);'),
        choices: [{ command: 'evdb migrate repair 002 --confirm' }],
      },
    ]);
    expect(await applied.history()).toEqual(['up 001', 'up 002', 'up 003']);
  });

  test('writes nothing where nothing is wrong, not even for the lock', async ({ applied }) => {
    await holdRunnerLock(applied);
    const options = { ...applied.options, lockWaitMs: 0 };
    expect(await repairMigrations(options)).toEqual({
      schema: 'public',
      repairs: [],
      decisions: [],
    });
    await applied.migration('001_a', REWORDED);
    await expect(repairMigrations(options)).rejects.toMatchObject({ code: 'LOCKED' });
    expect(await countStates(applied)).toEqual({ applied: 2, reworded: 1 });
  });

  test('does not make a ledger where there is none', async ({ stage }) => {
    await stage.migration('001_a', 'create table a ();');
    expect(await repairMigrations(stage.options)).toMatchObject({ repairs: [], decisions: [] });
    expect(await stage.sql`select to_regnamespace('evdb') as ledger`).toEqual([{ ledger: null }]);
  });

  test('plans without writing', async ({ applied }) => {
    await applied.migration('001_a', REWORDED);
    expect((await planMigrateRepair(applied.options)).repairs).toHaveLength(1);
    expect(await countStates(applied)).toEqual({ applied: 2, reworded: 1 });
  });
});

describe('of changed SQL', () => {
  test('is refused without consent, with the diff', async ({ applied }) => {
    await applied.migration('002_b', 'create table b (id bigint);');
    await expect(repairMigrations({ ...applied.options, version: '2' })).rejects.toMatchObject({
      code: 'CONFIRM_REQUIRED',
      message: expect.stringMatching(/^the SQL of 002_b changed: the database keeps what the old/),
      hint: 'Nothing was changed. If that is intended: evdb migrate repair 002 --confirm',
      details: { diff: expect.stringContaining('-create table b (id integer);') },
    });
    expect(await countStates(applied)).toEqual({ applied: 2, changed: 1 });
  });

  test('records the new text with consent, and the old checksum in the history', async ({
    applied,
  }) => {
    const [before] = await applied.sql`select checksum from evdb.migration where version = 2`;
    await applied.migration('002_b', 'create table b (id bigint); select 1;');
    await repairMigrations({ ...applied.options, version: '002', confirm: true });
    expect(await countStates(applied)).toEqual({ applied: 3 });
    expect(await readLastEntry(applied)).toMatchObject({
      action: 'repaired',
      detail: `took over the file, which was changed; its checksum was ${before?.checksum}`,
    });
    expect(
      await applied.sql`
      select statements_done as done, statements_total as total, up_text as up
      from evdb.migration join evdb.migration_text using (target_schema, version)
      where version = 2`,
    ).toEqual([{ done: 2, total: 2, up: 'create table b (id bigint); select 1;' }]);
    await applied.migration('002_b', 'create table b (id bigint);\n-- why\nselect 1;');
    expect(await countStates(applied)).toEqual({ applied: 2, reworded: 1 });
  });

  test('is refused where the new text could not run', async ({ applied }) => {
    await applied.migration('002_b', 'create tabel b (id bigint);');
    const repair = repairMigrations({ ...applied.options, version: '002', confirm: true });
    await expect(repair).rejects.toMatchObject({ code: 'SYNTAX_ERROR' });
    expect(await countStates(applied)).toEqual({ applied: 2, changed: 1 });
  });
});

describe('of a missing file', () => {
  test('forgets the row with consent, and leaves the objects', async ({ applied }) => {
    await applied.remove('002_b');
    const options = { ...applied.options, version: '002' };
    await expect(repairMigrations(options)).rejects.toMatchObject({
      code: 'CONFIRM_REQUIRED',
      message: expect.stringContaining('what 002_b made stays in the database'),
    });
    await repairMigrations({ ...options, confirm: true });
    expect(await applied.ledger()).toEqual(['001 applied', '003 applied']);
    expect(await applied.history()).toEqual(['up 001', 'up 002', 'up 003', 'repaired 002']);
    expect(await applied.relations()).toEqual(['a', 'b', 'c']);
    expect(await applied.sql`select version::int from evdb.migration_text order by 1`).toEqual([
      { version: 1 },
      { version: 3 },
    ]);
    expect(await migrateUp(applied.options)).toMatchObject({ steps: [], warnings: [] });
  });

  test('forgets one that only a newer checkout has', async ({ applied }) => {
    await applied.remove('003_c');
    expect(await repairMigrations(applied.options)).toMatchObject({ decisions: [] });
    await repairMigrations({ ...applied.options, version: '003', confirm: true });
    expect(await applied.ledger()).toEqual(['001 applied', '002 applied']);
  });
});

test('forgets an applied migration when asked, and applies it again', async ({ applied }) => {
  const options = { ...applied.options, version: '003', forget: true };
  await expect(repairMigrations(options)).rejects.toMatchObject({
    code: 'CONFIRM_REQUIRED',
    hint: expect.stringContaining('evdb migrate repair 003 --forget --confirm'),
  });
  await applied.sql`drop table c`;
  await repairMigrations({ ...options, confirm: true });
  expect(await migrateUp(applied.options)).toMatchObject({ steps: [{ label: '003' }] });
});

test('finds nothing to repair in a version that is as it was applied', async ({ applied }) => {
  expect(await repairMigrations({ ...applied.options, version: '1' })).toMatchObject({
    repairs: [],
    decisions: [],
  });
});

test.for([
  ['004', 'UNKNOWN_VERSION', 'version 004 is not applied'],
  ['009', 'UNKNOWN_VERSION', 'version 009 is not applied'],
  ['abc', 'USAGE', '"abc" is not a version'],
])('refuses version %s', async ([version = '', code, message], { applied }) => {
  await applied.migration('004_d', 'create table d ();');
  const repair = repairMigrations({ ...applied.options, version });
  await expect(repair).rejects.toMatchObject({ code, message });
});

test('refuses to forget without a version', async ({ applied }) => {
  const repair = repairMigrations({ ...applied.options, forget: true, confirm: true });
  await expect(repair).rejects.toMatchObject({ code: 'USAGE' });
});

test('repairs all or nothing', async ({ applied }) => {
  await applied.migration('001_a', REWORDED);
  await applied.migration('002_b', 'create table b(id integer);');
  await applied.sql.unsafe(`
    create function evdb.refuse() returns trigger language plpgsql
      as $$ begin raise exception 'no'; end $$;
    create trigger refuse before insert on evdb.history
      for each row when (new.label = '002') execute function evdb.refuse();`);
  await expect(repairMigrations(applied.options)).rejects.toThrow('no');
  expect(await countStates(applied)).toEqual({ applied: 1, reworded: 2 });
  await applied.sql`drop trigger refuse on evdb.history`;
  expect((await repairMigrations(applied.options)).repairs).toHaveLength(2);
  expect(await migrateDown(applied.options)).toMatchObject({ steps: [{ label: '003' }] });
});
