import { expect } from 'vitest';
import { isConnectionLoss } from '../../src/connection/connection-error.ts';
import { openSession } from '../../src/connection/session.ts';
import { readPoolConfiguration } from '../../src/pool/connection-source.ts';
import type { PoolConnection } from '../../src/pool/handle.ts';
import { failureOf } from '../support/waiting.ts';
import { test } from './pool-kit.ts';

test('takes undefined for null wherever it stands', async ({ stage }) => {
  const pool = stage.pool({ max: 1 });
  const { rows } = await pool.query('select $1::text as a, $2::int[] as b, $3::jsonb as c', [
    undefined,
    [1, undefined, null],
    [1, undefined, { d: undefined }],
  ]);
  expect(rows).toEqual([{ a: null, b: [1, null, null], c: [1, null, {}] }]);
  expect(await pool.sql`select ${undefined}::int as a`).toEqual([{ a: null }]);
});

test('refuses a hole in the parameters, which would move the others', async ({ stage }) => {
  const pool = stage.pool({ max: 1 });
  const holes: [params: unknown[], says: string][] = [
    // biome-ignore lint/suspicious/noSparseArray: that is what it is about
    [[, 7], '$1 is a hole'],
    // biome-ignore lint/suspicious/noSparseArray: that is what it is about
    [[7, [1, , 2]], 'an element of parameter $2 is a hole'],
    [new Array(1), '$1 is a hole'],
  ];
  for (const [params, says] of holes) {
    const error = await failureOf(pool.query('select $1', params));
    expect(error).toMatchObject({ code: 'USAGE' });
    expect(error.message).toContain(says);
  }
});

test('refuses what JSON would write as an empty object inside of another one too', async ({
  stage,
}) => {
  const pool = stage.pool({ max: 1 });
  const insides: [value: unknown, says: string][] = [
    [{ user: Promise.resolve(1) }, 'a part of parameter $1 is a Promise that was not awaited'],
    [{ a: { b: [new Map([[1, 2]])] } }, 'a part of parameter $1 is a Map'],
    [[{ tags: new Set(['a']) }], 'a part of an element of parameter $1 is a Set'],
    [{ error: new Error('lost') }, 'a part of parameter $1 is an Error'],
  ];
  for (const [value, says] of insides) {
    const error = await failureOf(pool.query('select $1::jsonb', [value]));
    expect(error).toMatchObject({ code: 'USAGE' });
    expect(error.message).toContain(says);
  }
  const fine = {
    ...{ empty: {}, list: [], lists: [[], {}], text: '{}', none: null, no: undefined },
    ...{ at: new Date(0), boxed: Object(''), bytes: Buffer.alloc(0), own: { toJSON: () => ({}) } },
  };
  const { rows } = await pool.query('select $1::jsonb as doc', [fine]);
  expect(rows).toEqual([{ doc: JSON.parse(JSON.stringify(fine)) }]);
});

test('refuses a statement as a part of another one, whose failure is not left unheard', async ({
  stage,
}) => {
  const pool = stage.pool({ max: 1 });
  const error = await failureOf(pool.sql`select 1 ${pool.sql`where nonsense`}`);
  expect(error).toMatchObject({ code: 'USAGE', hint: expect.stringContaining('Await') });
  expect(error.message).toContain('parameter $1 is a Promise that was not awaited');
  const inside = pool.withTransaction(
    (tx) => tx.sql`select * from (${tx.sql`select no_such_column`}) x`,
  );
  expect(await failureOf(inside)).toMatchObject({ code: 'USAGE' });
  // Long enough for Node to have seen a rejection that nobody heard.
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(await pool.sql`select 1 as n`).toEqual([{ n: 1 }]);
});

test('sends what says of itself that it is a text as text, and as JSON to json', async ({
  stage,
}) => {
  const pool = stage.pool({ max: 1 });
  const amount = { toJSON: () => '12.50' };
  const url = new URL('https://example.org/a"b');
  for (let n = 0; n < 3; n++) {
    const { rows } = await pool.query(
      'select $1::numeric as amount, $2::text as url, $3::jsonb as doc, $4::text[] as list, $5::jsonb as docs',
      [amount, url, url, [url, 'x'], [url]],
    );
    expect(rows).toEqual([
      { amount: '12.50', url: url.href, doc: url.href, list: [url.href, 'x'], docs: [url.href] },
    ]);
  }
  class Filter {
    only = 'mine';
  }
  class Empty {}
  const { rows } = await pool.query(
    'select $1::jsonb as a, $2::jsonb as b, $3::int as c, $4::text as d',
    [new Filter(), new Empty(), Object(5), Object('x')],
  );
  expect(rows).toEqual([{ a: { only: 'mine' }, b: {}, c: 5, d: 'x' }]);
});

