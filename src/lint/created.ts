import { advance, isPunctuation, openCursor } from '../sql/lexer.ts';
import type { Statement } from '../sql/statements.ts';
import type { WrittenName } from '../sql/tree.ts';
import type { FileState } from './rule.ts';

/** Kinds of objects that a file can make and then take away again. */
export type CreatedKind =
  | 'table'
  | 'view'
  | 'materialized view'
  | 'schema'
  | 'function'
  | 'procedure'
  | 'aggregate'
  | 'sequence'
  | 'extension';

/**
 * The statements of a file that create an object with one of these kinds and this name.
 *
 * Made for what the catalog does not model, such as views that stand in for a renamed table. A
 * name without a schema means the same as any with one.
 */
export function creationsOf(
  { statements }: FileState,
  kinds: readonly CreatedKind[],
  wanted: WrittenName,
): Statement[] {
  return statements.filter(({ command, text }) => {
    const kind = kinds.find((one) => command === `create ${one}`);
    if (kind === undefined) return false;
    const name = nameBehind(text, kind);
    return name !== undefined && isSameName(name, wanted);
  });
}

function isSameName(a: WrittenName, b: WrittenName): boolean {
  if (a.name !== b.name) return false;
  return a.schema === undefined || b.schema === undefined || a.schema === b.schema;
}

/** The name that follows `create … <kind> [if not exists]`. */
function nameBehind(text: string, kind: string): WrittenName | undefined {
  const cursor = openCursor(text);
  const last = kind.split(' ').at(-1);
  const parts: string[] = [];
  let isBehind = false;
  while (advance(cursor)) {
    const token = text.slice(cursor.start, cursor.end);
    if (!isBehind) isBehind = cursor.kind === 'word' && token.toLowerCase() === last;
    else if (cursor.kind === 'identifier') parts.push(unquote(token));
    else if (cursor.kind === 'word') {
      const word = token.toLowerCase();
      if (parts.length === 0 && IF_NOT_EXISTS.has(word)) continue;
      parts.push(word);
    } else return nameOf(parts);
    const next = openCursor(text);
    next.end = cursor.end;
    if (parts.length === 0) continue;
    if (!advance(next) || !isPunctuation(next, '.')) return nameOf(parts);
    cursor.end = next.end;
  }
  return nameOf(parts);
}

const IF_NOT_EXISTS = new Set(['if', 'not', 'exists']);

function unquote(token: string): string {
  return token.slice(1, -1).replaceAll('""', '"');
}

function nameOf(parts: string[]): WrittenName | undefined {
  const name = parts.at(-1);
  return name === undefined ? undefined : { schema: parts.at(-2), name };
}
