import { describe, expect, vi } from 'vitest';
import {
  type MigrateOptions,
  migrateDown,
  migrateUp,
  parseThrottle,
  readBackfills,
  requestBackfill,
} from '../../../src/index.ts';
import { closeSql, openSql } from '../../support/databases.ts';
import { failUp, type MigrateStage, test, untilHeard } from '../../support/migrate-kit.ts';
import { specialServers } from '../../support/own-server.ts';
import { failureOf, POLL } from '../../support/waiting.ts';

const ROWS = 320;

/** With segments of 40 rows, however slow the machine is. */
const INCREMENT = `-- evdb: backfill events
-- evdb: batch-rows 5
-- evdb: batch-time 10min
update events set n = n + 1;
`;

async function makeEvents({ sql, migration }: MigrateStage, key = 'i'): Promise<void> {
  await sql.unsafe(`
    create table events (id text collate "C" primary key, n int not null default 0);
    insert into events (id) select lpad((${key})::text, 5, '0') from generate_series(1, ${ROWS}) i`);
  await migration('001_n', INCREMENT, INCREMENT.replace('n + 1', 'n - 1'));
}

function withWorkers(stage: MigrateStage, workers: number): MigrateOptions {
  return { ...stage.options, backfill: { workers, throttle: parseThrottle('off') } };
}

/** Stops as Ctrl-C does, after so many batches of all workers. */
async function stopAfter(stage: MigrateStage, batches: number, workers: number): Promise<void> {
  const stop = new AbortController();
  let seen = 0;
  const options: MigrateOptions = {
    ...withWorkers(stage, workers),
    signal: stop.signal,
    onProgress: ({ kind }) => {
      if (kind === 'backfill' && ++seen === batches) stop.abort(new Error('stopped'));
    },
  };
  expect((await failureOf<Error>(migrateUp(options))).message).toBe('stopped');
}

/** How often each number of increments is there. */
async function counts({ sql }: MigrateStage): Promise<Record<string, number>> {
  const rows = await sql`select n, count(*)::int as rows from events group by n`;
  return Object.fromEntries(rows.map(({ n, rows: count }) => [n, count]));
}

async function unfinished({ sql }: MigrateStage): Promise<number> {
  return (await sql`select from evdb.backfill_segment`).length;
}

async function statusOf(stage: MigrateStage) {
  const { backfills } = await readBackfills(await stage.optionsFor(stage.url));
  return backfills[0];
}

