import { describe, expect, it } from 'vitest';
import { blankComments, normaliseTokens } from '../../src/sql/lexical.ts';

describe('normaliseTokens', () => {
  it.each([
    ['select a,b from t', 'select  a ,\n\tb\r\nfrom t ;'],
    ['select 1', '-- why\nselect /* how */ 1 -- end'],
    ['create table t (a int, b text)', 'create table t(\n  a int, -- the a\n  b text\n);\n'],
    ['a/**/b', 'a b'],
    ['select 1;select 2', '\n\nselect 1;\n\n;select 2;\n'],
    ["select 'a'\n'b'", "select 'a'   -- c\n\n   'b'"],
    ['select a=-1', 'select a = -1'],
    ['select a<b', 'select a < b'],
    ['\\restrict x\nselect 1', 'select 1'],
    [
      'create function f() returns int begin atomic select 1; end',
      'create function f ()\nreturns int begin atomic\n select 1; -- c\nend;',
    ],
  ])('gives %j and %j the same text', (a, b) => {
    expect(normaliseTokens(a)).toBe(normaliseTokens(b));
  });

  it.each([
    ['select a, b', 'select a b'],
    ['select ab', 'select a b'],
    ["select 'a  b'", "select 'a b'"],
    ['select "a  b"', 'select "a b"'],
    ['select $$ a -- b\n$$', 'select $$ a $$'],
    ["select '-- a'", "select '-- b'"],
    ["select E'a'", "select E 'a'"],
    ["select 'a''b'", "select 'a' 'b'"],
    ["select 'a'\n'b'", "select 'a' 'b'"],
    ["select 'a' /*\n*/ 'b'", "select 'a'\n'b'"],
    ['select a < - b', 'select a <@ b'],
    ['select a @ -b', 'select a @-b'],
    ['select 1.5', 'select 1 . 5'],
    ['select a::int', 'select a: :int'],
    ['select 1; select 2', 'select 1 select 2'],
    ['select $a$b$a$', 'select $c$b$c$'],
    ['SELECT 1', 'select 1'],
    ['copy t from stdin;\n1  2\n\\.\n', 'copy t from stdin;\n1 2\n\\.\n'],
    ['\\i a', '\\i b'],
  ])('tells %j from %j', (a, b) => {
    expect(normaliseTokens(a)).not.toBe(normaliseTokens(b));
  });

  it('leaves its own result as it is', () => {
    const script = "create table t (a int, b text default E'x\\'') ; -- c\nselect $$ a  b $$ ;";
    const once = normaliseTokens(script);
    expect(normaliseTokens(once)).toBe(once);
  });
});

describe('blankComments', () => {
  it('keeps every code point in its place', () => {
    const script = "select a -- 😀é\n, '--b' /* 😀 /* x */ */ from t";
    const blank = blankComments(script);
    expect(blank).toBe(`select a ${' '.repeat(5)}\n, '--b' ${' '.repeat(15)} from t`);
    expect([...blank]).toHaveLength([...script].length);
  });

  it('does not join two strings by a line break out of a comment', () => {
    expect(blankComments("select 'a' /*\n*/ 'b'")).toBe("select 'a'       'b'");
  });

  it('leaves a comment that never ends', () => {
    expect(blankComments('select 1 /* a')).toBe('select 1 /* a');
  });
});
