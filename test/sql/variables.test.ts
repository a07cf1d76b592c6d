import { loadModule, parseSync } from 'libpg-query';
import { beforeAll, describe, expect, it } from 'vitest';
import { checkScript } from '../../src/sql/check.ts';
import { tokenChecksum } from '../../src/sql/lexical.ts';
import { loadSqlParser } from '../../src/sql/parser.ts';
import { splitStatements } from '../../src/sql/statements.ts';
import { substituteVariables, withValues, writtenOffset } from '../../src/sql/variables.ts';

const fill = (text: string, values: Record<string, string>) =>
  substituteVariables(text, values).text;

describe('values', () => {
  beforeAll(loadModule);

  it.each([
    'web',
    'Web App',
    'select',
    'a"b""c',
    "o'neil",
    '"; drop table t; --',
    "'; drop table t; --",
    '\\',
    "\\'",
    'C:\\new\\u0041',
    'a\nb\r\tc\u0001\u007f',
    '$$ $x$ :"x" :\'x\'',
    'é 漢 😀 \u2028',
  ])('come out of the lexer of PostgreSQL as they were: %j', (x) => {
    const [statement] = parseSync(fill(`select :'x' as :"x", 1 as after`, { x })).stmts ?? [];
    expect(statement).toHaveProperty('stmt.SelectStmt.targetList.0.ResTarget', {
      name: x,
      val: { A_Const: { location: 7, sval: { sval: x } } },
      location: 7,
    });
    expect(statement).toHaveProperty('stmt.SelectStmt.targetList.1.ResTarget.name', 'after');
  });

  it('are written as psql writes them', () => {
    expect(fill(`:"a" :'a' :'b'`, { a: 'web', b: '\\' })).toBe(`"web" 'web' E'\\\\'`);
  });

  it('do not become a part of the word before them', () => {
    expect(fill(`select e:'a', u&:"a", d.:"a"`, { a: 'x' })).toBe(`select e 'x', u& "x", d."x"`);
  });

  it.each([
    ['', 'an SQL name cannot be empty'],
    ['ä'.repeat(32), 'it has 64 bytes'],
    ['a\0b', 'it holds a NUL character'],
  ])('are refused as a name where they are none: %j', (a, reason) => {
    expect(() => fill('select 1 as :"a"', { a })).toThrow(
      `the value of variable "a" cannot be used: ${reason}`,
    );
  });
});

it.each([
  `select ':"a" :''a'' ', ":'a'", $$ :"a" $$, $x$:'a'$x$, E':\\'a', 1 -- :"a"`,
  `/* :"a" /* :'a' */ */ select x::"a", x::'a', p := "a", : "a", :"b", :"a b", :a`,
  `insert into t values (':''a''')`,
])('leaves what is no variable of the file, as psql does: %s', (text) => {
  expect(fill(text, { a: 'X' })).toBe(text);
});

it('finds the place in the file for each place of what is sent', () => {
  const [statement] = withValues(splitStatements(`select :"a", bad, :'b', worse`), {
    a: 'a long value 😀',
    b: '',
  });
  const { text = '', written } = statement ?? {};
  const placeOf = (word: string) =>
    written?.text.slice(writtenOffset({ written } as never, text.indexOf(word)));
  expect(placeOf('bad')).toBe(`bad, :'b', worse`);
  expect(placeOf('worse')).toBe('worse');
  expect(placeOf('value')).toBe(`:"a", bad, :'b', worse`);
  expect(placeOf("''")).toBe(`:'b', worse`);
  expect(writtenOffset({ written } as never, text.length)).toBe(written?.text.length);
});

it('leaves place and checksum of a statement as its file has them', () => {
  const text = `select 1;\n  select :'a' ; select 2`;
  const [, before, last] = splitStatements(text);
  const [, after, sameLast] = withValues(splitStatements(text), { a: 'much longer' });
  const { line, column, start, end } = before as never;
  expect(after).toMatchObject({ line, column, start, end });
  expect(sameLast).toEqual(last);
  expect(tokenChecksum(text, withValues(splitStatements(text), { a: 'x' }))).toBe(
    tokenChecksum(text),
  );
});

it('says that a variable is not declared only where the grammar stumbles over it', async () => {
  const parser = await loadSqlParser();
  expect(checkScript(`select (array[1])[1:"n"] from (select 1 as n) as x`, parser)).toEqual([]);
  expect(checkScript(`select 1;\ngrant a to :"app_role"`, parser)).toEqual([
    {
      code: 'VARIABLE_UNDECLARED',
      message: ':"app_role" is a variable that this file does not declare',
      hint: 'Declare it at the top of the file: -- evdb: variables app_role',
      line: 2,
      column: 12,
      statementIndex: 1,
    },
  ]);
});
