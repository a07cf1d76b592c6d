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

/** A line of a comment that speaks to evdb, by its place in UTF-16 units. */
export interface DirectiveLine extends Comment {
  /** In lower case; '' where nothing follows the colon. */
  name: string;
  value: string;
  /** Whether it stands before the first statement. */
  isHeader: boolean;
  /** False for what was meant as one and is not written as one, such as `-- evdb no-transaction`. */
  isWellFormed: boolean;
}

// A no-break space, or what has no width at all, is not seen by who writes it.
const SPACE = '[\\s\\u200b-\\u200d\\u2060\\ufeff]*';
const WRITTEN = new RegExp(
  `^(?:--|/\\*{1,2}|\\*)?${SPACE}evdb${SPACE}:${SPACE}([^\\s:]*)(?!:)${SPACE}(.*)$`,
  'i',
);
const NAMES =
  'no-?transaction|irreversible|lock-?timeout|statement-?timeout|ignore|backfill|batch-?(?:time|rows)|variables';
const MEANT = new RegExp(
  `^(?:[-*/#!@+]|${SPACE.slice(0, -1)})*evdb(?:${SPACE}[:：]|[^\\p{L}\\p{N}]+(?:${NAMES})\\b)`,
  'iu',
);

/**
 * Lists the lines that speak to evdb, in whatever case and kind of comment they are written.
 *
 * @example listDirectiveLines('/* licence *\/\n-- EVDB: no-transaction') // [{ name: 'no-transaction', … }]
 */
export function listDirectiveLines(text: string, given?: readonly Statement[]): DirectiveLine[] {
  if (!mayHoldDirectives(text)) return [];
  const statements = given ?? splitStatements(text);
  const header = statements[0]?.start ?? text.length;
  return listComments(text, statements).flatMap((comment) =>
    readDirectiveLines(text, comment, comment.start < header),
  );
}

/** Whether it is worth looking for them: this costs nearly nothing, and most scripts hold none. */
export function mayHoldDirectives(text: string): boolean {
  return /evdb/i.test(text);
}

/** The lines of one comment that speak to evdb. */
export function readDirectiveLines(
  text: string,
  { start, end }: Comment,
  isHeader: boolean,
): DirectiveLine[] {
  const comment = text.slice(start, end);
  if (!mayHoldDirectives(comment)) return [];
  const isBlock = comment.startsWith('/*');
  const lines: DirectiveLine[] = [];
  for (const { 0: whole, index } of comment.matchAll(/[^\n\r]+/g)) {
    const line = isBlock ? whole.replace(/\*+\/$/, '') : whole;
    const content = line.trim();
    const [, name, value = ''] = WRITTEN.exec(content) ?? [];
    const isWellFormed = name !== undefined;
    if (!isWellFormed && !MEANT.test(content)) continue;
    const at = start + index + line.indexOf(content);
    lines.push({
      ...{ start: at, end: at + content.length, isHeader, isWellFormed },
      ...{ name: (name ?? '').toLowerCase(), value: value.trim() },
    });
  }
  return lines;
}
