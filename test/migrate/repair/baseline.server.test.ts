import { expect } from 'vitest';
import {
  baselineMigrations,
  migrateDown,
  migrateUp,
  planMigrateBaseline,
  planMigrateUp,
  readStatus,
} from '../../../src/index.ts';
import { test as base, type MigrateStage } from '../../support/migrate-kit.ts';

/** `grown`: a database made by other means, and three files of which it holds the first two. */
const test = base.extend<{ grown: MigrateStage }>({
  grown: async ({ stage }, use) => {
    await stage.sql`create table a (id integer)`;
    await stage.sql`create table b (id integer)`;
    await stage.migration('001_a', 'create table a (id integer);', 'drop table a;');
    await stage.migration('002_b', 'create table b (id integer);', 'drop table b;');
    await stage.migration('003_c', 'create table c (id integer);', 'drop table c;');
    await use(stage);
  },
});

test('counts every file up to a version as applied, and runs none', async ({ grown }) => {
  const result = await baselineMigrations({ ...grown.options, version: '2', reason: 'by hand' });
  expect(result).toMatchObject({ migrations: [{ label: '001' }, { label: '002' }], risk: null });
  expect(await grown.relations()).toEqual(['a', 'b']);
  const { migrations, counts } = await readStatus(grown.options);
  expect(counts).toMatchObject({ applied: 2, pending: 1 });
  expect(migrations[0]).toMatchObject({ origin: 'baseline', appliedAt: null, durationMs: null });
  expect(await grown.history()).toEqual(['baseline 001', 'baseline 002']);
  expect(await grown.sql`select distinct detail from evdb.history`).toEqual([
    { detail: 'by hand' },
  ]);
});

test('lets up go on behind it', async ({ grown }) => {
  await baselineMigrations({ ...grown.options, version: '002' });
  expect(await migrateUp(grown.options)).toMatchObject({ steps: [{ label: '003' }] });
  expect(await grown.relations()).toEqual(['a', 'b', 'c']);
});

test('lets down run the down script, with a warning', async ({ grown }) => {
  await baselineMigrations({ ...grown.options, version: '002' });
  const { steps, warnings } = await migrateDown(grown.options);
  expect(steps).toMatchObject([{ label: '002', direction: 'down' }]);
  expect(warnings).toMatchObject([{ code: 'BASELINE', version: '2' }]);
  expect(await grown.relations()).toEqual(['a']);
});

test('sees a file that changes afterwards', async ({ grown }) => {
  await baselineMigrations({ ...grown.options, version: '002' });
  await grown.migration('002_b', 'create table b (id bigint);');
  await expect(planMigrateUp(grown.options)).rejects.toMatchObject({
    code: 'CHANGED_MIGRATION',
    details: { diff: expect.stringContaining('bigint') },
  });
});

test('takes files that could not run any more', async ({ grown }) => {
  await grown.migration('001_a', 'begin; create tabel a (id integer); commit;');
  expect(await baselineMigrations({ ...grown.options, version: '001' })).toMatchObject({
    migrations: [{ label: '001' }],
  });
});

test('writes nothing for a plan, not even the ledger', async ({ grown }) => {
  const plan = await planMigrateBaseline({ ...grown.options, version: '002' });
  expect(plan.migrations).toHaveLength(2);
  expect(await grown.sql`select to_regnamespace('evdb') as ledger`).toEqual([{ ledger: null }]);
});

test('refuses a ledger that has rows, and adds what is missing with consent', async ({ stage }) => {
  await stage.migration('002_b', 'create table b ();');
  await migrateUp(stage.options);
  await stage.migration('001_a', 'create table a ();');
  await stage.migration('003_c', 'create table c ();');
  const options = { ...stage.options, version: '003' };
  await expect(baselineMigrations(options)).rejects.toMatchObject({
    code: 'CONFIRM_REQUIRED',
    message: expect.stringContaining('the ledger holds 1 of these migrations already'),
    hint: 'Nothing was changed. If that is intended: evdb migrate baseline 003 --confirm',
  });
  expect(await stage.ledger()).toEqual(['002 applied']);
  const { migrations } = await baselineMigrations({ ...options, confirm: true });
  expect(migrations.map(({ label }) => label)).toEqual(['001', '003']);
  expect(await stage.history()).toEqual(['up 002', 'baseline 001', 'baseline 003']);
  expect(await baselineMigrations(options)).toMatchObject({ migrations: [], risk: null });
});

test.for(['public', 'app'])('refuses the empty schema %s', async (schema, { stage }) => {
  await stage.migration('001_a', 'create table a ();');
  const options = { ...stage.options, schema, version: '001' };
  await expect(baselineMigrations(options)).rejects.toMatchObject({
    code: 'CONFIRM_REQUIRED',
    message: expect.stringContaining(`schema "${schema}" is empty or not there`),
  });
  expect(await baselineMigrations({ ...options, confirm: true })).toMatchObject({
    migrations: [{ label: '001' }],
  });
});

test('finds a schema empty that holds only what extensions own', async ({ stage }) => {
  // functions, types and views
  await stage.sql`create extension citext schema public`;
  await stage.sql`create extension pg_buffercache schema public`;
  await stage.sql`create extension hstore schema public`;
  await stage.migration('001_a', 'create table a ();');
  const { risk } = await planMigrateBaseline({ ...stage.options, version: '001' });
  expect(risk).toContain('schema "public" is empty');
});

test('takes a schema that holds only a function, and only of the same schema', async ({
  stage,
}) => {
  await stage.sql`create function f() returns int language sql return 1`;
  await stage.migration('001_a', 'select 1;');
  const risk = async (schema: string) =>
    (await planMigrateBaseline({ ...stage.options, schema, version: '001' })).risk;
  expect(await risk('public')).toBeNull();
  expect(await risk('other')).toContain('schema "other" is empty');
});

test.for([
  ['004', 'UNKNOWN_VERSION', 'there is no file of version 004'],
  ['x', 'USAGE', '"x" is not a version'],
])('refuses version %s', async ([version = '', code, message], { grown }) => {
  await expect(baselineMigrations({ ...grown.options, version })).rejects.toMatchObject({
    code,
    message,
  });
});
