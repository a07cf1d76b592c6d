import { expect } from 'vitest';
import { QueryError } from '../../src/connection/connection-error.ts';
import { failureOf } from '../support/waiting.ts';
import { test } from './pool-kit.ts';

test('brings JSON of every shape there and back, as the column and not the value says', async ({
  stage,
}) => {
  const pool = stage.pool({ max: 1 });
  await pool.query(
    'create table docs (id integer, plain json, doc jsonb, texts text[], docs jsonb[])',
  );
  const shapes = [
    [],
    [1, 'a', null, [true]],
    [[1], [2]],
    [{ a: 1 }, { b: [] }],
    { a: [1] },
    5,
    true,
  ];
  for (let round = 0; round < 3; round++) {
    for (const shape of shapes) {
      const { rows } = await pool.query(
        'insert into docs (plain, doc) values ($1, $2) returning plain, doc',
        [shape, shape],
      );
      expect(rows).toEqual([{ plain: shape, doc: shape }]);
    }
    const { rows } = await pool.query(
      'insert into docs (doc, texts, docs) values ($1, $2, $3) returning doc, texts, docs',
      [
        ['a"b', null],
        ['a"b', null],
        [{ a: ['b"c\\'] }, null],
      ],
    );
    expect(rows).toEqual([
      { doc: ['a"b', null], texts: ['a"b', null], docs: [{ a: ['b"c\\'] }, null] },
    ]);
  }
  const text = await pool.query('select $1::jsonb as text, $2::jsonb as empty, $3::jsonb as none', [
    JSON.stringify('a "string"'),
    'null',
    null,
  ]);
  expect(text.rows).toEqual([{ text: 'a "string"', empty: null, none: null }]);
  expect(await failureOf(pool.query('select $1::jsonb', ['no json']))).toMatchObject({
    sqlstate: '22P02',
  });
});

test('writes into columns of an enum, a domain and a composite type, and of arrays of them', async ({
  stage,
}) => {
  const pool = stage.pool({ max: 1 });
  await pool.query(`create type mood as enum ('sad', 'so "so"', 'a,b')`);
  await pool.query(`create domain age as integer check (value >= 0)`);
  await pool.query(`create domain tag as text`);
  await pool.query(`create type pair as (a integer, b text)`);
  await pool.query(
    'create table people (mood mood, moods mood[], age age, ages age[], tag tag, tags tag[], pair pair)',
  );
  const values = ['so "so"', ['sad', 'a,b', null], 7, [1, 2], 'x', ['y', 'z"\\'], '(1,"a b")'];
  for (let round = 0; round < 3; round++) {
    await pool.query('insert into people values ($1, $2, $3, $4, $5, $6, $7)', values);
    const { rowCount } = await pool.query(
      'select from people where mood = $1 and moods = $2 and age = $3 and tag = any($4)',
      [values[0], values[1], 7, ['x']],
    );
    expect(rowCount).toBe(round + 1);
  }
  const { rows } = await pool.query(
    'select mood, age, tag, pair, moods[3] is null as "hasNull" from people limit 1',
  );
  expect(rows).toEqual([{ mood: 'so "so"', age: 7, tag: 'x', pair: '(1,"a b")', hasNull: true }]);
  expect(await failureOf(pool.query('insert into people (age) values ($1)', [-1]))).toMatchObject({
    sqlstate: '23514',
  });
});

test('takes views of bytes, buffers that are part of another, and array-like values', async ({
  stage,
}) => {
  const pool = stage.pool({ max: 1 });
  const whole = new Uint8Array([9, 1, 2, 9]);
  for (let round = 0; round < 3; round++) {
    const { rows } = await pool.query('select $1::bytea as a, $2::bytea as b, $3::bytea[] as c', [
      whole.subarray(1, 3),
      Buffer.from(whole.buffer, 1, 2),
      [whole.subarray(1, 3), null],
    ]);
    const expected = Buffer.from([1, 2]);
    expect(rows).toEqual([{ a: expected, b: expected, c: [expected, null] }]);
  }
  const big = await pool.query('select $1::bigint as n, $2::bigint[] as ns', [
    2n ** 62n,
    [1n, -1n],
  ]);
  expect(big.rows).toEqual([{ n: '4611686018427387904', ns: ['1', '-1'] }]);
});

