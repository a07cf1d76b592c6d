import { loadModule, parseSync } from 'libpg-query';
import { beforeAll, describe, expect, it } from 'vitest';
import { quoteIdent, quoteLiteral } from '../../src/sql/quote.ts';

describe('quoteIdent', () => {
  it('quotes every name, so that case and reserved words survive', () => {
    expect(quoteIdent('users')).toBe('"users"');
    expect(quoteIdent('Select')).toBe('"Select"');
  });

  it('doubles quotes', () => {
    expect(quoteIdent('a"; drop table t; --')).toBe('"a""; drop table t; --"');
  });

  it('refuses what cannot be a name', () => {
    expect(() => quoteIdent('')).toThrow(expect.objectContaining({ code: 'INVALID_NAME' }));
    expect(() => quoteIdent('a\0b')).toThrow(expect.objectContaining({ code: 'INVALID_NAME' }));
  });
});

describe('quoteLiteral', () => {
  beforeAll(loadModule);

  it('escapes quotes, backslashes and controls, and leaves characters to the server', () => {
    expect(quoteLiteral("it's \\ \n\t\u007f é 漢 😀")).toBe("E'it''s \\\\ \\n\\x09\\x7F é 漢 😀'");
  });

  it.each([
    '',
    "'",
    "''",
    '\\',
    "\\'",
    "\\'; drop table t; --",
    '\\u0041',
    'a\nb\r\nc\td\u0001\u001f\u007f\u0085\u2028',
    '$$ $tag$',
    'é ß 漢字 😀 👩‍👩‍👧 \u{10ffff} \ufeff',
  ])('gives %j back through the lexer of PostgreSQL', (text) => {
    const literal = quoteLiteral(text);
    expect(literal).not.toContain('\n');
    const [statement] = parseSync(`select ${literal}`).stmts ?? [];
    expect(statement).toHaveProperty('stmt.SelectStmt.targetList.0.ResTarget.val.A_Const.sval', {
      sval: text,
    });
  });

  it('replaces half a surrogate pair, which PostgreSQL would refuse', () => {
    expect(quoteLiteral('a\ud800b\udc00')).toBe("E'a\ufffdb\ufffd'");
  });

  it('refuses a NUL', () => {
    expect(() => quoteLiteral('a\0b')).toThrow(expect.objectContaining({ code: 'NUL_BYTE' }));
  });
});
