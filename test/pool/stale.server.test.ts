import { expect } from 'vitest';
import type { PoolConnection } from '../../src/pool/handle.ts';
import type { DatabasePool } from '../../src/pool/pool.ts';
import { test } from './pool-kit.ts';

const CHANGES = ['deallocate all', 'alter table t add column more integer'];
const STALE = 'insert into t (id) values ($1::int) returning *';

/** A pool with one connection on which a prepared statement is void, and nobody knows yet. */
async function withStaleStatement(pool: DatabasePool, change: string): Promise<void> {
  await pool.query('create table t (id integer)');
  for (let n = 0; n < 3; n++) await pool.query(STALE, [-1]);
  await pool.query(change);
}

/** Statements that are sent at once: the void one, others like it, plain ones, and one that fails. */
function sendAtOnce(connection: PoolConnection): Promise<unknown[]> {
  const work = Array.from({ length: 12 }, async (_, n) => {
    if (n === 7)
      return connection.query('select 1 / (pg_backend_pid() * 0)').then((one) => one.rows);
    if (n % 3 === 0) return (await connection.query<{ id: number }>(STALE, [n])).rows[0]?.id;
    const text = `select $1::int as n, 'text ${n}' as what`;
    return (await connection.query(text, [n])).rows;
  });
  return Promise.all(
    work.map((one) =>
      one.then(
        (value) => value,
        (error) => error.sqlstate ?? error.code,
      ),
    ),
  );
}

const ANSWERS = Array.from({ length: 12 }, (_, n) => {
  if (n === 7) return '22012';
  return n % 3 === 0 ? n : [{ n, what: `text ${n}` }];
});

for (const change of CHANGES) {
  test(`gives each statement its own answer on a connection that is held after ${change}`, async ({
    stage,
  }) => {
    const pool = stage.pool({ max: 1, statementTimeoutMillis: 2_000 });
    await withStaleStatement(pool, change);
    expect(await pool.withConnection(sendAtOnce)).toEqual(ANSWERS);
    const { rows } = await pool.query('select id from t where id >= 0 order by id');
    expect(rows).toEqual([{ id: 0 }, { id: 3 }, { id: 6 }, { id: 9 }]);
    expect(pool.metrics().connectionsCreated).toBe(1);
  });

  test(`keeps a transaction in step that meets ${change} amid many statements`, async ({
    stage,
  }) => {
    const pool = stage.pool({ max: 1, statementTimeoutMillis: 2_000 });
    await withStaleStatement(pool, change);
    const swallowing = await pool.withTransaction(sendAtOnce, { retries: 0 }).then(
      () => 'committed',
      (error) => error.code,
    );
    expect(swallowing).toBe('TRANSACTION_ROLLED_BACK');
    expect((await pool.query('select id from t where id >= 0')).rows).toEqual([]);
    expect(pool.metrics().connectionsCreated).toBe(1);

    await pool.query(change.replace('more', 'another'));
    const insert = (tx: PoolConnection) =>
      Promise.all([1, 2, 3, 4].map((n) => tx.query<{ id: number }>(STALE, [n])));
    const results = await pool.withTransaction(insert);
    expect(results.map(({ rows }) => rows[0]?.id)).toEqual([1, 2, 3, 4]);
    expect((await pool.query('select id from t where id >= 0 order by id')).rowCount).toBe(4);
    expect(pool.metrics().connectionsCreated).toBe(1);
  });
}
