import type { Node } from '@pgsql/types';
import { advance, openCursor } from './lexer.ts';
import { blankComments } from './lexical.ts';
import type { SqlParseFailure, SqlParser } from './parser.ts';
import { quoteLiteral } from './quote.ts';
import { type Statement, splitStatements } from './statements.ts';
import { asKind, stringsOf } from './tree.ts';

/** The body of a routine or `do` block. */
export interface RoutineBody {
  language: string;
  /** As the server gets it: of a string without its quotes, doubled quotes and escapes. */
  source: string;
  /** Where the string is, or what stands in `begin atomic`. */
  start: number;
  end: number;
  /** Where a place of the source is in the text; of one with escapes the beginning of its string. */
  placeOf(offset: number): number;
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
  let written: { source: string; location: number } | undefined;
  for (const option of options) {
    const { defname, arg, location = 0 } = asKind(option, 'DefElem') ?? {};
    if (defname === 'language') language = stringsOf(arg ? [arg] : []).join('');
    if (defname === 'as') {
      const [source] = stringsOf(asKind(arg, 'List')?.items ?? (arg ? [arg] : []));
      written = source === undefined ? undefined : { source, location };
    }
  }
  if (written === undefined) return undefined;
  return { language: language.toLowerCase(), ...findSource(text, written) };
}

/**
 * The string or dollar quote that holds the source.
 *
 * @param location in bytes, of the word before it
 */
function findSource(
  text: string,
  { source, location }: { source: string; location: number },
): Omit<RoutineBody, 'language'> {
  const from = Buffer.from(text).subarray(0, location).toString().length;
  const cursor = openCursor(text);
  while (advance(cursor)) {
    const { kind, start, end } = cursor;
    if (start < from || (kind !== 'dollar' && kind !== 'string')) continue;
    const quote = kind === 'dollar' ? '$' : "'";
    const opening = text.indexOf(quote, start + (kind === 'dollar' ? 1 : 0)) + 1;
    const inner = text.slice(opening, end - (kind === 'dollar' ? opening - start : 1));
    return { source, start, end, placeOf: createPlaceOf(inner, source, opening) };
  }
  return { source, start: from, end: text.length, placeOf: () => from };
}

function createPlaceOf(written: string, source: string, opening: number): RoutineBody['placeOf'] {
  if (written === source) return (offset) => opening + offset;
  if (written.replaceAll("''", "'") !== source) return () => opening;
  return (offset) => opening + offset + source.slice(0, offset).split("'").length - 1;
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
  if (start === undefined) return undefined;
  const opening = start;
  const source = text.slice(start, end);
  return { language: 'sql', source, start, end, placeOf: (offset) => opening + offset };
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
  if (body?.language === 'sql') return checkSql(body, parser);
  return body?.language === 'plpgsql' ? checkPlpgsql(text, body, parser) : null;
}

/** The commands of statements that hold a body. */
export const ROUTINES: ReadonlySet<string> = new Set(['do', 'create function', 'create procedure']);

function checkSql({ source, placeOf }: RoutineBody, parser: SqlParser): SqlParseFailure | null {
  for (const statement of splitStatements(source)) {
    const failure = parser.check(statement.text);
    // In `begin atomic` the statement that gives the result may say so.
    if (failure === null || statement.command === 'return') continue;
    return { ...failure, offsetUtf16: placeOf(statement.start + failure.offsetUtf16) };
  }
  return null;
}

function checkPlpgsql(text: string, body: RoutineBody, parser: SqlParser): SqlParseFailure | null {
  if (parser.checkRoutine(text) === null) return null;
  // This build refuses some comments that the server takes.
  const source = blankComments(body.source);
  const blanked = text.slice(0, body.start) + quoteLiteral(source) + text.slice(body.end);
  const message = parser.checkRoutine(blanked);
  if (message === null) return null;
  return { message, offsetUtf16: body.placeOf(findToken(message, source)) };
}

/** The compiler tells no place: that of the token where there is one alone, else the body's. */
function findToken(message: string, source: string): number {
  const token = /at or near "(.*)"$/s.exec(message)?.[1];
  if (token === undefined) return 0;
  const places: number[] = [];
  const cursor = openCursor(source);
  while (advance(cursor)) {
    if (source.slice(cursor.start, cursor.end) === token) places.push(cursor.start);
  }
  return places.length === 1 ? (places[0] ?? 0) : 0;
}
