import { expect } from 'vitest';
import { startHoldingProxy } from '../support/proxy.ts';
import { meeting } from '../support/waiting.ts';
import { countOpen, outcomeOf, faultsTest as test } from './pool-kit.ts';

const SLEEPING = `wait_event = 'PgSleep'`;

test('serves the next queries where every idle backend was killed', async ({ stage }) => {
  const pool = stage.pool({ max: 3 });
  const connections = countOpen(pool);
  const meet = meeting(3);
  await Promise.all([1, 2, 3].map(() => pool.withConnection(meet)));
  expect(await stage.kill()).toBe(3);
  await expect.poll(connections).toBe(0);
  const queries = Array.from({ length: 9 }, () => pool.query('select pg_backend_pid()'));
  expect(await Promise.all(queries.map((query) => outcomeOf(query)))).toEqual(Array(9).fill('ok'));
});

test('rejects the query whose backend is killed, and no other', async ({ stage }) => {
  const pool = stage.pool({ max: 2 });
  const lost = outcomeOf(pool.query('select pg_sleep(60)'));
  await stage.until(SLEEPING);
  const other = outcomeOf(pool.query('select $1::int as n', [7]));
  await stage.kill(SLEEPING);
  expect(await lost).toBe('CONNECTION_LOST');
  expect(await other).toBe('ok');
});

test('gives whoever waits a new connection where the only one is killed in a query', async ({
  stage,
}) => {
  const pool = stage.pool({ max: 1 });
  const lost = outcomeOf(pool.query('select pg_sleep(60)'));
  await stage.until(SLEEPING);
  const waiting = Array.from({ length: 5 }, (_, n) => pool.query('select $1::int as n', [n]));
  const held = pool.withConnection((connection) => connection.query('select 1 as one'));
  await stage.kill();
  expect(await lost).toBe('CONNECTION_LOST');
  expect((await Promise.all(waiting)).map(({ rows }) => rows)).toEqual(
    waiting.map((_, n) => [{ n }]),
  );
  expect((await held).rows).toEqual([{ one: 1 }]);
});

