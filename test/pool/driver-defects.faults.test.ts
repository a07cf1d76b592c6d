// Defects of postgres 3.4.9 by the number of their issue, met by way of the pool.

import { createServer } from 'node:net';
import { expect } from 'vitest';
import { openSql, withDatabase } from '../support/databases.ts';
import { outcomeOf, faultsTest as test } from './pool-kit.ts';

test('keeps a transaction apart from a hundred queued queries (#1189)', async ({ stage }) => {
  const pool = stage.pool({ max: 1 });
  const first = pool.query('select pg_sleep(0.1)');
  const queued = Array.from({ length: 99 }, (_, n) =>
    pool.query<{ xid: string | null; n: number }>(
      'select pg_current_xact_id_if_assigned()::text as xid, $1::int as n',
      [n],
    ),
  );
  const transaction = pool.withTransaction(async (tx) => {
    await tx.query(`insert into kept values (1, 'a')`);
    throw Object.assign(new Error('roll it back'), { code: 'undo' });
  });
  const later = Array.from({ length: 20 }, (_, id) =>
    pool.query('insert into kept values ($1, $2)', [id + 2, 'later']),
  );
  expect(await outcomeOf(first)).toBe('ok');
  expect(await outcomeOf(transaction)).toBe('undo');
  const rows = (await Promise.all(queued)).map((result) => result.rows[0]);
  expect(rows).toEqual(rows.map((_, n) => ({ xid: null, n })));
  await Promise.all(later);
  expect(await stage.kept()).toHaveLength(20);
});

test('settles every caller in the queue where the holder is killed (#1195)', async ({ stage }) => {
  const pool = stage.pool({ max: 1 });
  const holder = outcomeOf(
    pool.withConnection(async (connection) => {
      await connection.query('select 1');
      await stage.kill();
      await connection.query('select 1');
    }),
  );
  const queued = Array.from({ length: 5 }, () =>
    outcomeOf(pool.withConnection((connection) => connection.query('select 1'))),
  );
  expect(await holder).toBe('CONNECTION_LOST');
  expect(await Promise.all(queued)).toEqual(Array(5).fill('ok'));
});

test('serves a query after a transaction whose backend was killed (#1133)', async ({ stage }) => {
  const pool = stage.pool({ max: 1 });
  for (let round = 0; round < 5; round++) {
    const transaction = pool.withTransaction(async (tx) => {
      await tx.query('select 1');
      await stage.kill();
      // Nothing more is sent: rollback and commit meet a connection that is gone.
      if (round % 2) throw Object.assign(new Error('own'), { code: 'own' });
    });
    expect(await outcomeOf(transaction)).toMatch(
      round % 2 ? /^own$/ : /^(CONNECTION_LOST|OUTCOME_UNKNOWN)$/,
    );
    expect(await outcomeOf(pool.query('select 1'))).toBe('ok');
  }
});

