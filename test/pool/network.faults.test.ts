import { expect } from 'vitest';
import type { Direction, FaultyProxy } from '../support/proxy.ts';
import { meeting } from '../support/waiting.ts';
import { type FaultsStage, outcomeOf, faultsTest as test } from './pool-kit.ts';

test('gives every caller its own answer where all packets are late', async ({ stage }) => {
  const proxy = await stage.proxy();
  proxy.delay(5, 30);
  const pool = stage.pool({ max: 4, connectionString: proxy.url });
  const numbers = Array.from({ length: 40 }, (_, n) => n);
  const answers = await Promise.all(
    numbers.map((n) =>
      n % 4 === 0
        ? pool.withTransaction((tx) => tx.query<{ n: number }>('select $1::int as n', [n]))
        : pool.query<{ n: number }>('select $1::int as n', [n]),
    ),
  );
  expect(answers.map(({ rows }) => rows[0]?.n)).toEqual(numbers);
  proxy.delay(0);
});

/** What one transaction of two rows sends or receives, on a connection that was warm. */
async function measure(stage: FaultsStage, proxy: FaultyProxy, direction: Direction) {
  const pool = stage.pool({ max: 1, connectionString: proxy.url });
  await pool.query('select 1');
  const before = proxy.passed(direction);
  await pool.withTransaction(async (tx) => {
    await tx.query('insert into kept values ($1, $2)', [-1, 'a']);
    await tx.query('insert into kept values ($1, $2)', [-1, 'b']);
  });
  const bytes = proxy.passed(direction) - before;
  await pool.close();
  await stage.sql`delete from kept`;
  return bytes;
}

const CUTS = 40;

for (const direction of ['toServer', 'toClient'] as const) {
  test(`keeps both rows of a transaction or none, wherever the line is cut ${direction}`, async ({
    stage,
  }) => {
    const proxy = await stage.proxy();
    const bytes = await measure(stage, proxy, direction);
    expect(bytes).toBeGreaterThan(CUTS);
    const pool = stage.pool({ max: 1, connectionString: proxy.url });
    const outcomes = new Set<string>();
    for (let id = 0; id < CUTS; id++) {
      await pool.query('select 1');
      proxy.cutAfter(Math.ceil(((id + 1) * bytes) / CUTS), direction);
      const outcome = await outcomeOf(
        pool.withTransaction(async (tx) => {
          // Whatever happens, this callback goes on.
          await tx.query('insert into kept values ($1, $2)', [id, 'a']).catch(() => undefined);
          await tx.query('insert into kept values ($1, $2)', [id, 'b']).catch(() => undefined);
        }),
      );
      outcomes.add(outcome);
      proxy.cutAfter(Number.POSITIVE_INFINITY, direction);
      // The server may still be reading what arrived before the cut.
      await expect.poll(async () => (await stage.backends()).length <= 1).toBe(true);
      await pool.query('select 1').catch(() => pool.query('select 1'));
      await expect.poll(async () => (await stage.backends()).length).toBe(1);
      const rows = (await stage.kept()).filter((row) => row.startsWith(`${id} `));
      const both = [`${id} a`, `${id} b`];
      const none: string[] = [];
      const possible = { ok: [both], CONNECTION_LOST: [none], OUTCOME_UNKNOWN: [both, none] };
      expect(Object.keys(possible)).toContain(outcome);
      expect(possible[outcome as keyof typeof possible]).toContainEqual(rows);
    }
    expect([...outcomes]).toEqual(expect.arrayContaining(['CONNECTION_LOST', 'OUTCOME_UNKNOWN']));
  });
}

test('connects again where a connection is cut while it is being made', async ({ stage }) => {
  const proxy = await stage.proxy();
  const options = { max: 1, connectionString: proxy.url, acquireTimeoutMillis: 10_000 };
  for (const direction of ['toServer', 'toClient'] as const) {
    for (let bytes = 1; bytes < 400; bytes += 37) {
      const pool = stage.pool(options);
      proxy.cutAfter(bytes, direction);
      expect(await outcomeOf(pool.query('select 1'))).toMatch(/^(ok|CONNECTION_LOST)$/);
      expect(await outcomeOf(pool.query('select 1'))).toBe('ok');
      await pool.close();
    }
  }
});

