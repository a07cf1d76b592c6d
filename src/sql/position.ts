/** A place in a file as editors show it. */
export interface Position {
  /** From 1. */
  line: number;
  /** From 1, in code points. */
  column: number;
}

/** Tells positions at offsets that only grow, reading the text once for all of them. */
export interface Locator {
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
  return {
    locate(offsetUtf16) {
      const end = Math.min(offsetUtf16, text.length);
      for (; at < end; at++) {
        const code = text.charCodeAt(at);
        if (code === 0x0a) {
          line++;
          column = 1;
        } else if (!isTrailSurrogate(text, at)) column++;
      }
      return { line, column };
    },
  };
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
export function isTrailSurrogate(text: string, at: number): boolean {
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
