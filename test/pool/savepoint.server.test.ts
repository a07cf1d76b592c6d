import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import type { Transaction } from '../../src/pool/transaction.ts';
import { failureOf } from '../support/waiting.ts';
import { test } from './pool-kit.ts';

const add = (tx: Transaction, id: number) => tx.query('insert into t values ($1)', [id]);
const breakIt = (tx: Transaction) => tx.query('select 1 / (pg_backend_pid() * 0)');
const IDS = `select coalesce(array_agg(id order by id), '{}') as ids from t`;

test('keeps what succeeded, and rolls back what failed, however deep', async ({ stage }) => {
  const pool = stage.pool({ max: 1 });
  await pool.query('create table t (id integer)');
  const given = await pool.withTransaction(async (tx) => {
    await add(tx, 1);
    const value = await tx.savepoint(async (inner) => {
      await add(inner, 2);
      const error = await failureOf(
        inner.savepoint(async (deep) => {
          await add(deep, 3);
          await deep.savepoint((deeper) => add(deeper, 4));
          await breakIt(deep);
        }),
      );
      expect(error).toMatchObject({ sqlstate: '22012' });
      await inner.savepoint((deep) => add(deep, 5));
      return 'inner';
    });
    await failureOf(
      tx.savepoint(async (inner) => {
        await add(inner, 6);
        throw new Error('of its own');
      }),
    );
    await add(tx, 7);
    return value;
  });
  expect(given).toBe('inner');
  expect((await pool.query(IDS)).rows).toEqual([{ ids: [1, 2, 5, 7] }]);
});

test('lets the error of a savepoint end the transaction where nobody catches it', async ({
  stage,
}) => {
  const pool = stage.pool({ max: 1 });
  await pool.query('create table t (id integer)');
  const error = await failureOf(
    pool.withTransaction(async (tx) => {
      await add(tx, 1);
      await tx.savepoint(breakIt);
    }),
  );
  expect(error).toMatchObject({ sqlstate: '22012' });
  expect((await pool.query(IDS)).rows).toEqual([{ ids: [] }]);
});

test('fails a savepoint in which an error was swallowed, and keeps the transaction', async ({
  stage,
}) => {
  const pool = stage.pool({ max: 1 });
  await pool.query('create table t (id integer)');
  await pool.withTransaction(async (tx) => {
    await add(tx, 1);
    const error = await failureOf(
      tx.savepoint(async (inner) => {
        await add(inner, 2);
        await breakIt(inner).catch(() => undefined);
        return 'as if nothing had been';
      }),
    );
    expect(error).toMatchObject({ code: 'TRANSACTION_ROLLED_BACK', cause: { sqlstate: '22012' } });
    await add(tx, 3);
  });
  expect((await pool.query(IDS)).rows).toEqual([{ ids: [1, 3] }]);
});

test('refuses savepoints that overlap, and their handles after their end', async ({ stage }) => {
  const pool = stage.pool({ max: 1 });
  await pool.query('create table t (id integer)');
  await pool.withTransaction(async (tx) => {
    const first = tx.savepoint((inner) => add(inner, 1));
    const second = failureOf(tx.savepoint((inner) => add(inner, 2)));
    expect(await second).toMatchObject({ code: 'TRANSACTION_CONTROL' });
    await first;
    let kept: Transaction = tx;
    await tx.savepoint(async (inner) => {
      kept = inner;
      await add(inner, 3);
    });
    expect(await failureOf(add(kept, 4))).toMatchObject({ code: 'CONNECTION_RETURNED' });
    expect(await failureOf(kept.savepoint((inner) => add(inner, 5)))).toMatchObject({
      code: 'CONNECTION_RETURNED',
    });
    await add(tx, 6);
  });
  expect((await pool.query(IDS)).rows).toEqual([{ ids: [1, 3, 6] }]);
});

test('waits in a savepoint for what its callback does not await', async ({ stage }) => {
  const pool = stage.pool({ max: 1 });
  await pool.query('create table t (id integer)');
  await pool.withTransaction(async (tx) => {
    await tx.savepoint(async (inner) => {
      void inner.query('select pg_sleep(0.02)');
      void add(inner, 1);
    });
    const failed = tx.savepoint(async (inner) => {
      void add(inner, 2);
      void breakIt(inner).catch(() => undefined);
    });
    expect(await failureOf(failed)).toMatchObject({ code: 'TRANSACTION_ROLLED_BACK' });
  });
  expect((await pool.query(IDS)).rows).toEqual([{ ids: [1] }]);
});

