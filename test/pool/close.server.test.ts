import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { DatabasePool } from '../../src/pool/pool.ts';
import { failureOf, gate, POLL } from '../support/waiting.ts';
import { test } from './pool-kit.ts';

const use: [what: string, run: (pool: DatabasePool) => Promise<unknown>][] = [
  ['query', (pool) => pool.query('select 1')],
  ['sql', (pool) => pool.sql`select 1`],
  ['withConnection', (pool) => pool.withConnection(async () => 1)],
  ['withTransaction', (pool) => pool.withTransaction(async () => 1)],
  ['warm', (pool) => pool.warm()],
];

for (const [what, run] of use) {
  test(`refuses ${what} once the pool is closed, also while it closes`, async ({ stage }) => {
    const pool = stage.pool();
    await pool.query('select 1');
    const { promise, open } = gate();
    const holder = pool.withConnection(() => promise);
    const closing = pool.close();
    expect(await failureOf(run(pool))).toMatchObject({
      code: 'POOL_CLOSED',
      hint: expect.any(String),
    });
    open();
    await Promise.all([holder, closing]);
    expect(await failureOf(run(pool))).toMatchObject({ code: 'POOL_CLOSED' });
    await expect.poll(stage.backends, POLL).toEqual([]);
    expect(pool.metrics()).toMatchObject({ total: 0, waiting: 0, connecting: 0 });
  });
}

test('closes twice, at once and again, and before the first use', async ({ stage }) => {
  const unused = new DatabasePool({ connectionString: stage.url });
  await unused.close();
  await unused.close();
  const pool = stage.pool();
  await pool.query('select 1');
  await Promise.all([pool.close(), pool.close(), pool.close({ timeoutMillis: 1 })]);
  await pool.close();
  await expect.poll(stage.backends, POLL).toEqual([]);
});

test('lets what is in use and what waits come to its end', async ({ stage }) => {
  const pool = stage.pool({ max: 2 });
  await pool.warm();
  const work = Array.from({ length: 10 }, (_, n) =>
    n % 2 === 0
      ? pool.sql<{ n: number }>`select ${n}::int as n, pg_sleep(0.01)`.then(([row]) => row?.n)
      : pool.withTransaction(async (tx) => {
          await tx.query('select pg_sleep(0.01)');
          await sleep(5);
          const { rows } = await tx.query<{ n: number }>('select $1::int as n', [n]);
          return rows[0]?.n;
        }),
  );
  const closing = pool.close();
  expect(await Promise.all(work)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  await closing;
});

test('waits for as long as it takes where it is told to', async ({ stage }) => {
  for (const timeoutMillis of [Number.POSITIVE_INFINITY, 2 ** 31]) {
    const one = stage.pool({ max: 1 });
    await one.warm();
    const held = one.withConnection(async (connection) => {
      await sleep(60);
      return (await connection.query('select 7 as n')).rows;
    });
    await one.close({ timeoutMillis });
    expect(await held).toEqual([{ n: 7 }]);
  }
});

test('cancels at the deadline what still runs, and sends away who waits', async ({
  stage,
  emptyDb,
}) => {
  const pool = stage.pool({ max: 1 });
  await pool.query('create table kept (id integer)');
  const inside = gate();
  const holder = failureOf(
    pool.withTransaction(async (tx) => {
      await tx.query('insert into kept values (1)');
      inside.open();
      await tx.query('select pg_sleep(100)');
    }),
  );
  await inside.promise;
  const waiting = failureOf(pool.query('select 1'));
  await expect.poll(() => pool.metrics().waiting, POLL).toBe(1);
  await pool.close({ timeoutMillis: 20 });
  expect(await holder).toMatchObject({ code: 'POOL_CLOSED' });
  expect(await waiting).toMatchObject({ code: 'POOL_CLOSED' });
  await expect.poll(() => stage.backends(), POLL).toEqual([]);
  const other = stage.pool();
  expect(await other.sql`select id from kept`).toEqual([]);
  expect(
    await emptyDb.sql`
      select from pg_stat_activity
      where datname = current_database() and query = 'select pg_sleep(100)'`,
  ).toEqual([]);
});

test('closes while it connects', async ({ stage }) => {
  const pool = stage.pool({ min: 3 });
  const work = pool.query('select 1').catch((error) => error.code);
  const warming = pool.warm().catch((error) => error.code);
  await pool.close({ timeoutMillis: 0 });
  expect(['POOL_CLOSED', undefined]).toContain(await warming);
  expect([expect.objectContaining({ rowCount: 1 }), 'POOL_CLOSED']).toContainEqual(await work);
  await expect.poll(() => stage.backends(), POLL).toEqual([]);
  expect(pool.metrics()).toMatchObject({ total: 0, connecting: 0 });
});

test('is closed at the end of a scope', async ({ stage }) => {
  let kept: DatabasePool | undefined;
  {
    await using pool = stage.pool();
    kept = pool;
    expect(await pool.sql`select 1 as n`).toEqual([{ n: 1 }]);
  }
  expect(await failureOf(kept.query('select 1'))).toMatchObject({ code: 'POOL_CLOSED' });
  await expect.poll(stage.backends, POLL).toEqual([]);
});

test('opens nothing for min once it closes', async ({ stage, admin }) => {
  const pool = stage.pool({ min: 2, max: 4 });
  await pool.warm();
  const { promise, open } = gate();
  const holder = pool.withConnection(() => promise).catch(() => undefined);
  const closing = pool.close();
  const pids = await stage.backends();
  await admin`select pg_terminate_backend(pid) from unnest(${pids}::int[]) as pid`;
  await sleep(50);
  open();
  await Promise.all([holder, closing]);
  await expect.poll(() => stage.backends(), POLL).toEqual([]);
  expect(pool.metrics()).toMatchObject({ total: 0, connecting: 0 });
});
