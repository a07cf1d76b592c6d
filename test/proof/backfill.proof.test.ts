import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { findPostmaster } from '../../src/embedded/running.ts';
import { EvdbError, migrateUp } from '../../src/index.ts';
import { mayMount } from '../embedded/embedded-kit.ts';
import { closeSql, createDatabase, openSql, withDatabase } from '../support/databases.ts';
import { type OwnServer, startOwnServer } from '../support/own-server.ts';
import { type Random, randomOf } from '../support/random.ts';
import { startCli } from '../support/run-cli.ts';
import { connectionTo } from '../support/sessions.ts';
import { POLL } from '../support/waiting.ts';
import { makeSmallDisk } from './full-disk.ts';
import { keepRecords, type RunRecord, settings } from './records.ts';

// One backfill is killed at random points, goes on each time with a random number of workers, and after each
// kill its ledger says what is done: no more, no less. `npm run test:backfill` kills it more often.

const { kills, seed } = settings('backfill', { kills: 8 });

/** More than the runs before the last kill get to. */
const ROWS = 400 * kills;

let server: OwnServer;
let directory: string;
let url: string;
let sql: ReturnType<typeof openSql>;
const records: RunRecord[] = [];

beforeAll(async () => {
  server = await startOwnServer({ max_connections: '100' });
  const maintenance = openSql(server.url, 1);
  await createDatabase(maintenance, 'backfill');
  await closeSql(maintenance);
  url = withDatabase(server.url, 'backfill');
  sql = openSql(url, 1);
  directory = await mkdtemp(join(tmpdir(), 'evdb-test-backfill-'));
  await mkdir(join(directory, 'migrations'));
});

afterAll(async () => {
  const [{ version = '' } = {}] = await sql`select current_setting('server_version') as version`;
  await keepRecords('backfill', { server: `PostgreSQL ${version}`, records });
  await closeSql(sql);
  await server.remove();
  await rm(directory, { recursive: true, force: true });
});

async function writeIncrement(batchRows: number): Promise<void> {
  const text = `-- evdb: backfill events\n-- evdb: batch-rows ${batchRows}\n-- evdb: batch-time 10min\nupdate events set n = n + 1;\n`;
  await writeFile(join(directory, 'migrations/001_n.sql'), text);
}

/** What kills a backfill, and after how many batches. */
interface Kill {
  name: string;
  workers: number;
  after: number;
}

const KILLS = [
  ...['SIGKILL', 'lock holder terminated', 'one backend terminated', 'one backend terminated'],
  ...['all backends terminated'],
];

function chooseKill(random: Random, index: number): Kill {
  const name = index % 20 === 19 ? 'server crashed' : random.pick(KILLS);
  return { name, workers: random.pick([1, 2, 4]), after: 1 + random.below(12) };
}

test(
  'a backfill that is killed again and again changes every row once',
  async () => {
    await sql.unsafe(`
      create table events (id uuid primary key default gen_random_uuid(), n int not null default 0);
      insert into events select from generate_series(1, ${ROWS});
      analyze events`);
    await writeIncrement(10);
    const random = randomOf(seed);
    for (let index = 0; index < kills; index++) {
      const kill = chooseKill(random, index);
      const outcome =
        kill.name === 'SIGKILL' ? await killProcess(kill) : await killSessions(kill, random);
      await expect.poll(countSessions, POLL).toBe(0);
      records.push({
        ...{ seed, schema: 'public', operation: 'backfill', disturbance: kill.name, outcome },
        ...{ kinds: [`${kill.workers} workers`], struck: outcome !== 'done' },
        wrong: await judge(outcome),
      });
      expect(records.at(-1), `kill ${index + 1} of ${kills}`).toMatchObject({
        ...{ wrong: [], struck: true },
      });
    }
    // Whoever corrects the size of the batches only makes them quicker.
    await writeIncrement(2000);
    await migrateUp(await optionsFor(2));
    expect(await sql`select n, count(*)::int as rows from events group by n`).toEqual([
      { n: 1, rows: ROWS },
    ]);
    expect(await sql`select from evdb.backfill_segment`).toEqual([]);
  },
  3 * 3_600_000,
);

async function optionsFor(workers: number, at = url) {
  const connection = await connectionTo(at);
  return { connection, directory: join(directory, 'migrations'), env: {}, backfill: { workers } };
}

async function killProcess({ workers, after }: Kill): Promise<string> {
  const args = ['migrate', 'up', '--workers', String(workers), '--throttle', 'off'];
  const running = startCli(args, { cwd: directory, env: { EVDB_URL: url }, timeoutMs: 120_000 });
  const until = (await countBatches()) + after;
  // On a busy machine a process may take long to begin.
  await expect.poll(countBatches, { timeout: 120_000, interval: 1 }).toBeGreaterThanOrEqual(until);
  running.child.kill('SIGKILL');
  const { signal, code } = await running.result;
  return signal ?? (code === 0 ? 'done' : `exit ${code}`);
}

async function killSessions(kill: Kill, random: Random): Promise<string> {
  let left = kill.after;
  let killing: Promise<unknown> | undefined;
  const strike = async () => {
    // So that it comes at any moment of a batch.
    for (let turns = random.below(40); turns > 0; turns--) await new Promise(setImmediate);
    if (kill.name === 'server crashed') return crashServer();
    return sql.unsafe(terminate(kill.name, random));
  };
  const options = await optionsFor(kill.workers);
  const error = await migrateUp({
    ...options,
    onProgress: ({ kind }) => {
      if (kind !== 'backfill' || --left > 0) return;
      // The one that looks on is opened anew, and the runner goes on: then it is struck once more.
      left = kill.after;
      killing = Promise.all([killing, strike()]);
    },
  }).then(
    () => undefined,
    (failure: unknown) => failure,
  );
  await killing;
  if (error === undefined) return 'done';
  return error instanceof EvdbError ? error.code : String(error);
}

