import type postgres from 'postgres';
import { expect } from 'vitest';
import { type MigrateOptions, migrateUp } from '../../../src/index.ts';
import { test } from '../../support/fixture.ts';
import { type MigrateStage, test as stageTest } from '../../support/migrate-kit.ts';
import { type Random, randomOf, seedsOf } from '../../support/random.ts';
import { runCli, startCli } from '../../support/run-cli.ts';
import { POLL } from '../../support/waiting.ts';

const INCREMENT = `-- evdb: backfill events
-- evdb: batch-rows 20
update events set n = n + 1;
`;

async function makeEvents(sql: postgres.Sql, rows: number): Promise<void> {
  await sql.unsafe(`
    create table events (id uuid primary key default gen_random_uuid(), n int not null default 0);
    insert into events select from generate_series(1, ${rows})`);
}

async function wrongRows(sql: postgres.Sql): Promise<unknown> {
  const [row] = await sql`select count(*)::int as wrong from events where n <> 1`;
  return row?.wrong;
}

const BATCHES = `select (
  (select coalesce(sum(batches), 0) from evdb.backfill)
  + (select coalesce(sum(batches), 0) from evdb.backfill_segment)
)::int as batches`;

/** Takes so many turns of the event loop, so that a kill hits any moment of a batch. */
async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise(setImmediate);
}

const ONE_OF_THEM = `select pid from pg_stat_activity
  where datname = current_database() and application_name ~ '^evdb( |$)' order by pid`;

/** Kills a backend of the runner after so many batches. */
function killingAfter(
  stage: MigrateStage,
  admin: postgres.Sql,
  random: Random,
): { options: MigrateOptions; killed: () => Promise<unknown> } {
  let left = random.below(8);
  let killing: Promise<unknown> | undefined;
  const kill = async () => {
    await turns(random.below(40));
    // The one that holds the runner's lock, all of them, or any one of them.
    const who = random.pick([
      "pid in (select pid from pg_locks where locktype = 'advisory' and granted)",
      'true',
      `pid = (${ONE_OF_THEM} offset ${random.below(4)} limit 1)`,
    ]);
    await admin.unsafe(`
      select pg_terminate_backend(pid) from pg_stat_activity as a
      where datname = current_database() and application_name ~ '^evdb( |$)' and ${who}`);
  };
  return {
    options: {
      ...stage.options,
      backfill: { workers: random.pick([1, 1, 2, 4]) },
      onProgress: ({ kind }) => {
        if (kind !== 'backfill' || left-- > 0) return;
        // The one that looks on is opened anew, and the runner goes on: then it is struck once more.
        left = random.below(8);
        killing = Promise.all([killing, kill()]);
      },
    },
    killed: async () => killing,
  };
}

stageTest.for(seedsOf(1, 2, 3))(
  'a runner that loses its sessions again and again changes every row once (seed %i)',
  { timeout: 120_000 },
  async (seed, { stage }) => {
    const random = randomOf(seed);
    await makeEvents(stage.sql, 1500);
    await stage.migration('001_n', INCREMENT);
    const admin = stage.openOther();
    let kills = 0;
    for (let runs = 0; runs < 200; runs++) {
      const { options, killed } = killingAfter(stage, admin, random);
      const error = await migrateUp(options).then(
        () => undefined,
        (failure: Error) => failure,
      );
      await killed();
      if (error === undefined) break;
      expect(error).toMatchObject({ code: expect.stringMatching(/^(CONNECTION_LOST|LOCKED)$/) });
      kills++;
    }
    expect(kills).toBeGreaterThan(5);
    expect(await wrongRows(stage.sql)).toBe(0);
    expect(await stage.ledger()).toEqual(['001 applied']);
    expect(await stage.sql`select * from evdb.backfill`).toEqual([]);
  },
);

test('a runner that is killed changes every row once, however often', async ({
  emptyDb,
  project,
}) => {
  const { sql, url } = emptyDb;
  const [seed = 0] = seedsOf(11);
  const random = randomOf(seed);
  await makeEvents(sql, 2000);
  await project.migration('001_n', INCREMENT, 'select 1;');
  const options = { cwd: project.dir, env: { EVDB_URL: url } };
  const batches = async () => {
    const rows = await sql.unsafe(BATCHES).catch(() => []);
    return Number(rows[0]?.batches ?? 0);
  };
  for (let kills = 0; kills < 4; kills++) {
    const workers = random.pick(['1', '4']);
    const running = startCli(['migrate', 'up', '--workers', workers], options);
    const until = (await batches()) + 1 + random.below(12);
    await expect.poll(batches, { ...POLL, interval: 1 }).toBeGreaterThanOrEqual(until);
    running.child.kill('SIGKILL');
    await running.result;
  }
  const last = await runCli(['migrate', 'up', '--workers', '2'], options);
  expect(last).toMatchObject({
    code: 0,
    stderr: expect.stringContaining('001_n continues where it stopped'),
  });
  expect(await wrongRows(sql)).toBe(0);
}, 120_000);

test.for(['1', '4'])(
  'Ctrl-C leaves a backfill of %s workers where it is, and says how to go on',
  async (workers, { emptyDb, project }) => {
    const { sql, url } = emptyDb;
    await makeEvents(sql, 2000);
    await project.migration('001_n', INCREMENT, 'select 1;');
    const options = { cwd: project.dir, env: { EVDB_URL: url } };
    const running = startCli(['migrate', 'up', '--workers', workers], options);
    const started = () =>
      sql.unsafe(BATCHES).then(
        (rows) => Number(rows[0]?.batches),
        () => 0,
      );
    await expect.poll(started, { ...POLL, interval: 1 }).toBeGreaterThan(2);
    running.child.kill('SIGINT');
    expect(await running.result).toMatchObject({
      code: 130,
      stderr: expect.stringContaining('The batches that are committed stay'),
    });
    expect(await sql`select state from evdb.migration`).toEqual([{ state: 'applying' }]);
    expect(await runCli(['migrate', 'up'], options)).toMatchObject({ code: 0 });
    expect(await wrongRows(sql)).toBe(0);
  },
);