test('sends a value as it was when it was given', async ({ stage }) => {
  const pool = stage.pool({ max: 1 });
  const bytes = Buffer.from([1, 2]);
  const list = [1, 2];
  const params = [bytes, list];
  const answer = pool.query('select $1::bytea as bytes, $2::int[] as list', params);
  bytes.fill(9);
  list.push(3);
  params.reverse();
  expect((await answer).rows).toEqual([{ bytes: Buffer.from([1, 2]), list: [1, 2] }]);
});

const places = (count: number) =>
  `select ${Array.from({ length: Math.ceil(count / 1_000) }, (_, row) => {
    const length = Math.min(1_000, count - row * 1_000);
    return `(${Array.from({ length }, (_, n) => `$${row * 1_000 + n + 1}::int`).join('+')})`;
  }).join('+')} as sum`;

const ask = (db: Pick<PoolConnection, 'query'>, count: number) =>
  db.query(places(count), new Array(count).fill(1)).then(
    ({ rows }) => rows[0]?.sum,
    (error) => error.code,
  );

test('sends as many parameters as the protocol counts, and refuses more', async ({ stage }) => {
  const pool = stage.pool({ max: 1 });
  for (const count of [65_533, 65_534, 65_535, 65_535]) {
    expect(await ask(pool, count)).toBe(count);
  }
  const params = [...new Array(65_534).fill(1), [1, 2]];
  const { rows } = await pool.query(`${places(65_534)}, $65535::jsonb as doc`, params);
  expect(rows).toEqual([{ sum: 65_534, doc: [1, 2] }]);

  const error = await failureOf(pool.query(places(65_536), new Array(65_536).fill(1)));
  expect(error).toMatchObject({ code: 'USAGE', hint: expect.stringContaining('unnest') });
  expect(error.message).toContain('65,536');
  expect(pool.metrics()).toMatchObject({ connectionsCreated: 1, idle: 1 });
});

test('keeps a transaction in step where some of its statements are too large', async ({
  stage,
}) => {
  const pool = stage.pool({ max: 1 });
  await pool.query('create table t (id integer)');
  const answers = await pool.withTransaction((tx) =>
    Promise.all([
      tx.sql`select 1 as n`,
      ask(tx, 70_000),
      ask(tx, 65_535),
      ask(tx, 70_000),
      tx.sql`insert into t values (5) returning id`,
      tx.sql`select 2 as n`,
    ]),
  );
  expect(answers).toEqual([[{ n: 1 }], 'USAGE', 65_535, 'USAGE', [{ id: 5 }], [{ n: 2 }]]);
});

test('refuses a statement that is longer than a message can be', async ({ stage }) => {
  const pool = stage.pool({ max: 1 });
  const long = 'a'.repeat(400_000_000);
  const error = await failureOf(pool.query('select $1, $2, $3', [long, long, long]));
  expect(error).toMatchObject({ code: 'USAGE', message: expect.stringContaining('1 GB') });
  const bytes = await failureOf(pool.query('select $1', [new Uint8Array(300_000_000)]));
  expect(bytes).toMatchObject({ code: 'USAGE', message: expect.stringContaining('$1') });
  expect(await pool.sql`select 1 as n`).toEqual([{ n: 1 }]);
});

test('refuses a NUL in the statement, and leaves one in a value to the server', async ({
  stage,
}) => {
  const pool = stage.pool({ max: 1 });
  const error = await failureOf(pool.query('select 1\0 as n'));
  expect(error).toMatchObject({ code: 'USAGE', message: expect.stringContaining('NUL') });
  const value = await failureOf(pool.query('select $1::text', ['a\0b']));
  expect(value).toMatchObject({ code: 'QUERY_FAILED', sqlstate: '22021' });
  const json = await failureOf(pool.query('select $1::jsonb', [{ a: '\0' }]));
  expect(json).toMatchObject({ code: 'QUERY_FAILED', sqlstate: '22P05' });
  expect(pool.metrics()).toMatchObject({ connectionsCreated: 1 });
});

test('ends the connection where the driver itself fails amid a message', async ({ stage }) => {
  const bad = {
    toString() {
      throw new TypeError('this cannot be written');
    },
  };
  const { connection } = await readPoolConfiguration({ connectionString: stage.url });
  for (const prepare of [false, true]) {
    for (const count of [1, 2]) {
      const session = await openSession(connection);
      await session.run('create temp table t (id integer)');
      const answers = await Promise.allSettled([
        session.query('select 1 as n', [], prepare),
        ...Array.from({ length: count }, () => session.query('select $1', [bad], prepare)),
        session.query('insert into t values (5) returning id', [], prepare),
        session.query('select 2 as n', [], prepare),
      ]);
      const expected = [[{ n: 1 }], undefined, undefined, [{ id: 5 }], [{ n: 2 }]];
      if (count === 1) expected.splice(1, 1);
      answers.forEach((answer, index) => {
        if (answer.status === 'fulfilled') expect([...answer.value]).toEqual(expected[index]);
        else expect(isConnectionLoss(answer.reason), String(answer.reason)).toBe(true);
      });
      expect(answers.map(({ status }) => status)).toContain('rejected');
      expect(session.isClosed).toBe(true);
    }
  }
});
