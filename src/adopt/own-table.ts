import { advance, type Cursor, openCursor } from '../sql/lexer.ts';
import type { Statement } from '../sql/statements.ts';

/** The other tool's tracking table, as scripts may call it. */
export interface OwnTable {
  schema: string;
  name: string;
  /** Whether it counts only with its schema, because its name alone may be anybody's. */
  isAlwaysQualified: boolean;
}

/** How a statement comes to the name of a table that it is about. */
const BEFORE_TARGET = new RegExp(
  `^(?:${[
    'delete from(?: only)?',
    'insert into',
    'update(?: only)?',
    'truncate(?: table)?(?: only)?',
    'create(?: unlogged)? table(?: if not exists)?',
    'drop table(?: if exists)?',
    'alter table(?: if exists)?(?: only)?',
    'lock(?: table)?(?: only)?',
    'comment on (?:table|column|constraint .* on)',
    'create(?: unique)? index(?: .*)? on(?: only)?',
    '(?:grant|revoke) .* on(?: table)?',
  ].join('|')})$`,
);

/** What a statement has to do with the table: it is about that alone, or names it beside others. */
export function relationTo({ text }: Statement, table: OwnTable): 'about' | 'names' | undefined {
  if (!text.toLowerCase().includes(table.name.toLowerCase())) return undefined;
  const tokens = readTokens(text);
  const at = tokens.findIndex((_, index) => isTable(tokens, index, table));
  if (at >= 0) {
    const isQualified = tokens[at - 1] === '.';
    const before = tokens.slice(0, isQualified ? at - 2 : at).join(' ');
    // in a list of tables, what comes behind is another's
    const isList = tokens[at + 1] === ',';
    return BEFORE_TARGET.test(before) && !isList ? 'about' : 'names';
  }
  return bodiesOf(text).some((body) => isNamedIn(body, table)) ? 'names' : undefined;
}

function isNamedIn(text: string, table: OwnTable): boolean {
  const tokens = readTokens(text);
  return tokens.some((_, index) => isTable(tokens, index, table));
}

function isTable(tokens: string[], at: number, table: OwnTable): boolean {
  if (tokens[at] !== table.name) return false;
  if (tokens[at - 1] !== '.') return !table.isAlwaysQualified;
  return tokens[at - 2] === table.schema;
}

/** Names as PostgreSQL folds them; what is no name stays as it is. */
function readTokens(text: string): string[] {
  const cursor = openCursor(text);
  const tokens: string[] = [];
  while (advance(cursor)) tokens.push(nameOf(cursor));
  return tokens;
}

function nameOf({ kind, text, start, end }: Cursor): string {
  const token = text.slice(start, end);
  if (kind === 'word') return token.toLowerCase();
  return kind === 'identifier' ? token.slice(1, -1).replaceAll('""', '"') : token;
}

/** What stands between dollars, such as the body of a `do`. */
function bodiesOf(text: string): string[] {
  const cursor = openCursor(text);
  const bodies: string[] = [];
  while (advance(cursor)) {
    if (cursor.kind !== 'dollar') continue;
    bodies.push(text.slice(cursor.start, cursor.end).replace(/^\$[^$]*\$|\$[^$]*\$$/g, ''));
  }
  return bodies;
}