test('writes nothing of a callback that goes on after its backend was killed (#1155)', async ({
  stage,
}) => {
  const pool = stage.pool({ max: 1 });
  const outcomes: string[] = [];
  const queued: Promise<string>[] = [];
  const transaction = pool.withTransaction(async (tx) => {
    await tx.query(`insert into kept values (1, 'before')`);
    await stage.kill();
    // Somebody who makes the pool connect again while the callback still runs.
    queued.push(outcomeOf(pool.query('select 1')));
    for (const id of [2, 3, 4]) {
      outcomes.push(await outcomeOf(tx.query(`insert into kept values ($1, 'after')`, [id])));
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    outcomes.push(await outcomeOf(tx.savepoint((sp) => sp.query('select 1'))));
  });
  expect(await outcomeOf(transaction)).toBe('CONNECTION_LOST');
  expect(outcomes).toEqual(Array(4).fill('CONNECTION_LOST'));
  // Inside its own transaction the pool may refuse; it must not hang.
  expect(await Promise.all(queued)).toEqual([expect.stringMatching(/^(ok|POOL_NESTED)$/)]);
  expect(await stage.kept()).toEqual([]);
});

test('rejects a transaction whose backend is killed amid a query, whatever is caught', async ({
  stage,
}) => {
  const pool = stage.pool({ max: 2 });
  const transaction = outcomeOf(
    pool.withTransaction(async (tx) => {
      await tx.query(`insert into kept values (1, 'before')`);
      await tx.query('select pg_sleep(60)').catch(() => undefined);
      await tx.query(`insert into kept values (1, 'after')`).catch(() => undefined);
    }),
  );
  await stage.until(SLEEPING);
  await stage.kill(SLEEPING);
  expect(await transaction).toBe('CONNECTION_LOST');
  expect(await stage.kept()).toEqual([]);
});

test('runs a transaction again only where that was safe and asked for', async ({ stage }) => {
  const pool = stage.pool({ max: 1 });
  let runs = 0;
  const transaction = pool.withTransaction(
    async (tx) => {
      runs += 1;
      await tx.query(`insert into kept values ($1, 'run')`, [runs]);
      if (runs === 1) await stage.kill();
      await tx.query('select 1');
    },
    { retries: 3 },
  );
  const outcome = await outcomeOf(transaction);
  expect(await stage.kept()).toEqual(outcome === 'ok' ? ['2 run'] : []);
});

test('says that the outcome is unknown where the commit was lost on its way', async ({ stage }) => {
  const proxy = await stage.proxy();
  const pool = stage.pool({ max: 1, connectionString: proxy.url });
  await pool.query('select 1');
  proxy.cutOn('commit', { forward: false });
  const transaction = pool.withTransaction((tx) => tx.query(`insert into kept values (1, 'a')`));
  expect(await outcomeOf(transaction)).toBe('OUTCOME_UNKNOWN');
  expect(await stage.kept()).toEqual([]);
});

test('says that the outcome is unknown where the answer to the commit was lost', async ({
  stage,
  onTestFinished,
}) => {
  const proxy = await startHoldingProxy(stage.url);
  onTestFinished(proxy.close);
  const pool = stage.pool({ max: 1, connectionString: proxy.url }, { isReachable: false });
  await pool.query('select 1');
  const work = (tx: { query: typeof pool.query }) => tx.query(`insert into kept values (1, 'a')`);
  const transaction = outcomeOf(pool.withTransaction(work, { retries: 3 }));
  await proxy.held;
  proxy.cut();
  expect(await transaction).toBe('OUTCOME_UNKNOWN');
  expect(await stage.kept()).toEqual(['1 a']);
});

test('never runs a transaction twice whose commit may have arrived', async ({ stage }) => {
  const proxy = await stage.proxy();
  const pool = stage.pool({ max: 1, connectionString: proxy.url });
  await pool.query('select 1');
  proxy.cutOn('commit', { forward: true });
  const work = (tx: { query: typeof pool.query }) => tx.query(`insert into kept values (1, 'a')`);
  expect(await outcomeOf(pool.withTransaction(work, { retries: 5 }))).toBe('OUTCOME_UNKNOWN');
  await expect.poll(stage.kept).toEqual(['1 a']);
  // Nor is the loss of what only read worth an alarm of its own.
  expect(await outcomeOf(pool.query('select 1'))).toBe('ok');
});

test('survives a hundred kills among a thousand queries and transactions', async ({ stage }) => {
  const pool = stage.pool({ max: 4 });
  let isOver = false;
  const confirmed = new Set<number>();
  const unknown = new Set<number>();
  const worker = async (first: number) => {
    for (let id = first; id < first + 125; id++) {
      const outcome = await outcomeOf(
        pool.withTransaction(async (tx) => {
          await tx.query(`insert into kept values ($1, 'a')`, [id]);
          await tx.query(`insert into kept values ($1, 'b')`, [id]);
        }),
      );
      if (outcome === 'ok') confirmed.add(id);
      else if (outcome === 'OUTCOME_UNKNOWN') unknown.add(id);
      else expect(outcome).toBe('CONNECTION_LOST');
      expect(await outcomeOf(pool.query('select 1'))).toMatch(/^(ok|CONNECTION_LOST)$/);
    }
  };
  const killer = async () => {
    for (let n = 0; n < 100 && !isOver; n++) await stage.kill(`random() < 0.4`);
  };
  const killing = killer();
  await Promise.all([0, 1000, 2000, 3000].map(worker));
  isOver = true;
  await killing;
  const rows = await stage.sql`
    select id, string_agg(what, '' order by what) as whats from kept group by id order by id`;
  for (const { id, whats } of rows) {
    expect({ id, whats }).toEqual({ id, whats: 'ab' });
    expect(confirmed.has(id) || unknown.has(id)).toBe(true);
  }
  const present = new Set(rows.map(({ id }) => id));
  expect([...confirmed].filter((id) => !present.has(id))).toEqual([]);
});
