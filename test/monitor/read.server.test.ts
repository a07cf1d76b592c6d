import type postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, test as plainTest } from 'vitest';
import { endSession } from '../../src/monitor/end-session.ts';
import { frameOf } from '../../src/monitor/frame.ts';
import { MONITOR_VIEWS } from '../../src/monitor/look.ts';
import { rateStatements, saleRows } from '../../src/monitor/rates.ts';
import { createMonitorReader } from '../../src/monitor/read.ts';
import { closeSql, openSql } from '../support/databases.ts';
import { type SpecialServer, specialServers } from '../support/own-server.ts';
import { inspect, test } from '../support/sessions.ts';
import { until, untilCounted } from '../support/waiting.ts';

const pidOf = async (sql: postgres.Sql) =>
  Number((await sql`select pg_backend_pid() as pid`)[0]?.pid);

test('reads only what a view needs', async ({ emptyDb }) => {
  const looks = await inspect(emptyDb.url, async (session) => {
    const reader = createMonitorReader(session);
    return [await reader.look(['waits']), await reader.look(['activity', 'locks'])] as const;
  });
  expect(Object.keys(looks[0])).toEqual(['pulse', 'notes']);
  expect(Object.keys(looks[1]).sort()).toEqual(['activity', 'locks', 'notes', 'pulse']);
  const { at, connections, counters } = looks[0].pulse;
  expect(at).toBeInstanceOf(Date);
  expect(connections.max).toBeGreaterThan(connections.total);
  expect(connections.total).toBeGreaterThanOrEqual(0);
  expect(counters.commits).toBeGreaterThan(0);
  expect(counters.walBytes).toBeGreaterThan(0);
});

test('sees who waits, and what for', async ({ emptyDb, sessions }) => {
  await emptyDb.sql`create table seats as select 1 as id`;
  const [holder, waiter] = [sessions.open(emptyDb.url), sessions.open(emptyDb.url, 'waiter')];
  await holder.unsafe('begin; update seats set id = 2');
  const waiting = await pidOf(waiter);
  waiter.unsafe('update seats set id = 3').catch(() => undefined);
  const look = await inspect(emptyDb.url, async (session) => {
    const reader = createMonitorReader(session);
    await until(async () => {
      const { locks = [] } = await reader.look(['locks']);
      return locks.some(({ pid }) => pid === waiting);
    });
    return reader.look(['activity', 'locks']);
  });
  expect(look.pulse.connections.waiting).toBeGreaterThanOrEqual(1);
  expect(look.pulse.connections.idleInTransaction).toBeGreaterThanOrEqual(1);
  expect(look.pulse.waits).toContainEqual({
    event: 'Lock: transactionid',
    sessions: expect.any(Number),
  });
  expect(look.activity?.find(({ pid }) => pid === waiting)?.waitsFor).toBe('Lock: transactionid');
});

test('says what is missing instead of failing', async ({ emptyDb }) => {
  const look = await inspect(emptyDb.url, (session) =>
    createMonitorReader(session).look(MONITOR_VIEWS),
  );
  expect(look.notes).toEqual([
    'the extension pg_stat_statements is not installed in this database',
    'the event schema is not installed in schema public',
  ]);
  expect(frameOf([look])).toMatchObject({ statements: null, sale: null, replication: [] });
});

test('shows a role without privileges what it may see', async ({ live, emptyDb }) => {
  await emptyDb.sql`create table events (id int, title text)`;
  const foreign = await inspect(live.plainUrl, (session) =>
    createMonitorReader(session).look(['sale']),
  );
  // A table of that name is not the event schema.
  expect(foreign.notes).toEqual(['the event schema is not installed in schema public']);
  await emptyDb.sql`alter table events add date_time timestamptz, add capacity int,
    add current_registrations int, add is_active boolean`;
  await untilCounted(emptyDb.sql);
  const look = await inspect(live.plainUrl, (session) =>
    createMonitorReader(session).look(MONITOR_VIEWS),
  );
  expect(look.notes).toContainEqual(expect.stringMatching(/may not read public\.events$/));
  expect(look.pulse.counters.commits).toBeGreaterThan(0);
});

