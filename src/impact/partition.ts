import type { PartitionBoundSpec } from '@pgsql/types';
import type { CatalogConstraint, CatalogIndex, Relation } from '../catalog/catalog.ts';
import { isAlike } from '../catalog/replay/indexes.ts';
import { referencesTo } from '../catalog/replay/relation.ts';
import { hasAlike } from '../catalog/replay/table.ts';
import type { AlterCommand } from './alter-command.ts';
import { isBoundProven } from './bound-proof.ts';
import { lockOther } from './change-constraint.ts';
import { build, type Draft, lock, lockTree, scan, storedTables, type Target } from './draft.ts';

/** `attach partition` */
export function attachPartition(
  at: AlterCommand,
  partition: Target,
  bound: PartitionBoundSpec | undefined,
): void {
  const { draft, target } = at;
  const place = { command: at.index, offset: at.offset };
  lockTree(draft, partition, 'AccessExclusive', 'target');
  const proof = isBoundProven(target.relation, partition.relation, bound);
  for (const { key } of proof === true ? [] : storedTables(draft, partition)) {
    const about = { relation: key, subject: target.key, isCertain: proof === false, ...place };
    scan(draft, { ...about, reason: 'attach partition' });
  }
  scanDefaultPartition(draft, target, place);
  lockKeysOfNewPartition(draft, target, partition.relation);
  for (const constraint of missingForeignKeys(target.relation, partition.relation)) {
    scanNewForeignKey(at, partition, constraint);
  }
  for (const { key } of missingIndexes(draft, target.relation, partition.relation)) {
    for (const { key: relation } of storedTables(draft, partition)) {
      const about = { relation, subject: key, isCertain: true, isConcurrent: false, ...place };
      build(draft, { ...about, reason: 'create index' });
    }
  }
}

/** The foreign keys of the partitioned table that the partition does not have yet. */
function missingForeignKeys(
  parent: Relation | undefined,
  partition: Relation | undefined,
): CatalogConstraint[] {
  return foreignKeysOf(parent).filter((one) => !partition || !hasAlike(partition, one));
}

function foreignKeysOf(relation: Relation | undefined): CatalogConstraint[] {
  return [...(relation?.constraints.values() ?? [])].filter(({ kind }) => kind === 'foreign key');
}

function scanNewForeignKey(
  { draft, index, offset }: AlterCommand,
  partition: Target,
  { name: subject, references, isValidated }: CatalogConstraint,
): void {
  const other = draft.catalog.relations.get(references ?? '');
  if (!isValidated) return;
  const about = { subject, isCertain: true, command: index, offset };
  for (const target of [partition, other && { key: other.key, relation: other }]) {
    for (const { key } of target ? storedTables(draft, target) : []) {
      scan(draft, { ...about, relation: key, reason: 'validate constraint' });
    }
  }
}

function missingIndexes(
  { catalog }: Draft,
  parent: Relation | undefined,
  partition: Relation | undefined,
): CatalogIndex[] {
  const own = [...(partition?.indexes ?? [])].flatMap((key) => catalog.indexes.get(key) ?? []);
  return [...(parent?.indexes ?? [])]
    .flatMap((key) => catalog.indexes.get(key) ?? [])
    .filter((wanted) => !own.some((index) => isAlike(index, wanted)));
}

/** A new partition may take over what the default one holds, so that one is read. */
export function scanDefaultPartition(
  draft: Draft,
  { relation: parent }: Target,
  place: { command?: number; offset?: number } = {},
): void {
  const key = parent?.defaultPartition;
  const relation = draft.catalog.relations.get(key ?? '');
  if (parent === undefined || key === undefined) return;
  lockTree(draft, { key, relation }, 'AccessExclusive', 'default partition');
  for (const table of storedTables(draft, { key, relation })) {
    const about = { relation: table.key, subject: parent.key, isCertain: true, ...place };
    scan(draft, { ...about, reason: 'default partition' });
  }
}

/** A partition gets the foreign keys of its table, and from 15 on those that point at it. */
export function lockKeysOfNewPartition(
  draft: Draft,
  { key, relation: parent }: Target,
  partition?: Relation,
): void {
  for (const constraint of foreignKeysOf(parent)) {
    // The triggers of its own, which it has then no need of, are dropped.
    const isThere = partition !== undefined && hasAlike(partition, constraint);
    const mode = isThere ? 'AccessExclusive' : 'ShareRowExclusive';
    lockOther(draft, constraint.references, mode, 'referenced table');
  }
  if (draft.serverVersion < 150_000) return;
  for (const { relation } of referencesTo(draft.catalog, key)) {
    lockTree(draft, { key: relation.key, relation }, 'ShareRowExclusive', 'referencing table');
  }
}

/** `detach partition`: no row may reference it, and its own foreign keys stand alone from then on. */
export function detachPartition(at: AlterCommand, partition: Target): void {
  const { draft, target } = at;
  const key = target.relation?.defaultPartition;
  lockTree(draft, partition, 'AccessExclusive', 'partition');
  if (key !== undefined && at.mode === 'AccessExclusive') {
    lock(draft, key, 'AccessExclusive', 'default partition');
  }
  for (const { references } of foreignKeysOf(partition.relation)) {
    lockOther(draft, references, 'ShareRowExclusive', 'referenced table');
  }
  for (const { relation, constraint } of referencesTo(draft.catalog, target.key)) {
    const other = { key: relation.key, relation };
    const about = {
      subject: constraint.name,
      isCertain: true,
      command: at.index,
      offset: at.offset,
    };
    lockTree(draft, other, 'AccessExclusive', 'referencing table');
    for (const table of storedTables(draft, other)) {
      scan(draft, { ...about, relation: table.key, reason: 'validate constraint' });
    }
  }
}
