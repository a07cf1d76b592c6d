import { beforeAll, expect, test } from 'vitest';
import { checkScript } from '../../src/sql/check.ts';
import { loadSqlParser, type SqlParser } from '../../src/sql/parser.ts';

let parser: SqlParser;
beforeAll(async () => {
  parser = await loadSqlParser();
});

const problemsOf = (text: string) =>
  checkScript(text, parser).map(({ message, line, column }) => `${line}:${column} ${message}`);

test.each([
  [
    'create function f() returns int language sql as $$\nselec 1\n$$',
    '2:1 syntax error at or near "selec"',
  ],
  [
    'create function f() returns int language plpgsql as $$\nbegin\n  selec 1;\nend $$',
    '3:3 syntax error at or near "selec"',
  ],
  ['do $$\nbegin\n  update t set where;\nend $$', '3:16 syntax error at or near "where"'],
  [
    'create or replace procedure p() language plpgsql as $$ begin if x then return; end $$',
    '1:55 syntax error at end of input',
  ],
])('finds the error in the body of %s', (text, problem) => {
  expect(problemsOf(text)).toEqual([problem]);
});

test.each([
  "create function f(a int) returns int language sql as 'select $1 + a'",
  "create function f() returns int language plpgsql as 'begin return x; end'",
  'create function f() returns bigint begin atomic select 1; select case when true then 2 end; end',
  'create function f() returns int return 1',
  'create function f(t unknown_type) returns setof t language plpgsql as $$ declare r t%rowtype; begin return next r; end $$',
  "create function f() returns int language c as 'lib', 'f'",
  'do $$ begin execute format($f$selec %I$f$, 1); end $$',
  'do $$ begin perform 1 /* a */ order by 1 nulls /* b */ first; end $$',
])('takes %s', (text) => {
  expect(problemsOf(text)).toEqual([]);
});

test('looks into no function where the server is told not to', () => {
  const body = "create function f() returns int language sql as 'selec 1'";
  expect(problemsOf(`set check_function_bodies = false;\n${body}`)).toEqual([]);
});