test('sees how fast an event sells, and who waits in its queue', async ({ db, sessions }) => {
  await db.sql.unsafe(`
    insert into users (name, email, password_hash)
      select 'U', 'u' || i || '@example.org', '$2b$12$' || repeat('a', 53) from generate_series(1, 30) i;
    insert into events (title, description, date_time, location, capacity, created_by)
      select 'Event ' || i, 'x', now() + interval '1 day', 'Hall', 20, 1 from generate_series(1, 2) i`);
  const [{ id } = { id: 0 }] = await db.sql<{ id: number }[]>`select min(id) as id from events`;
  const [holder, waiter] = [sessions.open(db.url), sessions.open(db.url, 'buyer')];
  const looks = await inspect(db.url, async (session) => {
    const reader = createMonitorReader(session);
    const first = await reader.look(['sale']);
    for (let user = 1; user <= 8; user++)
      await db.sql`select safe_event_registration(${user}, ${id})`;
    await holder.unsafe(`begin; select safe_event_registration(9, ${id})`);
    waiter.unsafe(`select safe_event_registration(10, ${id})`).catch(() => undefined);
    await until(async () => {
      const { sale } = await reader.look(['sale']);
      return sale?.queues[0]?.waiting === 1;
    });
    return [first, await reader.look(['sale'])];
  });
  const [sold, other] = saleRows(looks);
  expect(sold).toMatchObject({ id, title: 'Event 1', left: 12, capacity: 20, waiting: 1 });
  expect(sold?.waiters).toMatch(/^\d+ buyer$/);
  expect(sold?.seatsPerSecond).toBeGreaterThan(0);
  expect(sold?.soldOutInMs).toBeGreaterThan(0);
  expect(other).toMatchObject({ left: 20, seatsPerSecond: 0, waiting: 0 });
  expect(looks[1]?.sale?.events[0]?.startsAt).toBeInstanceOf(Date);
});

test('cancels a statement and ends a session, and no other', async ({ emptyDb, sessions }) => {
  const victim = sessions.open(emptyDb.url, 'victim');
  const pid = await pidOf(victim);
  const target = { pid, user: new URL(emptyDb.url).username, application: 'victim' };
  const act = (action: 'cancel' | 'end', whom = target) =>
    inspect(emptyDb.url, (session) => endSession(session, whom, action));
  const isThere = async () =>
    (await emptyDb.sql`select from pg_stat_activity where pid = ${pid}`).length === 1;

  const running = victim`select pg_sleep(60)`.catch((error: { code: string }) => error.code);
  await until(async () => {
    const rows = await emptyDb.sql`
      select from pg_stat_activity where pid = ${pid} and wait_event = 'PgSleep'`;
    return rows.length === 1;
  });
  expect(await act('end', { ...target, application: 'another' })).toBe(`session ${pid} is gone`);
  expect(await act('cancel')).toBe(`session ${pid} was told to cancel`);
  expect(await running).toBe('57014');
  expect(await isThere()).toBe(true);
  expect(await act('end')).toBe(`session ${pid} was ended`);
  await until(async () => !(await isThere()));
  expect(await act('end')).toBe(`session ${pid} is gone`);
});

test('says that a role may not end a session', async ({ emptyDb, sessions, live }) => {
  const victim = sessions.open(emptyDb.url, 'victim');
  const target = { pid: await pidOf(victim), user: 'postgres', application: 'victim' };
  const said = await inspect(live.plainUrl, (session) => endSession(session, target, 'end'));
  // Who may not see a session finds none; who may see it is refused.
  expect(said).toMatch(/may not end session|is gone/);
  expect(await pidOf(victim)).toBe(target.pid);
});

describe('where pg_stat_statements is loaded', () => {
  const servers = specialServers();
  let server: SpecialServer;
  let sql: postgres.Sql;

  beforeAll(async () => {
    server = await servers.start({ shared_preload_libraries: 'pg_stat_statements' });
    sql = openSql(server.url, 1);
    await sql`create extension pg_stat_statements`;
  });
  afterAll(async () => {
    await closeSql(sql);
    await servers.remove();
  });

  plainTest('counts the statements that run between two looks', async () => {
    await sql`select 'before' as told`;
    const looks = await inspect(server.url, async (session) => {
      const reader = createMonitorReader(session);
      const first = await reader.look(['statements']);
      for (let i = 0; i < 5; i++) await sql`select * from generate_series(1, 3) as hay`;
      return [first, await reader.look(['statements'])];
    });
    expect(rateStatements(looks)).toEqual([
      expect.objectContaining({
        query: 'select * from generate_series($1, $2) as hay',
        shareOfTime: 1,
      }),
    ]);
    const [row] = rateStatements(looks);
    expect((row?.rowsPerSecond ?? 0) / (row?.callsPerSecond ?? 1)).toBeCloseTo(3);
  });
});
