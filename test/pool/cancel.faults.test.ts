import { expect } from 'vitest';
import { outcomeOf, faultsTest as test } from './pool-kit.ts';

const ABORTED = /^(ABORT_ERR|20|AbortError.*|INTERRUPTED|STATEMENT_.*|QUERY_FAILED)$/;

test('cancels no query of the next caller, whenever the first one is aborted', async ({
  stage,
}) => {
  const pool = stage.pool({ max: 1 });
  await pool.query('select 1');
  let aborted = 0;
  for (let n = 0; n < 120; n++) {
    const controller = new AbortController();
    const first = pool.query('select pg_sleep(0.003)', [], { signal: controller.signal }).then(
      () => 'ok',
      () => 'aborted',
    );
    setTimeout(() => controller.abort(), n % 8);
    if ((await first) === 'aborted') aborted += 1;
    expect(await outcomeOf(pool.query('select pg_sleep(0.004)'))).toBe('ok');
  }
  expect(aborted).toBeGreaterThan(0);
});

test('takes an aborted caller out of the queue, and serves the others', async ({ stage }) => {
  const pool = stage.pool({ max: 1 });
  const controller = new AbortController();
  const holder = pool.query('select pg_sleep(0.3)');
  const aborted = pool.query(`insert into kept values (1, 'a')`, [], { signal: controller.signal });
  const other = outcomeOf(pool.query('select 1'));
  const outcome = outcomeOf(aborted);
  controller.abort();
  expect(String(await outcome)).toMatch(ABORTED);
  expect(await outcomeOf(holder)).toBe('ok');
  expect(await other).toBe('ok');
  expect(await stage.kept()).toEqual([]);
});

test('rolls back a transaction that is aborted, in a query or between two', async ({ stage }) => {
  const pool = stage.pool({ max: 1 });
  for (const text of ['select pg_sleep(60)', undefined]) {
    const controller = new AbortController();
    const transaction = outcomeOf(
      pool.withTransaction(
        async (tx) => {
          await tx.query(`insert into kept values (1, 'a')`);
          setTimeout(() => controller.abort(), 50);
          if (text) await tx.query(text);
          else await new Promise(() => undefined);
        },
        { signal: controller.signal },
      ),
    );
    expect(await transaction).not.toMatch(/^(ok|pending)$/);
    expect(await outcomeOf(pool.query('select 1'))).toBe('ok');
  }
  const already = AbortSignal.abort();
  const never = pool.withTransaction((tx) => tx.query(`insert into kept values (1, 'b')`), {
    signal: already,
  });
  expect(await outcomeOf(never)).not.toMatch(/^(ok|pending)$/);
  expect(await stage.kept()).toEqual([]);
});

test('ends what runs too long on the server, and not the statement after it', async ({ stage }) => {
  const pool = stage.pool({ max: 1, statementTimeoutMillis: 100 });
  for (let n = 0; n < 5; n++) {
    expect(await outcomeOf(pool.query('select pg_sleep(60)'))).toBe('STATEMENT_TIMEOUT');
    expect(await outcomeOf(pool.query('select 1'))).toBe('ok');
  }
  const transaction = pool.withTransaction(async (tx) => {
    await tx.query(`insert into kept values (1, 'a')`);
    await tx.query('select pg_sleep(60)').catch(() => undefined);
    await tx.query(`insert into kept values (1, 'b')`).catch(() => undefined);
  });
  expect(await outcomeOf(transaction)).not.toMatch(/^(ok|pending)$/);
  expect(await stage.kept()).toEqual([]);
  await expect
    .poll(async () => (await stage.backends()).filter(({ state }) => state === 'active'))
    .toEqual([]);
});

test('gives a connection that arrives after its caller’s deadline to the next', async ({
  stage,
}) => {
  const pool = stage.pool({ max: 1, acquireTimeoutMillis: 200 });
  const holder = pool.withConnection((connection) => connection.query('select pg_sleep(0.5)'));
  const tooLate = Array.from({ length: 20 }, () => outcomeOf(pool.query('select 1')));
  expect(await Promise.all(tooLate)).toEqual(Array(20).fill('ACQUIRE_TIMEOUT'));
  await holder;
  expect(await outcomeOf(pool.query('select 1'))).toBe('ok');
});

test('ends for its signal what has a connection and is not sent yet', async ({ stage }) => {
  const pool = stage.pool({ max: 1 });
  const aborted = (call: (signal: AbortSignal, abort: () => void) => Promise<unknown>) => {
    const controller = new AbortController();
    const abort = () => controller.abort(Object.assign(new Error('given up'), { code: 'MINE' }));
    return outcomeOf(call(controller.signal, abort));
  };
  const insert = `insert into kept values (1, 'a')`;
  expect(await aborted((signal, onSend) => pool.query(insert, [], { signal, onSend }))).toBe(
    'MINE',
  );
  expect(
    await aborted((signal, abort) => {
      pool.once('acquire', abort);
      return pool.query(insert, [], { signal });
    }),
  ).toBe('MINE');
  expect(
    await aborted((signal, abort) => {
      pool.once('acquire', abort);
      return pool.withTransaction((tx) => tx.query(insert), { signal });
    }),
  ).toBe('MINE');
  expect(await stage.kept()).toEqual([]);
});

test('throws the reason of a signal that aborts before the first statement is sent', async ({
  stage,
}) => {
  const proxy = await stage.proxy();
  const pool = stage.pool({ connectionString: proxy.url, max: 1 });
  const insert = `insert into kept values (1, 'a')`;
  const reason = Object.assign(new Error('given up'), { code: 'MINE' });
  const calls: ((signal: AbortSignal) => Promise<unknown>)[] = [
    (signal) => pool.query(insert, [], { signal, statementTimeoutMillis: 5_000 }),
    (signal) =>
      pool.withConnection((connection) => connection.query(insert), {
        signal,
        statementTimeoutMillis: 5_000,
      }),
    (signal) => pool.withTransaction((tx) => tx.query(insert), { signal }),
  ];
  for (const call of calls) {
    await pool.query('select 1');
    proxy.delay(150);
    const controller = new AbortController();
    const outcome = outcomeOf(call(controller.signal));
    setTimeout(() => controller.abort(reason), 50);
    expect(await outcome).toBe('MINE');
    proxy.delay(0);
  }
  expect(await stage.kept()).toEqual([]);
});
