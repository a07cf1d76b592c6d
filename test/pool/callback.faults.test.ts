import { expect } from 'vitest';
import type { DatabasePool } from '../../src/pool/pool.ts';
import { outcomeOf, faultsTest as test } from './pool-kit.ts';

type Handle = Parameters<Parameters<DatabasePool['withConnection']>[0]>[0];
type Tx = Parameters<Parameters<DatabasePool['withTransaction']>[0]>[0];

test('rolls back what a callback wrote that throws, and throws its very error', async ({
  stage,
}) => {
  const pool = stage.pool({ max: 1 });
  for (const reason of [new Error('no'), 'a text', undefined, null, { code: 'object' }]) {
    const transaction = pool.withTransaction(async (tx) => {
      await tx.query(`insert into kept values (1, 'a')`);
      throw reason;
    });
    await expect(transaction.catch((error) => ({ error }))).resolves.toEqual({ error: reason });
  }
  const synchronous = pool.withTransaction(() => {
    throw new Error('at once');
  });
  await expect(synchronous).rejects.toThrow('at once');
  await expect(
    pool.withConnection(() => {
      throw new Error('at once');
    }),
  ).rejects.toThrow('at once');
  expect(await stage.kept()).toEqual([]);
});

test('closes by its deadline where a callback hangs, in a transaction or not', async ({
  stage,
}) => {
  const pool = stage.pool({ max: 3 });
  const never = new Promise<never>(() => undefined);
  const hanging = [
    outcomeOf(pool.withConnection(() => never)),
    outcomeOf(
      pool.withTransaction(async (tx) => {
        await tx.query(`insert into kept values (1, 'a')`);
        return never;
      }),
    ),
    outcomeOf(pool.query('select pg_sleep(60)')),
  ];
  await stage.until(`wait_event = 'PgSleep'`);
  expect(await outcomeOf(pool.close({ timeoutMillis: 300 }))).not.toBe('pending');
  await expect.poll(stage.backends, { timeout: 10_000 }).toEqual([]);
  expect(await hanging[2]).toMatch(/^(POOL_CLOSED|CONNECTION_LOST)$/);
  expect(await stage.kept()).toEqual([]);
});

test('ends a transaction that hangs by its timeout, and gives its connection to nobody else', async ({
  stage,
}) => {
  const pool = stage.pool({ max: 1 });
  let late: Tx | undefined;
  const hangs = pool.withTransaction(
    async (tx) => {
      late = tx;
      await tx.query(`insert into kept values (1, 'a')`);
      await new Promise(() => undefined);
    },
    { timeoutMillis: 300 },
  );
  expect(await outcomeOf(hangs)).toBe('TRANSACTION_TIMEOUT');
  const waits = pool.withTransaction((tx) => tx.query('select pg_sleep(60)'), {
    timeoutMillis: 300,
  });
  expect(await outcomeOf(waits)).toBe('TRANSACTION_TIMEOUT');
  expect(await outcomeOf(pool.query('select 1'))).toBe('ok');
  const tooLate = late?.query(`insert into kept values (1, 'b')`) ?? Promise.resolve();
  expect(await outcomeOf(tooLate)).toMatch(
    /^(CONNECTION_RETURNED|TRANSACTION_TIMEOUT|CONNECTION_LOST)$/,
  );
  expect(await stage.kept()).toEqual([]);
});

test('ends a transaction by its timeout that waits for what its callback did not', async ({
  stage,
}) => {
  const pool = stage.pool({ max: 1 });
  const transaction = pool.withTransaction(
    async (tx) => {
      await tx.query(`insert into kept values (1, 'a')`);
      tx.query('select pg_sleep(60)').catch(() => undefined);
    },
    { timeoutMillis: 300 },
  );
  expect(await outcomeOf(transaction)).toBe('TRANSACTION_TIMEOUT');
  expect(await stage.kept()).toEqual([]);
});

test('does not call a transaction rolled back whose timeout strikes amid its commit', async ({
  stage,
}) => {
  await stage.sql.unsafe(`
    create function doze() returns trigger language plpgsql as $$
    begin perform pg_sleep(0.8); return null; end $$;
    create constraint trigger doze after insert on kept deferrable initially deferred
      for each row execute function doze();`);
  const pool = stage.pool({ max: 1 });
  const transaction = pool.withTransaction((tx) => tx.query(`insert into kept values (1, 'a')`), {
    timeoutMillis: 300,
  });
  expect(await outcomeOf(transaction)).toBe('OUTCOME_UNKNOWN');
  expect(await outcomeOf(pool.query('select 1'))).toBe('ok');
});

