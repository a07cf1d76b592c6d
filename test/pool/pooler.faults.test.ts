import { expect } from 'vitest';
import { closeSql, openSql } from '../support/databases.ts';
import { type PgBouncer, startPgBouncer, whyNoPgBouncer } from '../support/pgbouncer.ts';
import { meeting } from '../support/waiting.ts';
import { outcomeOf, faultsTest as stageTest } from './pool-kit.ts';

const test = stageTest.extend<{ pooler: PgBouncer }>({
  pooler: async ({ stage, skip }, use) => {
    const reason = whyNoPgBouncer();
    skip(reason !== undefined, reason);
    const pooler = await startPgBouncer(stage.url, { poolMode: 'transaction', poolSize: 3 });
    await use(pooler);
    await pooler.stop();
  },
});

const NOT_OURS = { isReachable: false };

test('answers a hundred queries with parameters at once through a pooler', async ({
  stage,
  pooler,
}) => {
  const pool = stage.pool({ max: 20, connectionString: pooler.url }, NOT_OURS);
  const numbers = Array.from({ length: 100 }, (_, n) => n);
  for (let round = 0; round < 3; round++) {
    const answers = await Promise.all(
      numbers.map((n) =>
        pool.query<{ n: number; list: number[] }>('select $1::int as n, $2::int[] as list', [
          n,
          [n, n + 1],
        ]),
      ),
    );
    expect(answers.map(({ rows }) => rows[0])).toEqual(
      numbers.map((n) => ({ n, list: [n, n + 1] })),
    );
  }
  await pool.close();
});

test('runs a hundred transactions at once through a pooler, each on its own', async ({
  stage,
  pooler,
}) => {
  const pool = stage.pool({ max: 20, connectionString: pooler.url }, NOT_OURS);
  const numbers = Array.from({ length: 100 }, (_, n) => n);
  const outcomes = await Promise.all(
    numbers.map((id) =>
      outcomeOf(
        pool.withTransaction(async (tx) => {
          await tx.query(`insert into kept values ($1, 'a')`, [id]);
          const outer = await tx.query<{ xid: string }>('select pg_current_xact_id()::text as xid');
          await tx
            .savepoint(async (sp) => {
              await sp.query(`insert into kept values ($1, 'undone')`, [id]);
              throw new Error('undo');
            })
            .catch(() => undefined);
          const later = await tx.query<{ xid: string }>('select pg_current_xact_id()::text as xid');
          expect(later.rows).toEqual(outer.rows);
          if (id % 2) throw Object.assign(new Error('odd'), { code: 'odd' });
        }),
      ),
    ),
  );
  expect(outcomes).toEqual(numbers.map((id) => (id % 2 ? 'odd' : 'ok')));
  const even = numbers.filter((id) => id % 2 === 0).map((id) => `${id} a`);
  expect((await stage.kept()).sort()).toEqual(even.sort());
  await pool.close();
});

test('keeps its deadlines for statements and idle transactions behind a pooler', async ({
  stage,
  pooler,
}) => {
  const options = { max: 2, connectionString: pooler.url, statementTimeoutMillis: 400 };
  const pool = stage.pool(options, NOT_OURS);
  expect(await outcomeOf(pool.query('select pg_sleep(60)'))).toBe('STATEMENT_TIMEOUT');
  const transaction = pool.withTransaction((tx) => tx.query('select pg_sleep(60)'));
  expect(await outcomeOf(transaction)).toBe('STATEMENT_TIMEOUT');
  expect(await outcomeOf(pool.query('select 1'))).toBe('ok');
  // The statement itself must be over too: it would hold a connection of the pooler.
  await expect
    .poll(
      () =>
        stage.sql`select from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()`,
      { timeout: 10_000 },
    )
    .toHaveLength(0);
  await pool.close();
});

test('gives nobody the settings of another through a pooler', async ({ stage, pooler }) => {
  const pool = stage.pool({ max: 6, connectionString: pooler.url }, NOT_OURS);
  const settings = `select current_setting('statement_timeout') as timeout,
    current_setting('search_path') as path, current_setting('work_mem') as memory`;
  const before = await stage.sql.unsafe(settings);
  await pool.withTransaction(async (tx) => {
    await tx.query(`set local work_mem = '77MB'`);
    await tx.query(`set local search_path = pg_catalog`);
  });
  await pool.withTransaction((tx) => tx.query('select 1'), {
    isolation: 'serializable',
    readOnly: true,
    timeoutMillis: 5_000,
  });
  await Promise.all(Array.from({ length: 12 }, () => pool.query('select 1')));
  // Whoever else uses the pooler's connections to the server finds them as they were.
  const other = stage.pool({ max: 3, connectionString: pooler.url, prepare: false }, NOT_OURS);
  const meet = meeting(3);
  const seen = await Promise.all(
    [1, 2, 3].map(() =>
      other.withTransaction(async (tx) => {
        await meet();
        const { rows } = await tx.query(
          `${settings}, current_setting('transaction_isolation') as isolation`,
        );
        return rows[0];
      }),
    ),
  );
  for (const row of seen) {
    expect(row).toMatchObject({
      path: before[0]?.path,
      memory: before[0]?.memory,
      isolation: 'read committed',
    });
  }
  await Promise.all([pool.close(), other.close()]);
});

