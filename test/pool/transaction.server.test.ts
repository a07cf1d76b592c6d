import { expect } from 'vitest';
import { DatabasePool } from '../../src/pool/pool.ts';
import type { TransactionOptions } from '../../src/pool/transaction.ts';
import { failureOf, gate, meeting, POLL } from '../support/waiting.ts';
import { test } from './pool-kit.ts';

const MODES = `select current_setting('transaction_isolation') as isolation,
  current_setting('transaction_read_only') as reads,
  current_setting('transaction_deferrable') as waits`;

test('begins as the options say, and as the database says without them', async ({ stage }) => {
  const pool = stage.pool({ max: 1 });
  const modes: [options: TransactionOptions, modes: unknown[]][] = [
    [{}, ['read committed', 'off', 'off']],
    [{ isolation: 'repeatable read' }, ['repeatable read', 'off', 'off']],
    [{ isolation: 'serializable', readOnly: true, deferrable: true }, ['serializable', 'on', 'on']],
    [{ readOnly: true }, ['read committed', 'on', 'off']],
    [{ readOnly: false, isolation: 'read committed' }, ['read committed', 'off', 'off']],
  ];
  for (const [options, expected] of [...modes, ...modes]) {
    const { rows } = await pool.withTransaction((tx) => tx.query(MODES), options);
    expect(Object.values(rows[0] ?? {})).toEqual(expected);
  }
  const write = (options: TransactionOptions) =>
    pool.withTransaction((tx) => tx.query('create table t (id integer)'), options);
  expect(await failureOf(write({ readOnly: true }))).toMatchObject({
    code: 'READ_ONLY',
    sqlstate: '25006',
  });
});

test('refuses options that are none, and runs nothing', async ({ stage }) => {
  const wire = await stage.wire();
  const pool = stage.pool({ connectionString: wire.url });
  await pool.query('select 1');
  wire.news();
  const wrong: object[] = [
    { isolation: 'serializable; drop table t' },
    { isolation: 'Serializable' },
    { retries: 1.5 },
    { retries: -1 },
    { retries: '2' },
    { timeoutMillis: Number.NaN },
  ];
  let runs = 0;
  for (const options of wrong) {
    const error = await failureOf(pool.withTransaction(async () => void runs++, options));
    expect(error).toMatchObject({ code: 'USAGE' });
    expect(error.message).toContain(Object.keys(options)[0]);
  }
  expect(runs).toBe(0);
  expect(wire.news()).toEqual([]);
});

test('gives back what the callback gives, whatever it is', async ({ stage }) => {
  const pool = stage.pool({ max: 1 });
  for (const value of [undefined, null, 0, '', false, [1], { a: 1 }, new Error('as a value')]) {
    expect(await pool.withTransaction(async () => value)).toBe(value);
    expect(await pool.withConnection(async () => value)).toBe(value);
  }
  const thrown = [new Error('no'), 'text', undefined, null, { code: '40001' }];
  for (const value of thrown) {
    const outcome = await pool
      .withTransaction(async () => {
        throw value;
      })
      .then(
        () => 'ok',
        (error) => [error],
      );
    expect(outcome).toEqual([value]);
  }
  expect(pool.metrics().transactionRetries).toBe(0);
});

test('refuses a callback that is not asynchronous no more than one that is', async ({ stage }) => {
  const pool = stage.pool({ max: 1 });
  const work = (() => 7) as unknown as () => Promise<number>;
  expect(await pool.withTransaction(work)).toBe(7);
  expect(await pool.withConnection(work)).toBe(7);
  const failing = (() => {
    throw new Error('at once');
  }) as () => Promise<never>;
  expect(await failureOf(pool.withTransaction(failing))).toMatchObject({ message: 'at once' });
  expect(await failureOf(pool.withConnection(failing))).toMatchObject({ message: 'at once' });
  expect(await pool.sql`select 1 as n`).toEqual([{ n: 1 }]);
});

test('tells the audit log who did it', async ({ db }) => {
  const pool = new DatabasePool({ connectionString: db.url, max: 1 });
  const insert = 'insert into users (name, email, password_hash) values ($1, $2, $3)';
  const hash = `$2b$12$${'a'.repeat(53)}`;
  const actors = ['ann', `o'neil \\ "ä" 😀`, undefined, ''];
  for (const [n, actor] of actors.entries()) {
    await pool.withTransaction((tx) => tx.query(insert, ['Ann', `a${n}@example.com`, hash]), {
      actor,
    });
  }
  await pool.query(insert, ['Ann', 'plain@example.com', hash]);
  const { rows } = await pool.query(
    `select actor from audit_logs where table_name = 'users' order by id`,
  );
  expect(rows.map(({ actor }) => actor)).toEqual(['ann', `o'neil \\ "ä" 😀`, null, null, null]);
  await pool.close();
});

