import { renderCharacter } from '../text/width.ts';
import { maskAround } from './mask.ts';

/** A place in a file as editors show it. */
export interface Position {
  /** From 1. */
  line: number;
  /** From 1, in code points. */
  column: number;
}

/** Tells positions at offsets that only grow, reading the text once for all of them. */
interface Locator {
  /** @param offsetUtf16 not smaller than in the call before */
  locate(offsetUtf16: number): Position;
}

/**
 * Makes a locator at the start of `text`.
 *
 * @param start the position of that start, where it is only a part of the file
 */
export function createLocator(text: string, start: Position = { line: 1, column: 1 }): Locator {
  let at = 0;
  let { line, column } = start;
  let nextBreak = -1;
  return {
    locate(offsetUtf16) {
      const end = Math.min(offsetUtf16, text.length);
      if (nextBreak < at) nextBreak = findBreak(text, at);
      while (nextBreak < end) {
        line++;
        column = 1;
        at = nextBreak + 1;
        nextBreak = findBreak(text, at);
      }
      for (; at < end; at++) if (!isTrailSurrogate(text, at)) column++;
      return { line, column };
    },
  };
}

function findBreak(text: string, from: number): number {
  const found = text.indexOf('\n', from);
  return found < 0 ? text.length : found;
}

/**
 * The line and column of an offset; an offset past the end counts as the end.
 *
 * @param offsetUtf16 from 0, in UTF-16 units as string indexes are
 */
export function locate(text: string, offsetUtf16: number): Position {
  return createLocator(text).locate(offsetUtf16);
}

/** One line without its break; '' past the end. */
export function lineOf(text: string, line: number): string {
  let from = 0;
  for (let number = 1; number < line; number++) from = text.indexOf('\n', from) + 1 || text.length;
  const end = text.indexOf('\n', from);
  return text.slice(from, end < 0 ? text.length : end);
}

/**
 * The UTF-16 offset of the n-th code point: PostgreSQL counts error positions in code points.
 *
 * @param n from 0; one past the end gives the length of the text
 */
export function offsetOfCodePoint(text: string, n: number): number {
  let at = 0;
  for (let left = n; left > 0 && at < text.length; left--) {
    at += isTrailSurrogate(text, at + 1) ? 2 : 1;
  }
  return at;
}

/** Whether the unit at `at` is the second half of a code point that starts before it. */
function isTrailSurrogate(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  if (code < 0xdc00 || code > 0xdfff || at === 0) return false;
  const before = text.charCodeAt(at - 1);
  return before >= 0xd800 && before <= 0xdbff;
}

/**
 * The UTF-16 offset of a UTF-8 byte offset: the locations of syntax trees count bytes.
 *
 * @param bytes from 0; one past the end gives the length of the text
 */
export function offsetOfByte(text: string, bytes: number): number {
  let at = 0;
  for (let left = bytes; left > 0 && at < text.length; ) {
    const code = text.codePointAt(at) ?? 0;
    left -= code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    at += code < 0x10000 ? 1 : 2;
  }
  return at;
}

/** The UTF-16 offset of a line and a column; past the end it is the end of the text. */
export function offsetOfPosition(text: string, { line, column }: Position): number {
  let start = 0;
  for (let left = line; left > 1; left--) {
    const next = text.indexOf('\n', start);
    if (next < 0) return text.length;
    start = next + 1;
  }
  return start + offsetOfCodePoint(text.slice(start), column - 1);
}

/**
 * Shows one line of a text with its number and a caret below a column. Tabs become spaces,
 * characters that would disturb a terminal become visible ones, and a long line is cut around
 * the caret. Wide characters count two columns, which is an approximation for emoji that are
 * joined from several. Secrets are masked, also where the line does not say that it holds one.
 *
 * @param line from 1; past the end it means the last line
 * @param column from 1, in code points; past the end it means the end of the line
 * @param options.maxColumns how much of the line to show; default 96
 * @param options.firstLine the number of the text's first line; default 1
 * @example
 * renderExcerpt('create tabel users (', 1, 8)
 * // 1 | create tabel users (
 * //   |        ^
 */
export function renderExcerpt(
  text: string,
  line: number,
  column: number,
  options: { maxColumns?: number; firstLine?: number } = {},
): string {
  const { start, end, number } = lineRange(text, line);
  const caret = start + offsetOfCodePoint(text.slice(start, end), column - 1);
  const maxColumns = options.maxColumns ?? 96;
  const [left, right] = maskAround(text, caret, {
    start: Math.max(start, caret - READ_CHARACTERS),
    end: Math.min(end, caret + READ_CHARACTERS),
  });
  const before = takeColumns(readBackwards(left), Math.ceil(maxColumns * 0.6));
  const after = takeColumns(readForwards(right), maxColumns - before.columns);
  const shown = renderLine(before.characters.reverse(), before.isCut ? '…' : '');
  const whole = renderLine(after.characters, shown.shown, shown.columns);
  const gutter = String(number + (options.firstLine ?? 1) - 1);
  return (
    `  ${gutter} | ${whole.shown}${after.isCut ? '…' : ''}\n` +
    `  ${' '.repeat(gutter.length)} | ${' '.repeat(shown.columns)}^`
  );
}

/** Of a line on each side of the caret: more than is shown, whatever is masked in it. */
const READ_CHARACTERS = 2_000;

// A line without its break, and its number: the last one where there are fewer.
function lineRange(text: string, line: number): { start: number; end: number; number: number } {
  let start = 0;
  let number = 1;
  for (; number < line; number++) {
    const next = text.indexOf('\n', start);
    if (next < 0) break;
    start = next + 1;
  }
  const lineBreak = text.indexOf('\n', start);
  let end = lineBreak < 0 ? text.length : lineBreak;
  if (end > start && text.charCodeAt(end - 1) === 0x0d) end--;
  return { start, end, number };
}

function* readForwards(text: string): Generator<string> {
  for (let at = 0; at < text.length; ) {
    const next = at + (isTrailSurrogate(text, at + 1) ? 2 : 1);
    yield text.slice(at, next);
    at = next;
  }
}

function* readBackwards(text: string): Generator<string> {
  for (let at = text.length; at > 0; ) {
    const next = at - (isTrailSurrogate(text, at - 1) ? 2 : 1);
    yield text.slice(next, at);
    at = next;
  }
}

// As many characters as fit; a tab counts its full width, because its place is not known yet.
function takeColumns(source: Iterable<string>, maxColumns: number) {
  const characters: string[] = [];
  let columns = 0;
  for (const character of source) {
    const { width } = renderCharacter(character, 0);
    // Marks of no width could pile up without end.
    if (columns + width > maxColumns || characters.length >= 4 * maxColumns) {
      return { characters, columns, isCut: true };
    }
    columns += width;
    characters.push(character);
  }
  return { characters, columns, isCut: false };
}

function renderLine(characters: string[], start: string, startColumn = start.length) {
  let shown = start;
  let columns = startColumn;
  for (const character of characters) {
    const rendered = renderCharacter(character, columns);
    shown += rendered.shown;
    columns += rendered.width;
  }
  return { shown, columns };
}
