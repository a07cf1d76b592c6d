import { advance, openCursor } from '../sql/lexer.ts';
import type { WrittenName } from '../sql/tree.ts';
import { creationsOf } from './created.ts';
import type { StatementInContext } from './rule.ts';

/**
 * Whether the file makes a view that keeps an old name working: one with the table's name, or
 * with a name that the table had earlier in the file.
 */
export function standsInFor({ file, statement }: StatementInContext, table: WrittenName): boolean {
  const earlier = file.statements
    .filter(({ index, command }) => index < statement.index && command === 'alter table')
    .map(({ text }) => renameIn(text));
  const names = [table];
  for (const rename of earlier.reverse()) {
    if (rename?.to === names.at(-1)?.name && rename) {
      names.push({ schema: table.schema, name: rename.from });
    }
  }
  return names.some((name) => creationsOf(file, ['view'], name).length > 0);
}

/** The names in `alter table … a rename to b`. */
function renameIn(text: string): { from: string; to: string } | undefined {
  const cursor = openCursor(text);
  const tokens: string[] = [];
  while (tokens.length < MAX_TOKENS && advance(cursor)) {
    const token = text.slice(cursor.start, cursor.end);
    tokens.push(
      cursor.kind === 'identifier' ? token.slice(1, -1).replaceAll('""', '"') : token.toLowerCase(),
    );
  }
  const [from, rename, , to] = tokens.slice(-4);
  const isRename = rename === 'rename' && tokens.at(-2) === 'to';
  return isRename && from !== undefined && to !== undefined ? { from, to } : undefined;
}

/** `alter table if exists only a.b rename to c` has ten. */
const MAX_TOKENS = 12;
