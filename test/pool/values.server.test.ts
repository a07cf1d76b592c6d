import { expect } from 'vitest';
import { failureOf } from '../support/waiting.ts';
import { test } from './pool-kit.ts';

/** A value as it is given and comes back, of a type that the pool brings to JavaScript. */
type Example = [type: string, values: unknown[]];

const bytes = (text: string) => Buffer.from(text, 'hex');
const day = (iso: string) => new Date(iso);

const EXAMPLES: Example[] = [
  ['boolean', [true, false]],
  ['bytea', [bytes(''), bytes('00ff5c2722'), Buffer.from('äöü\\\'"{},NULL')]],
  ['smallint', [0, -32768, 32767]],
  ['integer', [0, -2147483648, 2147483647]],
  ['bigint', ['0', '9223372036854775807', '-9223372036854775808']],
  ['numeric', ['0', '-0.10', '123456789012345678901234567890.123456789', 'NaN', 'Infinity']],
  ['real', [0, 1.5, -2.25, Number.NaN, Number.POSITIVE_INFINITY]],
  ['double precision', [0.1, -1e300, 5e-324, Number.NaN, Number.NEGATIVE_INFINITY]],
  ['oid', [0, 4294967295]],
  [
    'text',
    ['', ' ', 'NULL', 'null', '{}', '{"a"}', `a'b"c\\d`, 'a,b', '\n\t\r', '😀 ä', '\\x00', '$1'],
  ],
  ['varchar(40)', ['', 'NULL', "it's"]],
  ['character(3)', ['abc', 'a  ', '   ']],
  ['name', ['users', 'a"b']],
  ['"char"', ['a', '{']],
  ['uuid', ['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11']],
  ['date', ['2026-11-22', '0044-03-15 BC', '10000-01-01', 'infinity', '-infinity']],
  ['time', ['00:00:00', '23:59:59.999999', '24:00:00']],
  ['timetz', ['04:05:06+02', '23:59:59.999999-12:30']],
  ['interval', ['1 day', '-00:00:01', '1 year 2 mons 3 days 04:05:06.789']],
  ['inet', ['10.0.0.1', '::1/64']],
  ['cidr', ['10.0.0.0/8']],
  ['macaddr', ['08:00:2b:01:02:03']],
  [
    'timestamptz',
    [
      day('2026-11-22T10:11:12.345Z'),
      day('1969-12-31T23:59:59.999Z'),
      day('0099-01-01T00:00:00.000Z'),
      day('0001-01-01T00:00:00.000Z'),
      day('0000-12-31T23:59:59.999Z'),
      day('-000043-03-15T00:00:00.000Z'),
      day('+010000-01-01T00:00:00.000Z'),
      day('+275760-09-13T00:00:00.000Z'),
      Number.POSITIVE_INFINITY,
      Number.NEGATIVE_INFINITY,
    ],
  ],
  ['jsonb', [{ a: [1, { b: null }], c: 'x"\'\\' }, {}, { '': '' }]],
  ['json', [{ a: [1, { b: null }], c: 'x"\'\\' }, {}]],
];

for (const prepare of [true, false]) {
  const how = prepare ? 'prepared' : 'unprepared';
  for (const [type, values] of EXAMPLES) {
    test(`brings ${type} there and back, ${how}`, async ({ stage }) => {
      const pool = stage.pool({ max: 1, prepare });
      await pool.query(`create table one (id integer, value ${type})`);
      await pool.query(`create table many (id integer, value ${type}[])`);
      // The first use of a text is not prepared, all further ones are.
      for (const [id, value] of [...values, ...values, null].entries()) {
        const { rows } = await pool.query(
          'insert into one (id, value) values ($1, $2) returning value',
          [id, value],
        );
        expect(rows).toEqual([{ value }]);
      }
      const lists = [[], values, [null, ...values, null], [values, values], [[[values[0]]]]];
      for (const [id, value] of [...lists, ...lists, null].entries()) {
        const { rows } = await pool.query(
          'insert into many (id, value) values ($1, $2) returning value',
          [id, value],
        );
        expect(rows).toEqual([{ value }]);
      }
      expect((await pool.query(`select value from one order by id`)).rows).toEqual(
        [...values, ...values, null].map((value) => ({ value })),
      );
    });
  }
}

const COMPARABLE = EXAMPLES.filter(([type]) => type !== 'json');

for (const [type, values] of COMPARABLE) {
  test(`compares ${type} with a parameter that has no cast`, async ({ stage }) => {
    const pool = stage.pool({ max: 1 });
    await pool.query(`create table one (id integer, value ${type})`);
    for (const [id, value] of values.entries()) {
      await pool.query('insert into one values ($1, $2)', [id, value]);
    }
    for (let round = 0; round < 3; round++) {
      for (const [id, value] of values.entries()) {
        const equal = await pool.query('select id from one where value = $1', [value]);
        expect(equal.rows).toContainEqual({ id });
        const member = await pool.query('select id from one where value = any($1)', [[value]]);
        expect(member.rows).toContainEqual({ id });
      }
      const all = await pool.query('select id from one where value = any($1) order by id', [
        values,
      ]);
      expect(all.rows).toEqual(values.map((_, id) => ({ id })));
      const none = await pool.query('select id from one where value = any($1)', [[]]);
      expect(none.rows).toEqual([]);
    }
  });
}

const REFUSED: [what: string, value: unknown][] = [
  ['a Promise', Promise.resolve(1)],
  ['a thenable', Object.fromEntries([['then', () => undefined]])],
  ['a RegExp', /a/],
  ['an Error', Object.assign(new Error('a'), { code: 'ENOENT' })],
  ['a URLSearchParams', new URLSearchParams('a=1')],
  ['a WeakMap', new WeakMap()],
  ['an ArrayBuffer', new ArrayBuffer(2)],
  ['a DataView', new DataView(new ArrayBuffer(2))],
  ['a generator', (function* () {})()],
  ['a Headers', new Headers({ a: 'b' })],
  ['a function', () => 1],
  ['a symbol', Symbol('s')],
  ['a Map', new Map([['a', 1]])],
  ['a Set', new Set([1])],
  ['an invalid Date', new Date(Number.NaN)],
  ['a Float64Array', new Float64Array(1)],
  ['an object that holds a bigint', { n: 1n }],
];

test('sends nothing of a statement that has a parameter without a value in SQL', async ({
  stage,
}) => {
  const wire = await stage.wire();
  const pool = stage.pool({ connectionString: wire.url, max: 1 });
  await pool.query('select 1');
  wire.news();
  for (const [what, value] of REFUSED) {
    for (const params of [
      [1, value],
      [1, [value]],
      [1, [['a', value]]],
    ]) {
      const error = await failureOf(pool.query('select $1, $2', params));
      expect(error, what).toMatchObject({ code: 'USAGE' });
      expect(error.message).toContain('$2');
    }
    const inside = pool.withTransaction(async (tx) => {
      await tx.query('select $1', [value]).catch(() => undefined);
      return 'done';
    });
    await inside.catch(() => undefined);
  }
  const texts = new Set(wire.news());
  expect([...texts].filter((text) => text.includes('$'))).toEqual([]);
});
