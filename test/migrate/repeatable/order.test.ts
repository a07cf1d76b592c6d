import { beforeAll, expect, test } from 'vitest';
import { groupRepeatables } from '../../../src/migrate/repeatable/order.ts';
import { readRepeatableContents } from '../../../src/migrate/repeatable/statements.ts';
import { loadSqlParser, type SqlParser } from '../../../src/sql/parser.ts';
import { splitStatements } from '../../../src/sql/statements.ts';

let parser: SqlParser;
beforeAll(async () => {
  parser = await loadSqlParser();
});

const read = (sql: string) => readRepeatableContents(splitStatements(sql), parser, 'public');

/** The names in the order in which they are applied, those of one transaction together. */
function group(files: Record<string, string>, wanted = Object.keys(files)): string[] {
  const units = Object.entries(files).map(([name, sql]) => ({
    ...read(sql),
    ...{ name, file: `${name}.sql` },
  }));
  const path = { targetSchema: 'public', searchPath: ['ext'] };
  const groups = groupRepeatables(units, new Set(wanted), path);
  return groups.map((one) => one.map(({ name }) => name).join(' '));
}

const view = (name: string, from: string) =>
  `create or replace view ${name} as select * from ${from};`;
const fn = (name: string, body: string, language = 'sql') =>
  `create or replace function ${name} returns int language ${language} as $$ ${body} $$;`;
const plpgsql = (name: string, body: string) => fn(name, `begin ${body}; return 1; end`, 'plpgsql');

test.each([
  ['a view that another one reads', { a: view('a', 'public.b'), b: view('b', 't') }, ['b a']],
  [
    'what a common table expression hides',
    { a: view('a', 'b'), b: 'create or replace view x as with a as (select 1) select * from a' },
    ['a', 'b'],
  ],
  [
    'a function that a view calls',
    { a: 'create or replace view a as select f(1)', b: fn('f(x int)', 'select 1') },
    ['b a'],
  ],
  [
    'a view that an SQL body reads',
    { a: fn('f()', 'select n from v'), b: view('v', 't') },
    ['b a'],
  ],
  ['a row type of an argument', { a: fn('f(r v)', 'select 1'), b: view('v', 't') }, ['b a']],
  [
    'the function of a trigger',
    {
      a: 'create or replace trigger x before insert on t for each row execute function f()',
      b: fn('f()', 'select 1'),
    },
    ['b a'],
  ],
  [
    'what a grant is for',
    {
      a: 'grant select on v to public; grant execute on function f(int) to public',
      b: fn('f(x int)', 'select 1'),
      c: view('v', 't'),
    },
    ['b c a'],
  ],
  [
    'what a comment is on',
    {
      a: "comment on column v.x is 'x'; comment on trigger q on w is 'x'",
      b: view('v', 't'),
      c: view('w', 't'),
    },
    ['b c a'],
  ],
  ['a schema of the search path', { a: view('a', 'b'), b: view('ext.b', 't') }, ['b a']],
  [
    'another schema, which is another view',
    { a: view('a', 'other.b'), b: view('b', 't') },
    ['a', 'b'],
  ],
  [
    'a call that fits by its arguments',
    {
      a: 'create or replace view a as select f(1, 2)',
      b: fn('f(x int)', 'select 1'),
      c: fn('f(x int, y int, z int default 1)', 'select 1'),
    },
    ['c a', 'b'],
  ],
])('comes after %s', (_, files, order) => {
  expect(group(files as Record<string, string>)).toEqual(order);
});

test('puts a body of PL/pgSQL after what it names, unless that makes a circle', () => {
  const one = plpgsql('one()', 'perform two()');
  expect(group({ a: one, b: plpgsql('two()', 'perform 1') })).toEqual(['b a']);
  expect(group({ a: one, b: plpgsql('two()', 'perform one()') })).toEqual(['a b']);
});

test('grants on all tables of a schema come after them, in a transaction of their own', () => {
  expect(
    group({ a: 'grant select on all tables in schema public to public', b: view('b', 't') }),
  ).toEqual([...['b', 'a']]);
});

