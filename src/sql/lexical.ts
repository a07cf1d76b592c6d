import { hash } from 'node:crypto';
import { joinsStrings } from './lexeme.ts';
import { advance, type Cursor, openCursor, type TokenKind } from './lexer.ts';
import { type Statement, splitStatements } from './statements.ts';
import { writtenText } from './variables.ts';

/**
 * The script without comments and with white space folded or left out, so that two scripts which differ only
 * in these give the same text. Everything quoted stays as it is: strings, names, function bodies
 * between dollars, and the rows of a `copy`. Empty statements and a last semicolon do not count.
 *
 * @example
 * normaliseTokens('select a,b -- both\nfrom t;') === normaliseTokens('select a, b from t') // true
 */
export function normaliseTokens(text: string, statements = splitStatements(text)): string {
  const folded = createCollector();
  for (const statement of statements) {
    foldStatement(writtenText(statement), folded.add);
    const rows = statement.copyData;
    if (rows !== null) folded.add(text.slice(rows.start, rows.end));
  }
  return folded.finish();
}

/** Adds a statement in the form that `normaliseTokens` gives it; the rows of a copy follow it. */
export function foldStatement(statementText: string, add: (part: string) => void): void {
  foldTokens(statementText, add);
  add(';\n');
}

// Text that is folded already is taken over in long runs: a part for each token takes far longer.
function foldTokens(statementText: string, add: (part: string) => void): void {
  const cursor = openCursor(statementText);
  if (!advance(cursor)) return;
  let runStart = cursor.start;
  let { end, kind } = cursor;
  let isLone = standsAlone(cursor);
  while (advance(cursor)) {
    const wasLone = isLone;
    isLone = standsAlone(cursor);
    const between = isLone || wasLone ? '' : separator(cursor, kind, end);
    if (!isGap(statementText, end, cursor.start, between)) {
      add(statementText.slice(runStart, end));
      add(between);
      runStart = cursor.start;
    }
    ({ end, kind } = cursor);
  }
  add(statementText.slice(runStart, end));
}

// Whether the token can touch any other without becoming one with it.
function standsAlone(cursor: Cursor): boolean {
  return (
    cursor.kind === 'punctuation' &&
    cursor.end - cursor.start === 1 &&
    '(),;[]'.includes(cursor.text.charAt(cursor.start))
  );
}

// Two strings are one where a line break stands between them.
function separator(cursor: Cursor, previousKind: TokenKind, previousEnd: number): ' ' | '\n' {
  return cursor.kind === 'string' &&
    previousKind === 'string' &&
    joinsStrings(cursor.text.slice(previousEnd, cursor.start))
    ? '\n'
    : ' ';
}

function isGap(text: string, from: number, to: number, gap: string): boolean {
  return to - from === gap.length && (gap === '' || text.charCodeAt(from) === gap.charCodeAt(0));
}

interface Collector {
  add(part: string): void;
  finish(): string;
}

const PARTS_KEPT = 4096;

// Millions of parts at once would take many times the memory of the text itself.
function createCollector(): Collector {
  const chunks: string[] = [];
  let parts: string[] = [];
  function flush(): void {
    chunks.push(parts.join(''));
    parts = [];
  }
  return {
    add(part) {
      if (parts.push(part) >= PARTS_KEPT) flush();
    },
    finish() {
      flush();
      return chunks.join('');
    },
  };
}

/**
 * The text with every comment turned into spaces, one for each code point, so that positions
 * that count code points stay true.
 */
export function blankComments(text: string): string {
  const cursor = openCursor(text);
  const parts: string[] = [];
  let from = 0;
  while (advance(cursor) && cursor.kind !== 'comment') {
    if (cursor.start > from) parts.push(blankGap(text.slice(from, cursor.start)));
    parts.push(text.slice(cursor.start, cursor.end));
    from = cursor.end;
  }
  return (
    parts.join('') + (cursor.kind === 'comment' ? text.slice(from) : blankGap(text.slice(from)))
  );
}

// A line break must not come out of a block comment: it would join two strings.
function blankGap(gap: string): string {
  return gap.includes('/*')
    ? gap.replace(/./gsu, ' ')
    : gap.replace(/--[^\n\r]*/g, (comment) => comment.replace(/./gsu, ' '));
}

/**
 * sha-256 over the text without comments and white space, and without `begin` and `commit`: evdb
 * refuses to run these, so they can stand only in what another tool ran, and mending means removing them.
 */
export function tokenChecksum(text: string, statements = splitStatements(text)): string {
  return hash('sha256', normaliseTokens(text, statements.filter(countsForTokens)), 'hex');
}

/** Whether a statement is part of the sum: all but a `begin` or `commit` that says no more. */
export function countsForTokens({ command, text }: Pick<Statement, 'command' | 'text'>): boolean {
  return !(CONTROLS.has(command) && PLAIN.test(text));
}

const CONTROLS = new Set(['begin', 'start transaction', 'commit', 'end']);
const PLAIN = /^(?:(?:begin|commit|end)(?:\s+(?:work|transaction))?|start\s+transaction)$/i;
