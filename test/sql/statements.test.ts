import { describe, expect, it } from 'vitest';
import { splitStatements } from '../../src/sql/statements.ts';

const texts = (script: string) => splitStatements(script).map(({ text }) => text);
const commands = (script: string) => splitStatements(script).map(({ command }) => command);

describe('splitStatements', () => {
  it('finds nothing in a script of white space, comments and semicolons', () => {
    expect(splitStatements('')).toEqual([]);
    expect(splitStatements(' \n-- a;\n/* b; */ ;;\t;')).toEqual([]);
  });

  it('tells where each statement is, without its comments and its semicolon', () => {
    const script = '-- first\ncreate table t (a int) ; -- why\n\n  select 1 -- last\n';
    expect(splitStatements(script)).toMatchObject([
      { index: 0, start: 9, end: 31, line: 2, column: 1, isTerminated: true },
      { index: 1, start: 44, end: 52, line: 4, column: 3, isTerminated: false },
    ]);
    expect(texts(script)).toEqual(['create table t (a int)', 'select 1']);
  });

  it('counts columns in code points and lines by line feeds', () => {
    const script = "/* 😀é */ select '😀'; select 2;\r\n\r\nselect 3";
    expect(splitStatements(script).map(({ line, column }) => [line, column])).toEqual([
      [1, 10],
      [1, 22],
      [3, 1],
    ]);
  });

  it('does not take a byte order mark for a part of the first statement', () => {
    expect(splitStatements('\ufeffselect 1')).toMatchObject([{ start: 1, text: 'select 1' }]);
  });

  it('goes on with a string whose parts stand on two lines, even across a comment', () => {
    expect(texts("select E'a' -- it's ;\n  'b\\'; c' ; select 2")).toEqual([
      "select E'a' -- it's ;\n  'b\\'; c'",
      'select 2',
    ]);
    expect(texts("select E'a' 'b\\'; select 2")).toEqual(["select E'a' 'b\\'", 'select 2']);
    expect(texts("select E'a' /*\n*/ 'b\\'; select 2")).toHaveLength(2);
  });

  it('takes a backslash for an escape only behind a lone e', () => {
    expect(texts("select date'\\'; select 2")).toHaveLength(2);
    expect(texts("select é'\\'; select 2")).toHaveLength(2);
    expect(texts("select E'\\'; select 2'")).toHaveLength(1);
  });

  it('keeps a rule with several commands whole', () => {
    expect(commands('create rule r as on insert to t do (select 1; select 2); select 3')).toEqual([
      'create rule',
      'select',
    ]);
  });

  it('is not led astray by a closing parenthesis too many', () => {
    expect(texts('select 1); select (2); select 3')).toHaveLength(3);
  });

  it('keeps a begin atomic body whole and takes begin for a statement elsewhere', () => {
    const script = `
      create function f() returns int begin atomic select case when true then 1 end; end;
      begin; select 1; end;`;
    expect(commands(script)).toEqual(['create function', 'begin', 'select', 'end']);
  });

  it('keeps a body inside a body whole', () => {
    const inner = 'create function g() returns int begin atomic select 2; end';
    expect(
      texts(`create function f() returns int begin atomic ${inner}; select 1; end; select 3`),
    ).toHaveLength(2);
  });
});

describe('unterminated text', () => {
  it.each([
    ["select 1; select 'a; select 2", 'string', 17],
    ["select 1; select E'a\\'; select 2", 'string', 17],
    ['select 1; select $x$ a; $$ select 2', 'dollar', 17],
    ['select 1; select "a; select 2', 'identifier', 17],
    ['select 1; select 2 /* a; /* b */ select 3', 'comment', 19],
    ['select 1; /* a; select 2', 'comment', 10],
  ])('reports what %j leaves open', (script, what, at) => {
    const statements = splitStatements(script);
    expect(statements).toHaveLength(2);
    expect(statements[0]).toMatchObject({ unterminated: null });
    expect(statements[1]).toMatchObject({ unterminated: { what, at }, end: script.length });
  });
});

