import type postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, test as plainTest } from 'vitest';
import { type LockRow, readLocks } from '../../src/stats/locks.ts';
import { closeSql, openSql } from '../support/databases.ts';
import { type SpecialServer, specialServers } from '../support/own-server.ts';
import { inspect, test } from '../support/sessions.ts';
import { eventually } from '../support/waiting.ts';

async function pidOf(sql: postgres.Sql): Promise<number> {
  const [row] = await sql<{ pid: number }[]>`select pg_backend_pid() as pid`;
  return row?.pid ?? 0;
}

/** Begins a statement that will wait, and waits until it does. */
async function startWaiting(observer: postgres.Sql, sql: postgres.Sql, statement: string) {
  const pid = await pidOf(sql);
  const running = sql.unsafe(statement).catch(() => undefined);
  await eventually(async () => {
    const rows = await observer`
      select from pg_locks where not granted and pid = ${pid} and waitstart is not null`;
    return rows.length > 0 ? true : undefined;
  });
  return { pid, running };
}

/** Other files run on the same server. */
const of = (rows: LockRow[], database: string) => rows.filter((row) => row.database === database);

/** Sessions of those may wait for each other in a circle. */
const notesOf = ({ notes }: Awaited<ReturnType<typeof readLocks>>) =>
  notes.filter(({ text }) => !text.includes('in a circle'));

test('shows a chain of three sessions with what each runs, since when, and on what', async ({
  emptyDb,
  sessions,
}) => {
  const { sql, url, name } = emptyDb;
  await sql.unsafe(`
    create schema "Odd one"; create table "Odd one"."my events" (id int primary key, seats int);
    insert into "Odd one"."my events" values (1, 10), (2, 10)`);
  const [a, b, c] = ['first', 'second', 'third'].map((who) => sessions.open(url, who));
  if (!a || !b || !c) throw new Error('no sessions');
  await a.unsafe('begin; update "Odd one"."my events" set seats = 9 where id = 1');
  await b.unsafe('begin; update "Odd one"."my events" set seats = 9 where id = 2');
  const second = await startWaiting(
    sql,
    b,
    'update "Odd one"."my events" set seats = 8 where id = 1',
  );
  const third = await startWaiting(
    sql,
    c,
    'update "Odd one"."my events" set seats = 7 where id = 2',
  );

  const report = await inspect(url, readLocks);
  const rows = of(report.rows, name);
  const first = await pidOfName(sql, 'first', name);
  expect(rows.map(({ path }) => path)).toEqual([
    `${first}`,
    `${first}/${second.pid}`,
    `${first}/${second.pid}/${third.pid}`,
  ]);
  expect(rows[0]).toMatchObject({
    depth: 0,
    application: 'first',
    state: 'idle in transaction',
    statement: expect.stringContaining('set seats = 9 where id = 1'),
    blockedCount: 2,
    waitMs: null,
    wantedMode: null,
    transactionMs: expect.any(Number),
  });
  expect(rows[1]).toMatchObject({
    depth: 1,
    application: 'second',
    statement: 'update "Odd one"."my events" set seats = 8 where id = 1',
    object: 'row (0,1) of "Odd one"."my events"',
    lockType: 'transactionid',
    wantedMode: 'SHARE',
    heldMode: 'EXCLUSIVE',
    waitingSince: expect.any(Date),
    blockedBy: [first],
    blockedCount: 1,
    isHidden: false,
  });
  expect(rows[2]).toMatchObject({ depth: 2, object: 'row (0,2) of "Odd one"."my events"' });
  expect(notesOf(report)).toEqual([]);

  await a`rollback`;
  await second.running;
  await b`rollback`;
  await third.running;
  expect(of((await inspect(url, readLocks)).rows, name)).toEqual([]);
});

async function pidOfName(sql: postgres.Sql, application: string, database: string) {
  const [row] = await sql<{ pid: number }[]>`
    select pid from pg_stat_activity where application_name = ${application} and datname = ${database}`;
  return row?.pid ?? 0;
}

test('shows a reader that queues behind a waiter, and every holder of it', async ({
  emptyDb,
  sessions,
}) => {
  const { sql, url, name } = emptyDb;
  await sql`create table events (id int)`;
  const [a, b, waiter, reader] = ['a', 'b', 'waiter', 'reader'].map((who) =>
    sessions.open(url, who),
  );
  if (!a || !b || !waiter || !reader) throw new Error('no sessions');
  await a.unsafe('begin; select * from events');
  await b.unsafe('begin; select * from events');
  const ddl = await startWaiting(sql, waiter, 'alter table events add column note text');
  const select = await startWaiting(sql, reader, 'select * from events');
  const rows = of((await inspect(url, readLocks)).rows, name);
  const [pidA, pidB] = [await pidOfName(sql, 'a', name), await pidOfName(sql, 'b', name)];
  expect(new Set(rows.map(({ depth, application }) => `${depth} ${application}`))).toEqual(
    new Set(['0 a', '1 waiter', '2 reader', '0 b']),
  );
  expect(rows).toHaveLength(5);
  const primary = rows.find(({ pid, isRepeated }) => pid === ddl.pid && !isRepeated);
  expect(primary).toMatchObject({
    object: 'public.events',
    wantedMode: 'ACCESS EXCLUSIVE',
    heldMode: 'ACCESS SHARE',
    isQueued: false,
  });
  expect([...(primary?.blockedBy ?? [])].sort()).toEqual([pidA, pidB].sort());
  expect(rows.find(({ pid }) => pid === select.pid)).toMatchObject({
    depth: 2,
    isQueued: true,
    heldMode: null,
    blockedBy: [ddl.pid],
  });
  expect(rows.filter(({ isRepeated }) => isRepeated)).toMatchObject([{ pid: ddl.pid }]);
  await a`rollback`;
  await b`rollback`;
  await Promise.all([ddl.running, select.running]);
});

