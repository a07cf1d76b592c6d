import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import type { DatabasePool } from '../../src/pool/pool.ts';
import { failureOf, gate, meeting, POLL } from '../support/waiting.ts';
import { pidOf, test } from './pool-kit.ts';

test('opens no connection before the first use, and one for the first', async ({ stage }) => {
  const wire = await stage.wire();
  const pool = stage.pool({ connectionString: wire.url });
  await sleep(30);
  expect(await stage.backends()).toEqual([]);
  expect(pool.metrics()).toMatchObject({ total: 0, connectionsCreated: 0 });
  for (let n = 0; n < 5; n++) await pool.query('select 1');
  expect(await stage.backends()).toHaveLength(1);
  expect(pool.metrics()).toMatchObject({ total: 1, idle: 1, used: 0, connectionsCreated: 1 });
});

test('never holds more than max connections, also where statements and callbacks fail', async ({
  stage,
}) => {
  const pool = stage.pool({ max: 4 });
  const most = { total: 0, used: 0 };
  const kinds: ((n: number) => Promise<unknown>)[] = [
    () => pool.query('select pg_sleep(0.002)'),
    (n) => pool.query(`select ${n} / 0`),
    (n) => pool.query('select $1::int as n', [n]),
    () => pool.withTransaction((tx) => tx.query('select pg_sleep(0.002)')),
    () => pool.withTransaction(() => Promise.reject(new Error('no'))),
    () => pool.withConnection((one) => one.query('set work_mem = 12345')),
    () => pool.withConnection((one) => one.query('select pg_terminate_backend(pg_backend_pid())')),
    () => pool.query('select pg_sleep(60)', [], { signal: AbortSignal.timeout(5) }),
  ];
  const work = Array.from({ length: 240 }, async (_, n) => {
    await kinds[n % kinds.length]?.(n).catch(() => undefined);
    const { total, used, connecting } = pool.metrics();
    most.total = Math.max(most.total, total + connecting);
    most.used = Math.max(most.used, used);
    if (n % 10 === 0) expect((await stage.backends()).length).toBeLessThanOrEqual(4 + 4);
  });
  await Promise.all(work);
  expect(most.total).toBeLessThanOrEqual(4);
  expect(most.used).toBeLessThanOrEqual(4);
  await expect.poll(() => pool.metrics().used, POLL).toBe(0);
  await expect.poll(async () => (await stage.backends()).length, POLL).toBeLessThanOrEqual(4);
});

test('uses all of max, and no connection by two at a time', async ({ stage }) => {
  const pool = stage.pool({ max: 5 });
  const meet = meeting(5);
  const hold = () =>
    pool.withConnection(async (one) => {
      const pid = await pidOf(one);
      await meet();
      return pid;
    });
  const pids = await Promise.all([hold(), hold(), hold(), hold(), hold()]);
  expect(new Set(pids).size).toBe(5);
});

test('serves who waits in the order of arrival', async ({ stage }) => {
  const pool = stage.pool({ max: 2 });
  const { promise, open } = gate();
  const holders = [pool.withConnection(() => promise), pool.withTransaction(() => promise)];
  await expect.poll(() => pool.metrics().used, POLL).toBe(2);
  const order: number[] = [];
  const gone = new AbortController();
  const work = Array.from({ length: 30 }, (_, n) => {
    const note = async () => void order.push(n);
    if (n % 3 === 0) return pool.query('select 1', [], n === 9 ? { signal: gone.signal } : {});
    return n % 3 === 1 ? pool.withConnection(note) : pool.withTransaction(note);
  });
  const aborted = failureOf(Promise.resolve(work[9]));
  gone.abort(new Error('gone'));
  expect(await aborted).toMatchObject({ message: 'gone' });
  open();
  await Promise.allSettled([...holders, ...work]);
  expect(order).toHaveLength(20);
  // Who came earlier was handed a connection earlier. Not heard of yet is only one who holds the
  // other connection and waits for the answer to its `begin`, for however long that takes.
  for (const [place, n] of order.entries()) {
    const overtaken = order.slice(place).filter((other) => other < n);
    expect(overtaken.length).toBeLessThanOrEqual(1);
    expect(overtaken.every((other) => other % 3 === 2)).toBe(true);
  }
});

test('serves alone in strict order with a single connection', async ({ stage }) => {
  const pool = stage.pool({ max: 1 });
  const order: number[] = [];
  await Promise.all(
    Array.from({ length: 50 }, (_, n) =>
      n % 2 === 0
        ? pool.withConnection(async () => void order.push(n))
        : pool.withTransaction(async () => void order.push(n)),
    ),
  );
  expect(order).toEqual(order.toSorted((a, b) => a - b));
});