test('gives plain rows, and says what each statement did', async ({ stage, skip }) => {
  const pool = stage.pool({ max: 1 });
  const did = async (text: string, params?: unknown[]) => {
    const { rows, rowCount, command } = await pool.query(text, params);
    expect(Object.getPrototypeOf(rows)).toBe(Array.prototype);
    return [command, rowCount, rows];
  };
  expect(await did('create table t (id integer, what text)')).toEqual(['CREATE TABLE', 0, []]);
  expect(await did(`insert into t select n, 'a' from generate_series(1, 3) n`)).toEqual([
    'INSERT',
    3,
    [],
  ]);
  expect(await did('insert into t values ($1, $2) returning id', [4, 'b'])).toEqual([
    'INSERT',
    1,
    [{ id: 4 }],
  ]);
  expect(await did('update t set what = $1 where id > $2', ['c', 2])).toEqual(['UPDATE', 2, []]);
  expect(await did('update t set what = $1 where id > 100', ['c'])).toEqual(['UPDATE', 0, []]);
  expect(await did('select id from t where id < 2')).toEqual(['SELECT', 1, [{ id: 1 }]]);
  expect(await did('table t limit 0')).toEqual(['SELECT', 0, []]);
  expect(
    await did('with gone as (delete from t where id = 4 returning id) select * from gone'),
  ).toEqual(['SELECT', 1, [{ id: 4 }]]);
  expect(await did('delete from t where id = 3 returning id, what')).toEqual([
    'DELETE',
    1,
    [{ id: 3, what: 'c' }],
  ]);
  expect(await did('values (1), (2)')).toEqual(['SELECT', 2, [{ column1: 1 }, { column1: 2 }]]);
  expect(await did('create table u as select * from t')).toEqual(['SELECT', 2, []]);
  expect(await did('alter table t add column more integer')).toEqual(['ALTER TABLE', 0, []]);
  expect(await did('do $$ begin end $$')).toEqual(['DO', 0, []]);
  expect(await did('show server_version_num')).toMatchObject(['SHOW', 1, [{}]]);
  expect(await did('explain select 1')).toMatchObject(['EXPLAIN', 1, [{}]]);
  const { rows } = await pool.query<{ v: number }>(
    `select current_setting('server_version_num')::int as v`,
  );
  skip((rows[0]?.v ?? 0) < 150000, 'merge came with 15');
  expect(
    await did(
      'merge into t using (values (1), (9)) s (n) on id = n when matched then delete when not matched then insert (id) values (n)',
    ),
  ).toEqual(['MERGE', 2, []]);
});

test('names the columns and their types and lengths, also where no row came', async ({ stage }) => {
  const pool = stage.pool({ max: 1 });
  const text = `select 1 as n, 'a'::varchar(9) as "a b", null::jsonb as doc where $1::boolean`;
  for (const isThere of [true, false, true, false]) {
    const { fields, rowCount } = await pool.query(text, [isThere]);
    expect(rowCount).toBe(isThere ? 1 : 0);
    expect(fields).toEqual([
      { name: 'n', dataTypeID: 23, dataTypeModifier: -1 },
      { name: 'a b', dataTypeID: 1043, dataTypeModifier: 13 },
      { name: 'doc', dataTypeID: 3802, dataTypeModifier: -1 },
    ]);
  }
  expect((await pool.query('create table t ()')).fields).toEqual([]);
  const { rows, fields } = await pool.query('select 1 as n, 2 as n, 3 as __proto__');
  expect(fields.map(({ name }) => name)).toEqual(['n', 'n', '__proto__']);
  expect(rows[0]?.n).toBe(2);
});