test('names advisory locks by their keys, and hides from a role what it may not see', async ({
  emptyDb,
  sessions,
  live,
}) => {
  const { sql, url, name } = emptyDb;
  const [holder, one, two] = ['holder', 'one', 'two'].map((who) => sessions.open(url, who));
  if (!holder || !one || !two) throw new Error('no sessions');
  await holder`select pg_advisory_lock(-42), pg_advisory_lock(-1, 7)`;
  const first = await startWaiting(sql, one, 'select pg_advisory_lock(-42)');
  const second = await startWaiting(sql, two, 'select pg_advisory_lock(-1, 7)');
  const seen = await inspect(live.monitorUrl, readLocks);
  expect(of(seen.rows, name).map(({ object }) => object)).toEqual([
    null,
    'advisory lock -42',
    'advisory lock (-1, 7)',
  ]);
  expect(notesOf(seen)).toEqual([]);
  const hidden = await inspect(live.plainUrl, readLocks);
  expect(of(hidden.rows, name)).toMatchObject([
    { isHidden: true, statement: null, state: null },
    { pid: first.pid, isHidden: true, statement: null, object: 'advisory lock -42' },
    { pid: second.pid, isHidden: true },
  ]);
  expect(notesOf(hidden)).toEqual([
    {
      level: 'unknown',
      text: expect.stringContaining(`hidden from ${live.plainName}`),
      hint: `Let an administrator run: grant pg_read_all_stats to "${live.plainName}";`,
    },
  ]);
  await holder`select pg_advisory_unlock_all()`;
  await Promise.all([first.running, second.running]);
});

describe('on a server that allows prepared transactions and many workers', () => {
  const servers = specialServers();
  let server: SpecialServer;
  let sql: postgres.Sql;

  beforeAll(async () => {
    server = await servers.start({ max_prepared_transactions: '5' });
    sql = openSql(server.url);
    await sql.unsafe(
      'create table events (id int primary key, seats int); insert into events values (1, 10)',
    );
  });
  afterAll(async () => {
    await closeSql(sql);
    await servers.remove();
  });

  plainTest('names a prepared transaction that blocks, and how to end it', async () => {
    const [preparer, waiter] = [openSql(server.url, 1), openSql(server.url, 1)];
    await preparer.unsafe("begin; update events set seats = 9; prepare transaction 'it''s paid'");
    const { pid, running } = await startWaiting(sql, waiter, 'update events set seats = 8');
    const report = await inspect(server.url, readLocks);
    expect(report.rows).toMatchObject([
      { pid: 0, gid: "it's paid", state: 'prepared', user: 'postgres', blockedCount: 1 },
      { pid, depth: 1, blockedBy: ["it's paid"], object: 'row (0,1) of public.events' },
    ]);
    expect(report.notes).toHaveLength(1);
    const hint = report.notes[0]?.hint ?? '';
    await sql.unsafe(hint.slice(hint.indexOf('rollback')));
    await running;
    expect((await inspect(server.url, readLocks)).rows).toEqual([]);
    await Promise.all([preparer, waiter].map(closeSql));
  });

  plainTest('shows the workers of a parallel query as the session that began it', async () => {
    const [scanner, waiter] = [openSql(server.url, 1), openSql(server.url, 1)];
    await sql.unsafe('create table big as select generate_series(1, 20000) as n; analyze big');
    await scanner.unsafe(
      'set parallel_setup_cost = 0; set parallel_tuple_cost = 0; set min_parallel_table_scan_size = 0',
    );
    const scannerPid = await pidOf(scanner);
    const scan = scanner
      .unsafe('select count(*) from big where pg_sleep(0.01 + n * 0) is null')
      .catch(() => undefined);
    await eventually(async () => {
      const workers = await sql`select from pg_stat_activity where leader_pid = ${scannerPid}`;
      return workers.length > 0 ? true : undefined;
    });
    const ddl = await startWaiting(sql, waiter, 'drop table big');
    const { rows } = await inspect(server.url, readLocks);
    expect(rows).toMatchObject([
      { pid: scannerPid, blockedCount: 1, backendType: 'client backend' },
      { pid: ddl.pid, heldMode: 'ACCESS SHARE', object: 'public.big' },
    ]);
    await sql`select pg_cancel_backend(${scannerPid})`;
    await Promise.all([scan, ddl.running]);
    await Promise.all([scanner, waiter].map(closeSql));
  });
});