test('leaves no lock and no timeout on the pooler’s connections once it is closed', async ({
  stage,
  pooler,
}) => {
  const pool = stage.pool(
    { max: 3, connectionString: pooler.url, statementTimeoutMillis: 777 },
    NOT_OURS,
  );
  await Promise.all([1, 2, 3].map((n) => pool.query('select $1::int', [n])));
  await pool.close();
  const sql = openSql(pooler.url, 1);
  const rows = await sql.unsafe(`select current_setting('statement_timeout') as timeout`).simple();
  expect(rows).toEqual([{ timeout: '0' }]);
  await closeSql(sql);
});

test('survives that the pooler and its connections to the server are lost', async ({
  stage,
  pooler,
}) => {
  const pool = stage.pool({ max: 4, connectionString: pooler.url }, NOT_OURS);
  await Promise.all([1, 2, 3, 4].map((n) => pool.query('select $1::int', [n])));
  const transaction = pool.withTransaction(async (tx) => {
    await tx.query(`insert into kept values (1, 'a')`);
    await stage.kill();
    await tx.query(`insert into kept values (1, 'b')`).catch(() => undefined);
    await tx.query(`insert into kept values (1, 'c')`).catch(() => undefined);
  });
  expect(await outcomeOf(transaction)).toMatch(/^(CONNECTION_LOST|OUTCOME_UNKNOWN)$/);
  expect(await stage.kept()).toEqual([]);
  await expect.poll(() => outcomeOf(pool.query('select 1'))).toBe('ok');
  await pool.close();
});

test('works through a pooler in session mode, and refuses transactions in none', async ({
  stage,
  skip,
  onTestFinished,
}) => {
  const reason = whyNoPgBouncer();
  skip(reason !== undefined, reason);
  for (const poolMode of ['session', 'statement'] as const) {
    const pooler = await startPgBouncer(stage.url, { poolMode, poolSize: 4 });
    onTestFinished(pooler.stop);
    const pool = stage.pool({ max: 2, connectionString: pooler.url }, NOT_OURS);
    const numbers = Array.from({ length: 20 }, (_, n) => n);
    const outcomes = await Promise.all(
      numbers.map((n) => outcomeOf(pool.query('select $1::int', [n]))),
    );
    expect(outcomes).toEqual(Array(20).fill('ok'));
    const transaction = pool.withTransaction((tx) =>
      tx.query(`insert into kept values (1, $1)`, [poolMode]),
    );
    expect(await outcomeOf(transaction)).toMatch(
      poolMode === 'session' ? /^ok$/ : /^(QUERY_FAILED|CONNECTION_LOST|POOLER_DETECTED)$/,
    );
    expect(await outcomeOf(pool.query('select 1'))).toBe('ok');
    await pool.close();
  }
  expect(await stage.kept()).toEqual(['1 session']);
});

test('begins again behind a pooler as it began, after a connection was reset', async ({
  stage,
  pooler,
}) => {
  const { pathname } = new URL(stage.url);
  await stage.sql.unsafe(`alter database "${pathname.slice(1)}" set datestyle = 'SQL, DMY'`);
  await stage.sql.unsafe(`alter database "${pathname.slice(1)}" set client_encoding = 'LATIN1'`);
  const pool = stage.pool({ max: 1, connectionString: pooler.url }, NOT_OURS);
  const look = async () => {
    const { rows } = await pool.query(
      `select '2020-02-01 10:00+00'::timestamptz as at,
      '2020-02-01'::date as day, $1::text as text, octet_length($1::text) as bytes,
      current_setting('application_name') as name`,
      ['é'],
    );
    return rows[0];
  };
  const expected = {
    at: new Date('2020-02-01T10:00:00Z'),
    day: '2020-02-01',
    text: 'é',
    bytes: 2,
    name: stage.applicationName,
  };
  expect(await look()).toEqual(expected);
  await pool.withConnection((connection) => connection.query('set work_mem = 12345'));
  expect(await look()).toEqual(expected);
  await pool.close();
});