test('serves queries where the first statement of a connection is cancelled (#1192)', async ({
  stage,
}) => {
  const admin = openSql(withDatabase(stage.url, 'postgres'), 1);
  const locker = openSql(stage.url, 1);
  const pool = stage.pool({ max: 2, statementTimeoutMillis: 5_000 });
  const locking = await locker.reserve();
  await locking`begin`;
  await locking`lock table pg_catalog.pg_type in access exclusive mode`;
  const queries = [1, 2].map(() =>
    outcomeOf(pool.query('select $1::int[] as list, $2::kept as row', [[1, 2], '(1,a)'])),
  );
  await expect.poll(async () => (await stage.backends()).length, { timeout: 10_000 }).toBe(2);
  for (let n = 0; n < 10; n++) {
    await admin`
      select pg_cancel_backend(pid) from pg_stat_activity
      where application_name = ${stage.applicationName} and wait_event_type = 'Lock'`;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await locking`rollback`;
  locking.release();
  for (const outcome of await Promise.all(queries)) expect(outcome).not.toBe('pending');
  expect(await outcomeOf(pool.query('select $1::int[] as list', [[3]]))).toBe('ok');
  await Promise.all([admin.end({ timeout: 1 }), locker.end({ timeout: 1 })]);
});

test('connects to a server that hangs up at start-up a bounded number of times (#1179)', async ({
  stage,
  onTestFinished,
}) => {
  let connects = 0;
  const listener = createServer((socket) => {
    connects += 1;
    socket
      .on('error', () => undefined)
      .resume()
      .end();
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => new Promise<void>((resolve) => listener.close(() => resolve())));
  const address = listener.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  const options = {
    connectionString: `postgres://nobody@127.0.0.1:${port}/nowhere`,
    max: 5,
    acquireTimeoutMillis: 2_000,
  };
  const pool = stage.pool(options, { isReachable: false });
  const queries = Array.from({ length: 10 }, () => outcomeOf(pool.query('select 1')));
  for (const outcome of await Promise.all(queries)) {
    expect(outcome).toMatch(/^(ACQUIRE_TIMEOUT|CONNECTION_LOST)$/);
  }
  // The driver alone made 6,000 of them in 3 s.
  expect(connects).toBeLessThan(60);
});

test('ends with an error where none of several hosts answers (#1188)', async ({ stage }) => {
  const options = {
    connectionString: 'postgres://nobody@127.0.0.1:1,127.0.0.1:2/nowhere',
    acquireTimeoutMillis: 1_000,
  };
  const pool = stage.pool(options, { isReachable: false });
  expect(await outcomeOf(pool.query('select 1'))).toMatch(/^(ACQUIRE_TIMEOUT|CONNECTION_REFUSED)$/);
});

test('closes while a connection is in use, and once it comes back (#925)', async ({ stage }) => {
  const pool = stage.pool({ max: 2 });
  let giveBack: () => void = () => undefined;
  const held = new Promise<void>((resolve) => {
    giveBack = resolve;
  });
  const holder = pool.withConnection(async (connection) => {
    await connection.query('select 1');
    await held;
    return connection.query('select 2 as two');
  });
  await stage.until('true');
  const closing = outcomeOf(pool.close());
  expect(await outcomeOf(pool.query('select 1'))).toBe('POOL_CLOSED');
  giveBack();
  expect((await holder).rows).toEqual([{ two: 2 }]);
  expect(await closing).toBe('ok');
  expect(await outcomeOf(pool.close())).toBe('ok');
});

const COPIES = [
  'copy kept from stdin',
  'copy kept to stdout',
  `copy (select * from generate_series(1, 100000)) to stdout`,
];
for (const text of COPIES) {
  test(`does not hang on ${text} (#1173, #499)`, async ({ stage }) => {
    const pool = stage.pool({ max: 1, statementTimeoutMillis: 2_000 });
    expect(await outcomeOf(pool.query(text))).not.toBe('pending');
    expect(await outcomeOf(pool.query('select 1'))).toBe('ok');
    const transaction = pool.withTransaction((tx) => tx.query(text));
    expect(await outcomeOf(transaction)).not.toBe('pending');
    expect(await outcomeOf(pool.query('select 1'))).toBe('ok');
  });
}

test('prepares anew, unnoticed, what a changed table or DISCARD ALL made void', async ({
  stage,
}) => {
  const pool = stage.pool({ max: 1, prepare: true });
  const read = () => pool.query('select * from kept where id > $1', [0]);
  for (let n = 0; n < 6; n++) await read();
  await stage.sql`alter table kept add column more integer default 7`;
  await stage.sql`insert into kept values (1, 'a')`;
  expect((await read()).rows).toEqual([{ id: 1, what: 'a', more: 7 }]);
  await pool.withConnection((connection) => connection.query('discard all'));
  expect((await read()).rows).toEqual([{ id: 1, what: 'a', more: 7 }]);
  await pool.withConnection((connection) => connection.query('deallocate all'));
  expect((await read()).rows).toEqual([{ id: 1, what: 'a', more: 7 }]);
});

const UNSENDABLE: [what: string, text: string, params: unknown[]][] = [
  ['undefined as a parameter', 'select $1::text', [undefined]],
  ['a function as a parameter', 'select $1::text', [() => 1]],
  ['an object that contains itself', 'select $1::json', [circular()]],
  ['a NUL in the statement', `select 1 \0 ; select 2`, []],
  ['a NUL in a parameter', 'select $1::text', ['a\0b']],
  ['too few parameters', 'select $1::int, $2::int', [1]],
  ['too many parameters', 'select $1::int', [1, 2]],
  ['70,000 parameters', `select $1::int`, Array(70_000).fill(1)],
  ['an empty statement', '', []],
  ['two statements', 'select 1; select 2', []],
  ['two statements with parameters', 'select $1::int; select 2', [1]],
  ['a lone surrogate', 'select $1::text', ['\ud800']],
];
function circular(): object {
  const one: { self?: object } = {};
  one.self = one;
  return one;
}
for (const [what, text, params] of UNSENDABLE) {
  for (const prepare of [true, false]) {
    test(`settles ${what} and stays in step (${prepare ? '' : 'not '}prepared)`, async ({
      stage,
    }) => {
      const pool = stage.pool({ max: 1, prepare, statementTimeoutMillis: 3_000 });
      expect(await outcomeOf(pool.query(text, params))).not.toBe('pending');
      expect((await pool.query('select $1::int as n', [5])).rows).toEqual([{ n: 5 }]);
      const transaction = pool.withTransaction(async (tx) => {
        await tx.query(text, params).catch(() => undefined);
        return tx.query('select 6 as n');
      });
      expect(await outcomeOf(transaction)).not.toBe('pending');
      expect((await pool.query('select $1::int as n', [7])).rows).toEqual([{ n: 7 }]);
    });
  }
}
