import { expect } from 'vitest';
import type { PoolConnection } from '../../src/pool/handle.ts';
import type { DatabasePool } from '../../src/pool/pool.ts';
import { failureOf } from '../support/waiting.ts';
import { test } from './pool-kit.ts';

type Query = Pick<PoolConnection, 'query'>;

interface Change {
  what: string;
  /** The type of `t.v` before; `f(v)` takes the same. */
  before: string;
  /** Values that are written before and after. */
  old: unknown;
  fresh: unknown;
  change: string[];
  /** What `v::text` shows of `fresh` afterwards, under Asia/Tokyo. */
  shows: string;
}

const to = (type: string, using = `v::text::${type}`) => [
  `alter table t alter column v type ${type} using ${using}`,
  'drop function f',
  `create function f(v ${type}) returns text language sql as 'select v::text'`,
];

const CHANGES: Change[] = [
  {
    what: 'an enum that is swapped for another one of its name',
    before: 'mood',
    old: 'sad',
    fresh: 'glad',
    change: [
      'drop function f',
      'alter type mood rename to mood_old',
      `create type mood as enum ('sad', 'glad')`,
      'alter table t alter column v type mood using v::text::mood',
      'drop type mood_old',
      `create function f(v mood) returns text language sql as 'select v::text'`,
    ],
    shows: 'glad',
  },
  {
    what: 'integer to text',
    before: 'integer',
    old: 7,
    fresh: '007',
    change: to('text'),
    shows: '007',
  },
  {
    what: 'integer to uuid',
    before: 'integer',
    old: 7,
    fresh: 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
    change: to('uuid', `lpad(v::text, 32, '0')::uuid`),
    shows: 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
  },
  {
    what: 'integer to bigint',
    before: 'integer',
    old: 7,
    fresh: 3_000_000_000,
    change: to('bigint'),
    shows: '3000000000',
  },
  {
    what: 'timestamp to timestamptz',
    before: 'timestamp',
    old: '2026-01-01T12:00:00Z',
    fresh: '2026-06-01T12:00:00Z',
    change: to('timestamptz'),
    shows: '2026-06-01 21:00:00+09',
  },
  {
    what: 'date to timestamptz',
    before: 'date',
    old: '2026-01-01',
    fresh: '2026-06-01T12:00:00Z',
    change: to('timestamptz'),
    shows: '2026-06-01 21:00:00+09',
  },
  {
    what: 'real to double precision',
    before: 'real',
    old: 0.5,
    fresh: 0.1,
    change: to('double precision'),
    shows: '0.1',
  },
  {
    what: 'character to text',
    before: 'character(5)',
    old: 'a',
    fresh: 'b  ',
    change: to('text'),
    shows: 'b  ',
  },
  {
    what: 'boolean to text',
    before: 'boolean',
    old: 't',
    fresh: 'on',
    change: to('text'),
    shows: 'on',
  },
];

async function prepareStage(pool: DatabasePool, type: string): Promise<void> {
  if (type === 'mood') await pool.query(`create type mood as enum ('sad')`);
  await pool.query(`create table t (id serial, v ${type})`);
  await pool.query(`create function f(v ${type}) returns text language sql as 'select v::text'`);
}

const INSERT = 'insert into t (v) values ($1) returning v::text as shows';
const UPDATE = 'update t set v = $1 where id = $2 returning v::text as shows';
const FIND = 'select v::text as shows from t where v = $1 order by id desc limit 1';
const CALL = 'select f($1) as shows';

/** Every way in which a value meets the type. */
async function runAll(db: Query, value: unknown): Promise<unknown[]> {
  const results = [
    await db.query(INSERT, [value]),
    await db.query(UPDATE, [value, 1]),
    await db.query(FIND, [value]),
    await db.query(CALL, [value]),
  ];
  return results.map(({ rows }) => rows);
}

/** Sessions that open from now on have it. */
const IN_TOKYO = `do $$ begin
  execute format('alter database %I set timezone = %L', current_database(), 'Asia/Tokyo');
end $$`;

for (const prepare of ['auto', true] as const) {
  for (const { what, before, old, fresh, change, shows } of CHANGES) {
    test(`follows ${what}, with prepare ${prepare}`, async ({ stage }) => {
      const tool = stage.pool({ max: 1 });
      await tool.query(IN_TOKYO);
      const app = stage.pool({ max: 1, prepare });
      await prepareStage(tool, before);
      for (let n = 0; n < 4; n++) await runAll(app, old);
      await tool.withTransaction(async (tx) => {
        for (const text of change) await tx.query(text);
      });
      const expected = Array.from({ length: 4 }, () => [{ shows }]);
      const inside = app.withTransaction((tx) => runAll(tx, fresh), { retries: 0 });
      expect(await inside).toEqual(expected);
      for (let n = 0; n < 3; n++) expect(await runAll(app, fresh)).toEqual(expected);
      expect(app.metrics()).toMatchObject({ failedQueries: 0, connectionsCreated: 1 });
    });
  }
}

