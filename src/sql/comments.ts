import { endOfBlockComment, endOfLine } from './lexeme.ts';
import { advance, openCursor } from './lexer.ts';
import { type Statement, splitStatements } from './statements.ts';

/** A comment of a script, by its place in UTF-16 units. */
export interface Comment {
  start: number;
  end: number;
}

/**
 * The comments of a script in the order of the text; what looks like one inside a string, a
 * quoted name, a function body or the rows of a `copy` is none.
 *
 * @example listComments("select '--' -- one") // [{ start: 12, end: 18 }]
 */
export function listComments(text: string, statements?: readonly Statement[]): Comment[] {
  const comments: Comment[] = [];
  let from = 0;
  for (const { start, end, copyData } of statements ?? splitStatements(text)) {
    addFromGap(text, from, start, comments);
    addFromTokens(text.slice(start, end), start, comments);
    from = end;
    if (copyData === null) continue;
    addFromGap(text, end, copyData.start, comments);
    from = copyData.resumeAt;
  }
  addFromGap(text, from, text.length, comments);
  return comments;
}

function addFromTokens(statementText: string, offset: number, into: Comment[]): void {
  const cursor = openCursor(statementText);
  let from = 0;
  while (advance(cursor)) {
    const found: Comment[] = [];
    addFromGap(statementText, from, cursor.start, found);
    for (const { start, end } of found) into.push({ start: start + offset, end: end + offset });
    from = cursor.end;
  }
}

// Between two tokens stands nothing but white space and comments, and semicolons between statements.
function addFromGap(text: string, from: number, to: number, into: Comment[]): void {
  for (let at = from; at < to - 1; ) {
    const pair = text.slice(at, at + 2);
    if (pair !== '--' && pair !== '/*') {
      at++;
      continue;
    }
    const end = pair === '--' ? endOfLine(text, at) : endOfBlockComment(text, at);
    if (end < 0) return;
    into.push({ start: at, end: Math.min(end, to) });
    at = end;
  }
}
