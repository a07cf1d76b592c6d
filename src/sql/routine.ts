import type { Node } from '@pgsql/types';
import { advance, openCursor } from './lexer.ts';
import { blankComments } from './lexical.ts';
import type { SqlParseFailure, SqlParser } from './parser.ts';
import { type Statement, splitStatements } from './statements.ts';
import { asKind, stringsOf } from './tree.ts';

/** The body of a routine or `do` block. */
export interface RoutineBody {
  language: string;
  /** Where the text between the quotes is. */
  start: number;
  end: number;
}

/**
 * Where the body of a `do` block, function or procedure is.
 *
 * @returns undefined where it has none that is text
 */
export function findBody(text: string, tree: Node): RoutineBody | undefined {
  if (asKind(tree, 'CreateFunctionStmt')?.sql_body) return findAtomicBody(text);
  const options = asKind(tree, 'DoStmt')?.args ?? asKind(tree, 'CreateFunctionStmt')?.options;
  if (options === undefined) return undefined;
  let language = 'DoStmt' in tree ? 'plpgsql' : 'sql';
  let source: string | undefined;
  for (const option of options) {
    const { defname, arg } = asKind(option, 'DefElem') ?? {};
    if (defname === 'language') language = stringsOf(arg ? [arg] : []).join('');
    if (defname === 'as') source = stringsOf(asKind(arg, 'List')?.items ?? (arg ? [arg] : []))[0];
  }
  if (source === undefined) return undefined;
  const place = findSource(text, source);
  return { language: language.toLowerCase(), ...place };
}

/** The string or dollar quote that holds the source: other strings may stand before it. */
function findSource(text: string, source: string): { start: number; end: number } {
  const cursor = openCursor(text);
  let last = { start: 0, end: text.length };
  while (advance(cursor)) {
    if (cursor.kind !== 'dollar' && cursor.kind !== 'string') continue;
    const opening =
      cursor.kind === 'dollar' ? text.indexOf('$', cursor.start + 1) + 1 : cursor.start + 1;
    const width = opening - cursor.start;
    last = { start: opening, end: cursor.end - width };
    if (text.slice(last.start, last.end) === source) return last;
  }
  return last;
}

/** What stands between `begin atomic` and its `end`, or behind `return`. */
function findAtomicBody(text: string): RoutineBody | undefined {
  const cursor = openCursor(text);
  let start: number | undefined;
  let end = text.length;
  let before = '';
  while (advance(cursor)) {
    const token = cursor.kind === 'word' ? text.slice(cursor.start, cursor.end).toLowerCase() : '';
    if (start === undefined && before === 'begin' && token === 'atomic') start = cursor.end;
    if (token === 'end') end = cursor.start;
    before = token;
  }
  return start === undefined ? undefined : { language: 'sql', start, end };
}

/**
 * What the server says of the body of a function, procedure or `do` block before it takes it: errors
 * of syntax, in SQL and in PL/pgSQL.
 *
 * @param known the tree of the statement, where the caller has it
 * @returns null for a good one, and for one in another language
 */
export function checkRoutineBody(
  { command, text }: Pick<Statement, 'command' | 'text'>,
  parser: SqlParser,
  known?: Node | null,
): SqlParseFailure | null {
  if (!ROUTINES.has(command)) return null;
  const tree = known ?? parser.parse(text);
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
): SqlParseFailure | null {
  for (const statement of splitStatements(text.slice(start, end))) {
    const failure = parser.check(statement.text);
    // In `begin atomic` the statement that gives the result may say so.
    if (failure === null || statement.command === 'return') continue;
    return { ...failure, offsetUtf16: start + statement.start + failure.offsetUtf16 };
  }
  return null;
}

function checkPlpgsql(text: string, body: RoutineBody, parser: SqlParser): SqlParseFailure | null {
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
