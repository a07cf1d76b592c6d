import { expect, onTestFinished } from 'vitest';
import type { PoolConnection } from '../../src/pool/handle.ts';
import { failureOf } from '../support/waiting.ts';
import { test } from './pool-kit.ts';

test('harms nobody with a bigint in an array that turns out to be JSON', async ({ stage }) => {
  const pool = stage.pool({ max: 1, statementTimeoutMillis: 1_000 });
  await pool.query('create table t (doc jsonb)');
  const insert = (connection: Pick<PoolConnection, 'query'>) =>
    connection.query('insert into t values ($1)', [[1n, [2n ** 62n]]]).then(
      () => 'ok',
      (error) => error.code,
    );
  const outcomes = [await insert(pool)];
  for (let round = 0; round < 3; round++) {
    const [one, , two] = await pool.withConnection((connection) =>
      Promise.all([
        connection.sql`select 1 as n`,
        insert(connection).then((outcome) => outcomes.push(outcome)),
        connection.sql`select ${2}::int as n`,
      ]),
    );
    expect([one, two]).toEqual([[{ n: 1 }], [{ n: 2 }]]);
  }
  expect(['ok', 'USAGE']).toContain(outcomes[0]);
  expect(new Set(outcomes).size).toBe(1);
  const { rows } = await pool.query('select distinct doc::text as doc from t');
  expect(rows).toEqual(outcomes[0] === 'ok' ? [{ doc: '[1, [4611686018427387904]]' }] : []);
  expect(pool.metrics()).toMatchObject({ connectionsCreated: 1 });
});

test('refuses a text that is none, and parameters that are no array', async ({ stage }) => {
  const wire = await stage.wire();
  const pool = stage.pool({ connectionString: wire.url, max: 1 });
  await pool.query('select 1');
  wire.news();
  const query = pool.query.bind(pool) as (...args: unknown[]) => Promise<unknown>;
  const wrong = [
    [undefined],
    [null],
    [5],
    [{ text: 'select 1', values: [] }],
    ['select $1', 'a'],
    ['select $1', { 0: 'a' }],
    ['select $1', new Set(['a'])],
  ];
  for (const args of wrong) {
    const error = await failureOf(query(...args));
    expect(error, JSON.stringify(args)).toMatchObject({ code: 'USAGE' });
  }
  expect(wire.news()).toEqual([]);
  expect(await pool.sql`select 1 as n`).toEqual([{ n: 1 }]);
});

test('refuses a template that was not written as one', async ({ stage }) => {
  const pool = stage.pool({ max: 1 });
  const sql = pool.sql.bind(pool) as unknown as (text: unknown) => Promise<unknown>;
  for (const text of ['select 1', ['select 1'], undefined]) {
    expect(await failureOf(sql(text)), String(text)).toMatchObject({ code: 'USAGE' });
  }
});

test('warns of nothing where many callers share one signal', async ({ stage }) => {
  const warnings: string[] = [];
  const note = (warning: Error) => void warnings.push(warning.name);
  process.on('warning', note);
  onTestFinished(() => void process.off('warning', note));
  const { signal } = new AbortController();
  const pool = stage.pool({ max: 20 });
  await Promise.all(
    Array.from({ length: 60 }, (_, n) =>
      n % 2 === 0
        ? pool.query('select pg_sleep(0.01)', [], { signal })
        : pool.withTransaction((tx) => tx.query('select 1'), { signal }),
    ),
  );
  expect(warnings).toEqual([]);
});

test('sends nothing for who was gone before', async ({ stage }) => {
  const wire = await stage.wire();
  const pool = stage.pool({ connectionString: wire.url, max: 1 });
  await pool.query('select 1');
  wire.news();
  const reason = new Error('gone');
  const signal = AbortSignal.abort(reason);
  expect(await failureOf(pool.query('select 2', [], { signal }))).toBe(reason);
  expect(await failureOf(pool.withConnection(async () => 1, { signal }))).toBe(reason);
  expect(wire.news()).toEqual([]);
  expect(pool.metrics()).toMatchObject({ total: 1, idle: 1, connectionsDiscarded: 0 });
});

test('gives sessions the limits that the options say', async ({ stage }) => {
  const limits = `select current_setting('statement_timeout') as statement,
    current_setting('idle_in_transaction_session_timeout') as idle`;
  const given = stage.pool({
    statementTimeoutMillis: 1_234,
    idleInTransactionTimeoutMillis: 2_000,
  });
  expect((await given.query(limits)).rows).toEqual([{ statement: '1234ms', idle: '2s' }]);
  const none = stage.pool({ statementTimeoutMillis: 0, idleInTransactionTimeoutMillis: 0 });
  expect((await none.query(limits)).rows).toEqual([{ statement: '0', idle: '0' }]);
  await given.withConnection(async (connection) => {
    await connection.query('set statement_timeout = 0');
    expect((await connection.query(limits)).rows).toMatchObject([{ statement: '0' }]);
  });
  expect((await given.query(limits)).rows).toEqual([{ statement: '1234ms', idle: '2s' }]);
});

test('gives every statement of a connection that is held its own answer, however many are under way', async ({
  stage,
}) => {
  const pool = stage.pool({ max: 2 });
  const ask = async (connection: PoolConnection, n: number) => {
    if (n % 7 === 0) {
      const error = await failureOf(connection.query('select 1 / $1::int', [0]));
      return expect(error).toMatchObject({ sqlstate: '22012' });
    }
    return expect(await connection.sql`select ${n}::int as n`).toEqual([{ n }]);
  };
  await pool.withConnection((connection) =>
    Promise.all(Array.from({ length: 250 }, (_, n) => ask(connection, n))),
  );
  await pool.withTransaction((tx) =>
    Promise.all(Array.from({ length: 250 }, (_, n) => tx.query('select $1::int as n', [n]))),
  );
});

/** Types of which arrays are rare. */
const RARE: [type: string, text: string][] = [
  ['money', '$1.00'],
  ['bit(3)', '101'],
  ['varbit', '10'],
  ['point', '(1,2)'],
  ['int4range', '[1,3)'],
  ['tstzmultirange', '{}'],
  ['tsvector', `'a' 'b'`],
  ['xid8', '7'],
  ['pg_lsn', '0/0'],
  ['regtype', 'integer'],
  ['macaddr8', '08:00:2b:01:02:03:04:05'],
];

test('makes arrays of the arrays of all types that PostgreSQL brings', async ({ stage }) => {
  const pool = stage.pool({ max: 1 });
  for (const [type, text] of RARE) {
    const { rows } = await pool.query(`select array[$1::text::${type}, null] as list`, [text]);
    expect(rows, type).toEqual([{ list: [text, null] }]);
  }
});
