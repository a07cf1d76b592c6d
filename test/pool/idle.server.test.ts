import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import type { DatabasePool } from '../../src/pool/pool.ts';
import { meeting, POLL } from '../support/waiting.ts';
import { pidOf, test } from './pool-kit.ts';

/** Has a pool open so many connections, all of them idle afterwards. */
async function fill(pool: DatabasePool, count: number): Promise<void> {
  const meet = meeting(count);
  await Promise.all(Array.from({ length: count }, () => pool.withConnection(meet)));
  await expect.poll(() => pool.metrics().idle, POLL).toBe(count);
}

/** Why a pool closed its connections so far. */
function noteReasons(pool: DatabasePool): Record<string, number> {
  const reasons: Record<string, number> = {};
  pool.on('disconnect', ({ reason }) => {
    reasons[reason] = (reasons[reason] ?? 0) + 1;
  });
  return reasons;
}

test('closes what idles too long, down to min', async ({ stage }) => {
  const pool = stage.pool({ min: 2, max: 5, idleTimeoutMillis: 150 });
  const reasons = noteReasons(pool);
  await fill(pool, 5);
  await expect.poll(async () => (await stage.backends()).length, POLL).toBe(2);
  await sleep(400);
  expect(reasons).toEqual({ idle: 3 });
  expect(pool.metrics()).toMatchObject({ total: 2, idle: 2, connectionsDiscarded: 3 });
});

test('closes every connection that idles too long where min is 0, and opens another', async ({
  stage,
}) => {
  const pool = stage.pool({ idleTimeoutMillis: 50 });
  const first = await pidOf(pool);
  await expect.poll(() => stage.backends(), POLL).toEqual([]);
  expect(await pidOf(pool)).not.toBe(first);
});

test('keeps idle connections for ever where idleTimeoutMillis is 0', async ({ stage }) => {
  const pool = stage.pool({ max: 3, idleTimeoutMillis: 0, keepaliveIntervalMillis: 20 });
  await fill(pool, 3);
  await sleep(300);
  expect(pool.metrics()).toMatchObject({ total: 3, connectionsDiscarded: 0 });
});

test('takes the connection that was used last, so that the others can go', async ({ stage }) => {
  const pool = stage.pool({ max: 3, idleTimeoutMillis: 300 });
  await fill(pool, 3);
  const pids = new Set<number>();
  while (pool.metrics().total > 1) {
    pids.add(await pidOf(pool));
    await sleep(10);
  }
  expect(pids.size).toBe(1);
});

test('replaces connections by their lifetime and fails nobody', async ({ stage }) => {
  const pool = stage.pool({ max: 4, maxLifetimeMillis: 40 });
  const reasons = noteReasons(pool);
  let runs = 0;
  const work = async () => {
    while ((reasons.lifetime ?? 0) < 12) {
      runs += 1;
      expect(await pool.sql`select ${runs}::int as n`).toHaveLength(1);
      await pool.withTransaction(async (tx) => {
        const pid = await pidOf(tx);
        await sleep(5);
        expect(await pidOf(tx)).toBe(pid);
      });
      expect(pool.metrics().total).toBeLessThanOrEqual(4);
    }
  };
  await Promise.all(Array.from({ length: 8 }, work));
  expect(Object.keys(reasons)).toEqual(['lifetime']);
  expect(pool.metrics()).toMatchObject({ failedQueries: 0, connectFailures: 0 });
});

test('replaces idle connections by their lifetime, and stays at min', async ({ stage }) => {
  const pool = stage.pool({ min: 2, max: 2, maxLifetimeMillis: 60, keepaliveIntervalMillis: 20 });
  const reasons = noteReasons(pool);
  await pool.warm();
  await expect.poll(() => reasons.lifetime ?? 0, POLL).toBeGreaterThan(4);
  expect(Object.keys(reasons)).toEqual(['lifetime']);
  expect(await pool.sql`select 1 as n`).toEqual([{ n: 1 }]);
  expect(pool.metrics().total).toBeLessThanOrEqual(2);
});

test('uses idle connections now and then, so that nothing between forgets them', async ({
  stage,
}) => {
  const wire = await stage.wire();
  const pool = stage.pool({ connectionString: wire.url, max: 2, keepaliveIntervalMillis: 20 });
  await fill(pool, 2);
  wire.news();
  const sent: string[] = [];
  const collect = () => sent.push(...wire.news());
  await expect.poll(collect, POLL).toBeGreaterThan(5);
  expect(new Set(sent)).toEqual(new Set(['select 1']));
  expect(pool.metrics()).toMatchObject({ total: 2, connectionsCreated: 2, totalQueries: 0 });
});

test('sends nothing between where keepaliveIntervalMillis is 0', async ({ stage }) => {
  const wire = await stage.wire();
  const pool = stage.pool({
    connectionString: wire.url,
    keepaliveIntervalMillis: 0,
    idleTimeoutMillis: 0,
  });
  await pool.query('select 1');
  wire.news();
  await sleep(1_200);
  expect(wire.news()).toEqual([]);
});

test('tries a connection before it is used only after it idled', async ({ stage }) => {
  const wire = await stage.wire();
  const patient = stage.pool({ connectionString: wire.url, validateAfterIdleMillis: 60_000 });
  await patient.query('select 10');
  await sleep(30);
  await patient.query('select 11');
  await patient.withConnection(() => sleep(30));
  await patient.query('select 12');
  const texts = wire.news().filter((text) => !text.startsWith('reset session'));
  expect(texts).toEqual(['select 10', 'select 11', 'select 12']);

  const doubtful = stage.pool({ connectionString: wire.url, validateAfterIdleMillis: 10 });
  await doubtful.query('select 20');
  await sleep(50);
  await doubtful.query('select 21');
  expect(wire.news()).toEqual(['select 20', 'select 1', 'select 21']);
  expect(doubtful.metrics()).toMatchObject({ totalQueries: 2, connectionsCreated: 1 });
});

test('opens no other connection beside one that was tried and works', async ({ stage }) => {
  const pool = stage.pool({ validateAfterIdleMillis: 1 });
  for (let n = 0; n < 5; n++) {
    await pool.query('select 1');
    await sleep(20);
  }
  await sleep(100);
  expect(pool.metrics()).toMatchObject({ total: 1, connecting: 0, connectionsCreated: 1 });
});

test('replaces unnoticed a connection that was lost while it idled', async ({ stage, admin }) => {
  const pool = stage.pool({ max: 2, validateAfterIdleMillis: 1 });
  const reasons = noteReasons(pool);
  await fill(pool, 2);
  const before = await stage.backends();
  await admin`select pg_terminate_backend(pid, 5000) from unnest(${before}::int[]) as pid`;
  const pids = await Promise.all(Array.from({ length: 20 }, () => pidOf(pool)));
  expect(pids.filter((pid) => before.includes(pid))).toEqual([]);
  // Each was seen to be lost, or found so when it was tried, whichever came first.
  const { lost = 0, validation = 0, ...others } = reasons;
  expect({ gone: lost + validation, others }).toEqual({ gone: 2, others: {} });
  expect(pool.metrics().failedQueries).toBe(0);
});