describe('several workers', () => {
  test.for([1, 2, 4])('change every row once: %i', async (workers, { stage }) => {
    await makeEvents(stage);
    await migrateUp(withWorkers(stage, workers));
    expect(await counts(stage)).toEqual({ 1: ROWS });
    expect(await stage.sql`select detail from evdb.history`).toEqual([
      { detail: `backfill of public.events: ${ROWS} rows changed in ${ROWS / 5} batches` },
    ]);
    expect(await stage.sql`select * from evdb.backfill`).toEqual([]);
    expect(await unfinished(stage)).toBe(0);
    const last = stage.heard.findLast(({ kind }) => kind === 'backfill');
    expect(last).toMatchObject({ workers, rowsWalked: ROWS, rowsChanged: ROWS, batches: ROWS / 5 });
  });

  /** A type with an order of its own, as citext has it, that no search path of a migration finds. */
  const WORD = `create schema other;
create type other.word as (said text);
create function other.cmp(a other.word, b other.word) returns int language sql immutable
  as 'select pg_catalog.bttextcmp(pg_catalog.lower((a).said), pg_catalog.lower((b).said))';
${['<', '<=', '=', '>=', '>']
  .map(
    (sign, index) => `create function other.is${index}(a other.word, b other.word) returns bool
  language sql immutable as 'select other.cmp(a, b) ${sign} 0';
create operator other.${sign} (leftarg = other.word, rightarg = other.word, function = other.is${index});`,
  )
  .join('\n')}
create operator class other.word_ops default for type other.word using btree as
  operator 1 other.<, operator 2 other.<=, operator 3 other.=, operator 4 other.>=, operator 5 other.>,
  function 1 other.cmp(other.word, other.word);
create table events (
  id other.word, part int, n int not null default 0, primary key (id, part), unique (id));
insert into events select row(w)::other.word, i % 3 from (
  select case i % 4 when 0 then 'Z' when 1 then 'b' when 2 then 'B' else 'a' end || i as w, i
  from generate_series(1, ${ROWS}) i) as made;`;

  test.for([
    ['id', 1],
    ['id', 3],
    ['id, part', 1],
    ['id, part', 3],
  ] as const)('compare by the operators of the key: %s, %i', async ([key, workers], { stage }) => {
    await stage.sql.unsafe(WORD);
    await stage.migration('001_n', INCREMENT.replace('events\n', `events by ${key}\n`));
    await migrateUp(withWorkers(stage, workers));
    expect(await counts(stage)).toEqual({ 1: ROWS });
    const [done] = await stage.sql`select detail from evdb.history`;
    expect(done).toEqual({
      detail: `backfill of public.events: ${ROWS} rows changed in ${ROWS / 5} batches`,
    });
  });

  test('roll back as well', async ({ stage }) => {
    await makeEvents(stage);
    await migrateUp(withWorkers(stage, 4));
    await migrateDown(withWorkers(stage, 3));
    expect(await counts(stage)).toEqual({ 0: ROWS });
    expect(await stage.ledger()).toEqual([]);
  });

  test('go on while one of them waits for a lock, each over a connection of its own', async ({
    stage,
  }) => {
    await makeEvents(stage);
    const other = stage.openOther();
    await other.unsafe(`begin; update events set n = n where id = '00001'`);
    const running = migrateUp({ ...withWorkers(stage, 3), lockWaitBudgetMs: 120_000 });
    await expect.poll(async () => (await statusOf(stage))?.rowsChanged, POLL).toBe(ROWS - 40);
    expect(await statusOf(stage)).toMatchObject({
      workers: 3,
      cursor: null,
      rowsWalked: ROWS - 40,
    });
    expect(stage.heard).toContainEqual({
      kind: 'backfill-workers',
      step: { version: '1', label: '001', name: 'n' },
      ...{ workers: 3, connections: 4 },
    });
    // One that has read the status may still be ending.
    const sessions = async () => {
      const [row] = await stage.sql`
        select count(*)::int as sessions from pg_stat_activity
        where datname = current_database() and application_name ~ '^evdb( |$)'`;
      return row?.sessions;
    };
    await expect.poll(sessions, POLL).toBe(4);
    await other.unsafe('rollback');
    await running;
    expect(await counts(stage)).toEqual({ 1: ROWS });
  });

  test.for([
    [4, 1],
    [4, 2],
    [1, 4],
    [2, 7],
  ] as const)('%i that were stopped are continued by %i', async ([before, after], { stage }) => {
    await makeEvents(stage);
    await stopAfter(stage, 9, before);
    const done = (await counts(stage))[1] ?? 0;
    expect(done).toBeGreaterThanOrEqual(45);
    expect(await unfinished(stage)).toBeGreaterThanOrEqual(before === 1 ? 0 : 1);
    expect(await statusOf(stage)).toMatchObject({
      state: 'stopped',
      workers: 0,
      rowsChanged: done,
    });
    await migrateUp(withWorkers(stage, after));
    expect(await counts(stage)).toEqual({ 1: ROWS });
    expect(stage.heard).toContainEqual(
      expect.objectContaining({ kind: 'backfill-resumed', rowsWalked: done }),
    );
  });

  test('are named by the row that fails for good, and what is done stays', async ({ stage }) => {
    await makeEvents(stage);
    await stage.sql`alter table events add constraint bad check (id <> '00233' or n = 0)`;
    const error = await failUp(withWorkers(stage, 3));
    expect(error).toMatchObject({
      code: 'MIGRATION_FAILED',
      message: expect.stringContaining('(the row of public.events with id = 00233)'),
    });
    await stage.sql`alter table events drop constraint bad`;
    await migrateUp(withWorkers(stage, 2));
    expect(await counts(stage)).toEqual({ 1: ROWS });
  });

  test('that are in the way of each other repeat their batches', async ({ stage }) => {
    await makeEvents(stage);
    // Each row also counts in two rows of another table, and segments that differ by one do it in another order.
    await stage.sql.unsafe(`
      create table totals (id int primary key, n int not null default 0);
      insert into totals values (0), (1);
      create function count_it() returns trigger language plpgsql as $$
      begin
        update totals set n = n + 1 where id = (new.id::int / 40) % 2;
        update totals set n = n + 1 where id = 1 - (new.id::int / 40) % 2;
        return new;
      end $$;
      create trigger count_it before update on events for each row execute function count_it()`);
    await migrateUp({ ...withWorkers(stage, 4), lockWaitBudgetMs: 120_000 });
    expect(await counts(stage)).toEqual({ 1: ROWS });
    expect(await stage.sql`select n from totals`).toEqual([{ n: ROWS }, { n: ROWS }]);
  });

  test('do not count each other as others, and keep one rate together', async ({ stage }) => {
    // Sessions of other tests would count.
    const servers = specialServers();
    const { url } = await servers.start({});
    const own = { ...stage, sql: openSql(url) };
    try {
      await makeEvents(own);
      const throttle = { lagMs: null, lagBytes: null, slotBytes: null, archiveFiles: null };
      const limits = { ...throttle, activeSessions: 0, deadRows: null, sharePercent: 10 };
      const options = await stage.optionsFor(url);
      await migrateUp({ ...options, backfill: { workers: 4, throttle: limits } });
      expect(stage.heard.filter(({ kind }) => kind === 'backfill-rest')).toEqual([]);
      expect(await counts(own)).toEqual({ 1: ROWS });
    } finally {
      await closeSql(own.sql);
      await servers.remove();
    }
  });

  test('are paused and cancelled together from another session', async ({ stage }) => {
    await makeEvents(stage);
    const options = await stage.optionsFor(stage.url);
    const other = stage.openOther();
    await other.unsafe(`begin; update events set n = n where id = '00319'`);
    const running = failureOf(migrateUp({ ...withWorkers(stage, 4), lockWaitBudgetMs: 120_000 }));
    await expect.poll(async () => (await statusOf(stage))?.batches, POLL).toBeGreaterThan(0);
    await requestBackfill({ ...options, wanted: 'pause' });
    await other.unsafe('rollback');
    await untilHeard(stage.heard, 'backfill-rest');
    expect(await statusOf(stage)).toMatchObject({ state: 'paused' });
    await requestBackfill({ ...options, wanted: 'cancel' });
    expect(await running).toMatchObject({ code: 'BACKFILL_CANCELLED' });
    await migrateUp(withWorkers(stage, 3));
    expect(await counts(stage)).toEqual({ 1: ROWS });
  });

  test('of two runners work one after the other', async ({ stage }) => {
    await makeEvents(stage);
    const other = await stage.optionsFor(stage.url);
    await Promise.all([
      migrateUp(withWorkers(stage, 3)),
      migrateUp({ ...other, backfill: { workers: 2 } }),
    ]);
    expect(await counts(stage)).toEqual({ 1: ROWS });
    expect(await stage.history()).toEqual(['up 001']);
  });

  test('walk rows again that came meanwhile', async ({ stage }) => {
    await stage.sql.unsafe(`
      create table events (id int primary key, location text not null default 'x', venue text);
      insert into events (id) select i * 10 from generate_series(1, 300) i`);
    await stage.migration(
      '001_venue',
      '-- evdb: backfill events\n-- evdb: batch-rows 5\nupdate events set venue = location where venue is null;',
    );
    let added: Promise<unknown> | undefined;
    await migrateUp({
      ...withWorkers(stage, 3),
      onProgress: (progress) => {
        stage.heard.push(progress);
        if (progress.kind !== 'backfill') return;
        added ??= stage.sql`insert into events (id) values (1), (2), (9999)`.execute();
      },
    });
    await added;
    expect(await stage.sql`select id from events where venue is null`).toEqual([]);
    expect(stage.heard.findLast(({ kind }) => kind === 'backfill')).toMatchObject({ round: 2 });
  });

  test('are too many for the connections that there are, and nothing is lost', async ({
    stage,
  }) => {
    await makeEvents(stage);
    const role = await stage.createRole('connection limit 3');
    await stage.sql.unsafe(`
      alter table events owner to ${role.name};
      grant create, usage on schema public to ${role.name};
      do $$ begin execute format('grant create on database %I to ${role.name}', current_database()); end $$`);
    const options = await stage.optionsFor(role.url);
    expect(await failureOf(migrateUp({ ...options, backfill: { workers: 4 } }))).toMatchObject({
      code: 'TOO_MANY_CONNECTIONS',
      message: expect.stringContaining('4 workers need 5 connections'),
    });
    // The server counts those that end for a moment longer.
    await vi.waitFor(() => migrateUp({ ...options, backfill: { workers: 2 } }), POLL);
    expect(await counts(stage)).toEqual({ 1: ROWS });
  });
});

