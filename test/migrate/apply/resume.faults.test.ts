import type postgres from 'postgres';
import { describe, expect, vi } from 'vitest';
import { migrateDown, migrateUp } from '../../../src/index.ts';
import { isSuperuser, type MigrateStage, test as stageTest } from '../../support/migrate-kit.ts';
import { type CliResult, runCli, startCli } from '../../support/run-cli.ts';

/** Where a runner is held: in front of, or behind, what it does to the journal or to a table. */
type Point =
  | { at: 'journal'; write: 'open' | 'start' | 'finish' | 'record' | 'close'; statement?: number }
  | { at: 'ddl'; tag: string }
  | { at: 'build'; behind: 'a writer' | 'a snapshot' };

/**
 * What is killed there. The backends of a process that was killed end too, within seconds; whoever
 * lets go before lets them do to the end what they were sent.
 */
type Kill = 'the process' | 'the process alone' | 'its working backend' | 'both its backends';

type Direction = 'up' | 'down';

/** Who runs: a process of its own where that is killed, else this one, which is there at once. */
interface Runner {
  /** Starts it; `kill` is for a process. */
  start(direction: Direction): { ended: Promise<unknown>; kill?: () => void };
  /** Runs it to its end, and expects nothing to be said but of the migration that goes on. */
  finish(direction: Direction): Promise<void>;
}

/** Holds runners by an advisory lock that triggers ask for. */
const HOLD = 4711;

const waitMs = 30_000;

const test = stageTest.extend<{ runnerFor: (kill: Kill) => Runner }>({
  runnerFor: async ({ stage, project }, use) => {
    const process = processIn({ cwd: project.dir, env: { EVDB_URL: stage.url } });
    const library = libraryOn(stage);
    await use((kill) => (kill.startsWith('the process') ? process : library));
  },
});

function processIn(options: { cwd: string; env: Record<string, string> }): Runner {
  return {
    start: (direction) => {
      const { child, result } = startCli(['migrate', direction], options);
      return { ended: result, kill: () => child.kill('SIGKILL') };
    },
    finish: async (direction) => expectWhole(await runCli(['migrate', direction], options)),
  };
}

function libraryOn({ options, heard }: MigrateStage): Runner {
  const migrate = { up: migrateUp, down: migrateDown };
  return {
    start: (direction) => ({ ended: migrate[direction](options).catch(() => undefined) }),
    finish: async (direction) => {
      heard.length = 0;
      await migrate[direction](options);
      const unusual = heard.flatMap((progress) => {
        if (progress.kind === 'resumed') return `resumed ${progress.step.label}`;
        return USUAL.has(progress.kind) ? [] : progress.kind;
      });
      expect(['', 'resumed 002']).toContain(unusual.join());
    },
  };
}

/** Runs until it waits at the point, kills it there, and waits until all of it is gone. */
async function killAt(
  { sql, openOther, url }: MigrateStage,
  runner: Runner,
  point: Point,
  kill: Kill,
  direction: Direction,
): Promise<void> {
  const release = await hold(sql, openOther(url), point);
  const running = runner.start(direction);
  await waitAt(sql, point);
  await killRunner(sql, running, kill);
  const isGone = async () => (await listBackends(sql)).length === 0;
  const untilGone = () => vi.waitUntil(isGone, { timeout: waitMs });
  if (kill === 'the process') await untilGone();
  await release();
  await running.ended;
  await untilGone();
}

async function hold(
  sql: postgres.Sql,
  holder: postgres.Sql,
  point: Point,
): Promise<() => Promise<void>> {
  if (point.at === 'build') {
    await holder.unsafe(
      point.behind === 'a writer'
        ? 'begin; insert into seen values (99)'
        : 'begin isolation level repeatable read; select * from seen',
    );
    return async () => void (await holder.unsafe('rollback'));
  }
  await holder`select pg_advisory_lock(${HOLD}::bigint)`;
  await sql.unsafe(point.at === 'ddl' ? ddlHold(point.tag) : journalHold(point));
  return async () => {
    await holder`select pg_advisory_unlock(${HOLD}::bigint)`;
    await sql.unsafe(
      point.at === 'ddl'
        ? 'drop event trigger hold_ddl'
        : 'drop trigger hold_journal on evdb.migration',
    );
  };
}

