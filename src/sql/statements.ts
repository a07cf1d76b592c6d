import { readCommand } from './command.ts';
import { type CopyData, copyDataAfter, isCopyFromStdin, noCopyData } from './copy.ts';
import { advance, type Cursor, isPunctuation, openCursor, type Unterminated } from './lexer.ts';
import { createLocator, type Position } from './position.ts';
import { createRoutineTracker } from './routine.ts';

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
  const splitter = createSplitter(text);
  const { cursor, routine } = splitter;
  let depth = 0;
  while (advance(cursor)) {
    if (cursor.kind === 'psql') {
      splitter.close();
      splitter.addPsqlCommand();
      depth = 0;
      continue;
    }
    if (depth === 0 && !routine.isInside() && isPunctuation(cursor, ';')) {
      splitter.close();
      continue;
    }
    if (isPunctuation(cursor, '(')) depth++;
    else if (isPunctuation(cursor, ')')) depth = Math.max(0, depth - 1);
    splitter.addToken();
    if (depth === 0) routine.see(cursor);
  }
  splitter.close();
  return splitter.statements;
}

interface Splitter {
  cursor: Cursor;
  routine: ReturnType<typeof createRoutineTracker>;
  statements: Statement[];
  addToken(): void;
  addPsqlCommand(): void;
  close(): void;
}

// Field by field: a spread takes ten times as long, and there can be half a million.
function makeStatement(
  index: number,
  text: string,
  { start, line, column }: Position & { start: number },
): Statement {
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

function createSplitter(text: string): Splitter {
  const cursor = openCursor(text);
  const routine = createRoutineTracker();
  const locator = createLocator(text);
  const statements: Statement[] = [];
  let start = -1;
  let end = -1;
  let unterminated: Statement['unterminated'] = null;

  function push(from: number, to: number): Statement {
    const { line, column } = locator.locate(from);
    const place = { start: from, line, column };
    const statement = makeStatement(statements.length, text.slice(from, to), place);
    statement.unterminated = unterminated;
    statements.push(statement);
    return statement;
  }

  return {
    cursor,
    routine,
    statements,
    addToken() {
      if (start < 0) start = cursor.start;
      end = cursor.end;
      if (cursor.unterminated !== null) {
        unterminated = { what: cursor.unterminated, at: cursor.start };
      }
    },
    addPsqlCommand() {
      if (isHarmless(cursor)) return;
      const statement = push(cursor.start, cursor.end);
      statement.psqlCommand = psqlCommandOf(cursor);
      if (PSQL_COPY_FROM_STDIN.test(statement.text)) takeCopyData(cursor, statement);
    },
    close() {
      if (start >= 0) {
        const statement = push(start, end);
        statement.command = readCommand(statement.text);
        statement.isTerminated = isPunctuation(cursor, ';') && cursor.start >= end;
        if (statement.command === 'copy' && isCopyFromStdin(statement.text)) {
          takeCopyData(cursor, statement);
        }
      }
      start = -1;
      routine.reset();
    },
  };
}

const PSQL_COPY_FROM_STDIN = /^\\copy\s.*\sfrom\s+p?stdin\b/i;

// The rows of a copy are not SQL: moves the cursor past them.
function takeCopyData(cursor: Cursor, statement: Statement): void {
  const mayFollow = statement.isTerminated || statement.psqlCommand !== null;
  statement.copyData = mayFollow
    ? copyDataAfter(cursor.text, cursor.end)
    : noCopyData(statement.end);
  if (mayFollow) cursor.end = statement.copyData.resumeAt;
}

// pg_dump writes these two since August 2025; they only guard psql against the server.
function isHarmless(cursor: Cursor): boolean {
  const command = psqlCommandOf(cursor);
  return command === 'restrict' || command === 'unrestrict';
}

function psqlCommandOf(cursor: Cursor): string {
  const line = cursor.text.slice(cursor.start + 1, Math.min(cursor.end, cursor.start + 64));
  return /^[A-Za-z_+]+|^\S?/.exec(line)?.[0] ?? '';
}
