import { EvdbError, type EvdbErrorCode } from '../../errors.ts';
import { advance, isPunctuation, isWord, openCursor } from '../../sql/lexer.ts';
import {
  lineOf,
  locate,
  offsetOfCodePoint,
  type Position,
  renderExcerpt,
} from '../../sql/position.ts';
import type { Statement } from '../../sql/statements.ts';
import { writtenOffset, writtenText } from '../../sql/variables.ts';
import { readNormalised } from './checksum.ts';
import { lackingCharacter } from './file-errors.ts';
import type { Script } from './source.ts';

/** A place in a script; lines and columns count from 1, columns in code points. */
export interface ScriptLocation {
  file: string;
  /** From 1. */
  line: number;
  /** From 1, in code points. */
  column: number;
}

/** What PostgreSQL says in addition to its message. */
export interface ServerErrorReport {
  sqlstate: string;
  detail?: string | undefined;
  hint?: string | undefined;
  /** The call stack of functions and triggers. */
  where?: string | undefined;
  constraint?: string | undefined;
  table?: string | undefined;
}

/**
 * An error at a place in a script.
 *
 * @example
 * try {
 *   await migrateUp(options);
 * } catch (error) {
 *   if (error instanceof ScriptError) console.error(error.location.line, error.excerpt);
 *   throw error;
 * }
 */
export class ScriptError extends EvdbError {
  readonly location: ScriptLocation;
  /** The line with a caret under the place, ready to print. */
  readonly excerpt: string;
  readonly server: ServerErrorReport | undefined;

  constructor(
    code: EvdbErrorCode,
    message: string,
    place: { script: Script; line: number; column: number; excerpt?: string | undefined },
    options: { hint?: string | undefined; cause?: unknown; server?: ServerErrorReport } = {},
  ) {
    const location = { file: place.script.path, line: place.line, column: place.column };
    super(code, message, { ...options, details: { ...location, ...options.server } });
    this.name = 'ScriptError';
    this.location = location;
    this.excerpt = place.excerpt ?? renderExcerpt(place.script.text, place.line, place.column);
    this.server = options.server;
  }
}

interface DriverError {
  code?: string;
  message?: string;
  position?: string;
  detail?: string;
  hint?: string;
  where?: string;
  constraint_name?: string;
  table_name?: string;
}

/**
 * Turns the server's refusal of a statement into an error at its file, line and column. Where the
 * server gives no position the statement's start stands for it.
 */
export function statementError(cause: unknown, script: Script, statement: Statement): ScriptError {
  const error = cause as DriverError;
  const place = placeOf(error, script, statement);
  const excerpt = script.large && readExcerpt(script.large.filePath, place);
  return new ScriptError(
    'MIGRATION_FAILED',
    error.message ?? 'the statement failed',
    { script, ...place, excerpt },
    { cause, server: serverReport(error) },
  );
}

function placeOf(error: DriverError, script: Script, statement: Statement): Position {
  const { position, where } = error;
  const lacking = statement.text.indexOf(lackingCharacter(error) ?? '');
  if (lacking > 0) return within(statement, lacking);
  if (position !== undefined) {
    return within(statement, offsetOfCodePoint(statement.text, Number(position) - 1));
  }
  const start = within(statement, statement.text.length);
  const { line, column } =
    placeOfRow(where, statement, {
      firstLine: start.line + 1,
      readLine: (line) => readLine(script, line),
    }) ?? statement;
  return { line, column };
}

/** Not by the script's text, because a large one is not held. */
function within(statement: Statement, offset: number): Position {
  const { line, column } = statement;
  const place = locate(writtenText(statement), writtenOffset(statement, offset));
  return {
    line: line + place.line - 1,
    column: place.line === 1 ? column + place.column - 1 : place.column,
  };
}

function readLine({ text, large }: Script, line: number): string {
  return large ? readLargeLine(large.filePath, line) : lineOf(text, line);
}

function serverReport(error: DriverError): ServerErrorReport {
  return {
    sqlstate: error.code ?? '',
    detail: error.detail,
    hint: error.hint,
    where: error.where,
    constraint: error.constraint_name,
    table: error.table_name,
  };
}

/** A row of a copy as the server tells of it. */
interface CopyRow {
  /** From 1: the line behind the statement. */
  line: number;
  column: string | undefined;
}