test('survives that the server ends a transaction that idles', async ({ stage }) => {
  const pool = stage.pool({ max: 1, idleInTransactionTimeoutMillis: 200 });
  const outcomes: string[] = [];
  const transaction = pool.withTransaction(async (tx) => {
    await tx.query(`insert into kept values (1, 'a')`);
    await expect.poll(stage.backends).toEqual([]);
    outcomes.push(await outcomeOf(tx.query(`insert into kept values (1, 'b')`)));
    outcomes.push(await outcomeOf(tx.query(`insert into kept values (1, 'c')`)));
  });
  expect(await outcomeOf(transaction)).toMatch(/^(CONNECTION_LOST|TRANSACTION_TIMEOUT)$/);
  for (const outcome of outcomes)
    expect(outcome).toMatch(/^(CONNECTION_LOST|TRANSACTION_TIMEOUT)$/);
  expect(await stage.kept()).toEqual([]);
});

test('refuses a connection or a transaction that was given back', async ({ stage }) => {
  const pool = stage.pool({ max: 1 });
  let handle: Handle | undefined;
  let transaction: Tx | undefined;
  let savepoint: Tx | undefined;
  await pool.withConnection(async (connection) => {
    handle = connection;
  });
  await pool.withTransaction(async (tx) => {
    transaction = tx;
    await tx.savepoint(async (sp) => {
      savepoint = sp;
    });
    // The savepoint is over, its transaction is not.
    expect(await outcomeOf(Promise.resolve(savepoint?.query('select 1')))).toBe(
      'CONNECTION_RETURNED',
    );
  });
  const insert = `insert into kept values (1, 'a')`;
  await pool.withTransaction(async () => {
    // The same connection is in a transaction of somebody else now.
    for (const late of [handle, transaction, savepoint]) {
      expect(await outcomeOf(Promise.resolve(late?.query(insert)))).toBe('CONNECTION_RETURNED');
      const read = async () => (late ? late.sql`select 1` : []);
      expect(await outcomeOf(read())).toBe('CONNECTION_RETURNED');
    }
    const later = transaction?.savepoint((sp) => sp.query(insert));
    expect(await outcomeOf(Promise.resolve(later))).toBe('CONNECTION_RETURNED');
  });
  expect(await stage.kept()).toEqual([]);
});

test('does not call a commit done that the server made a rollback', async ({ stage }) => {
  const pool = stage.pool({ max: 1 });
  const transaction = pool.withTransaction(async (tx) => {
    await tx.query(`insert into kept values (1, 'a')`);
    await tx.query('select 1 / 0').catch(() => undefined);
    return 'all is well';
  });
  expect(await outcomeOf(transaction)).toBe('TRANSACTION_ROLLED_BACK');
  expect(await stage.kept()).toEqual([]);
});

test('rolls back a savepoint alone, also where its error is caught', async ({ stage }) => {
  const pool = stage.pool({ max: 1 });
  await pool.withTransaction(async (tx) => {
    await tx.query(`insert into kept values (1, 'a')`);
    await tx
      .savepoint(async (sp) => {
        await sp.query(`insert into kept values (1, 'b')`);
        await sp.query('select 1 / 0');
      })
      .catch(() => undefined);
    await tx
      .savepoint(async (sp) => {
        await sp.query(`insert into kept values (1, 'c')`);
        await sp.query('select 1 / 0').catch(() => undefined);
      })
      .catch(() => undefined);
    await tx.savepoint((sp) => sp.query(`insert into kept values (1, 'd')`));
  });
  expect(await stage.kept()).toEqual(['1 a', '1 d']);
});

test('keeps what a callback starts and does not await inside its transaction', async ({
  stage,
}) => {
  const pool = stage.pool({ max: 1 });
  const started: Promise<unknown>[] = [];
  const outcome = await outcomeOf(
    pool.withTransaction(async (tx) => {
      for (const id of [1, 2, 3]) {
        started.push(outcomeOf(tx.query(`insert into kept values ($1, 'a')`, [id])));
      }
    }),
  );
  const rows = await stage.kept();
  expect(outcome).not.toBe('pending');
  expect(await Promise.all(started)).not.toContain('pending');
  // All of them or an error for those that came too late; never one of its own after the end.
  const told = (await Promise.all(started)).filter((one) => one === 'ok').length;
  expect(rows).toHaveLength(outcome === 'ok' ? told : 0);

  const failing = pool.withTransaction(async (tx) => {
    started.push(outcomeOf(tx.query('select pg_sleep(0.1)')));
    started.push(outcomeOf(tx.query(`insert into kept values (9, 'late')`)));
    throw Object.assign(new Error('at once'), { code: 'at once' });
  });
  expect(await outcomeOf(failing)).toBe('at once');
  expect(await Promise.all(started)).not.toContain('pending');
  expect((await stage.kept()).filter((row) => row.startsWith('9'))).toEqual([]);
});

test('gives a query that nobody awaits no chance to fail the next caller', async ({ stage }) => {
  const pool = stage.pool({ max: 1 });
  const forgotten: Promise<string>[] = [];
  await pool.withConnection(async (connection) => {
    forgotten.push(outcomeOf(connection.query('select pg_sleep(0.2)')));
    forgotten.push(outcomeOf(connection.query('select 1 / 0')));
  });
  expect(await outcomeOf(pool.query('select 1'))).toBe('ok');
  expect(await Promise.all(forgotten)).not.toContain('pending');
});