test('leaves what has not changed out, and keeps together what hangs together through it', () => {
  const files = { a: view('a', 'b'), b: view('b', 'c'), c: view('c', 't'), d: view('d', 't') };
  expect(group(files, ['a', 'c', 'd'])).toEqual(['c a', 'd']);
  expect(group(files, ['b'])).toEqual(['b']);
  expect(group(files, [])).toEqual([]);
});

test('refuses a circle, with the files on it', () => {
  const files = { a: view('a', 'b'), b: view('b', 'c'), c: view('c', 'a'), d: view('d', 'a') };
  expect(() => group(files)).toThrow(
    expect.objectContaining({
      code: 'REPEATABLE_CYCLE',
      message: 'repeatables need each other: a.sql → b.sql → c.sql → a.sql',
    }),
  );
});

test.each([
  [view('v', 't'), view('public.v', 't'), 'view public.v'],
  [fn('f(int)', 'select 1'), fn('f(x integer)', 'select 2'), 'function f(int4)'],
  [
    'create or replace trigger x before insert on t for each row execute function f()',
    'create or replace trigger x after insert on public.t for each row execute function f()',
    'trigger x on public.t',
  ],
])('refuses what two files make: %s', (a, b, named) => {
  expect(() => group({ a, b })).toThrow(
    expect.objectContaining({
      code: 'DUPLICATE_REPEATABLE',
      message: `two repeatables make ${named}: a.sql and b.sql`,
    }),
  );
});

test('takes functions of one name and other arguments as two', () => {
  expect(group({ a: fn('f(int)', 'select 1'), b: fn('f(text)', 'select 1') })).toEqual(['a', 'b']);
});

test.each([
  'create or replace view v with (security_invoker) as select 1 as a; grant select on v to public',
  'drop view if exists v; create view v as select 1 as a',
  'drop function if exists f; create function f() returns int language sql return 1',
  'create or replace procedure p(a int) language sql as $$ select 1 $$',
  'create or replace aggregate s(int) (sfunc = int4pl, stype = int)',
  'drop materialized view if exists m; create materialized view m as select 1 as a; create unique index on m (a)',
  'drop trigger if exists x on t; create constraint trigger x after insert on t for each row execute function f()',
  'drop policy if exists p on t; create policy p on t using (true); alter table t enable row level security',
  'create or replace rule r as on insert to v do instead nothing',
  'drop event trigger if exists e; create event trigger e on ddl_command_end execute function f()',
  'alter default privileges in schema public grant select on tables to public',
  "comment on function f() is 'x'; alter function f() owner to me; alter view v set (security_barrier)",
  'set local check_function_bodies = off',
])('takes what can be made again: %s', (sql) => {
  expect(read(sql).refusals.map(({ message }) => message)).toEqual([]);
});

test.each([
  ['create table t (a int)', '"create table" does not belong in a repeatable'],
  ['insert into t values (1)', '"insert" does not belong in a repeatable'],
  ['do $$ begin end $$', '"do" does not belong in a repeatable'],
  ['alter table t add column b int', '"alter table" does not belong in a repeatable'],
  ['create index on t (a)', '"create index" does not belong in a repeatable'],
  ['drop table if exists t', '"drop table" does not belong in a repeatable'],
  ['create view v as select 1', 'view v cannot be made again as it is written'],
  [
    'create function f(a int) returns int return 1',
    'function f(int4) cannot be made again as it is written',
  ],
  [
    'create materialized view if not exists m as select 1',
    'materialized view m cannot be made again as it is written',
  ],
  ['create policy p on t using (true)', 'policy p on t cannot be made again as it is written'],
  ['create or replace temp view v as select 1', 'what is temporary is gone when the run ends'],
  ['drop view v', '"drop view" fails where there is nothing to drop'],
  ['drop view if exists v cascade', '"cascade" would also drop what others made'],
])('refuses %s', (sql, message) => {
  expect(read(sql).refusals).toMatchObject([{ message }]);
});
