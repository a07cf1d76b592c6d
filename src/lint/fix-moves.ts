import type { DropStmt, Node } from '@pgsql/types';
import { quoteWhereNeeded } from '../catalog/catalog.ts';
import type { Statement } from '../sql/statements.ts';
import { asKind, stringsOf, visitObjects } from '../sql/tree.ts';

/** What takes a moved statement back. */
export interface Inverse {
  /** The whole down script. */
  text: string;
  /** The index that it drops, which another down script may drop as well. */
  drops?: string;
}

export const NO_TRANSACTION = '-- evdb: no-transaction\n';

const NOTHING = '-- There is nothing to take back.\nselect 1;\n';

/** Undefined where nothing tells: an index without a name, a command that cannot be undone. */
export function inverseOf(tree: Node): Inverse | undefined {
  const index = asKind(tree, 'IndexStmt');
  if (index?.idxname) {
    const schema = index.relation?.schemaname;
    const parts = [...(schema ? [schema] : []), index.idxname].map(quoteWhereNeeded);
    return {
      text: `${NO_TRANSACTION}drop index concurrently ${parts.join('.')};\n`,
      drops: index.idxname,
    };
  }
  return UNDONE_BY_NOTHING.some((kind) => kind in tree) ? { text: NOTHING } : undefined;
}

/** What these drop or detach, the down script of their own migration brings back. */
const UNDONE_BY_NOTHING = [
  'VacuumStmt',
  'ReindexStmt',
  'ClusterStmt',
  'DropStmt',
  'AlterTableStmt',
];

/** Whether a statement drops this index and nothing else. */
export function dropsIndex(tree: Node | null | undefined, name: string): boolean {
  const drop: DropStmt | undefined = asKind(tree ?? undefined, 'DropStmt');
  if (drop?.removeType !== 'OBJECT_INDEX' || drop.objects?.length !== 1) return false;
  return stringsOf(asKind(drop.objects[0], 'List')?.items).at(-1) === name;
}

/**
 * Whether a statement can run behind those that follow it and the result stays the same: none of
 * them names what it is about, or runs what cannot be seen.
 */
export function isIndependent(tree: Node, later: readonly Statement[]): boolean {
  if (later.length === 0) return true;
  const names = namesIn(tree);
  return (
    names.length > 0 &&
    later.every(
      ({ command, text }) => !OPAQUE.has(command) && !names.some((name) => mentions(text, name)),
    )
  );
}

/** Also inside strings and function bodies. */
function mentions(text: string, name: string): boolean {
  const escaped = name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  return new RegExp(`(?<![\\w$])${escaped}(?![\\w$])`, 'i').test(text);
}

const OPAQUE = new Set(['do', 'call', 'select', 'with', 'execute', 'set', 'reset']);

/** Tables and indexes that a statement names, in lower case. */
function namesIn(tree: Node): string[] {
  const names: string[] = [];
  visitObjects(tree, (fields) => {
    for (const name of [fields.relname, fields.idxname]) {
      if (typeof name === 'string') names.push(name.toLowerCase());
    }
  });
  const dropped = asKind(tree, 'DropStmt')?.objects ?? [];
  for (const node of dropped) {
    const name = stringsOf(asKind(node, 'List')?.items).at(-1);
    if (name !== undefined) names.push(name.toLowerCase());
  }
  return names;
}
