import { expect } from 'vitest';
import { test as base, type TestDatabase } from '../../support/fixture.ts';
import { type CliResult, type RunningCli, runCli, startCli } from '../../support/run-cli.ts';

/** A project whose migration 002 takes as long as the test wants. */
export interface Paced {
  dir: string;
  db: TestDatabase;
  evdb(...args: string[]): Promise<CliResult>;
  start(...args: string[]): RunningCli;
  /** Lets 002 go through at once from now on. */
  speedUp(): Promise<void>;
  /** Resolves when 002 is in its middle; gives the backend's pid. */
  isInTheMiddle(): Promise<number>;
  /** Tables of the migrations, and what the ledger says of them. */
  state(): Promise<{ tables: string[]; applied: string[] }>;
  /** Advisory locks that sessions of the database hold. */
  locks(): Promise<number>;
}

/** What `state` gives after all three. */
export const ALL_APPLIED = {
  tables: ['events', 'users', 'venues'],
  applied: ['001', '002', '003'],
};

/** What `state` gives after the first one. */
export const FIRST_APPLIED = { tables: ['users'], applied: ['001'] };

/** What follows the pause is sent with it, and waits in the driver. */
const SLEEPY = `create table events (id integer);
select pg_sleep(seconds) from test.pace;
${'insert into events values (1);\n'.repeat(5)}`;

export const test = base.extend<{ paced: Paced }>({
  paced: async ({ project, emptyDb }, use) => {
    const { sql, url } = emptyDb;
    await sql`create schema test`;
    await sql`create table test.pace (seconds float8)`;
    await sql`insert into test.pace values (600)`;
    await project.migration('001_users', 'create table users (id integer);', 'drop table users;');
    await project.migration('002_events', SLEEPY, 'drop table events;');
    await project.migration(
      '003_venues',
      'create table venues (id integer);',
      'drop table venues;',
    );
    const options = { cwd: project.dir, env: { EVDB_URL: url } };
    await use({
      dir: project.dir,
      db: emptyDb,
      evdb: (...args) => runCli(args, options),
      start: (...args) => startCli(args, options),
      speedUp: async () => void (await sql`update test.pace set seconds = 0`),
      isInTheMiddle: () => waitForSleeper(sql),
      state: () => readState(sql),
      locks: () => countLocks(sql),
    });
  },
});

async function waitForSleeper(sql: TestDatabase['sql']): Promise<number> {
  const sleepers = () => sql<{ pid: number }[]>`
    select pid from pg_stat_activity
    where datname = current_database() and wait_event = 'PgSleep'`;
  await expect.poll(sleepers, { timeout: 30_000 }).toHaveLength(1);
  return (await sleepers())[0]?.pid ?? 0;
}

async function readState(
  sql: TestDatabase['sql'],
): Promise<{ tables: string[]; applied: string[] }> {
  const tables = await sql`
    select relname from pg_class
    where relnamespace = 'public'::regnamespace and relkind = 'r'
    order by relname`;
  const applied = await sql`
    select label from evdb.migration where state = 'applied' order by version`;
  return { tables: tables.map((row) => row.relname), applied: applied.map((row) => row.label) };
}

async function countLocks(sql: TestDatabase['sql']): Promise<number> {
  const [row] = await sql`
    select count(*)::integer as n from pg_locks
    where locktype = 'advisory'
      and database = (select oid from pg_database where datname = current_database())`;
  return row?.n;
}