const OURS = `select pid from pg_stat_activity
where datname = current_database() and application_name ~ '^evdb( |$)'`;

function terminate(name: string, random: Random): string {
  const which = {
    'lock holder terminated': `${OURS} and pid in (select pid from pg_locks where locktype = 'advisory' and granted)`,
    'one backend terminated': `${OURS} and pid in (select pid from pg_locks where locktype = 'advisory' and granted
      union select pid from pg_stat_activity where backend_xid is not null) order by pid offset ${random.below(2)} limit 1`,
  }[name];
  // Where the one that is meant is not there at this moment, all of them are.
  const chosen = which ?? OURS;
  return `with chosen as (${chosen})
    select pg_terminate_backend(pid) from chosen
    union all
    select pg_terminate_backend(pid) from (${OURS}) as ours where not exists (select from chosen)`;
}

async function crashServer(): Promise<void> {
  const { dataDirectory } = server;
  const postmaster = findPostmaster(dataDirectory);
  if (!postmaster) throw new Error('the server is not running');
  process.kill(postmaster.pid, 'SIGQUIT');
  await expect.poll(() => findPostmaster(dataDirectory)?.pid, POLL).not.toBe(postmaster.pid);
  await server.start();
  await closeSql(sql).catch(() => undefined);
  sql = openSql(url, 1);
}

async function countSessions(): Promise<number> {
  return (await sql.unsafe(OURS)).length;
}

async function countBatches(): Promise<number> {
  const sums = ['backfill', 'backfill_segment'].map(
    (table) => `(select coalesce(sum(batches), 0) from evdb.${table})`,
  );
  const rows = await sql.unsafe(`select (${sums.join(' + ')})::int as batches`).catch(() => []);
  return Number(rows[0]?.batches ?? 0);
}

/** The rows that are changed are those that the ledger has counted, each once, and no key is in two segments. */
async function judge(outcome: string): Promise<string[]> {
  const [row] = await sql`
    select
      (select count(*)::int from events where n = 1) as changed,
      (select count(*)::int from events where n not in (0, 1)) as wrong,
      (
        coalesce((select sum(rows_changed) from evdb.backfill), 0)
        + coalesce((select sum(rows_changed) from evdb.backfill_segment), 0)
      )::int as counted,
      (
        select count(*)::int
        from events
        join evdb.backfill_segment as s
          on (s.cursor_key is null or id > s.cursor_key[1]::uuid) and id <= s.end_key[1]::uuid
        where n <> 0
      ) as ahead`;
  const { changed, wrong, counted, ahead } = row as Record<string, number>;
  return [
    ...(wrong === 0 ? [] : [`${wrong} rows were changed twice`]),
    ...(changed === counted
      ? []
      : [`${changed} rows are changed, and the ledger counts ${counted}`]),
    ...(ahead === 0 ? [] : [`${ahead} rows are changed that the ledger has as open`]),
    ...(/^(CONNECTION_LOST|LOCKED|SIGKILL|SERVER_STARTING|CONNECTION_REFUSED)$/.test(outcome)
      ? []
      : [`it ended with ${outcome}`]),
  ];
}

test.skipIf(!mayMount)(
  'a disk of the server that is full stops a backfill, and no row is changed twice (made with the right to mount)',
  async () => {
    const maintenance = openSql(server.url, 1);
    const disk = await makeSmallDisk(maintenance, 'small_backfill', server.dataDirectory);
    const small = withDatabase(server.url, 'small_backfill');
    const tiny = openSql(small, 1);
    await writeIncrement(500);
    // So that the ledger is there before the disk is full.
    await writeFile(join(directory, 'migrations/000_first.sql'), 'select 1;\n');
    const stopped: number[] = [];
    for (const [workers, kilobytes] of [
      [1, 300],
      [4, 300],
      [4, 1200],
    ] as const) {
      await tiny.unsafe(`
        drop schema if exists evdb cascade;
        drop table if exists events;
        create table events (id int primary key, n int not null default 0, pad text);
        insert into events select i, 0, repeat('x', 200) from generate_series(1, 15000) as i;
        checkpoint`);
      const options = await optionsFor(workers, small);
      await migrateUp({ ...options, to: '0' });
      disk.leave(kilobytes * 1024);
      const error = await migrateUp(options).then(
        () => undefined,
        (failure: EvdbError) => failure,
      );
      // It may be the statement that finds no room, or the ledger.
      expect(error, `${workers} workers, ${kilobytes} kB`).toMatchObject({
        code: expect.stringMatching(/^(MIGRATION_FAILED|DISK_FULL)$/),
      });
      disk.free();
      const [{ changed = 0 } = {}] =
        await tiny`select count(*)::int as changed from events where n = 1`;
      stopped.push(changed);
      await migrateUp(await optionsFor(5 - workers, small));
      expect(await tiny`select n, count(*)::int as rows from events group by n`).toEqual([
        { n: 1, rows: 15_000 },
      ]);
    }
    expect(stopped.some((changed) => changed > 0 && changed < 15_000)).toBe(true);
    await closeSql(tiny);
    await disk.remove();
    await closeSql(maintenance);
  },
  300_000,
);
