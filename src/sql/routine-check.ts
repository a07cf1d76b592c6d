import { advance, openCursor } from './lexer.ts';
import { blankComments } from './lexical.ts';
import type { ParseFailure, SqlParser } from './parser.ts';
import { findBody, type RoutineBody } from './routine-body.ts';
import { type Statement, splitStatements } from './statements.ts';

/**
 * What the server says of the body of a function, procedure or `do` block before it takes it: errors
 * of syntax, in SQL and in PL/pgSQL.
 *
 * @returns null for a good one, and for one in another language
 */
export function checkRoutineBody(
  { command, text }: Pick<Statement, 'command' | 'text'>,
  parser: SqlParser,
): ParseFailure | null {
  if (!ROUTINES.has(command)) return null;
  const tree = parser.parse(text);
  const body = tree === null ? undefined : findBody(text, tree);
  if (body?.language === 'sql') return checkSql(text, body, parser);
  return body?.language === 'plpgsql' ? checkPlpgsql(text, body, parser) : null;
}

/** The commands of statements that hold a body. */
export const ROUTINES: ReadonlySet<string> = new Set(['do', 'create function', 'create procedure']);

function checkSql(
  text: string,
  { start, end }: RoutineBody,
  parser: SqlParser,
): ParseFailure | null {
  for (const statement of splitStatements(text.slice(start, end))) {
    const failure = parser.check(statement.text);
    // In `begin atomic` the statement that gives the result may say so.
    if (failure === null || statement.command === 'return') continue;
    return { ...failure, offsetUtf16: start + statement.start + failure.offsetUtf16 };
  }
  return null;
}

function checkPlpgsql(text: string, body: RoutineBody, parser: SqlParser): ParseFailure | null {
  if (parser.checkRoutine(text) === null) return null;
  const { start, end } = body;
  // This build refuses some comments that the server takes.
  const blanked = text.slice(0, start) + blankComments(text.slice(start, end)) + text.slice(end);
  const message = parser.checkRoutine(blanked);
  return message === null ? null : { message, offsetUtf16: placeOf(message, blanked, body) };
}

/** The compiler tells no place: that of the token where there is one alone, else the body's. */
function placeOf(message: string, text: string, { start, end }: RoutineBody): number {
  const token = /at or near "(.*)"$/s.exec(message)?.[1];
  if (token === undefined) return start;
  const places: number[] = [];
  const inner = text.slice(start, end);
  const cursor = openCursor(inner);
  while (advance(cursor)) {
    if (inner.slice(cursor.start, cursor.end) === token) places.push(start + cursor.start);
  }
  return places.length === 1 ? (places[0] ?? start) : start;
}
