import { describe, expect, it } from 'vitest';
import { harmlessJson, harmlessText, mapStrings } from '../../src/text/harmless.ts';

describe('harmlessText', () => {
  it.each([
    ['a screen that is cleared', 'a\x1b[2Jb', 'a␛[2Jb'],
    ['a title that is set', '\x1b]0;x\x07', '␛]0;x␇'],
    ['eight-bit controls', '\x9b2J', '\ufffd2J'],
    ['a carriage return', 'shown\rhidden', 'shown␍hidden'],
    ['a line end of Windows', 'a\r\nb\u00e9', 'a\nb\u00e9'],
    ['a backspace', 'ab\b', 'ab␈'],
    ['writing that turns', 'a\u202eb\u2066c', 'a\ufffdb\ufffdc'],
    ['half a pair', 'a\ud800b', 'a\ufffdb'],
    ['text that is hidden', '\x1b[8mx\x1b[0m', '␛[8mx␛[0m'],
    ['a command of GitHub', 'a\n::error file=x::b', 'a\n| ::error file=x::b'],
    ['one that is set in', '  ::stop-commands::x', '  | ::stop-commands::x'],
    ['a command of Azure', 'a ##vso[task.setvariable]x', '| a ##vso[task.setvariable]x'],
    ['an older one of GitHub', 'a ##[error]x', '| a ##[error]x'],
  ])('shows %s as a plain text', (_, text, shown) => {
    expect(harmlessText(text)).toBe(shown);
  });

  it.each([
    'plain text\n\twith lines',
    '\x1b[31merror\x1b[39m \x1b[1mbold\x1b[22m',
    'Größe – 5 € 日本語 😀',
    'a::b and std::vector, ## a title',
  ])('leaves %j as it is', (text) => {
    expect(harmlessText(text)).toBe(text);
  });
});

it('shows colours of others as text where there are none of ours', () => {
  expect(harmlessText('\x1b[31mred\x1b[39m', false)).toBe('␛[31mred␛[39m');
});

describe('harmlessJson', () => {
  it('says the same with escapes', () => {
    const value = { a: '\x9b2J\u202e\u2028\x7f', b: 'é' };
    const json = harmlessJson(JSON.stringify(value));
    expect(json).not.toMatch(/[\x7f-\x9f\u2028-\u202e]/);
    expect(JSON.parse(json)).toEqual(value);
  });
});

describe('mapStrings', () => {
  it('leaves what writes itself as JSON', () => {
    const value = { toJSON: () => 'x', text: 'a' };
    expect(mapStrings({ value }, (text) => `${text}!`)).toEqual({ value });
  });

  it('reaches every string, and leaves all else', () => {
    const at = new Date(0);
    const value = { a: 'x', list: ['x', { b: 'x' }], n: 1, at, none: null, not: undefined };
    expect(mapStrings(value, (text) => `${text}!`)).toEqual({
      ...{ a: 'x!', list: ['x!', { b: 'x!' }], n: 1, at, none: null, not: undefined },
    });
  });
});
