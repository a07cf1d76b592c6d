import type { ObjectKey } from '../catalog/catalog.ts';
import { type Draft, lock } from './draft.ts';
import type { LockMode } from './impact.ts';

/** Locks the sequences of a table's columns, or of one column. */
export function lockSequences(
  draft: Draft,
  table: ObjectKey,
  mode: LockMode,
  column?: string,
): void {
  for (const { key, ownedBy } of draft.catalog.relations.values()) {
    const isOwned = ownedBy?.table === table && (column === undefined || ownedBy.column === column);
    if (isOwned) lock(draft, key, mode, 'sequence');
  }
}
