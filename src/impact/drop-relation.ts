import type { ObjectKey, Relation } from '../catalog/catalog.ts';
import { referencesTo, withDescendants } from '../catalog/replay/relation.ts';
import { lockTriggersOf } from './change-constraint.ts';
import { type Draft, lock, lockTree } from './draft.ts';
import type { LockReason } from './impact.ts';
import { lockSequences } from './owned-sequences.ts';

/** What is locked with a relation that goes away. */
export function dropRelation(
  draft: Draft,
  relation: Relation,
  { isCascade, reason = 'target' }: { isCascade: boolean; reason?: LockReason },
): void {
  const { catalog } = draft;
  lockTree(draft, { key: relation.key, relation }, 'AccessExclusive', reason);
  for (const one of withDescendants(catalog, relation)) {
    for (const constraint of one.constraints.values()) {
      if (constraint.kind === 'foreign key') lockTriggersOf(draft, constraint);
    }
    if (isCascade) dropWhatNeeds(draft, one);
  }
  lockSequences(draft, relation.key, 'AccessExclusive');
  lockParent(draft, relation);
}

function dropWhatNeeds(draft: Draft, { key, dependents }: Relation): void {
  for (const { relation } of referencesTo(draft.catalog, key)) {
    lockTree(draft, { key: relation.key, relation }, 'AccessExclusive', 'referencing table');
  }
  for (const view of dependents) dropDependent(draft, view);
}

/** A view goes away with all views that read it. */
export function dropDependent(draft: Draft, key: ObjectKey): void {
  const views = new Set([key]);
  for (const one of views) {
    const view = draft.catalog.relations.get(one);
    if (view === undefined || draft.locks.get(one)?.mode === 'AccessExclusive') continue;
    lock(draft, one, 'AccessExclusive', 'dependent');
    for (const dependent of view.dependents) views.add(dependent);
  }
}

/** The partitioned table loses a partition, and its default partition gets other bounds. */
function lockParent(draft: Draft, { key, parent }: Relation): void {
  const relation = draft.catalog.relations.get(parent ?? '');
  if (relation?.kind !== 'partitioned table') return;
  lock(draft, relation.key, 'AccessExclusive', 'parent');
  const other = relation.defaultPartition;
  if (other !== undefined && other !== key) {
    lock(draft, other, 'AccessExclusive', 'default partition');
  }
}
