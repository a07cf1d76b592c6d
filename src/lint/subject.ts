import type { RangeVar } from '@pgsql/types';
import { type ObjectKey, type Relation, resolveKey } from '../catalog/catalog.ts';
import { offsetOfByte } from '../sql/position.ts';
import { asKind, relationNameOf, type WrittenName, writtenNameOf } from '../sql/tree.ts';
import type { Evidence, StatementInContext } from './rule.ts';

/** The relation with a key, where the catalog knows it. */
export function relationOf(at: StatementInContext, key: ObjectKey): Relation | undefined {
  return at.catalog.relations.get(key);
}

/** The key of a relation that the statement names. */
export function keyOf(at: StatementInContext, written: WrittenName): ObjectKey {
  return resolveKey(at.catalog, written, at.catalog.relations);
}

/** The key of a relation that a node of the tree names, '' where it names none. */
export function keyOfRange(at: StatementInContext, range: RangeVar | undefined): ObjectKey {
  return range?.relname ? keyOf(at, relationNameOf(range)) : '';
}

/** Whether the file made the relation, so that nobody else can be using it. */
export function isFresh(at: StatementInContext, key: ObjectKey): boolean {
  return at.file.fresh.has(key) || relationOf(at, key)?.isTemporary === true;
}

/**
 * Whether `if exists` finds nothing: no migration made the relation or index, and there are some
 * that made others.
 */
export function isSurelyMissing({ catalog }: StatementInContext, key: ObjectKey): boolean {
  const { relations, indexes, isComplete } = catalog;
  return (isComplete || relations.size > 0) && !relations.has(key) && !indexes.has(key);
}

/** What is known of a relation, and from where. */
export function evidenceOf(at: StatementInContext, key: ObjectKey): Evidence {
  if (!at.catalog.relations.has(key)) return 'static';
  return at.catalog.isComplete ? 'live' : 'model';
}

/** Where a node is written, in UTF-16 units of the statement's text. */
export function offsetOf(at: StatementInContext, location: number | undefined): number {
  return offsetOfByte(at.text, location ?? 0);
}

/** The domain that the statement changes, where no migration makes it: who uses it is not known. */
export function unknownDomain(at: StatementInContext): ObjectKey | undefined {
  const { types, isComplete } = at.catalog;
  const key = resolveKey(
    at.catalog,
    writtenNameOf(asKind(at.tree, 'AlterDomainStmt')?.typeName),
    types,
  );
  return isComplete || types.has(key) ? undefined : key;
}
