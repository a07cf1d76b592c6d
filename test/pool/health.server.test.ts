import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import type { PoolHealth } from '../../src/pool/health.ts';
import { renderPrometheus } from '../../src/pool/instruments.ts';
import { failureOf, gate, POLL } from '../support/waiting.ts';
import { test } from './pool-kit.ts';

test('is ok where the database answers, also before the first use', async ({ stage }) => {
  const pool = stage.pool();
  const expected = {
    status: 'ok',
    latencyMs: expect.any(Number),
    connections: { total: 1, idle: 1, used: 0, pending: 0, connecting: 0 },
    serverVersion: expect.any(Number),
    error: null,
  };
  expect(await pool.health()).toEqual(expected);
  expect(await pool.health()).toEqual(expected);
  expect(await pool.testConnection()).toBe(true);
  expect(pool.metrics()).toMatchObject({ connectionsCreated: 1, totalQueries: 0, acquired: 0 });
});

test('is down where the database cannot be reached, and says why', async ({ stage }) => {
  const url = new URL(stage.url);
  url.pathname = '/no_such_database';
  const pool = stage.pool({ connectionString: url.href });
  expect(await pool.health()).toMatchObject({
    status: 'down',
    latencyMs: null,
    serverVersion: null,
    error: { code: 'DATABASE_MISSING' },
  });
  expect(await pool.testConnection()).toBe(false);
  url.searchParams.set('application_name', 'x');
  expect(JSON.stringify(await pool.health())).not.toContain(url.password);
});

test('is down once it is closed', async ({ stage }) => {
  const pool = stage.pool();
  await pool.query('select 1');
  await pool.close();
  expect(await pool.health()).toMatchObject({
    status: 'down',
    connections: { total: 0 },
    error: { code: 'POOL_CLOSED' },
  });
  expect(await pool.testConnection()).toBe(false);
});

test('is degraded while callers wait, and ok again', async ({ stage }) => {
  const pool = stage.pool({ max: 1 });
  await pool.warm();
  const { promise, open } = gate();
  const holder = pool.withConnection(() => promise);
  const waiting = [pool.query('select 1'), pool.query('select 2')];
  const health = pool.health();
  const later = pool.query('select 3');
  await expect.poll(() => pool.metrics().waiting, POLL).toBe(4);
  const done = health.then(() => open());
  // The probe stands in line: it is served between those who wait.
  open();
  await Promise.all([holder, done, ...waiting, later]);
  expect(await health).toMatchObject({ latencyMs: expect.any(Number) });
  expect(await pool.health()).toMatchObject({ status: 'ok', connections: { pending: 0 } });
});

test('is degraded and not down where all connections are in use for long', async ({ stage }) => {
  const pool = stage.pool({ max: 1 });
  await pool.warm();
  const { promise, open } = gate();
  const holder = pool.withConnection(() => promise);
  const health = await pool.health();
  expect(health).toMatchObject({
    status: 'degraded',
    latencyMs: null,
    connections: { total: 1, used: 1 },
    error: { code: 'ACQUIRE_TIMEOUT' },
  });
  open();
  await holder;
  expect(await pool.health()).toMatchObject({ status: 'ok' });
});

test('tells its health again and again where that is asked for', async ({ stage }) => {
  const pool = stage.pool({ healthCheckIntervalMillis: 10 });
  const told: PoolHealth[] = [];
  pool.on('health', (health) => void told.push(health));
  await expect.poll(() => told.length, POLL).toBeGreaterThan(3);
  expect(new Set(told.map(({ status }) => status))).toEqual(new Set(['ok']));
  await pool.close();
  const count = told.length;
  await sleep(60);
  expect(told.length - count).toBeLessThanOrEqual(1);
});

test('counts what was done', async ({ stage }) => {
  const pool = stage.pool({
    max: 2,
    name: 'events',
    acquireTimeoutMillis: 5_000,
    slowQueryMillis: 25,
  });
  await pool.warm();
  expect(pool.metrics()).toMatchObject({ pool: 'events', acquired: 0, connectionsCreated: 1 });
  for (let n = 0; n < 5; n++) await pool.query('select $1::int', [n]);
  await failureOf(pool.query('select 1 / 0'));
  await failureOf(pool.query('select 1 / 0'));
  // What is not sent is not counted.
  await failureOf(pool.query('select $1', [new Map()]));
  await pool.withTransaction(async (tx) => {
    await tx.query('select 1');
    await tx.savepoint((inner) => inner.query('select pg_sleep(0.03)'));
  });
  await pool.withConnection((connection) => connection.query('set work_mem = 12345'));
  await failureOf(pool.query('commit'));
  await expect.poll(() => pool.metrics().idle, POLL).toBe(1);
  const metrics = pool.getMetrics();
  expect(metrics).toMatchObject({
    total: 1,
    idle: 1,
    used: 0,
    waiting: 0,
    connecting: 0,
    max: 2,
    min: 0,
    totalQueries: 10,
    failedQueries: 2,
    slowQueries: 1,
    acquired: 9,
    acquireTimeouts: 0,
    connectionsCreated: 1,
    connectFailures: 0,
    connectionsDiscarded: 0,
    connectionsReset: 1,
    transactionRetries: 0,
    leaks: 0,
    wait: { count: 9 },
    use: { count: 9 },
    query: { count: 10 },
  });
  expect(JSON.parse(JSON.stringify(metrics))).toEqual(metrics);
  const text = renderPrometheus(metrics);
  expect(text).toContain('error_type="22012"');
  expect(text).toMatch(/db_client_connection_wait_time_seconds_count\{[^}]*"events"[^}]*\} 9\n/);
  await pool.close();
  expect(pool.metrics()).toMatchObject({ total: 0, idle: 0, connectionsDiscarded: 1 });
});
