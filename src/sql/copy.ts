import { advance, isPunctuation, isWord, openCursor } from './lexer.ts';

/** Where the rows of a `copy … from stdin` are in the script, in UTF-16 offsets. */
export interface CopyData {
  /** The start of the line behind the statement, which the server counts as line 1. */
  start: number;
  /** Where the line `\.` starts, or the end of the script. */
  end: number;
  /** Whether there was such a line. */
  terminated: boolean;
  /** Where SQL goes on. */
  resumeAt: number;
}

/** Whether a statement that starts with `copy` reads its rows from the script. */
export function isCopyFromStdin(statementText: string): boolean {
  const cursor = openCursor(statementText);
  let depth = 0;
  let afterFrom = false;
  while (advance(cursor)) {
    if (isPunctuation(cursor, '(')) depth++;
    else if (isPunctuation(cursor, ')')) depth--;
    if (depth > 0) continue;
    if (afterFrom) return isWord(cursor, 'stdin');
    afterFrom = isWord(cursor, 'from');
  }
  return false;
}

/**
 * Finds the rows that follow a `copy … from stdin`: from the next line up to a line `\.`, or to
 * the end of the script where there is none. Where more SQL stands on the line of the semicolon,
 * no row is taken, so that nothing is left out unseen.
 *
 * @param at the UTF-16 offset after the statement's semicolon
 */
export function copyDataAfter(text: string, at: number): CopyData {
  const start = startOfRows(text, at);
  if (start < 0) return noCopyData(at);
  for (let i = start - 1; i >= 0; i = text.indexOf('\n\\.', i + 1)) {
    const mark = END_MARK.exec(text.slice(i + 1, i + 5))?.[0];
    if (mark !== undefined) {
      return { start, end: i + 1, terminated: true, resumeAt: i + 1 + mark.length };
    }
  }
  return { start, end: text.length, terminated: false, resumeAt: text.length };
}

/**
 * Whether a `copy … from stdin` wants rows in PostgreSQL's binary format, which no text file can
 * hold.
 */
export function isBinaryCopy(statementText: string): boolean {
  const cursor = openCursor(statementText);
  let isAfterFormat = false;
  while (advance(cursor) && !isWord(cursor, 'where')) {
    // It is a keyword, which cannot name a table or column without quotes.
    if (isWord(cursor, 'binary')) return true;
    const token = statementText.slice(cursor.start, cursor.end);
    if (isAfterFormat && token.toLowerCase() === "'binary'") return true;
    isAfterFormat = isWord(cursor, 'format');
  }
  return false;
}

/** Where the rows begin behind a statement that ends at `at`; -1 where none can follow. */
export function startOfRows(text: string, at: number): number {
  REST_OF_LINE.lastIndex = at;
  return REST_OF_LINE.test(text) ? REST_OF_LINE.lastIndex : -1;
}

/** For a `copy … from stdin` that no rows follow. */
export function noCopyData(at: number): CopyData {
  return { start: at, end: at, terminated: false, resumeAt: at };
}

const REST_OF_LINE = /[ \t\r\f\v]*(?:--[^\n]*)?\n/y;
const END_MARK = /^\\\.(?=\r?(?:\n|$))/;