describe('copy from stdin', () => {
  it('finds the rows and goes on behind their end mark', () => {
    const script = "copy t (a) from stdin; -- rows\n1\tit's; $$\n\\.x\n\\N\n\\.\nselect 2;";
    const [copy, select] = splitStatements(script);
    expect(copy).toMatchObject({ command: 'copy', text: 'copy t (a) from stdin' });
    const data = copy?.copyData;
    expect(data).toMatchObject({ terminated: true });
    expect(script.slice(data?.start, data?.end)).toBe("1\tit's; $$\n\\.x\n\\N\n");
    expect(select).toMatchObject({ text: 'select 2', line: 6, column: 1 });
  });

  it('takes rows with Windows line ends', () => {
    const script = 'copy t from stdin;\r\n1\r\n\\.\r\nselect 2;\r\n';
    expect(texts(script)).toEqual(['copy t from stdin', 'select 2']);
  });

  it('takes no row and an end mark at once', () => {
    expect(splitStatements('copy t from stdin;\n\\.\nselect 2')).toMatchObject([
      { copyData: { start: 19, end: 19, terminated: true } },
      { text: 'select 2' },
    ]);
  });

  it('takes everything up to the end where there is no end mark', () => {
    const script = 'copy t from stdin with (format csv);\n1;2\n';
    expect(splitStatements(script)).toMatchObject([
      { copyData: { start: 37, end: script.length, terminated: false } },
    ]);
  });

  it('loses no statement that stands on the line of the copy', () => {
    expect(commands('copy t from stdin; select 1;\nselect 2;')).toEqual([
      'copy',
      'select',
      'select',
    ]);
  });

  it.each([
    'copy t to stdout',
    "copy t from '/tmp/stdin'",
    "copy t from program 'stdin'",
    'copy t from "stdin"',
    'copy (select a from stdin) to stdout',
  ])('knows that %j reads no rows from the script', (script) => {
    expect(splitStatements(`${script};\nselect 1`)).toMatchObject([
      { copyData: null },
      { text: 'select 1' },
    ]);
  });
});

describe('commands of psql', () => {
  it('leaves out the lines that pg_dump writes', () => {
    const script = '\\restrict aB3\n\nselect 1;\n\n\\unrestrict aB3\n';
    expect(texts(script)).toEqual(['select 1']);
  });

  it('shows every other one as a statement of its own', () => {
    expect(splitStatements('select 1;\n  \\i other.sql\nselect 2')).toMatchObject([
      { text: 'select 1', psqlCommand: null },
      { text: '\\i other.sql', psqlCommand: 'i', line: 2, column: 3, command: '' },
      { text: 'select 2', psqlCommand: null },
    ]);
  });

  it('ends a statement at a command behind it', () => {
    expect(splitStatements('select 1 \\gexec\nselect 2')).toMatchObject([
      { text: 'select 1', isTerminated: false },
      { psqlCommand: 'gexec' },
      { text: 'select 2' },
    ]);
  });

  it('takes no backslash in quotes for a command', () => {
    expect(
      splitStatements('select \'\n\\i x\', $$\n\\i x$$, "\n\\i x" -- \\i x\n /* \\i x */'),
    ).toHaveLength(1);
  });

  it('does not read the rows behind a \\copy as SQL', () => {
    expect(splitStatements("\\copy t from stdin\nit's\n\\.\nselect 1")).toMatchObject([
      { psqlCommand: 'copy' },
      { text: 'select 1' },
    ]);
  });
});

describe('the command of a statement', () => {
  it.each([
    ['SELECT 1', 'select'],
    ['((select 1)) union select 2', 'select'],
    ['with a as (select 1) insert into t select * from a', 'with'],
    ['create unique index concurrently i on t (a)', 'create index'],
    ['create or replace function f() returns int return 1', 'create function'],
    ['create global temporary table t (a int)', 'create table'],
    ['create unlogged table t (a int)', 'create table'],
    ['create or replace recursive view v (a) as select 1', 'create view'],
    ['create materialized view v as select 1', 'create materialized view'],
    ['create constraint trigger t after insert on a execute function f()', 'create trigger'],
    ['create event trigger t on ddl_command_end execute function f()', 'create event trigger'],
    ['create foreign data wrapper w', 'create foreign data wrapper'],
    ['create text search configuration c (parser = p)', 'create text search configuration'],
    ['create user mapping for a server s', 'create user mapping'],
    ['create user bob', 'create user'],
    ['create operator s.+ (leftarg = int, function = f)', 'create operator'],
    ['create operator class c for type t using btree as storage int', 'create operator class'],
    ['alter default privileges grant select on tables to a', 'alter default privileges'],
    ['alter /* no */ TABLE only t add a int', 'alter table'],
    ['drop table t', 'drop table'],
    ['refresh materialized view concurrently v', 'refresh materialized view'],
    ['start transaction read only', 'start transaction'],
    ["prepare transaction 'a'", 'prepare transaction'],
    ['prepare transaction_a as select 1', 'prepare'],
    ["commit prepared 'a'", 'commit prepared'],
    ['commit and chain', 'commit'],
    ['rollback to savepoint s', 'rollback'],
    ['discard temp', 'discard temp'],
    ['comment on table t is null', 'comment'],
    ['create', 'create'],
    ['"select" 1', ''],
    ['(', ''],
    ['1', ''],
  ])('reads %j as %j', (script, command) => {
    expect(commands(script)).toEqual([command]);
  });
});
