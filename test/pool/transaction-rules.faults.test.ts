import { expect } from 'vitest';
import { meeting } from '../support/waiting.ts';
import { outcomeOf, faultsTest as test } from './pool-kit.ts';

const BY_HAND = [
  'commit',
  'COMMIT;',
  'end',
  'rollback',
  'abort',
  '/* a comment */ commit and chain',
  '-- a line\n commit',
  '/* a /* nested */ comment */ commit',
  '; commit',
  ' ;; end',
  '\u00a0commit',
  'begin',
  'start transaction',
  `prepare transaction 'x'`,
  'commit; begin',
  `insert into kept values (1, 'b'); commit; begin`,
];

for (const text of BY_HAND) {
  test(`keeps its transaction whole where a callback sends ${JSON.stringify(text)}`, async ({
    stage,
  }) => {
    const pool = stage.pool({ max: 1 });
    const within = await outcomeOf(
      pool.withTransaction(async (tx) => {
        await tx.query(`insert into kept values (1, 'a')`);
        await tx.query(text).catch(() => undefined);
        throw Object.assign(new Error('take it all back'), { code: 'undo' });
      }),
    );
    expect(within).not.toBe('pending');
    expect(await stage.kept()).toEqual([]);
    // Nor does it get through to the next caller by way of the pool or a connection.
    await outcomeOf(pool.query(text));
    await outcomeOf(pool.withConnection((connection) => connection.query(text)));
    const { rows } = await pool.query(`select pg_current_xact_id_if_assigned()::text as xid`);
    expect(rows).toEqual([{ xid: null }]);
  });
}

test('refuses transaction control by hand with the name of what to use', async ({ stage }) => {
  const pool = stage.pool({ max: 1 });
  for (const text of ['begin', 'commit', 'ROLLBACK']) {
    const error = await pool.query(text).catch((reason) => reason);
    expect(error).toMatchObject({ code: 'TRANSACTION_CONTROL' });
    expect(`${error.message} ${error.hint}`).toContain('withTransaction');
  }
});

for (const max of [1, 4]) {
  test(`refuses the pool inside its own transaction with max ${max} (#893)`, async ({ stage }) => {
    const pool = stage.pool({ max, min: max, acquireTimeoutMillis: 1_000 });
    await pool.warm();
    const meet = meeting(max);
    const inner: string[] = [];
    const transactions = Array.from({ length: max }, (_, id) =>
      outcomeOf(
        pool.withTransaction(async (tx) => {
          await tx.query(`insert into kept values ($1, 'a')`, [id]);
          await meet();
          inner.unshift(await outcomeOf(pool.query(`insert into kept values ($1, 'b')`, [id])));
          inner.push(await outcomeOf(pool.withTransaction((own) => own.query('select 1'))));
          inner.push(await outcomeOf(pool.withConnection((own) => own.query('select 1'))));
        }),
      ),
    );
    expect(await Promise.all(transactions)).toEqual(Array(max).fill('ok'));
    expect(inner.slice(0, max)).toEqual(Array(max).fill('POOL_NESTED'));
    // One that waits for itself gets an error, and no deadlock; with several, another may end first.
    const ends =
      max === 1 ? /^(POOL_NESTED|ACQUIRE_TIMEOUT)$/ : /^(POOL_NESTED|ACQUIRE_TIMEOUT|ok)$/;
    for (const one of inner) expect(one).toMatch(ends);
    expect(inner).toHaveLength(3 * max);
    expect(inner).toContain('ACQUIRE_TIMEOUT');
    expect(await stage.kept()).toEqual(Array.from({ length: max }, (_, id) => `${id} a`));
    // Afterwards the same caller is a stranger again.
    expect(await outcomeOf(pool.query('select 1'))).toBe('ok');
  });
}

test('lets another pool, and work that began outside, go on beside a transaction', async ({
  stage,
}) => {
  const pool = stage.pool({ max: 2 });
  const other = stage.pool({ max: 1 });
  const beside = await pool.withTransaction(async (tx) => {
    await tx.query(`insert into kept values (1, 'a')`);
    return outcomeOf(other.query(`insert into kept values (2, 'other')`));
  });
  expect(beside).toBe('ok');
  expect(await stage.kept()).toEqual(['1 a', '2 other']);
});