async function occupied(pool: DatabasePool): Promise<() => void> {
  const { promise, open } = gate();
  await pool.warm();
  void pool.withConnection(() => promise);
  await expect.poll(() => pool.metrics().used, POLL).toBe(1);
  return open;
}

test('says who holds what where no connection comes free in time', async ({ stage }) => {
  const pool = stage.pool({ max: 1, acquireTimeoutMillis: 40 });
  const release = await occupied(pool);
  const waiting = [pool.query('select 1'), pool.withTransaction(async () => 1), pool.sql`select 1`];
  for (const error of await Promise.all(waiting.map((one) => failureOf(one)))) {
    expect(error).toMatchObject({
      code: 'ACQUIRE_TIMEOUT',
      details: { max: 1, total: 1, used: 1 },
    });
    expect(error.message).toContain('within 40 ms');
    expect(error.message).toContain('1 of 1 are in use');
  }
  expect(pool.metrics()).toMatchObject({ acquireTimeouts: 3, waiting: 0, totalQueries: 0 });
  release();
  expect(await pool.sql`select 1 as n`).toEqual([{ n: 1 }]);
});

test('keeps a connection that comes after its caller’s deadline for the next', async ({
  stage,
}) => {
  const pool = stage.pool({ max: 1, acquireTimeoutMillis: 1 });
  const error = await failureOf(pool.query('select 1'));
  expect(error).toMatchObject({ code: 'ACQUIRE_TIMEOUT' });
  await expect.poll(() => pool.metrics().idle, POLL).toBe(1);
  expect(await pool.sql`select 1 as n`).toEqual([{ n: 1 }]);
  expect(pool.metrics().connectionsCreated).toBe(1);
});

test('counts the deadline from the call, whatever happens to attempts meanwhile', async ({
  stage,
}) => {
  const silent = createServer((socket) => socket.on('error', () => undefined).resume());
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  const { port } = silent.address() as { port: number };
  const pool = stage.pool({
    host: '127.0.0.1',
    port,
    connectionTimeoutMillis: 30,
    acquireTimeoutMillis: 300,
  });
  const error = await failureOf(pool.query('select 1'));
  expect(error).toMatchObject({ code: 'ACQUIRE_TIMEOUT', cause: { code: 'CONNECT_TIMEOUT' } });
  expect(pool.metrics().connectFailures).toBeGreaterThan(1);
  await pool.close({ timeoutMillis: 0 });
  await new Promise<void>((resolve) => {
    silent.close(() => resolve());
  });
});

test('keeps min connections warm, and opens new ones for those that are lost', async ({
  stage,
  admin,
}) => {
  const pool = stage.pool({ min: 3, max: 5 });
  await pool.warm();
  expect(pool.metrics()).toMatchObject({ total: 3, idle: 3, min: 3, max: 5 });
  const before = await stage.backends();
  await admin`select pg_terminate_backend(pid) from unnest(${before}::int[]) as pid`;
  await expect.poll(() => pool.metrics().connectionsCreated, POLL).toBe(6);
  await expect.poll(async () => (await stage.backends()).length, POLL).toBe(3);
  expect((await stage.backends()).filter((pid) => before.includes(pid))).toEqual([]);
  await pool.warm();
  expect(pool.metrics()).toMatchObject({ connectionsCreated: 6, connectionsDiscarded: 3 });
});

test('warms up by itself after the first use, and twice at once not twice as much', async ({
  stage,
}) => {
  const pool = stage.pool({ min: 2, max: 4 });
  await Promise.all([pool.warm(), pool.warm(), pool.query('select 1')]);
  await expect.poll(() => pool.metrics().connecting, POLL).toBe(0);
  expect(pool.metrics().total).toBeLessThanOrEqual(4);
  const other = stage.pool({ min: 2, max: 2 });
  await Promise.all([other.warm(), other.warm(), other.warm()]);
  await expect.poll(() => other.metrics().connecting, POLL).toBe(0);
  expect(other.metrics().total).toBe(2);
  const late = stage.pool({ min: 2 });
  await late.query('select 1');
  await expect.poll(() => late.metrics().idle, POLL).toBe(2);
});

test('rejects warm with the reason why it cannot connect', async ({ stage }) => {
  const url = new URL(stage.url);
  url.pathname = '/no_such_database';
  const pool = stage.pool({ connectionString: url.href, min: 2 });
  expect(await failureOf(pool.warm())).toMatchObject({ code: 'DATABASE_MISSING' });
});
