import type { Node } from '@pgsql/types';
import { advance, openCursor } from './lexer.ts';
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
