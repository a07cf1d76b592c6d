import { expect } from 'vitest';
import { migrateUp } from '../../../src/index.ts';
import {
  type Fingerprints,
  readFingerprints,
  recordFingerprint,
} from '../../../src/migrate/ledger/fingerprint.ts';
import { test as base, type MigrateStage } from '../../support/migrate-kit.ts';

const FIRST = `create table a (id integer generated always as identity primary key);
create table log (at date not null) partition by range (at);
create table log_1 partition of log for values from ('2020-01-01') to ('2021-01-01');`;

/** `checked`: the first migration is applied, and its fingerprint was left. */
const test = base.extend<{ checked: MigrateStage }>({
  checked: async ({ stage }, use) => {
    await stage.migration('001_a', FIRST);
    await migrateUp({ ...stage.options, checkDrift: 'error' });
    await stage.migration('002_b', 'create table b (id integer);');
    await use(stage);
  },
});

const up = ({ options }: MigrateStage, checkDrift: 'off' | 'warn' | 'error') =>
  migrateUp({ ...options, checkDrift });

const isKnown = ({ now, recorded }: Fingerprints) => now === recorded;

/** From now on a comparison fails, because it replays this. */
const forbidComparison = ({ sql }: MigrateStage) =>
  sql`update evdb.migration_text set up_text = 'this is no SQL' where version = 1`;

test('refuses with the findings before anything runs, and says it each time where it only warns', async ({
  checked,
}) => {
  await checked.sql`alter table a add column extra text`;
  await expect(up(checked, 'error')).rejects.toMatchObject({
    code: 'DRIFT_FOUND',
    details: {
      findings: [{ code: 'drift', objects: ['public.a.extra'], severity: 'error' }],
      diff: '+ column public.a.extra: text',
    },
  });
  expect(await checked.ledger()).toEqual(['001 applied']);
  const found = { code: 'DRIFT_FOUND', diff: '+ column public.a.extra: text' };
  expect((await up(checked, 'warn')).warnings).toContainEqual(expect.objectContaining(found));
  await checked.migration('003_c', 'create table c (id integer);');
  expect((await up(checked, 'warn')).warnings).toContainEqual(expect.objectContaining(found));
  await checked.sql`alter table a drop column extra`;
  await checked.migration('004_d', 'create table d (id integer);');
  expect((await up(checked, 'error')).steps).toHaveLength(1);
});

test('compares nothing where only rows, statistics, partitions and other schemas changed', async ({
  checked,
}) => {
  const { sql } = checked;
  await forbidComparison(checked);
  await sql`insert into a select from generate_series(1, 100)`;
  await sql`create table log_2 partition of log for values from ('2021-01-01') to ('2022-01-01')`;
  await sql`drop table log_1`;
  await sql`analyze a`;
  await sql`truncate a restart identity`;
  await sql`vacuum full a`;
  await sql`create schema other`;
  await sql`create table other.a (id integer)`;
  expect((await up(checked, 'error')).steps).toMatchObject([{ label: '002' }]);
  await checked.migration('003_c', 'create table c (id integer);');
  await sql`grant select on a to public`;
  await expect(up(checked, 'error')).rejects.toMatchObject({ code: 'REPLAY_FAILED' });
  const { warnings } = await up(checked, 'warn');
  expect(warnings).toContainEqual(expect.objectContaining({ code: 'DRIFT_UNCHECKED' }));
});

test('looks closer after each change of an object', async ({ checked }) => {
  const { sql } = checked;
  const key = { ledgerSchema: 'evdb', targetSchema: 'public' };
  const ask = { run: async (text: string) => [...(await sql.unsafe(text))] };
  const changes = [
    'comment on column a.id is $$the key$$',
    'comment on constraint a_pkey on a is $$the key$$',
    'alter table a alter id set statistics 7',
    'create function f() returns integer language sql return 1',
    'create index on a ((id + 1))',
    'alter sequence a_id_seq increment by 2',
    'create type mood as enum ($$good$$)',
    'alter type mood add value $$bad$$',
    'grant select on a to public',
    'alter table a drop constraint a_pkey',
    'drop table a',
    `delete from evdb.migration where version = 1`,
  ];
  for (const change of changes) {
    await recordFingerprint(ask, key);
    expect(await readFingerprints(ask, key)).toSatisfy(isKnown);
    await sql.unsafe(change);
    expect(await readFingerprints(ask, key), change).not.toSatisfy(isKnown);
  }
});

test('takes what it found to be right as the new fingerprint, and asks nothing where it is off', async ({
  checked,
}) => {
  await up(checked, 'off');
  await checked.migration('003_c', 'create table c (id integer);');
  await checked.migration('004_d', 'create table d (id integer);');
  await migrateUp({ ...checked.options, checkDrift: 'error', steps: 1 });
  await forbidComparison(checked);
  expect((await up(checked, 'error')).steps).toMatchObject([{ label: '004' }]);
  await checked.sql`alter table a add column extra text`;
  expect((await up(checked, 'error')).steps).toEqual([]);
});

test('keeps the tenants of a database apart', async ({ checked }) => {
  const other = { ...checked.options, schema: 'tenant', checkDrift: 'error' } as const;
  await migrateUp({ ...other, to: '001' });
  await checked.sql`create table public.by_hand (id integer)`;
  expect((await migrateUp(other)).steps).toMatchObject([{ label: '002' }]);
  await expect(up(checked, 'error')).rejects.toMatchObject({ code: 'DRIFT_FOUND' });
});

test('lets a script go on that stopped half way, and says that it did not look', async ({
  checked,
}) => {
  const script = (last: string) => `-- evdb: no-transaction\ncreate table b (id int);\n${last}`;
  await checked.migration('002_b', script('select 1 / 0;'));
  await expect(up(checked, 'error')).rejects.toMatchObject({ code: 'MIGRATION_FAILED' });
  await checked.migration('002_b', script('select 1;'));
  const { steps, warnings } = await up(checked, 'error');
  expect(steps).toMatchObject([{ label: '002' }]);
  expect(warnings).toContainEqual(expect.objectContaining({ code: 'DRIFT_UNCHECKED' }));
});