// `COPY users, line 3, column email: "x"`; the words between are in the language of the server.
const COPY_CONTEXT = /^COPY .+?, \D+?(\d+)(?:, \S+ (.+?) ?:|:|$)/gm;

/**
 * Where in the script the row stands that the server refused: its line, and the column of its field
 * where that can be told, else the start of the row.
 *
 * @param where the context that the server gives with its error
 * @param rows.firstLine the line behind the statement
 * @returns undefined where it names no row, as for a constraint that is checked at the end
 */
function placeOfRow(
  where: string | undefined,
  { copyData, text: statementText }: Statement,
  rows: { firstLine: number; readLine: (line: number) => string },
): Position | undefined {
  const row = copyData === null ? undefined : readCopyRow(where ?? '');
  if (!row) return undefined;
  const line = rows.firstLine + row.line - 1;
  const rowText = rows.readLine(line);
  const before = rowText.slice(0, fieldStart(rowText, row.column, statementText));
  return { line, column: 1 + [...before].length };
}

function readCopyRow(where: string): CopyRow | undefined {
  // Those before it belong to what the copy set off, such as a trigger.
  const match = [...where.matchAll(COPY_CONTEXT)].at(-1);
  return match && { line: Number(match[1]), column: match[2] };
}

/** The fields of the text format are told apart by tabs; another format is not looked into. */
function fieldStart(rowText: string, column: string | undefined, statementText: string): number {
  const { columns, isPlain } = readCopyHead(statementText);
  const index = isPlain && column !== undefined ? columns.indexOf(column) : -1;
  let at = 0;
  for (let field = 0; field < index; field++) at = rowText.indexOf('\t', at) + 1;
  return at;
}

function readCopyHead(statementText: string): { columns: string[]; isPlain: boolean } {
  const cursor = openCursor(statementText);
  const columns: string[] = [];
  let isInside = false;
  let isAfterStdin = false;
  while (advance(cursor)) {
    if (isAfterStdin) return { columns, isPlain: false };
    if (isPunctuation(cursor, '(')) isInside = true;
    else if (isPunctuation(cursor, ')')) isInside = false;
    else if (isInside && cursor.kind === 'word') {
      columns.push(statementText.slice(cursor.start, cursor.end).toLowerCase());
    } else if (isInside && cursor.kind === 'identifier') {
      columns.push(statementText.slice(cursor.start + 1, cursor.end - 1).replaceAll('""', '"'));
    }
    isAfterStdin = !isInside && isWord(cursor, 'stdin');
  }
  return { columns, isPlain: true };
}

/** More of a line is not held. */
const MAX_LINE_BYTES = 1024 * 1024;
const LF = 0x0a;

/** One line of a file, up to a limit; '' where there is none, or it cannot be read any more. */
function readLargeLine(path: string, line: number): string {
  try {
    return findLine(path, line);
  } catch {
    // The file was read before; that it is gone must not hide the error that this is for.
    return '';
  }
}

/** The line with a caret, as `renderExcerpt` gives it. */
function readExcerpt(path: string, { line, column }: Position): string {
  const text = readLargeLine(path, line);
  // Around the column alone, so that the line may be of any length.
  const from = offsetOfCodePoint(text, Math.max(0, column - 1 - CONTEXT));
  const to = from + offsetOfCodePoint(text.slice(from), 2 * CONTEXT);
  const shown = text.slice(from, to);
  return renderExcerpt(shown, 1, Math.min(column, CONTEXT + 1), { firstLine: line });
}

const CONTEXT = 200;

function findLine(path: string, line: number): string {
  const parts: Buffer[] = [];
  let length = 0;
  let current = 1;
  for (const block of readNormalised(path)) {
    let from = 0;
    while (current < line) {
      const end = block.indexOf(LF, from);
      if (end < 0) break;
      from = end + 1;
      current++;
    }
    if (current < line) continue;
    const end = block.indexOf(LF, from);
    const part = block.subarray(from, end < 0 ? block.length : end);
    parts.push(part);
    length += part.length;
    if (end >= 0 || length >= MAX_LINE_BYTES) break;
  }
  return Buffer.concat(parts).toString('utf8');
}