test('follows the search_path to a table of the same name with other types', async ({ stage }) => {
  const tool = stage.pool({ max: 1 });
  await tool.query(IN_TOKYO);
  for (const [schema, type] of [
    ['one', 'timestamp'],
    ['two', 'timestamptz'],
  ]) {
    await tool.query(`create schema ${schema}`);
    await tool.query(`create table ${schema}.t (v ${type})`);
  }
  const app = stage.pool({ max: 1 });
  const write = (tenant: string) =>
    app.withTransaction(async (tx) => {
      await tx.query(`select set_config('search_path', $1, true)`, [tenant]);
      const { rows } = await tx.query('insert into t values ($1) returning v::text as shows', [
        '2026-06-01T12:00:00Z',
      ]);
      return rows;
    });
  for (let n = 0; n < 3; n++) {
    expect(await write('one')).toEqual([{ shows: '2026-06-01 12:00:00' }]);
    expect(await write('two')).toEqual([{ shows: '2026-06-01 21:00:00+09' }]);
  }
});

test('keeps prepared what says the types of its parameters itself, and that alone', async ({
  stage,
}) => {
  const wire = await stage.wire();
  const pool = stage.pool({ connectionString: wire.url, max: 1 });
  await pool.query('create table t (id integer, v text, at timestamptz)');
  const kept: [text: string, params: unknown[]][] = [
    ['select count(*) from t', []],
    ['select v from t where id = $1::int', [1]],
    [
      'insert into t values ($1::integer, $2::varchar(5), $3 :: timestamp with time zone)',
      [1, 'a', null],
    ],
    ['select $1::int[] as a, $2::pg_catalog.jsonb as b', [[1], [{ a: 1 }]]],
  ];
  const parsedEachTime: [text: string, params: unknown[]][] = [
    ['select v from t where id = $1', [1]],
    ['select $1::int as a, v from t where v = $2', [1, 'a']],
    ['select $1::int8range as a', ['[1,2)']],
    [`select f.* from t f where v = $1 and v <> '$1::text'`, ['a']],
    ['show timezone', []],
    ['do $$ begin end $$', []],
  ];
  for (let n = 0; n < 4; n++) {
    for (const [text, params] of [...kept, ...parsedEachTime]) await pool.query(text, params);
  }
  const kinds = (text: string) =>
    wire.sent().flatMap((one) => (one.text === text ? [one.kind] : []));
  for (const [text] of kept) expect(kinds(text), text).toEqual(['parse', 'prepare']);
  for (const [text] of parsedEachTime) {
    expect(kinds(text), text).toEqual(['parse', 'parse', 'parse', 'parse']);
  }
});

test('takes a type for what the text says and not for what the column is', async ({ stage }) => {
  const tool = stage.pool({ max: 1 });
  await tool.query(IN_TOKYO);
  const app = stage.pool({ max: 1 });
  await tool.query('create table t (v timestamp)');
  const write = () =>
    app.query('insert into t values ($1::timestamptz) returning v::text as shows', [
      '2026-06-01T12:00:00Z',
    ]);
  for (let n = 0; n < 4; n++) {
    expect((await write()).rows).toEqual([{ shows: '2026-06-01 21:00:00' }]);
  }
  await tool.query('alter table t alter column v type timestamptz');
  for (let n = 0; n < 4; n++) {
    expect((await write()).rows).toEqual([{ shows: '2026-06-01 21:00:00+09' }]);
  }
});

test('runs nothing twice that had begun when a statement inside of it was void', async ({
  stage,
}) => {
  const pool = stage.pool({ max: 1 });
  await pool.query('create table steps (n serial)');
  await pool.query('create table t (v integer)');
  await pool.query(`create procedure work() language plpgsql as $$ begin
    insert into steps default values;
    commit;
    execute 'insert into t values (''a''::text)';
  end $$`);
  for (let n = 1; n <= 4; n++) {
    expect(await failureOf(pool.query('call work()'))).toMatchObject({ sqlstate: '42804' });
    expect((await pool.query('select count(*)::int as n from steps')).rows).toEqual([{ n }]);
  }
});

test('gets a transaction through that changes what its own statements mean', async ({ stage }) => {
  const pool = stage.pool({ max: 1 });
  await pool.query('create table t (v integer)');
  await pool.query('create schema other create table t (v text)');
  const read = 'select * from t';
  for (let n = 0; n < 3; n++) await pool.query(read);
  let calls = 0;
  const alter = pool.withTransaction(async (tx) => {
    calls += 1;
    await tx.query(read);
    await tx.query('alter table t add column w integer');
    await tx.query('insert into t values (1, 2)');
    return (await tx.query(read)).rows;
  });
  expect(await alter).toEqual([{ v: 1, w: 2 }]);
  const switched = pool.withTransaction(async (tx) => {
    await tx.query(read);
    await tx.query('set local search_path = other');
    return (await tx.query(read)).rows;
  });
  expect(await switched).toEqual([]);
  expect(calls).toBe(2);
  // Afterwards it is prepared again.
  for (let n = 0; n < 3; n++) expect((await pool.query(read)).rows).toEqual([{ v: 1, w: 2 }]);
  const { rows } = await pool.query(`select statement from pg_prepared_statements`);
  expect(rows).toEqual([{ statement: read }]);
});
