import { setTimeout as sleep } from 'node:timers/promises';
import { inspect } from 'node:util';
import { expect, onTestFinished } from 'vitest';
import type { PoolEvents } from '../../src/pool/metrics.ts';
import type { DatabasePool } from '../../src/pool/pool.ts';
import { failureOf, POLL } from '../support/waiting.ts';
import { pidOf, test } from './pool-kit.ts';

type Told = { [K in keyof PoolEvents]: [name: K, what: PoolEvents[K][0]] }[keyof PoolEvents];

const NAMES = [
  'connect',
  'disconnect',
  'acquire',
  'release',
  'slowQuery',
  'health',
  'leak',
] as const;

/** Everything that a pool tells from now on. */
function listen(pool: DatabasePool): Told[] {
  const told: Told[] = [];
  for (const name of NAMES) {
    pool.on(name, (...args: unknown[]) => void told.push([name, args[0]] as Told));
  }
  return told;
}

test('tells of a connection from its opening to its end', async ({ stage }) => {
  const pool = stage.pool({ max: 1 });
  const told = listen(pool);
  const pid = await pidOf(pool);
  await pool.withTransaction((tx) => tx.query('select 1'));
  await pool.withConnection((connection) => connection.query('select 1'));
  await pool.close();
  const time = expect.any(Number);
  expect(told).toEqual([
    ['connect', { pid, durationMs: time }],
    ['acquire', { pid, waitMs: time }],
    ['release', { pid, useMs: time }],
    ['acquire', { pid, waitMs: time }],
    ['release', { pid, useMs: time }],
    ['acquire', { pid, waitMs: time }],
    ['release', { pid, useMs: time }],
    ['disconnect', { pid, reason: 'closed' }],
  ]);
});

test('tells of as many checkouts as of returns, whatever fails', async ({ stage }) => {
  const pool = stage.pool({ max: 3 });
  const told = listen(pool);
  const fails = () => Promise.reject(new Error('no'));
  await Promise.allSettled([
    pool.query('select 1 / 0'),
    pool.query('select $1', [undefined]),
    pool.withConnection(fails),
    pool.withTransaction(fails),
    pool.withTransaction((tx) => tx.query('select 1 / 0').catch(() => undefined)),
    pool.withConnection((one) => one.query('select pg_terminate_backend(pg_backend_pid())')),
    pool.query('select pg_sleep(60)', [], { signal: AbortSignal.timeout(50) }),
    pool.withTransaction((tx) => tx.query('select pg_sleep(60)'), { timeoutMillis: 50 }),
  ]);
  const count = (name: string) => told.filter(([one]) => one === name).length;
  expect(count('acquire')).toBeGreaterThan(5);
  expect(count('release')).toBe(count('acquire'));
  await pool.close();
  expect(count('connect')).toBeGreaterThan(0);
  expect(count('disconnect')).toBe(count('connect'));
});

test('tells of slow statements with their text, and never a parameter', async ({ stage }) => {
  const pool = stage.pool({ slowQueryMillis: 20 });
  const told = listen(pool);
  await pool.query('select 1');
  await pool.query('select pg_sleep(0.03), $1::text', ['hunter2']);
  await pool.query('select pg_sleep(0.03)::text::int + $1::int', [0]).catch(() => undefined);
  await pool.withTransaction((tx) => tx.query('select pg_sleep(0.03)'));
  const slow = told.flatMap(([name, what]) => (name === 'slowQuery' ? [what] : []));
  expect(slow.map(({ text }) => text)).toEqual([
    'select pg_sleep(0.03), $1::text',
    'select pg_sleep(0.03)::text::int + $1::int',
    'select pg_sleep(0.03)',
  ]);
  for (const { durationMs } of slow) expect(durationMs).toBeGreaterThanOrEqual(20);
  expect(JSON.stringify(told)).not.toContain('hunter2');
  expect(pool.metrics().slowQueries).toBe(3);
});

test('holds no parameter and no password in an error', async ({ stage }) => {
  const pool = stage.pool({ max: 1 });
  await pool.query('create table t (id integer)');
  for (let n = 0; n < 3; n++) {
    const error = await failureOf(
      pool.query('insert into t values (1 / $1::int), ($2)', [0, 424242]),
    );
    expect(inspect(error, { depth: 9 })).not.toContain('424242');
    expect(JSON.stringify(error)).not.toContain('424242');
    expect(inspect(error, { depth: 9 })).not.toContain(new URL(stage.url).password);
  }
});

async function thisVeryCaller(pool: DatabasePool): Promise<void> {
  await pool.withConnection(() => sleep(700));
}

test('reports a connection that is kept too long, with who asked for it', async ({ stage }) => {
  // So long that a query on a busy machine is none.
  const pool = stage.pool({ leakThresholdMillis: 500 });
  await pool.warm();
  const told = listen(pool);
  await pool.withConnection(() => pool.query('select 1'));
  await thisVeryCaller(pool);
  await pool.withTransaction(() => sleep(700));
  const leaks = told.flatMap(([name, what]) => (name === 'leak' ? [what] : []));
  expect(leaks).toHaveLength(2);
  for (const { heldMs, pid, stack } of leaks) {
    expect(heldMs).toBeGreaterThanOrEqual(499);
    expect(pid).toBeGreaterThan(0);
    expect(stack).toContain('events.server.test.ts');
    expect(stack).not.toMatch(/^Error/);
  }
  expect(leaks[0]?.stack).toContain('thisVeryCaller');
  expect(pool.metrics().leaks).toBe(2);
});

test('reports no leak where leakThresholdMillis is 0', async ({ stage }) => {
  const pool = stage.pool();
  const told = listen(pool);
  await pool.withConnection(() => sleep(60));
  expect(told.map(([name]) => name)).not.toContain('leak');
});

test('makes a warning of what a listener throws, and goes on', async ({ stage }) => {
  const warnings: string[] = [];
  const note = (warning: Error) => void warnings.push(warning.message);
  process.on('warning', note);
  onTestFinished(() => void process.off('warning', note));
  const pool = stage.pool({
    max: 2,
    slowQueryMillis: 1,
    leakThresholdMillis: 10,
    healthCheckIntervalMillis: 10,
  });
  for (const name of NAMES) {
    pool.on(name, () => {
      throw new Error(`bad ${name}`);
    });
  }
  expect(await pool.sql`select pg_sleep(0.01), 1 as n`).toMatchObject([{ n: 1 }]);
  expect(await pool.withTransaction(async () => sleep(30, 7))).toBe(7);
  await expect.poll(() => warnings.join(), POLL).toContain('bad health');
  await pool.close();
  await expect.poll(() => warnings.join(), POLL).toContain('bad disconnect');
  for (const name of NAMES) {
    expect(
      warnings.some((one) => one.includes(`event ${name} failed: Error: bad ${name}`)),
      name,
    ).toBe(true);
  }
});

test('makes a warning of what an asynchronous listener rejects with', async ({ stage }) => {
  const unheard: unknown[] = [];
  const note = (error: unknown) => void unheard.push(error);
  process.on('unhandledRejection', note);
  onTestFinished(() => void process.off('unhandledRejection', note));
  const pool = stage.pool({ max: 1 });
  pool.on('connect', async () => {
    await sleep(1);
    throw new Error('late');
  });
  await pool.query('select 1');
  await sleep(30);
  expect(unheard).toEqual([]);
});
