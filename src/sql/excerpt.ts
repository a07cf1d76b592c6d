import { renderCharacter } from '../text/width.ts';
import { isTrailSurrogate, offsetOfCodePoint } from './position.ts';

/**
 * Shows one line of a text with its number and a caret below a column. Tabs become spaces,
 * characters that would disturb a terminal become visible ones, and a long line is cut around
 * the caret. Wide characters count two columns, which is an approximation for emoji that are
 * joined from several.
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
  const before = takeColumns(readBackwards(text, caret, start), Math.ceil(maxColumns * 0.6));
  const after = takeColumns(readForwards(text, caret, end), maxColumns - before.columns);
  const left = renderLine(before.characters.reverse(), before.isCut ? '…' : '');
  const whole = renderLine(after.characters, left.shown, left.columns);
  const gutter = String(number + (options.firstLine ?? 1) - 1);
  return (
    `  ${gutter} | ${whole.shown}${after.isCut ? '…' : ''}\n` +
    `  ${' '.repeat(gutter.length)} | ${' '.repeat(left.columns)}^`
  );
}

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

function* readForwards(text: string, from: number, end: number): Generator<string> {
  for (let at = from; at < end; ) {
    const next = at + (isTrailSurrogate(text, at + 1) ? 2 : 1);
    yield text.slice(at, next);
    at = next;
  }
}

function* readBackwards(text: string, from: number, start: number): Generator<string> {
  for (let at = from; at > start; ) {
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
