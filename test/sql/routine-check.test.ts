import { beforeAll, expect, test } from 'vitest';
import { checkScript } from '../../src/sql/check.ts';
import { loadSqlParser, type SqlParser } from '../../src/sql/parser.ts';
import { splitStatements } from '../../src/sql/statements.ts';

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
  [
    "create function f() returns text language sql as 'select ''é'';\nselec ''a'''",
    '2:1 syntax error at or near "selec"',
  ],
  [
    "create function f() returns text language sql as 'select ''a'', ''b'' c d'",
    '1:73 syntax error at or near "d"',
  ],
  [
    "comment on table t is 'é'; create function f() returns text language sql as E'selec \\'a\\''",
    '1:79 syntax error at or near "selec"',
  ],
  ["do 'begin perform ''a''; selec ''a''; end'", '1:26 syntax error at or near "selec"'],
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
  "create function f() returns text language sql as 'select ''a''::text; select ''it''''s'''",
  "create function f(a text default 'x') returns text language sql as E'select \\'a\\' ;\\nselect 1' set search_path = 'a'",
  "create function f() returns text language sql as U&'select ''\\006b'' '",
  "create function f() returns text language sql as 'select '\n'1'",
  "do 'begin perform ''a'' /* '''' */; /* b */ end'",
  "do E'begin\\n  perform \\'a\\' /* a */ order by 1 nulls /* b */ first;\\nend'",
])('takes %s', (text) => {
  expect(problemsOf(text)).toEqual([]);
});

test('looks into no function where the server is told not to', () => {
  const body = "create function f() returns int language sql as 'selec 1'";
  expect(problemsOf(`set check_function_bodies = false;\n${body}`)).toEqual([]);
});

test('looks into a function that stands before such a setting, and into every block', () => {
  const body = "create function f() returns int language sql as 'selec 1'";
  const block = 'do $$ begin selec 1; end $$';
  expect(problemsOf(`${body};\nset check_function_bodies = false;\n${body};\n${block}`)).toEqual([
    '1:50 syntax error at or near "selec"',
    '4:13 syntax error at or near "selec"',
  ]);
});

test('finds the same where the trees are there already', () => {
  const text = [
    'selec 1;',
    'select 1;',
    "create function f() returns int language sql as 'selec 1';",
    'do $$ begin selec 1; end $$;',
    'do $$ begin perform 1; end $$;',
    "select 'open",
  ].join('\n');
  const statements = splitStatements(text);
  const trees = statements.map((one) =>
    one.unterminated === null ? parser.parse(one.text) : null,
  );
  const found = checkScript(text, parser, statements, trees);
  expect(found.map(({ line }) => line)).toEqual([1, 3, 4, 6]);
  expect(found).toEqual(checkScript(text, parser));
});

test('tells good routines from bad ones in whatever order they are asked for', () => {
  const good = 'do $$ begin perform 1; end $$';
  const bad = 'do $$ begin selec 1; end $$';
  expect(parser.parseRoutine(bad)).toBeNull();
  expect(parser.checkRoutine(good)).toBeNull();
  expect(parser.checkRoutine(bad)).toBe('syntax error at or near "selec"');
  expect(parser.parseRoutine(good)).toEqual(parser.parseRoutine(good));
  expect(parser.parseRoutine(bad)).toBeNull();
  expect(parser.checkRoutine(bad)).toBe('syntax error at or near "selec"');
});
