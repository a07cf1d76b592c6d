import { expect } from 'vitest';
import type { DatabasePool } from '../../src/pool/pool.ts';
import { failureOf } from '../support/waiting.ts';
import { test } from './pool-kit.ts';

const ROW = [7, true, { a: [true, null, 'x'] }, [1, [2]], Buffer.from([0, 255]), [false, true]];
const COLUMNS = 'id, yes, doc, list, raw, flags';
const EXPECTED = { id: 7, yes: true, doc: ROW[2], list: ROW[3], raw: ROW[4], flags: ROW[5] };
// Only a statement whose text says the types of its parameters is kept.
const TYPED = '$1::int, $2::boolean, $3::jsonb, $4::json, $5::bytea, $6::boolean[]';
const INSERT = `insert into kept (${COLUMNS}) values (${TYPED}) returning *`;

async function createTable(pool: DatabasePool): Promise<void> {
  await pool.query(
    'create table kept (id integer, yes boolean, doc jsonb, list json, raw bytea, flags boolean[])',
  );
}

/** What makes the statements of a connection void, and how the rows look afterwards. */
const CHANGES: [what: string, change: (pool: DatabasePool) => Promise<unknown>, more: object][] = [
  [
    'a new column',
    (pool) => pool.query('alter table kept add column more integer'),
    { more: null },
  ],
  ['deallocate all', (pool) => pool.query('deallocate all'), {}],
  ['discard all', (pool) => pool.query('discard all'), {}],
  [
    'both',
    async (pool) => {
      await pool.query('alter table kept add column more integer');
      await pool.query('deallocate all');
    },
    { more: null },
  ],
];

for (const [what, change, more] of CHANGES) {
  test(`prepares again unnoticed after ${what}, with the same values`, async ({ stage }) => {
    const pool = stage.pool({ max: 1 });
    await createTable(pool);
    for (let n = 0; n < 4; n++) expect((await pool.query(INSERT, ROW)).rows).toEqual([EXPECTED]);
    await change(pool);
    const expected = { ...EXPECTED, ...more };
    for (let n = 0; n < 4; n++) expect((await pool.query(INSERT, ROW)).rows).toEqual([expected]);
    const { rows } = await pool.query(
      `select distinct ${COLUMNS.replace('list', 'list::text')} from kept`,
    );
    expect(rows).toEqual([{ ...EXPECTED, list: '[1,[2]]' }]);
    expect(pool.metrics()).toMatchObject({ failedQueries: 0, connectionsCreated: 1 });
  });

  test(`runs a transaction again that met ${what}`, async ({ stage }) => {
    const pool = stage.pool({ max: 1 });
    await createTable(pool);
    for (let n = 0; n < 4; n++) await pool.query(INSERT, ROW);
    await change(pool);
    let runs = 0;
    const rows = await pool.withTransaction(async (tx) => {
      runs += 1;
      await tx.query('delete from kept');
      return (await tx.query(INSERT, ROW)).rows;
    });
    expect(rows).toEqual([{ ...EXPECTED, ...more }]);
    expect((await pool.query('select count(*)::int as n from kept')).rows).toEqual([{ n: 1 }]);
    expect(pool.metrics().transactionRetries).toBe(runs - 1);
  });
}

test('does not run a transaction again for it where that is not wanted', async ({ stage }) => {
  const pool = stage.pool({ max: 1 });
  await createTable(pool);
  for (let n = 0; n < 4; n++) await pool.query(INSERT, ROW);
  await pool.query('alter table kept add column more integer');
  const run = () => pool.withTransaction((tx) => tx.query(INSERT, ROW), { retries: 0 });
  expect(await failureOf(run())).toMatchObject({ sqlstate: '0A000' });
  expect((await run()).rowCount).toBe(1);
});

test('tells why a statement failed, and not that it had been void before', async ({ stage }) => {
  const pool = stage.pool({ max: 1 });
  await pool.query('create table once (id integer primary key)');
  const insert = () => pool.query('insert into once values ($1::int) returning *', [1]);
  await insert();
  for (const change of ['alter table once add column more integer', 'deallocate all']) {
    for (let n = 0; n < 3; n++)
      expect(await failureOf(insert())).toMatchObject({ sqlstate: '23505' });
    await pool.query(change);
    expect(await failureOf(insert())).toMatchObject({ sqlstate: '23505' });
  }
});