test('tries again what could not be serialized, and counts it', async ({ stage }) => {
  const pool = stage.pool({ max: 2 });
  await pool.query('create table t (id integer, n integer)');
  await pool.query('insert into t values (1, 0), (2, 0)');
  const meet = meeting(2);
  const runs: Record<number, number> = {};
  const add = (id: number) =>
    pool.withTransaction(
      async (tx) => {
        runs[id] = (runs[id] ?? 0) + 1;
        const { rows } = await tx.query<{ n: number }>('select sum(n)::int as n from t');
        if (runs[id] === 1) await meet();
        await tx.query('update t set n = $1 where id = $2', [(rows[0]?.n ?? 0) + 1, id]);
      },
      { isolation: 'serializable' },
    );
  await Promise.all([add(1), add(2)]);
  expect(await pool.sql`select n from t order by n`).toEqual([{ n: 1 }, { n: 2 }]);
  expect(Object.values(runs).toSorted()).toEqual([1, 2]);
  expect(pool.metrics().transactionRetries).toBe(1);
});

for (const retries of [3, 0]) {
  test(`runs ${retries === 0 ? 'no' : 'the'} victim of a deadlock again with retries ${retries}`, async ({
    stage,
  }) => {
    const pool = stage.pool({ max: 2 });
    await pool.query('create table t (id integer primary key, n integer)');
    await pool.query('insert into t values (1, 0), (2, 0)');
    const meet = meeting(2);
    let runs = 0;
    const move = (first: number, second: number) =>
      pool.withTransaction(
        async (tx) => {
          runs += 1;
          await tx.query('update t set n = n + 1 where id = $1', [first]);
          if (runs <= 2) await meet();
          await tx.query('update t set n = n + 1 where id = $1', [second]);
        },
        { retries },
      );
    const outcomes = await Promise.allSettled([move(1, 2), move(2, 1)]);
    const failed = outcomes.filter(({ status }) => status === 'rejected');
    const done = retries === 0 ? 1 : 2;
    expect(failed.length).toBe(2 - done);
    if (retries === 0) expect(failed).toMatchObject([{ reason: { sqlstate: '40P01' } }]);
    expect(await pool.sql`select n from t`).toEqual([{ n: done }, { n: done }]);
    expect(pool.metrics().transactionRetries).toBe(retries === 0 ? 0 : 1);
  });
}

test('gives up after so many retries, with the last error', async ({ stage }) => {
  const pool = stage.pool({ max: 1 });
  for (const retries of [0, 1, 2]) {
    let runs = 0;
    const error = await failureOf(
      pool.withTransaction(
        async (tx) => {
          runs += 1;
          await tx.query(`do $$ begin raise 'run %', ${runs} using errcode = '40001'; end $$`);
        },
        { retries },
      ),
    );
    expect(error).toMatchObject({ sqlstate: '40001', message: `run ${retries + 1}` });
    expect(runs).toBe(retries + 1);
  }
});

test('tries again also where the application wrapped the error, and not where it swallowed it', async ({
  stage,
}) => {
  const pool = stage.pool({ max: 1 });
  const fail = `do $$ begin raise 'no' using errcode = '40P01'; end $$`;
  let runs = 0;
  const wrapping = pool.withTransaction(async (tx) => {
    runs += 1;
    if (runs === 1) {
      await tx.query(fail).catch((cause) => {
        throw new Error('order failed', { cause });
      });
    }
    return runs;
  });
  expect(await wrapping).toBe(2);
  let swallowed = 0;
  const swallowing = pool.withTransaction(async (tx) => {
    swallowed += 1;
    if (swallowed === 1) await tx.query(fail).catch(() => undefined);
    return swallowed;
  });
  expect(await swallowing).toBe(2);
  expect(pool.metrics().transactionRetries).toBe(2);
});

test('rolls back what a signal interrupts, before it begins too', async ({ stage }) => {
  const pool = stage.pool({ max: 1 });
  await pool.query('create table t (id integer)');
  const reason = new Error('gone');
  let runs = 0;
  const early = pool.withTransaction(async () => void runs++, {
    signal: AbortSignal.abort(reason),
  });
  expect(await failureOf(early)).toBe(reason);
  expect(runs).toBe(0);
  const stop = new AbortController();
  const inside = gate();
  const work = failureOf(
    pool.withTransaction(
      async (tx) => {
        await tx.query('insert into t values (1)');
        inside.open();
        await tx.query('select pg_sleep(100)');
      },
      { signal: stop.signal },
    ),
  );
  await inside.promise;
  stop.abort(reason);
  expect(await work).toBe(reason);
  await expect.poll(() => pool.metrics().used, POLL).toBe(0);
  expect(await pool.sql`select id from t`).toEqual([]);
});
