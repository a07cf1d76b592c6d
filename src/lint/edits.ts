import { advance, openCursor } from '../sql/lexer.ts';
import type { Statement } from '../sql/statements.ts';
import type { Edit } from './rule.ts';

/** The text with edits that do not overlap. */
export function applyEdits(text: string, edits: readonly Edit[]): string {
  let result = '';
  let from = 0;
  // Of several insertions at one place the first stays first.
  for (const { start, end, text: inserted } of edits.toSorted((a, b) => a.start - b.start)) {
    result += text.slice(from, start) + inserted;
    from = end;
  }
  return result + text.slice(from);
}

/**
 * A statement with its semicolon, the comments right above it and the one behind it on its line.
 * What the header tells evdb stays behind.
 */
export function rangeWithComments(
  text: string,
  statement: Statement,
): { start: number; end: number } {
  return {
    start: startWithComments(text, statement.start),
    end: endOfStatementLine(text, statement),
  };
}

const COMMENT_LINE = /^[ \t]*--(?!\s*evdb\s*:)/i;
const SUPPRESSION_LINE = /^[ \t]*--\s*evdb\s*:\s*ignore\b/i;

function startWithComments(text: string, at: number): number {
  const lineStart = text.lastIndexOf('\n', at - 1) + 1;
  if (text.slice(lineStart, at).trim() !== '') return at;
  let start = lineStart;
  const isFirst = text
    .slice(0, at)
    .split('\n')
    .every((line) => /^\s*(--.*)?$/.test(line));
  while (start > 0) {
    const before = text.lastIndexOf('\n', start - 2) + 1;
    const line = text.slice(before, start - 1);
    // One in the header is for the whole file.
    const isOwn = COMMENT_LINE.test(line) || (!isFirst && SUPPRESSION_LINE.test(line));
    if (!isOwn) break;
    start = before;
  }
  return start;
}

function endOfStatementLine(text: string, { end, isTerminated }: Statement): number {
  const cursor = openCursor(text);
  cursor.end = end;
  if (isTerminated) advance(cursor);
  const [rest = ''] = /^[ \t]*(?:--[^\n]*)?\n?/.exec(text.slice(cursor.end)) ?? [];
  const isWhole = rest.endsWith('\n') || cursor.end + rest.length === text.length;
  return isWhole ? cursor.end + rest.length : cursor.end;
}