test('prepares again on a connection that is held', async ({ stage }) => {
  const pool = stage.pool({ max: 1 });
  await createTable(pool);
  for (let n = 0; n < 4; n++) await pool.query(INSERT, ROW);
  await pool.withConnection(async (connection) => {
    await connection.query('alter table kept add column more integer');
    expect((await connection.query(INSERT, ROW)).rows).toEqual([{ ...EXPECTED, more: null }]);
    await connection.query('deallocate all');
    expect((await connection.query(INSERT, ROW)).rows).toEqual([{ ...EXPECTED, more: null }]);
  });
});

test('follows a column that changes its type, and one that goes', async ({ stage }) => {
  const pool = stage.pool({ max: 2 });
  await pool.query('create table t (id integer, gone text)');
  const write = (id: unknown) => pool.query('insert into t (id) values ($1) returning *', [id]);
  for (let n = 0; n < 6; n++) await Promise.all([write(1), write(2)]);
  await pool.query('alter table t alter column id type text, drop column gone');
  for (let n = 0; n < 4; n++) {
    const [one, two] = await Promise.all([write('1'), write(2)]);
    expect([one?.rows, two?.rows]).toEqual([[{ id: '1' }], [{ id: '2' }]]);
  }
});

const PREPARED = `select statement from pg_prepared_statements`;

test('prepares what is used again, from the second use on', async ({ stage }) => {
  const wire = await stage.wire();
  const pool = stage.pool({ connectionString: wire.url, max: 1 });
  for (let n = 0; n < 20; n++) await pool.query(`select ${n} + $1::int as n`, [n]);
  expect((await pool.query(PREPARED)).rows).toEqual([]);
  expect(wire.sent().filter(({ kind }) => kind === 'prepare')).toEqual([]);

  for (let n = 0; n < 5; n++) await pool.query('select $1::int as twice', [n]);
  for (let n = 0; n < 3; n++) await pool.withTransaction((tx) => tx.query('select 1 as inside'));
  const about = (what: string) => wire.sent().filter(({ text }) => text.includes(what));
  expect(about('twice').map(({ kind }) => kind)).toEqual(['parse', 'prepare']);
  expect(about('inside').map(({ kind }) => kind)).toEqual(['parse', 'prepare']);
});

test('keeps at most 250 statements prepared on a connection', async ({ stage }) => {
  const pool = stage.pool({ max: 1 });
  for (let round = 0; round < 3; round++) {
    await Promise.all(
      Array.from({ length: 300 }, async (_, n) => {
        const { rows } = await pool.query(`select ${n} + $1::int as n`, [round]);
        expect(rows).toEqual([{ n: n + round }]);
      }),
    );
  }
  const { rows } = await pool.query('select count(*)::int as n from pg_prepared_statements');
  expect(rows).toEqual([{ n: 250 }]);
});

test('prepares nothing where it is told not to', async ({ stage }) => {
  const wire = await stage.wire();
  const pool = stage.pool({ connectionString: wire.url, max: 1, prepare: false });
  for (let n = 0; n < 5; n++) {
    expect((await pool.query('select $1::int as n', [n])).rows).toEqual([{ n }]);
    await pool.withTransaction((tx) => tx.query('select $1::int as n', [n]));
    await pool.withConnection((connection) => connection.query('select $1::int as n', [n]));
  }
  expect((await pool.query(PREPARED)).rows).toEqual([]);
  expect(wire.sent().filter(({ kind }) => kind === 'prepare')).toEqual([]);
});

test('runs a statement whose parameters the server cannot type only as it says', async ({
  stage,
}) => {
  const pool = stage.pool({ max: 1 });
  for (let n = 0; n < 3; n++) {
    expect(await failureOf(pool.query('select $1 + $2', [1, 2]))).toMatchObject({
      sqlstate: '42725',
    });
    expect((await pool.query('select $1 as a', [1])).rows).toEqual([{ a: '1' }]);
    expect(await failureOf(pool.query('select id from nowhere'))).toMatchObject({
      sqlstate: '42P01',
    });
  }
  await pool.query('create table nowhere (id integer)');
  expect((await pool.query('select id from nowhere')).rows).toEqual([]);
});
