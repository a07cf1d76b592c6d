import { beforeAll, describe, expect, it } from 'vitest';
import { checkScript } from '../../src/sql/check.ts';
import { loadSqlParser, MAX_CHECKED_LENGTH, type SqlParser } from '../../src/sql/parser.ts';

let parser: SqlParser;
beforeAll(async () => {
  parser = await loadSqlParser();
});

const check = (script: string) => checkScript(script, parser);

describe('checkScript', () => {
  it('finds nothing wrong with a good script', () => {
    expect(check('create table t (a int);\ndo $$ begin perform 1; end $$;\nvacuum;')).toEqual([]);
    expect(check('')).toEqual([]);
    expect(check('-- nothing')).toEqual([]);
  });

  it('places a syntax error in code points, in whichever statement it is', () => {
    const script = "select '😀'; -- 😀\n/* 漢 */ select '😀😀', tabel tabel tabel;\nselect 1;";
    expect(check(script)).toEqual([
      {
        code: 'SYNTAX_ERROR',
        message: 'syntax error at or near "tabel"',
        line: 2,
        column: 34,
        statementIndex: 1,
      },
    ]);
  });

  it('reports the first error of each statement', () => {
    expect(check('create tabel a ();\nselect 1;\nselect from where;\n')).toMatchObject([
      { line: 1, column: 8, statementIndex: 0 },
      { line: 3, column: 13, statementIndex: 2 },
    ]);
  });

  it('places an error at the end of an unfinished statement', () => {
    expect(check('select 1;\ncreate table t (a int')).toMatchObject([
      { message: 'syntax error at end of input', line: 2, column: 22 },
    ]);
  });

  it.each([
    ["select 1;\nselect 'abc;\nselect 2;", 'unterminated quoted string', 2, 8],
    ['select 1;\nselect $f$abc;\n$$', 'unterminated dollar-quoted string', 2, 8],
    ['select 1;\nselect "abc;\nselect 2;', 'unterminated quoted identifier', 2, 8],
    ['select 1;\nselect 1 /* a;\nselect 2;', 'unterminated /* comment', 2, 10],
    [
      "create tabel t;\ncreate tabel t (a text default 'x;\n",
      'syntax error at or near "tabel"',
      1,
      8,
    ],
  ])('names what %j leaves open, where it opens', (script, message, line, column) => {
    expect(check(script)[0]).toMatchObject({ code: 'SYNTAX_ERROR', message, line, column });
  });

  it('reports the error before an open quote rather than the quote', () => {
    expect(check("create tabel t (a text default 'x);\n")).toMatchObject([{ column: 8 }]);
  });

  it('reports a command of psql once, without errors in what it cuts in pieces', () => {
    const script = 'create table t (\n\\i columns.sql\n);\nselect 1 \\gexec\nselect 2;';
    expect(check(script)).toMatchObject([
      { code: 'PSQL_COMMAND', line: 2, column: 1, message: expect.stringContaining('\\i ') },
      { code: 'PSQL_COMMAND', line: 4, column: 10, message: expect.stringContaining('\\gexec ') },
    ]);
  });

  it('accepts the lines that pg_dump writes', () => {
    expect(check('\\restrict a\nselect 1;\n\\unrestrict a\n')).toEqual([]);
  });

  it('does not read the rows of a copy as SQL', () => {
    expect(check("select 1;\ncopy t from stdin;\nit's\n\\.\nselect 2;")).toEqual([]);
  });

  it.each([
    'copy t from stdin;\n1\n',
    'copy t from stdin; select 1;\n',
    'copy t from stdin;',
    'copy t from stdin\n1',
  ])('refuses rows that do not end: %j', (script) => {
    expect(check(`select 1;\n${script}`)).toMatchObject([
      { code: expect.stringMatching(/COPY_UNTERMINATED|SYNTAX_ERROR/), line: expect.any(Number) },
    ]);
  });

  it.each([
    'copy t from stdin binary',
    'copy t from stdin with binary',
    'COPY BINARY t FROM STDIN',
    'copy t (a) from stdin (format binary)',
    "copy t from stdin with (freeze, format 'binary')",
  ])('refuses binary rows: %s', (copy) => {
    expect(check(`${copy};\n\\.\n`)).toMatchObject([{ code: 'COPY_UNSUPPORTED', line: 1 }]);
  });

  it.each([
    'copy "binary" ("binary") from stdin',
    "copy t from stdin with (format csv, null 'binary')",
    "copy t from stdin where a > 'binary'",
  ])('takes no name for the binary format: %s', (copy) => {
    expect(check(`${copy};\n\\.\n`)).toEqual([]);
  });

  it('refuses a NUL, which would hide the rest from PostgreSQL', () => {
    expect(check('select 1;\nselect\0 tabel;')).toMatchObject([
      { code: 'NUL_BYTE', line: 2, column: 7, statementIndex: -1 },
    ]);
  });

  it('does not check a statement that is too long for the parser, but finds its open quote', () => {
    const long = 'x'.repeat(MAX_CHECKED_LENGTH);
    expect(check(`insert tabel t values ('${long}')`)).toEqual([]);
    expect(check(`insert into t values ('${long})`)).toMatchObject([
      { message: 'unterminated quoted string' },
    ]);
  });

  it('has no verdict on an expression too deep for the parser', () => {
    expect(check(`select 1${'+1'.repeat(20_000)}; select 2`)).toEqual([]);
    expect(check('create tabel t')).toHaveLength(1);
  });

  it('cuts a message that quotes a long token', () => {
    const [problem] = check(
      `create tabel_${'x'.repeat(10)} '${'y'.repeat(5000)}'; select 1 '${'z'.repeat(5000)}'`,
    );
    expect(problem?.message.length).toBeLessThan(200);
  });
});

describe('a script that reads backslashes as escapes', () => {
  const BROKEN = "insert into t values ('it\\'s');";

  it.each([
    'set standard_conforming_strings = off;',
    "SET SESSION standard_conforming_strings TO 'off';",
    "select pg_catalog.set_config('standard_conforming_strings', 'off', false);",
  ])('is told of the setting: %s', (line) => {
    expect(check(`${line}\n${BROKEN}`)).toMatchObject([
      {
        code: 'SYNTAX_ERROR',
        line: 2,
        hint: expect.stringContaining('standard_conforming_strings'),
      },
    ]);
  });

  it.each(['set standard_conforming_strings = on;', ''])('is not told without: %j', (line) => {
    expect(check(`${line}\n${BROKEN}`)[0]).not.toHaveProperty('hint');
  });
});

// The parser's build refuses these, and every server takes them.
describe('comments in places that the parser does not expect', () => {
  it.each([
    'select 1 where 1 not /* x */ in (2)',
    'select 1 where 1 not -- x\n between 2 and 3',
    'select 1 from t order by 1 nulls /* x */ first',
    'select * from f() with -- x\n ordinality',
    'create table t (a timestamp without /* x */ time zone)',
    "comment on table t is 'a' -- x\n  'b'",
    "select U&'a' /* x */ uescape '!'",
  ])('are no error: %j', (script) => {
    expect(check(script)).toEqual([]);
  });

  it('do not hide the error behind them', () => {
    expect(check('select 1 where 1 not /* 😀 */ in (2) limt 3 3')).toMatchObject([
      { message: 'syntax error at or near "limt"', column: 37 },
    ]);
  });
});
