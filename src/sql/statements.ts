import { type CopyData, copyDataAfter, isCopyFromStdin, noCopyData } from './copy.ts';
import { readCommand } from './kind.ts';
import {
  advance,
  type Cursor,
  isPunctuation,
  isWord,
  openCursor,
  type Unterminated,
} from './lexer.ts';
import { createLocator, type Position } from './position.ts';
import type { WrittenStatement } from './variables.ts';

/** One statement of a script. All offsets are UTF-16 units of the script's text. */
export interface Statement {
  /** From 0. */
  index: number;
  /** Where the first token starts: comments and white space before it are not part of it. */
  start: number;
  /** Where the last token ends: the semicolon is not part of it. */
  end: number;
  /** Line of `start`, from 1. */
  line: number;
  /** Column of `start`, from 1, in code points. */
  column: number;
  text: string;
  /** The leading keywords, such as `create index` or `insert`; '' where it starts with none. */
  command: string;
  /** Whether a semicolon follows; false for the last one without, and before psql's commands. */
  isTerminated: boolean;
  /** What the statement leaves open, which then reaches to the end of the script. */
  unterminated: { what: Unterminated; at: number } | null;
  /** Set for `copy … from stdin`, whose rows follow the semicolon. */
  copyData: CopyData | null;
  /** Set where this is not SQL but a command of psql, such as `i` for `\i other.sql`. */
  psqlCommand: string | null;
  /** Set where `text` holds the values of variables: what the script has instead. */
  written?: WrittenStatement;
}

/**
 * Splits a script into its statements in one pass, without a parser.
 *
 * It knows quotes of every kind, nested comments, parentheses, `begin atomic … end` bodies, the
 * rows of `copy … from stdin`, and psql's backslash commands, each of which becomes a statement
 * of its own so that none is lost unseen. The `\restrict` lines that pg_dump writes are left out.
 * It never throws.
 *
 * @example
 * splitStatements('create table t (a int); select 1').map((s) => s.command)
 * // ['create table', 'select']
 */
export function splitStatements(text: string): Statement[] {
  return splitPart(text).statements;
}

/** Where a part of a script begins in the whole of it. */
export interface PartStart extends Position {
  /** Of the next statement. */
  index: number;
  /** In UTF-16 units of the script. */
  offset: number;
}

/** What a part of a script holds for certain, whatever follows it. */
export interface Part {
  statements: Statement[];
  /** Where the next part has to begin. */
  next: PartStart;
  /** Whether the last statement is a copy whose rows begin behind this part. */
  isBeforeRows: boolean;
}

/**
 * Splits a part of a script that is read piece by piece. A semicolon ends a statement whatever
 * follows, so the statements of a part are those of the whole; what comes behind the last one has
 * to be read again together with more. A part ends before the rows of a copy.
 *
 * @param part.isLast whether the script ends with this text
 */
export function splitPart(text: string, part?: PartStart & { isLast: boolean }): Part {
  const splitter = createSplitter(text, part);
  const { cursor, routine } = splitter;
  let depth = 0;
  while (!splitter.isBeforeRows() && advance(cursor)) {
    if (cursor.kind === 'psql') {
      if (part?.isLast === false && cursor.end === text.length) break;
      splitter.close();
      splitter.addPsqlCommand();
      depth = 0;
      continue;
    }
    if (cursor.kind === 'punctuation') {
      if (depth === 0 && isPunctuation(cursor, ';') && !routine.isInside()) {
        splitter.close();
        continue;
      }
      if (isPunctuation(cursor, '(')) depth++;
      else if (isPunctuation(cursor, ')')) depth = Math.max(0, depth - 1);
    }
    splitter.addToken();
    if (depth === 0) routine.see(cursor);
  }
  if (part?.isLast !== false && !splitter.isBeforeRows()) splitter.close();
  return splitter.finish();
}

interface Splitter {
  cursor: Cursor;
  routine: ReturnType<typeof createRoutineTracker>;
  addToken(): void;
  addPsqlCommand(): void;
  close(): void;
  isBeforeRows(): boolean;
  finish(): Part;
}

// Field by field: a spread takes ten times as long, and there can be half a million.
function makeStatement(text: string, { index, offset: start, line, column }: PartStart): Statement {
  return {
    index,
    start,
    end: start + text.length,
    line,
    column,
    text,
    command: '',
    isTerminated: false,
    unterminated: null,
    copyData: null,
    psqlCommand: null,
  };
}

const SCRIPT_START: PartStart = { index: 0, offset: 0, line: 1, column: 1 };