const WAIT = `
create or replace function public.wait_here() returns trigger language plpgsql as $$
begin
  perform pg_advisory_xact_lock_shared(${HOLD}::bigint);
  return new;
end $$;
create or replace function public.wait_here_ddl() returns event_trigger language plpgsql as $$
begin
  perform pg_advisory_xact_lock_shared(${HOLD}::bigint);
end $$;`;

function ddlHold(tag: string): string {
  return `${WAIT}
create event trigger hold_ddl on ddl_command_start when tag in ('${tag}')
execute function public.wait_here_ddl();`;
}

function journalHold({ write, statement = 0 }: Extract<Point, { at: 'journal' }>): string {
  const conditions = {
    open: 'false',
    start: `old.statement_started is null and new.statement_started = ${statement}`,
    finish: `old.statement_started = ${statement} and new.statements_done = ${statement}`,
    record: `old.statement_started is null and old.statements_done < new.statements_done
      and new.statements_done = ${statement}`,
    close: "new.state = 'applied'",
  };
  const event = write === 'open' ? 'insert' : 'update';
  const when = write === 'open' ? '' : `when (${conditions[write]})`;
  return `${WAIT}
create trigger hold_journal after ${event} on evdb.migration
for each row ${when} execute function public.wait_here();`;
}

async function waitAt(sql: postgres.Sql, point: Point): Promise<void> {
  const waiting = () =>
    point.at === 'build'
      ? sql`
          select from pg_stat_progress_create_index
          where datname = current_database() and phase ~ ${phaseOf(point.behind)}`
      : sql`
          select from pg_locks
          where locktype = 'advisory' and objid = ${HOLD} and not granted
            and database = (select oid from pg_database where datname = current_database())`;
  await vi.waitUntil(async () => (await waiting()).length === 1, { timeout: waitMs });
}

function phaseOf(behind: 'a writer' | 'a snapshot'): string {
  return behind === 'a writer' ? 'waiting for writers before build' : 'waiting for old snapshots';
}

async function killRunner(
  sql: postgres.Sql,
  running: ReturnType<Runner['start']>,
  kill: Kill,
): Promise<void> {
  if (running.kill) return running.kill();
  // The worker has the runner's lock, whose class spells evdb.
  const only =
    kill === 'its working backend'
      ? sql`and pid in (
    select pid from pg_locks where locktype = 'advisory' and classid = ${0x65766462}
  )`
      : sql``;
  const ended = await sql`
    select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and application_name ~ '^evdb' and application_name <> 'evdb-test'
      ${only}`;
  expect(ended).toHaveLength(kill === 'its working backend' ? 1 : 2);
}

async function listBackends(sql: postgres.Sql): Promise<unknown[]> {
  return [
    ...(await sql`
      select state, query from pg_stat_activity
      where datname = current_database() and application_name ~ '^evdb' and application_name <> 'evdb-test'`),
  ];
}

const SCRIPT = `-- evdb: no-transaction
create table if not exists seen (n int);
insert into seen values (1);
create index concurrently seen_n_idx on seen (n);
insert into seen values (2);
`;
const DOWN = `-- evdb: no-transaction
delete from seen where n = 1;
drop index concurrently seen_n_idx;
update seen set n = n + 10;
`;

const KILLS: Kill[] = [
  'the process',
  'the process alone',
  'its working backend',
  'both its backends',
];

