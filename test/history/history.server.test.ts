import { afterAll, beforeAll, describe, expect, test as plainTest } from 'vitest';
import { diffSnapshots } from '../../src/history/diff.ts';
import { readStatsSnapshot } from '../../src/history/snapshot.ts';
import { keepSnapshots, listSnapshots, readSnapshot } from '../../src/stats/history.ts';
import { readSequences } from '../../src/stats/sequences.ts';
import type { StatsSnapshot } from '../../src/stats/snapshot-format.ts';
import { readTrends } from '../../src/stats/trends.ts';
import { readUnusedIndexes } from '../../src/stats/unused.ts';
import { DAY_MS } from '../../src/text/units.ts';
import { closeSql, openSql } from '../support/databases.ts';
import { type SpecialServer, specialServers } from '../support/own-server.ts';
import { connectionTo, inspect, test, write } from '../support/sessions.ts';
import { untilCounted } from '../support/waiting.ts';

const take = async (url: string) => readStatsSnapshot(await connectionTo(url), { doctor: false });

/** The same database as it would have been some days ago. */
function aged(snapshot: StatsSnapshot, days: number, facts: Partial<StatsSnapshot> = {}) {
  const takenAt = new Date(Date.parse(snapshot.takenAt) - days * DAY_MS).toISOString();
  return { ...snapshot, takenAt, ...facts };
}

describe('where pg_stat_statements is loaded', () => {
  const servers = specialServers();
  let server: SpecialServer;
  let looker: ReturnType<typeof openSql>;

  /** Counters reach the views when a session ends. */
  const run = async (...statements: string[]) => {
    const sql = openSql(server.url, 1);
    for (const statement of statements) await sql.unsafe(statement);
    await closeSql(sql);
    await untilCounted(looker);
  };
  const readOrders = (times: number) =>
    run(
      ...Array.from(
        { length: times },
        (_, at) => `select customer from orders where id = ${at + 1}`,
      ),
    );

  beforeAll(async () => {
    server = await servers.start({ shared_preload_libraries: 'pg_stat_statements' });
    looker = openSql(server.url, 1);
    await run(`
      create extension pg_stat_statements;
      create table orders as select n as id, n % 500 as customer from generate_series(1, 50000) n;
      create index orders_id on orders (id);
      create index orders_customer on orders (customer);
      analyze orders`);
  });
  afterAll(async () => {
    await closeSql(looker);
    await servers.remove();
  });

  plainTest('shows what a dropped index did to statements, scans and sizes', async () => {
    await readOrders(30);
    const before = await take(server.url);
    const sql = openSql(server.url, 1);
    const [counted] = await sql`
      select seq_scan::int as scans, pg_total_relation_size('orders')::int as bytes
      from pg_stat_user_tables where relname = 'orders'`;
    await closeSql(sql);
    expect(before.tables).toMatchObject([
      { table: 'orders', sequentialScans: counted?.scans, totalBytes: counted?.bytes },
    ]);
    await run(
      'drop index orders_id',
      `alter system set work_mem = '8MB'`,
      'select pg_reload_conf()',
      `create role keeper password 'hunter2'`,
      'insert into orders select n, n from generate_series(1, 100000) n',
    );
    await readOrders(30);
    const after = await take(server.url);
    const diff = diffSnapshots(before, after);
    expect(diff.notes).toEqual([]);
    expect(diff.queries).toContainEqual(
      expect.objectContaining({
        change: 'slower',
        query: 'select customer from orders where id = $1',
        calls: 30,
      }),
    );
    expect(diff.scans).toMatchObject([{ table: 'orders', sequentialScans: 30, shareAfter: 1 }]);
    expect(diff.tables).toMatchObject([{ table: 'orders', change: 'grown' }]);
    expect(diff.indexes).toMatchObject([{ index: 'orders_id', change: 'dropped' }]);
    expect(diff.settings).toEqual([{ setting: 'work_mem', before: null, after: '8192kB' }]);
    expect(JSON.stringify(after)).not.toContain('hunter2');
  });

  plainTest('sees a reset of both kinds of counters', async () => {
    const before = await take(server.url);
    await run('select pg_stat_reset()', 'select pg_stat_statements_reset()');
    await readOrders(3);
    const diff = diffSnapshots(before, await take(server.url));
    expect(diff.notes.map(({ text }) => text)).toEqual([
      expect.stringMatching(/^the counters were reset at /),
      expect.stringMatching(/^pg_stat_statements was reset at /),
    ]);
    for (const { calls, totalMs } of diff.queries)
      expect(Math.min(calls, totalMs)).toBeGreaterThan(0);
  });
});

