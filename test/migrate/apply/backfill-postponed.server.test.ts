import { expect } from 'vitest';
import { migrateDown, migrateUp, planImpact, runBackfills } from '../../../src/index.ts';
import { type MigrateStage, test } from '../../support/migrate-kit.ts';
import { failureOf } from '../../support/waiting.ts';

async function makeFiles({ sql, migration }: MigrateStage): Promise<void> {
  await sql`create table events (id int primary key, n int not null default 0)`;
  await sql`insert into events (id) select i from generate_series(1, 30) i`;
  const backfill = '-- evdb: backfill events\n-- evdb: batch-rows 10\n';
  await migration('001_users', 'create table users (id int primary key);', 'drop table users;');
  await migration('002_n', `${backfill}update events set n = n + 1;`, 'select 1;');
  await migration('003_speakers', 'create table speakers (id int);', 'drop table speakers;');
  await migration('004_users', '-- evdb: backfill users\nupdate users set id = 1;', 'select 1;');
  await migration('005_check', '-- evdb: after backfill 002\nselect 1;', 'select 1;');
  await migration('006_tags', 'create table tags (id int);', 'drop table tags;');
}

test('up without waiting leaves a backfill and what needs it, and nothing is out of order', async ({
  stage,
}) => {
  await makeFiles(stage);
  await stage.migration('004_users', 'create table rooms (id int);', 'drop table rooms;');
  const options = { ...stage.options, wait: false };
  const plan = await planImpact(options);
  expect(plan.steps.map(({ label, isPostponed }) => [label, isPostponed])).toEqual([
    ...[['001', false] as const, ['002', true] as const],
    ...[['003', false] as const, ['004', false] as const],
  ]);
  const first = await migrateUp(options);
  expect(first.steps.map(({ label }) => label)).toEqual(['001', '003', '004']);
  expect(first).toMatchObject({
    pending: [{ label: '002' }, { label: '005' }, { label: '006' }],
    postponed: [{ version: '2', label: '002', name: 'n' }],
    waiting: { label: '005', cause: 'backfill', gates: ['after backfill 002'] },
  });
  expect(await stage.ledger()).toEqual([
    '001 applied',
    '002 applying',
    '003 applied',
    '004 applied',
  ]);
  expect(await stage.sql`select distinct n from events`).toEqual([{ n: 0 }]);
  // Nothing is left that goes first, and no lock is asked for.
  expect((await migrateUp({ ...options, lockWaitMs: 0 })).steps).toEqual([]);
  await stage.sql`insert into events (id) select i from generate_series(31, 40) i`;
  const ran = await runBackfills(stage.options);
  expect(ran.steps.map(({ label }) => label)).toEqual(['002']);
  expect(await stage.sql`select n, count(*)::int from events group by n`).toEqual([
    { n: 1, count: 40 },
  ]);
  expect((await runBackfills(stage.options)).steps).toEqual([]);
  const last = await migrateUp(options);
  expect(last.steps.map(({ label }) => label)).toEqual(['005', '006']);
  expect(await stage.ledger()).toHaveLength(6);
});

test('a later up runs what was left, and down rolls back what was applied before it first', async ({
  stage,
}) => {
  await makeFiles(stage);
  await stage.remove('004_users');
  await migrateUp({ ...stage.options, wait: false });
  expect((await migrateDown(stage.options)).steps).toMatchObject([{ label: '003' }]);
  const { steps } = await migrateUp(stage.options);
  expect(steps.map(({ label }) => label)).toEqual(['002', '003', '005', '006']);
  expect(await stage.sql`select distinct n from events`).toEqual([{ n: 1 }]);
});

test('a backfill that cannot run is refused when it is left, and one that is not there when it is run', async ({
  stage,
}) => {
  await makeFiles(stage);
  // Its statement sets the key.
  const error = await failureOf(migrateUp({ ...stage.options, wait: false }));
  expect(error).toMatchObject({
    code: 'BACKFILL_REFUSED',
    message: /changes id, which is the key/,
  });
  expect(await stage.ledger()).toEqual(['001 applied', '002 applying', '003 applied']);
  for (const version of ['003', '004', 'x']) {
    const refused = await failureOf(runBackfills({ ...stage.options, version }));
    expect(refused).toMatchObject({ code: expect.stringMatching(/^(UNKNOWN_VERSION|USAGE)$/) });
  }
  await runBackfills({ ...stage.options, version: '002' });
  expect(await stage.sql`select distinct n from events`).toEqual([{ n: 1 }]);
});