test('finds out that an idle connection leads nowhere before it is used', async ({ stage }) => {
  const proxy = await stage.proxy();
  const pool = stage.pool({
    max: 2,
    connectionString: proxy.url,
    validateAfterIdleMillis: 1,
    connectionTimeoutMillis: 1_000,
    statementTimeoutMillis: 30_000,
  });
  await pool.query('select 1');
  await new Promise((resolve) => setTimeout(resolve, 50));
  proxy.drop('both');
  expect(await outcomeOf(pool.query('select 1'))).toBe('ok');
  expect(await outcomeOf(pool.withTransaction((tx) => tx.query('select 1')))).toBe('ok');
  proxy.restore();
});

test('finds out that all idle connections lead nowhere, in time for who waits', async ({
  stage,
}) => {
  const proxy = await stage.proxy();
  const pool = stage.pool({
    max: 4,
    connectionString: proxy.url,
    validateAfterIdleMillis: 1,
    connectionTimeoutMillis: 1_000,
    acquireTimeoutMillis: 9_000,
  });
  const meet = meeting(4);
  await Promise.all([1, 2, 3, 4].map(() => pool.withConnection(meet)));
  await new Promise((resolve) => setTimeout(resolve, 50));
  proxy.drop('both');
  expect(await outcomeOf(pool.query('select 1'))).toBe('ok');
  proxy.restore();
});

test('rejects a query whose result is cut off, however much of it came', async ({ stage }) => {
  const proxy = await stage.proxy();
  const pool = stage.pool({ max: 1, connectionString: proxy.url });
  const text = `select repeat('x', 1000) as x from generate_series(1, 2000)`;
  expect((await pool.query(text)).rows).toHaveLength(2_000);
  for (const bytes of [500, 100_000, 1_900_000]) {
    proxy.cutAfter(bytes, 'toClient');
    expect(await outcomeOf(pool.query(text))).toBe('CONNECTION_LOST');
    expect((await pool.query(text)).rows).toHaveLength(2_000);
  }
});

test('ends a query by its deadline where the network falls silent, one way or both', async ({
  stage,
}) => {
  const endsIn = async (direction: Direction | 'both') => {
    const proxy = await stage.proxy();
    const pool = stage.pool({
      max: 1,
      connectionString: proxy.url,
      statementTimeoutMillis: 500,
      connectionTimeoutMillis: 1_000,
    });
    await pool.query('select 1');
    proxy.drop(direction);
    const outcomes = await Promise.all([1, 2].map(() => outcomeOf(pool.query('select 1'))));
    proxy.restore();
    return outcomes;
  };
  const outcomes = await Promise.all((['toServer', 'toClient', 'both'] as const).map(endsIn));
  expect(outcomes).toEqual(Array(3).fill(['STATEMENT_TIMEOUT', 'ok']));
});

test('says that the outcome is unknown where nobody answers the commit', async ({ stage }) => {
  const proxy = await stage.proxy();
  const pool = stage.pool({
    max: 1,
    connectionString: proxy.url,
    statementTimeoutMillis: 500,
    connectionTimeoutMillis: 1_000,
  });
  const transaction = pool.withTransaction(async (tx) => {
    await tx.query(`insert into kept values (1, 'a')`);
    proxy.drop('toClient');
  });
  expect(await outcomeOf(transaction)).toBe('OUTCOME_UNKNOWN');
  await expect.poll(stage.kept).toEqual(['1 a']);
  proxy.restore();
});

test('closes by its deadline where nobody answers', async ({ stage }) => {
  const proxy = await stage.proxy();
  const options = { max: 2, connectionString: proxy.url };
  const pool = stage.pool(options, { isReachable: false });
  await pool.query('select 1');
  proxy.drop('both');
  const stuck = outcomeOf(pool.query('select 1'));
  const idle = stage.pool(options, { isReachable: false });
  await idle.query('select 1');
  proxy.drop('both');
  expect(await outcomeOf(pool.close({ timeoutMillis: 300 }))).toMatch(/^(ok|[A-Z_]+_TIMEOUT)$/);
  expect(await outcomeOf(idle.close({ timeoutMillis: 300 }))).toBe('ok');
  expect(await stuck).toMatch(/^(POOL_CLOSED|CONNECTION_LOST)$/);
});