test('does not let a statement beside a savepoint be rolled back with it', async ({ stage }) => {
  const pool = stage.pool({ max: 1 });
  await pool.query('create table t (id integer)');
  const work = pool.withTransaction(async (tx) => {
    const inner = tx.savepoint(async (one) => {
      await add(one, 1);
      await breakIt(one);
    });
    const beside = add(tx, 2);
    await failureOf(inner);
    await beside;
  });
  // Whether it is refused or kept: it must not be acknowledged and gone.
  const outcome = await work.then(
    () => 'ok',
    () => 'failed',
  );
  const { rows } = await pool.query(IDS);
  expect({ outcome, ids: rows[0]?.ids }).toEqual(
    outcome === 'ok' ? { outcome, ids: [2] } : { outcome, ids: [] },
  );
});

test('says that a commit failed where a deferred constraint refuses it', async ({ stage }) => {
  const pool = stage.pool({ max: 1 });
  await pool.query('create table t (id integer unique deferrable initially deferred)');
  await pool.query('insert into t values (1)');
  const work = pool.withTransaction(async (tx) => {
    await add(tx, 1);
    await tx.savepoint((inner) => add(inner, 2));
    return 'done';
  });
  expect(await failureOf(work)).toMatchObject({ sqlstate: '23505', table: 't' });
  expect((await pool.query(IDS)).rows).toEqual([{ ids: [1] }]);
  expect(pool.metrics()).toMatchObject({ connectionsCreated: 1 });
});

test('says that it was rolled back where the error of a statement was swallowed', async ({
  stage,
}) => {
  const pool = stage.pool({ max: 1 });
  await pool.query('create table t (id integer)');
  const work = pool.withTransaction(async (tx) => {
    await add(tx, 1);
    await breakIt(tx).catch(() => undefined);
    await add(tx, 2).catch(() => undefined);
    return 'done';
  });
  expect(await failureOf(work)).toMatchObject({
    code: 'TRANSACTION_ROLLED_BACK',
    cause: { sqlstate: '22012' },
  });
  expect((await pool.query(IDS)).rows).toEqual([{ ids: [] }]);
});

test('waits for a savepoint that nobody awaits, and fails with it', async ({ stage }) => {
  const pool = stage.pool({ max: 1 });
  await pool.query('create table t (id integer)');
  const addSlowly = async (tx: Transaction, id: number) => {
    await tx.query('select pg_sleep(0.05)');
    await add(tx, id);
  };
  await pool.withTransaction(async (tx) => {
    void tx.savepoint(async (inner) => {
      await addSlowly(inner, 1);
      void inner.savepoint((deep) => addSlowly(deep, 2));
    });
  });
  expect((await pool.query(IDS)).rows).toEqual([{ ids: [1, 2] }]);
  for (const wrap of [
    (tx: Transaction, work: (inner: Transaction) => Promise<unknown>) => work(tx),
    (tx: Transaction, work: (inner: Transaction) => Promise<unknown>) => tx.savepoint(work),
  ]) {
    const error = await failureOf(
      pool.withTransaction((tx) =>
        wrap(tx, async (inner) => {
          await add(inner, 3);
          void inner.savepoint(async (deep) => {
            await addSlowly(deep, 4);
            await breakIt(deep);
          });
        }),
      ),
    );
    expect(error).toMatchObject({
      code: 'TRANSACTION_ROLLED_BACK',
      cause: { sqlstate: '22012' },
    });
  }
  expect((await pool.query(IDS)).rows).toEqual([{ ids: [1, 2] }]);
});

test('lets no savepoint outlive the callback that opened it', async ({ stage }) => {
  const pool = stage.pool({ max: 1 });
  await pool.query('create table t (id integer)');
  const late: Promise<unknown>[] = [];
  const openAndFail = async (tx: Transaction) => {
    void tx.savepoint((inner) => {
      const added = inner.query('select pg_sleep(0.05)').then(() => add(inner, 1));
      late.push(failureOf(added));
      return added;
    });
    await sleep(20);
    throw new Error('of its own');
  };
  expect(await failureOf(pool.withTransaction(openAndFail))).toMatchObject({
    message: 'of its own',
  });
  await pool.withTransaction(async (tx) => {
    await failureOf(tx.savepoint(openAndFail));
    await tx.query('select pg_sleep(0.1)');
  });
  expect((await pool.query(IDS)).rows).toEqual([{ ids: [] }]);
  for (const error of await Promise.all(late)) {
    expect(error).toMatchObject({ code: 'CONNECTION_RETURNED' });
  }
});
