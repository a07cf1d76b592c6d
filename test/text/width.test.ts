import { describe, expect, it } from 'vitest';
import { cutToWidth, displayWidth, renderCharacter, takeFirst } from '../../src/text/width.ts';

describe('a text', () => {
  it.each([
    ['', 0],
    ['plain', 5],
    ['Größe – é', 9],
    ['日本語', 6],
    ['e\u0301', 1],
    ['\u0301', 0],
    ['👩‍👩‍👧', 2],
    ['☂\ufe0f', 2],
    ['🇯🇵', 2],
    ['│ a │', 5],
  ])('%j takes as many columns as a terminal gives it', (text, width) => {
    expect(displayWidth(text)).toBe(width);
  });

  it.each([
    ['fits', 4, 'fits'],
    ['does not fit', 9, 'does not…'],
    ['does not fit', 5, 'does…'],
    ['idx_events_by_date_time', 10, 'idx_ev…ime'],
    ['idx_events_by_date_time', 9, 'idx_ev…me'],
    ['idx_events_by_date_time', 8, 'idx_eve…'],
    ['日本武道館フェスティバル', 13, '日本武道…バル'],
    ['日本 武道館', 6, '日本…'],
  ])('%j is cut to %i columns as %j', (text, width, cut) => {
    expect(cutToWidth(text, width)).toBe(cut);
    expect(displayWidth(cutToWidth(text, width))).toBeLessThanOrEqual(width);
  });

  it('gives of its beginning what fits', () => {
    expect(takeFirst('plain', 3)).toBe('pla');
    expect(takeFirst('日本語', 5)).toBe('日本');
    expect(takeFirst('日本語', 6)).toBe('日本語');
    expect(takeFirst('e\u0301x', 1)).toBe('e\u0301');
  });
});

describe('a character', () => {
  it.each([
    ['a', 0, 'a', 1],
    ['\t', 0, '    ', 4],
    ['\t', 3, ' ', 1],
    ['\t', 5, '   ', 3],
    ['\u001b', 0, '␛', 1],
    ['\u007f', 0, '␡', 1],
    ['\u202e', 0, '\ufffd', 1],
    ['é', 0, 'é', 1],
    ['日', 0, '日', 2],
    ['\u0301', 0, '\u0301', 0],
  ])('%j at column %i is shown as %j', (character, column, shown, width) => {
    expect(renderCharacter(character, column)).toEqual({ shown, width });
  });
});
