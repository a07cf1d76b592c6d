import { harmlessCharacter } from './harmless.ts';

/** What is one column wide each and needs no closer look, which costs a hundred times more. */
const NARROW = /^[\x20-\x7e\u00a1-\u00ac\u00ae-\u02ff\u2010-\u2027\u2500-\u257f]*$/;

const ZERO = /^[\p{Mn}\p{Me}\p{Cf}]/u;

/** The blocks of East Asian Wide and Fullwidth characters (Unicode, annex 11), and emoji. */
const WIDE =
  /^(?:\p{Emoji_Presentation}|[\u1100-\u115f\u2329\u232a\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{16fe0}-\u{18cff}\u{1b000}-\u{1b2ff}\u{20000}-\u{3fffd}])/u;

let segmenter: Intl.Segmenter | undefined;

/** What a reader takes for one character each: an accent goes with its letter, a flag is one. */
function* graphemes(text: string): Generator<string> {
  segmenter ??= new Intl.Segmenter('en', { granularity: 'grapheme' });
  for (const { segment } of segmenter.segment(text)) yield segment;
}

function graphemeWidth(grapheme: string): number {
  if (ZERO.test(grapheme)) return 0;
  return WIDE.test(grapheme) || grapheme.includes('\ufe0f') ? 2 : 1;
}

/** How many columns a terminal takes for the text. */
export function displayWidth(text: string): number {
  if (NARROW.test(text)) return text.length;
  let width = 0;
  for (const grapheme of graphemes(text)) width += graphemeWidth(grapheme);
  return width;
}

/** A shorter name would lose both its ends. */
const SHORTEST_CUT_NAME = 9;

/**
 * The text itself where it fits, else cut with `…` and never wider than `width` columns. Of a text
 * in words the beginning stays; of a name, such as an index has, the end too, as names that begin
 * alike differ there.
 */
export function cutToWidth(text: string, width: number): string {
  if (displayWidth(text) <= width) return text;
  if (text.includes(' ') || width < SHORTEST_CUT_NAME) {
    return `${takeFirst(text, width - 1).trimEnd()}…`;
  }
  const end = Math.floor((width - 1) / 3);
  return `${takeFirst(text, width - 1 - end)}…${takeLast(text, end)}`;
}

/** As much of the beginning as fits. */
export function takeFirst(text: string, width: number): string {
  if (NARROW.test(text)) return text.slice(0, width);
  return listFitting(graphemes(text), width).join('');
}

/** As much of the end as fits. */
function takeLast(text: string, width: number): string {
  if (NARROW.test(text)) return text.slice(text.length - width);
  return listFitting([...graphemes(text)].reverse(), width)
    .reverse()
    .join('');
}

function listFitting(characters: Iterable<string>, width: number): string[] {
  const kept: string[] = [];
  let used = 0;
  for (const character of characters) {
    used += graphemeWidth(character);
    if (used > width) break;
    kept.push(character);
  }
  return kept;
}

const TAB_STOP = 4;

/**
 * One code point as a terminal shows it, made harmless: tabs become spaces, and characters that
 * move the cursor or turn the direction of writing become visible.
 *
 * @param column where it will stand, from 0: a tab reaches to the next stop
 */
export function renderCharacter(
  character: string,
  column: number,
): { shown: string; width: number } {
  if (character === '\t') {
    const width = TAB_STOP - (column % TAB_STOP);
    return { shown: ' '.repeat(width), width };
  }
  const code = character.codePointAt(0) ?? 0;
  const shown = harmlessCharacter(character);
  if (shown !== character) return { shown, width: 1 };
  if (code < 0x7f) return { shown: character, width: 1 };
  if (ZERO.test(character)) return { shown: character, width: 0 };
  return { shown: character, width: WIDE.test(character) ? 2 : 1 };
}