test('lets nobody reach the driver, or the key of its connection, by way of a result', async ({
  stage,
}) => {
  const pool = stage.pool({ max: 1 });
  const result = await pool.query('select 1 as n');
  expect(Reflect.ownKeys(result).sort()).toEqual(['command', 'fields', 'rowCount', 'rows']);
  expect(Reflect.ownKeys(result.rows)).toEqual(['0', 'length']);
  expect(Reflect.ownKeys(result.fields[0] ?? {})).toEqual([
    'name',
    'dataTypeID',
    'dataTypeModifier',
  ]);
  const error = await failureOf(pool.query('select 1 / 0'));
  expect(JSON.stringify([error, Object.entries(error)])).not.toMatch(/secret|password/);
});

test('keeps apart what callers do to the fields of their results', async ({ stage }) => {
  const pool = stage.pool({ max: 1 });
  const read = () => pool.query('select $1::int as n', [1]);
  await read();
  await read();
  const fields = (await read()).fields as unknown as { name?: string }[];
  expect(() => fields.pop()).toThrow(TypeError);
  expect(() => Object.assign(fields[0] ?? {}, { name: 'other' })).toThrow(TypeError);
  expect((await read()).fields).toEqual([{ name: 'n', dataTypeID: 23, dataTypeModifier: -1 }]);
});

test('runs tagged templates, whose values are never read as SQL', async ({ stage }) => {
  const pool = stage.pool({ max: 2 });
  const evil = `'; drop table users; --`;
  expect(
    await pool.sql`select ${evil}::text as a, ${[1, 2]}::int[] as b, ${'\\'}::text as c`,
  ).toEqual([{ a: evil, b: [1, 2], c: '\\' }]);
  expect(await pool.sql`select 1 as n`).toEqual([{ n: 1 }]);
  await pool.withTransaction(async (tx) => {
    expect(await tx.sql<{ n: number }>`select ${1}::int as n`).toEqual([{ n: 1 }]);
    await tx.savepoint(async (inner) => {
      expect(await inner.sql`select ${2}::int as n`).toEqual([{ n: 2 }]);
    });
  });
  expect(await pool.withConnection((one) => one.sql`select ${null}::int as n`)).toEqual([
    { n: null },
  ]);
});

test('says which rule a statement broke', async ({ stage }) => {
  const pool = stage.pool({ max: 1 });
  await pool.query('create table t (id integer not null constraint t_key unique)');
  await pool.query('insert into t values (1)');
  const error = await failureOf<QueryError>(pool.query('insert into t values ($1)', [1]));
  expect(error).toBeInstanceOf(QueryError);
  expect(error).toMatchObject({
    code: 'QUERY_FAILED',
    sqlstate: '23505',
    schema: 'public',
    table: 't',
    constraint: 't_key',
    detail: 'Key (id)=(1) already exists.',
  });
  expect(await failureOf(pool.query('insert into t values (null)'))).toMatchObject({
    sqlstate: '23502',
    column: 'id',
  });
});

test('makes arrays of the arrays of every type that comes with PostgreSQL, its tables aside', async ({
  stage,
}) => {
  const pool = stage.pool({ max: 1 });
  const { rows: types } = await pool.query<{ name: string }>(
    `select a.typname as name from pg_type a join pg_type e on e.typarray = a.oid
     where a.oid < 10000 and e.typtype <> 'c' order by a.typname`,
  );
  expect(types.length).toBeGreaterThan(70);
  const empty = types.map(({ name }) => `'{}'::pg_catalog.${name} as ${name}`);
  const { rows } = await pool.query(`select ${empty.join(', ')}`);
  expect(rows).toEqual([Object.fromEntries(types.map(({ name }) => [name, []]))]);
  const { rows: values } = await pool.query(`select
    array[row(1, 'a,b'), null] as records,
    '{=r/postgres}'::aclitem[] as acls,
    array['((0,0),(1,1))'::polygon] as polygons,
    array['<(0,0),1>'::circle] as circles,
    array['1 2'::oidvector] as vectors,
    array['pg_catalog'::regnamespace] as schemas`);
  expect(values).toEqual([
    {
      records: ['(1,"a,b")', null],
      acls: ['=r/postgres'],
      polygons: ['((0,0),(1,1))'],
      circles: ['<(0,0),1>'],
      vectors: ['1 2'],
      schemas: ['pg_catalog'],
    },
  ]);
});
