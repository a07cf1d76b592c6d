import { expect } from 'vitest';
import { planWaves, runFleet } from '../../../src/index.ops.ts';
import {
  adoptMigrations,
  type MigrateOptions,
  migrateUp,
  parseThrottle,
} from '../../../src/index.ts';
import type { MigrateStage } from '../../support/migrate-kit.ts';
import { failureOf } from '../../support/waiting.ts';
import { takeOver, test } from './lease-kit.ts';

const ROWS = 320;

async function makeBackfill({ sql, migration }: MigrateStage): Promise<void> {
  await sql.unsafe(`
    create table events (id int primary key, n int not null default 0);
    insert into events (id) select i from generate_series(1, ${ROWS}) i`);
  await migration(
    '001_n',
    '-- evdb: backfill events\n-- evdb: batch-rows 5\nupdate events set n = n + 1;\n',
  );
}

function withWorkers(options: MigrateOptions): MigrateOptions {
  return { ...options, backfill: { workers: 4, throttle: parseThrottle('off') } };
}

async function countRows({ sql }: MigrateStage) {
  return (await sql`select n, count(*)::int as rows from events group by n order by n`).map(
    ({ n, rows }) => [n, rows],
  );
}

test('workers of a backfill do each row once under a lease', async ({ stage, leased }) => {
  await makeBackfill(stage);
  await migrateUp(withWorkers(leased));
  expect(await countRows(stage)).toEqual([[1, ROWS]]);
  expect(await stage.sql`select from evdb.lease`).toEqual([]);
});

test('workers whose lease another runner has commit nothing more, and each row is done once', async ({
  stage,
  leased,
}) => {
  await makeBackfill(stage);
  let lost: Promise<void> | undefined;
  const failure = await failureOf(
    migrateUp({
      ...withWorkers(leased),
      onProgress: ({ kind }) => {
        if (kind === 'backfill') lost ??= takeOver(stage);
      },
    }),
  );
  await lost;
  expect(failure).toMatchObject({ code: 'LOCKED' });
  const after = await countRows(stage);
  expect(after.map(([n]) => n)).toEqual([0, 1]);
  await stage.sql`delete from evdb.lease`;
  await migrateUp(withWorkers(leased));
  expect(await countRows(stage)).toEqual([[1, ROWS]]);
});

test('another tool is taken over under a lease, and up goes on', async ({
  stage,
  leased,
  project,
}) => {
  await project.write(
    'db/migrations/1_a.sql',
    '-- migrate:up\ncreate table a ();\n-- migrate:down\ndrop table a;\n',
  );
  await stage.sql.unsafe(`
    create table a ();
    create table schema_migrations (version varchar(255) primary key);
    insert into schema_migrations values ('1')`);
  await adoptMigrations({ ...leased, from: 'dbmate', root: project.dir });
  await stage.migration('2_b', 'create table b ();');
  await migrateUp(leased);
  expect(await stage.ledger()).toEqual(['1 applied', '2 applied']);
  expect(await stage.sql`select from evdb.lease`).toEqual([]);
});

test('members of a fleet have a lease each, one after the other on a kept session', async ({
  stage,
  leased,
}) => {
  await stage.migration('001_a', 'create table a ();');
  const members = ['one', 'two', 'three', 'four'].map((name) => ({ name, labels: {} }));
  const run = () =>
    runFleet({ waves: planWaves(members, {}), concurrency: 2 }, async ({ name }, use) => {
      const connection = { ...leased.connection, keeper: use.keeper };
      await migrateUp({ ...leased, connection, schema: name, signal: use.signal });
      return undefined;
    });
  for (const [at, version] of ['002', '003'].entries()) {
    await stage.migration(`${version}_b`, `create table b${at} ();`);
    expect((await run()).members.map(({ state }) => state)).toEqual(members.map(() => 'done'));
  }
  for (const { name } of members) {
    expect(await stage.ledger(name)).toEqual(['001 applied', '002 applied', '003 applied']);
    expect(await stage.relations(name)).toEqual(['a', 'b0', 'b1']);
  }
  expect(await stage.sql`select from evdb.lease`).toEqual([]);
});