function createSplitter(text: string, part?: PartStart & { isLast: boolean }): Splitter {
  const from = part ?? SCRIPT_START;
  const cursor = openCursor(text, from.offset === 0);
  const routine = createRoutineTracker();
  const statements: Statement[] = [];
  const placeAt = createPlacer(text, from);
  let start = -1;
  let end = -1;
  let consumed = 0;
  let unterminated: Statement['unterminated'] = null;
  let isBeforeRows = false;

  function push(at: number, to: number): Statement {
    const statement = makeStatement(text.slice(at, to), placeAt(at, statements.length));
    statement.unterminated = unterminated;
    statements.push(statement);
    return statement;
  }

  function finishStatement(statement: Statement): void {
    if (!readsRows(statement)) return;
    isBeforeRows = part !== undefined && mayRowsFollow(statement);
    takeRows(cursor, statement, { from, isBeforeRows });
  }

  return {
    cursor,
    routine,
    addToken() {
      if (start < 0) start = cursor.start;
      end = cursor.end;
      if (cursor.unterminated !== null) {
        unterminated = { what: cursor.unterminated, at: from.offset + cursor.start };
      }
    },
    addPsqlCommand() {
      if (!isHarmless(cursor)) {
        const statement = push(cursor.start, cursor.end);
        statement.psqlCommand = psqlCommandOf(cursor);
        finishStatement(statement);
      }
      consumed = cursor.end;
    },
    close() {
      if (start >= 0) {
        const statement = push(start, end);
        statement.command = readCommand(statement.text);
        statement.isTerminated = isPunctuation(cursor, ';') && cursor.start >= end;
        finishStatement(statement);
      }
      consumed = cursor.end;
      start = -1;
      routine.reset();
    },
    isBeforeRows: () => isBeforeRows,
    finish: () => ({ statements, next: placeAt(consumed, statements.length), isBeforeRows }),
  };
}

/** Tells where in the whole script a place of this part is; the places only grow. */
function createPlacer(text: string, from: PartStart) {
  const locator = createLocator(text, from);
  return (at: number, count: number): PartStart => {
    const { line, column } = locator.locate(at);
    return { index: from.index + count, offset: from.offset + at, line, column };
  };
}

function readsRows({ command, text, psqlCommand }: Statement): boolean {
  if (psqlCommand !== null) return PSQL_COPY_FROM_STDIN.test(text);
  return command === 'copy' && isCopyFromStdin(text);
}

function mayRowsFollow({ isTerminated, psqlCommand }: Statement): boolean {
  return isTerminated || psqlCommand !== null;
}

// The rows of a copy are not SQL: moves the cursor past them, or leaves them to the next part.
function takeRows(
  cursor: Cursor,
  statement: Statement,
  { from, isBeforeRows }: { from: PartStart; isBeforeRows: boolean },
): void {
  if (isBeforeRows) statement.copyData = noCopyData(from.offset + cursor.end);
  else if (mayRowsFollow(statement)) {
    statement.copyData = copyDataAfter(cursor.text, cursor.end);
    cursor.end = statement.copyData.resumeAt;
  } else statement.copyData = noCopyData(statement.end);
}

const PSQL_COPY_FROM_STDIN = /^\\copy\s.*\sfrom\s+p?stdin\b/i;

// pg_dump writes these two since August 2025; they only guard psql against the server.
function isHarmless(cursor: Cursor): boolean {
  const command = psqlCommandOf(cursor);
  return command === 'restrict' || command === 'unrestrict';
}

function psqlCommandOf(cursor: Cursor): string {
  const line = cursor.text.slice(cursor.start + 1, Math.min(cursor.end, cursor.start + 64));
  return /^[A-Za-z_+]+|^\S?/.exec(line)?.[0] ?? '';
}

/** Watches the tokens of one statement for a `begin atomic … end` body. */
interface RoutineTracker {
  /** Shows it the next token outside parentheses. */
  see(cursor: Cursor): void;
  /** Whether the tokens shown so far end inside a body, where a semicolon ends no statement. */
  isInside(): boolean;
  /** Forgets everything: the next token starts a statement. */
  reset(): void;
}

// How much of `create [or replace] function|procedure` was seen.
type Head = 'nothing' | 'create' | 'or' | 'create or replace' | 'routine' | 'another statement';

/**
 * Makes a tracker at the start of a statement.
 *
 * `end` closes a body only where a statement could start, so neither `case … end` nor a column
 * called `end` is mistaken for it.
 */
function createRoutineTracker(): RoutineTracker {
  let head: Head = 'nothing';
  let depth = 0;
  let afterBegin = false;
  let atStatementStart = false;
  return {
    see(cursor) {
      if (head === 'another statement') return;
      if (head !== 'routine') {
        head = nextHead(head, cursor);
        return;
      }
      if (afterBegin && isWord(cursor, 'atomic')) {
        depth++;
        atStatementStart = true;
      } else if (depth > 0) {
        if (atStatementStart && isWord(cursor, 'end')) depth--;
        atStatementStart = isPunctuation(cursor, ';');
      }
      afterBegin = isWord(cursor, 'begin');
    },
    isInside: () => depth > 0,
    reset() {
      head = 'nothing';
      depth = 0;
      afterBegin = false;
      atStatementStart = false;
    },
  };
}

function nextHead(head: Head, cursor: Cursor): Head {
  if (head === 'nothing' && isWord(cursor, 'create')) return 'create';
  if (head === 'create' && isWord(cursor, 'or')) return 'or';
  if (head === 'or' && isWord(cursor, 'replace')) return 'create or replace';
  if (head === 'create' || head === 'create or replace') {
    if (isWord(cursor, 'function') || isWord(cursor, 'procedure')) return 'routine';
  }
  return 'another statement';
}