/** Each place between and in the statements; 1, 2 and 4 run in transactions, 3 does not. */
const POINTS: [name: string, point: Point][] = [
  ['while the journal is opened', { at: 'journal', write: 'open' }],
  [
    'behind the first statement, ahead of its commit',
    { at: 'journal', write: 'record', statement: 1 },
  ],
  [
    'behind the second statement, ahead of its commit',
    { at: 'journal', write: 'record', statement: 2 },
  ],
  ['while the build is written down', { at: 'journal', write: 'start', statement: 3 }],
  ['when the build was written down and has done nothing', { at: 'ddl', tag: 'CREATE INDEX' }],
  ['in the build, as it waits for a writer', { at: 'build', behind: 'a writer' }],
  ['in the build, as it waits for a snapshot', { at: 'build', behind: 'a snapshot' }],
  [
    'behind the build, ahead of its line in the journal',
    { at: 'journal', write: 'finish', statement: 3 },
  ],
  [
    'behind the last statement, ahead of its commit',
    { at: 'journal', write: 'record', statement: 4 },
  ],
  ['when all is done, ahead of the end of the journal', { at: 'journal', write: 'close' }],
];

const CASES = POINTS.flatMap(([name, point]) => KILLS.map((kill) => [kill, name, point] as const));

/** The ledger has to be there for triggers on it, which only superusers may make. */
async function prepare(stage: MigrateStage, skip: (reason: string) => never): Promise<void> {
  if (!(await isSuperuser(stage.sql))) skip('event triggers are for superusers');
  await stage.migration('001_first', 'select 1;');
  await migrateUp(stage.options);
  await stage.sql`create table seen (n int)`;
}

/** What is told of a script that runs, or goes on. */
const USUAL = new Set([
  'step-started',
  'step-done',
  'statement',
  'index-build',
  'notice',
  'warning',
]);

function expectWhole({ code, stderr }: CliResult): void {
  // The scripts here have no way back, which is told of each.
  const said = stderr
    .replace(/^warning {2}.* cannot be rolled back\n/m, '')
    // They make what is there already.
    .replace(/^notice .* already exists, skipping\n/gm, '');
  expect(said).toMatch(
    /^(002_seen continues where it stopped: \d of its \d statements (is|are) done\n)?$/,
  );
  expect(code).toBe(0);
}

async function expectAppliedOnce({ sql }: MigrateStage): Promise<void> {
  expect(await sql`select n from seen order by n`).toEqual([{ n: 1 }, { n: 2 }]);
  expect(
    await sql`
      select indexrelid::regclass::text as name, indisvalid from pg_index
      where indrelid = 'seen'::regclass`,
  ).toEqual([{ name: 'seen_n_idx', indisvalid: true }]);
  expect(await sql`select state from evdb.migration where version = 2`).toEqual([
    { state: 'applied' },
  ]);
  expect(
    await sql`select count(*)::int as n from evdb.history where version = 2 and action = 'up'`,
  ).toEqual([{ n: 1 }]);
}

// At once, since most of the time is spent waiting until the server notices that a client is gone.
describe.concurrent('killing', { timeout: 180_000 }, () => {
  test.for(CASES)(
    '%s %s lets the next up end with everything applied exactly once',
    async ([kill, , point], { stage, runnerFor, skip }) => {
      await prepare(stage, skip);
      await stage.migration('002_seen', SCRIPT);
      await killAt(stage, runnerFor(kill), point, kill, 'up');
      await runnerFor(kill).finish('up');
      await expectAppliedOnce(stage);
    },
  );

  test.for(KILLS)(
    '%s in each place of a way back lets the next down end it exactly once',
    async (kill, { stage, runnerFor, skip }) => {
      await prepare(stage, skip);
      await stage.migration('002_seen', SCRIPT, DOWN);
      await migrateUp(stage.options);
      const points: Point[] = [
        { at: 'journal', write: 'record', statement: 1 },
        { at: 'journal', write: 'start', statement: 2 },
        { at: 'ddl', tag: 'DROP INDEX' },
        { at: 'journal', write: 'finish', statement: 2 },
        { at: 'journal', write: 'record', statement: 3 },
      ];
      for (const point of points) await killAt(stage, runnerFor(kill), point, kill, 'down');
      await runnerFor(kill).finish('down');
      expect(await stage.sql`select n from seen`).toEqual([{ n: 12 }]);
      expect(await stage.sql`select from pg_index where indrelid = 'seen'::regclass`).toEqual([]);
      expect(await stage.sql`select label from evdb.migration`).toEqual([{ label: '001' }]);
    },
  );
});
