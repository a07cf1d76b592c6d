import { EvdbError, type EvdbErrorCode } from '../errors.ts';
import {
  lineOf,
  locate,
  offsetOfCodePoint,
  type Position,
  renderExcerpt,
} from '../sql/position.ts';
import type { Statement } from '../sql/statements.ts';
import { placeOfRow } from './copy-place.ts';
import { lackingCharacter } from './lacking-character.ts';
import { readExcerpt, readLargeLine } from './large/read-line.ts';
import type { Script } from './source.ts';

export interface ScriptLocation {
  file: string;
  /** From 1. */
  line: number;
  /** From 1, in code points. */
  column: number;
}

/** What PostgreSQL says beside its message. */
export interface ServerReport {
  sqlstate: string;
  detail?: string | undefined;
  hint?: string | undefined;
  /** The call stack of functions and triggers. */
  where?: string | undefined;
  constraint?: string | undefined;
  table?: string | undefined;
}

/** An error at a place in a script. */
export class ScriptError extends EvdbError {
  readonly location: ScriptLocation;
  /** The line with a caret under the place, ready to print. */
  readonly excerpt: string;
  readonly server: ServerReport | undefined;

  constructor(
    code: EvdbErrorCode,
    message: string,
    place: { script: Script; line: number; column: number; excerpt?: string | undefined },
    options: { hint?: string | undefined; cause?: unknown; server?: ServerReport } = {},
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
function within({ text, line, column }: Statement, offset: number): Position {
  const place = locate(text, offset);
  return {
    line: line + place.line - 1,
    column: place.line === 1 ? column + place.column - 1 : place.column,
  };
}

function readLine({ text, large }: Script, line: number): string {
  return large ? readLargeLine(large.filePath, line) : lineOf(text, line);
}

function serverReport(error: DriverError): ServerReport {
  return {
    sqlstate: error.code ?? '',
    detail: error.detail,
    hint: error.hint,
    where: error.where,
    constraint: error.constraint_name,
    table: error.table_name,
  };
}
