import { describe, expect, it } from 'vitest';
import { createLocator, locate, offsetOfCodePoint, renderExcerpt } from '../../src/sql/position.ts';

describe('locate', () => {
  const text = 'a\r\n😀é\n\nend';

  it.each([
    [0, 1, 1],
    [1, 1, 2],
    [3, 2, 1],
    [5, 2, 2],
    [6, 2, 3],
    [7, 3, 1],
    [8, 4, 1],
    [11, 4, 4],
    [99, 4, 4],
  ])('puts offset %i on line %i, column %i', (offset, line, column) => {
    expect(locate(text, offset)).toEqual({ line, column });
  });

  it('gives the same positions one after another', () => {
    const locator = createLocator(text);
    for (let offset = 0; offset <= text.length; offset++) {
      expect(locator.locate(offset)).toEqual(locate(text, offset));
    }
  });
});

describe('offsetOfCodePoint', () => {
  it('counts a pair of surrogates once', () => {
    expect([0, 1, 2, 3, 4, 9].map((n) => offsetOfCodePoint('a😀b', n))).toEqual([0, 1, 3, 4, 4, 4]);
  });

  it('counts half a pair as one', () => {
    expect(offsetOfCodePoint('\ud800a\udc00', 2)).toBe(2);
  });
});

describe('renderExcerpt', () => {
  it.each([
    ["create role r password 'hidden' bogus", 1, 33, "create role r password '***' bogus", 29],
    ["create role r password\n  'hidden' bogus", 2, 12, "  '***' bogus", 8],
    ["create role r password -- why\n\t\n'hidden'\n'goes on' x", 4, 11, "'***' x", 6],
    ['create role r password $$\nhidden\n$$ bogus', 3, 4, "'***' bogus", 6],
    ["create role r password 'hidden'", 1, 24, "create role r password '***'", 23],
    ["create role r password 'hidden'", 1, 27, "create role r password '***'", 28],
  ])(
    'masks the secret in %j, and keeps the caret in its place',
    (text, line, column, shown, at) => {
      expect(renderExcerpt(text, line, column).split('\n')).toEqual([
        `  ${line} | ${shown}`,
        `    | ${' '.repeat(at)}^`,
      ]);
    },
  );

  const caretUnder = (excerpt: string) => {
    const [line = '', caret = ''] = excerpt.split('\n');
    return line.slice(caret.indexOf('^'));
  };

  it('shows the line, its number and a caret', () => {
    const text = `${'\n'.repeat(11)}create tabel users (\n  id int\n`;
    expect(renderExcerpt(text, 12, 8)).toBe(
      ['  12 | create tabel users (', '     |        ^'].join('\n'),
    );
  });

  it('leaves out the carriage return of a Windows line', () => {
    expect(renderExcerpt('a\r\nb\r\n', 1, 2)).toBe(['  1 | a', '    |  ^'].join('\n'));
  });

  it('expands tabs, so that the caret stands right', () => {
    const excerpt = renderExcerpt('\tselect\ta tabel', 1, 11);
    expect(excerpt).toBe(['  1 |     select  a tabel', '    |               ^'].join('\n'));
    expect(caretUnder(excerpt)).toBe('tabel');
  });

  it('counts wide characters as two columns and marks as none', () => {
    expect(renderExcerpt("'漢字😀' x", 1, 7)).toBe(
      ["  1 | '漢字😀' x", '    |          ^'].join('\n'),
    );
    expect(renderExcerpt("'e\u0301' x", 1, 6)).toBe(
      ["  1 | 'e\u0301' x", '    |     ^'].join('\n'),
    );
  });

  it('cuts a long line around the caret', () => {
    const text = `${'x'.repeat(500)}tabel${'y'.repeat(500)}`;
    const excerpt = renderExcerpt(text, 1, 501);
    const [line = ''] = excerpt.split('\n');
    expect(line).toMatch(/^ {2}1 \| …x+tabely+…$/);
    expect(line.length).toBeLessThanOrEqual(6 + 96 + 2);
    expect(caretUnder(excerpt)).toMatch(/^tabel/);
  });

  it('cuts a long line only where it is too long', () => {
    const text = `tabel ${'y'.repeat(500)}`;
    expect(renderExcerpt(text, 1, 1, { maxColumns: 10 })).toBe(
      ['  1 | tabel yyyy…', '    | ^'].join('\n'),
    );
    expect(renderExcerpt('short', 1, 6, { maxColumns: 10 })).toBe(
      ['  1 | short', '    |      ^'].join('\n'),
    );
  });

  it('lets no character of the text reach the terminal as a control', () => {
    const [line = ''] = renderExcerpt('a\u001b[31m\u202eb\u0007\u009b\u0000', 1, 1).split('\n');
    expect(line).toBe('  1 | a␛[31m\ufffdb␇\ufffd␀');
  });

  it('keeps to the text where line and column lie outside', () => {
    expect(renderExcerpt('a\nbc', 9, 9)).toBe(['  2 | bc', '    |   ^'].join('\n'));
    expect(renderExcerpt('', 1, 1)).toBe(['  1 | ', '    | ^'].join('\n'));
  });
});