test('keeps snapshots in a table of its own that only its owner reads, and thins them out', async ({
  emptyDb,
  live,
}) => {
  const { url, sql } = emptyDb;
  await sql.unsafe(`create table t (id int primary key);
    alter default privileges grant select on tables to public`);
  const now = await take(url);
  await inspect(url, async (session) => {
    expect(await listSnapshots(session)).toEqual([]);
    expect(await readTrends(session)).toBeNull();
  });
  const past = [100, 30.1, 30.05, 2.001, 2].map((days) => aged(now, days));
  const around = aged(now, 30.02, { reason: 'before up' });
  const kept = await write(url, (session) => keepSnapshots(session, [...past, around, now]));
  expect(kept).toHaveLength(7);
  const left = await inspect(url, (session) => listSnapshots(session));
  const days = left.map(({ takenAt, reason }) => [
    Math.round((Date.parse(now.takenAt) - takenAt.getTime()) / DAY_MS),
    reason,
  ]);
  expect(days[0]).toEqual([30, 'requested']);
  expect(days).toContainEqual([30, 'before up']);
  expect(days.at(-1)).toEqual([0, 'requested']);
  expect(left.every(({ sizeBytes }) => sizeBytes < 10_000)).toBe(true);
  const last = left.at(-1);
  expect(await inspect(url, (session) => readSnapshot(session, last?.id ?? 0))).toEqual(now);
  const grants = await sql`
    select grantee from information_schema.table_privileges
    where table_schema = 'evdb' and table_name = 'snapshot' and grantee <> current_user`;
  expect([...grants]).toEqual([]);
  // Who may not read them, is told of none, and may not add any.
  expect(await inspect(live.plainUrl, (session) => listSnapshots(session))).toEqual([]);
  await expect(
    write(live.plainUrl, (session) => keepSnapshots(session, [now])),
  ).rejects.toMatchObject({
    code: 'PERMISSION_DENIED',
    hint: expect.stringContaining('--to <file>'),
  });
});

test('lets unused and sequences look further back than the counters', async ({ emptyDb }) => {
  const { url, sql } = emptyDb;
  await sql.unsafe(`
    create table t (id int generated always as identity, a int, b int, c int);
    create index idle on t (a); create index busy on t (b); create index never on t (c);
    insert into t (a) select n from generate_series(1, 9000) n`);
  const now = await take(url);
  const scans = (idle: number, busy: number) => ({
    indexes: now.indexes.map((one) => ({
      ...one,
      scans: { idle, busy, never: 0 }[one.index] ?? 0,
    })),
  });
  const sequences = now.sequences.map((one) => ({ ...one, lastValue: '1000' }));
  await write(url, (session) =>
    keepSnapshots(session, [
      aged(now, 40, { ...scans(0, 20), sequences }),
      aged(now, 20, scans(0, 25)),
      aged(now, 0.001, scans(0, 3)),
    ]),
  );
  const { unused, alone, rates } = await inspect(url, async (session) => {
    const trends = await readTrends(session);
    return {
      unused: await readUnusedIndexes(session, { trends }),
      alone: await readUnusedIndexes(session),
      rates: await readSequences(session, { trends }),
    };
  });
  expect(alone.rows).toEqual([]);
  expect(alone.notes[0]?.text).toMatch(/^nothing is judged/);
  const found = unused.rows.filter(({ table }) => table === 't').map(({ index }) => index);
  expect(found.sort()).toEqual(['idle', 'never']);
  expect(unused.countedSince?.getTime()).toBeCloseTo(Date.parse(now.takenAt) - 40 * DAY_MS, -4);
  expect(rates.rows[0]?.perDay).toBeCloseTo(200, 0);
});

test('names an index that was used once, and is no longer', async ({ emptyDb }) => {
  const { url, sql } = emptyDb;
  await sql.unsafe(`create table t (a int); create index old on t (a);
    insert into t select n from generate_series(1, 1000) n; analyze t`);
  const reader = openSql(url, 1);
  await reader`set enable_seqscan = off`;
  await reader`select from t where a = 5`;
  await closeSql(reader);
  await untilCounted(sql);
  const now = await take(url);
  expect(now.indexes).toMatchObject([{ index: 'old', scans: 1 }]);
  await write(url, (session) => keepSnapshots(session, [aged(now, 50), now]));
  const report = await inspect(url, async (session) =>
    readUnusedIndexes(session, { trends: await readTrends(session) }),
  );
  const found = report.rows.filter(({ table }) => table === 't');
  expect(found).toMatchObject([{ index: 'old', oldScans: 1, idleSince: expect.any(Date) }]);
});