describe('a segment', () => {
  test('is waited for where the commit of a runner that is gone is still under way', async ({
    stage,
  }) => {
    await makeEvents(stage);
    await stopAfter(stage, 9, 4);
    const late = stage.openOther();
    await late.unsafe(`begin;
      with one as (delete from evdb.backfill_segment where segment = (
        select min(segment) from evdb.backfill_segment
      ) returning *),
      rows as (
        update events set n = n + 1 from one
        where (one.cursor_key is null or id > one.cursor_key[1]) and id <= one.end_key[1]
        returning id
      )
      update evdb.backfill as b
      set rows_walked = b.rows_walked + one.rows_walked + (select count(*) from rows),
        rows_changed = b.rows_changed + one.rows_changed + (select count(*) from rows)
      from one`);
    const running = migrateUp(withWorkers(stage, 2));
    const waiting = async () => {
      const [row] = await stage.sql`
        select query from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock'`;
      return row?.query;
    };
    await expect.poll(waiting, POLL).toContain('for update');
    await late.unsafe('commit');
    await running;
    expect(await counts(stage)).toEqual({ 1: ROWS });
    expect(stage.heard.findLast(({ kind }) => kind === 'backfill')).toMatchObject({
      rowsChanged: ROWS,
    });
  });

  test('is not walked by a runner whose place another one has taken', async ({ stage }) => {
    await makeEvents(stage);
    const other = stage.openOther();
    const ahead = stage.openOther();
    await other.unsafe(`begin; update events set n = n where id = '00001'`);
    const first = failureOf(migrateUp({ ...withWorkers(stage, 2), lockWaitBudgetMs: 120_000 }));
    await expect.poll(async () => (await statusOf(stage))?.rowsChanged, POLL).toBe(ROWS - 40);
    // The session that holds the lock goes; the other worker's may still be at its batch.
    await ahead`
      select pg_terminate_backend(pid) from pg_locks
      where locktype = 'advisory' and granted
        and database = (select oid from pg_database where datname = current_database())`;
    expect(await first).toMatchObject({
      code: expect.stringMatching(/^(CONNECTION_LOST|LOCKED)$/),
    });
    await other.unsafe('rollback');
    await migrateUp(withWorkers(stage, 1));
    expect(await counts(stage)).toEqual({ 1: ROWS });
  });
});
