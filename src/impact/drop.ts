import type { DropStmt, Node } from '@pgsql/types';
import { type ObjectKey, type Relation, resolveKey, splitKey } from '../catalog/catalog.ts';
import { referencesTo, withDescendants } from '../catalog/replay/relation.ts';
import { asKind, objectNameOf, type WrittenName, writtenNameOf } from '../sql/tree.ts';
import { lockTriggersOf } from './constraint.ts';
import { type Draft, lock, lockTree, targetOf, unknown } from './draft.ts';
import type { LockReason } from './impact.ts';
import { lockSequences } from './objects.ts';

/** `drop …` */
export function impactOfDrop(draft: Draft, statement: DropStmt): void {
  for (const object of statement.objects ?? []) dropObject(draft, statement, object);
}

function dropObject(draft: Draft, statement: DropStmt, object: Node): void {
  const written = objectNameOf(object);
  if (written === undefined) return;
  const isCascade = statement.behavior === 'DROP_CASCADE';
  switch (statement.removeType) {
    case 'OBJECT_TABLE':
    case 'OBJECT_FOREIGN_TABLE':
    case 'OBJECT_VIEW':
    case 'OBJECT_MATVIEW':
    case 'OBJECT_SEQUENCE': {
      const target = targetOf(draft, written);
      if (target?.relation) dropRelation(draft, target.relation, { isCascade });
      else if (target) lock(draft, target.key, 'AccessExclusive', 'target');
      return;
    }
    case 'OBJECT_INDEX':
      dropIndex(draft, written, statement.concurrent === true);
      return;
    case 'OBJECT_TRIGGER':
    case 'OBJECT_RULE':
    case 'OBJECT_POLICY':
      dropFromTable(draft, statement, object);
      return;
    case 'OBJECT_TYPE':
    case 'OBJECT_DOMAIN':
      if (isCascade) dropType(draft, written);
      return;
    case 'OBJECT_FUNCTION':
    case 'OBJECT_ROUTINE':
      if (isCascade) dropRoutine(draft, written);
      return;
    case 'OBJECT_SCHEMA':
      if (isCascade) dropSchema(draft, written.name);
      return;
    case 'OBJECT_STATISTIC_EXT':
      unknown(draft, `the table of statistics ${written.name}`);
      return;
    case 'OBJECT_EXTENSION':
      if (isCascade) unknown(draft, `what uses extension ${written.name}`);
      return;
  }
}

function dropIndex(draft: Draft, written: WrittenName, isConcurrent: boolean): void {
  const { catalog } = draft;
  const key = resolveKey(catalog, written, catalog.indexes);
  const index = catalog.indexes.get(key);
  const mode = isConcurrent ? 'ShareUpdateExclusive' : 'AccessExclusive';
  if (index === undefined) {
    if (catalog.isComplete) return;
    unknown(draft, `the table of index ${key}`);
    lock(draft, key, mode, 'index');
    return;
  }
  const relation = catalog.relations.get(index.table);
  lockTree(draft, { key: index.table, relation }, mode, 'target');
  lock(draft, key, mode, 'index');
}

/** A trigger, rule or policy, whose table comes first in its name. */
function dropFromTable(draft: Draft, { removeType, missing_ok }: DropStmt, object: Node): void {
  const items = asKind(object, 'List')?.items ?? [];
  const name = writtenNameOf(items.slice(-1)).name;
  const target = targetOf(draft, writtenNameOf(items.slice(0, -1)));
  if (target === undefined) return;
  const isTrigger = removeType === 'OBJECT_TRIGGER';
  const isThere = target.relation?.triggers?.has(name) !== false;
  if (isTrigger && missing_ok && !isThere) return;
  const isPartitioned = target.relation?.kind === 'partitioned table';
  if (isTrigger && isPartitioned) lockTree(draft, target, 'AccessExclusive', 'target');
  else lock(draft, target.key, 'AccessExclusive', 'target');
}

/** With a type go the columns that have it. */
function dropType(draft: Draft, written: WrittenName): void {
  const { catalog } = draft;
  const types = [resolveKey(catalog, written, catalog.types)];
  for (const key of types) {
    for (const { key: other, base } of catalog.types.values()) {
      if (base?.name === key) types.push(other);
    }
  }
  for (const key of types) {
    if (catalog.relations.has(key)) lock(draft, key, 'AccessExclusive', 'target');
  }
  for (const { key, kind, columns } of catalog.relations.values()) {
    if (kind === 'composite type') continue;
    const used = [...columns.values()].filter(({ type }) => types.includes(type.name));
    if (used.length === 0) continue;
    if (kind === 'view' || kind === 'materialized view') dropDependent(draft, key);
    else lock(draft, key, 'AccessExclusive', 'dependent');
  }
}

/** With a function go the triggers that call it. */
function dropRoutine(draft: Draft, written: WrittenName): void {
  const { catalog } = draft;
  const routine = resolveKey(catalog, written, catalog.routines);
  for (const { key, triggers } of catalog.relations.values()) {
    for (const called of triggers?.values() ?? []) {
      if (called === routine) lock(draft, key, 'AccessExclusive', 'dependent');
    }
  }
}

function dropSchema(draft: Draft, schema: string): void {
  for (const relation of draft.catalog.relations.values()) {
    if (relation.kind === 'composite type' || splitKey(relation.key).schema !== schema) continue;
    const reason = relation.kind === 'sequence' ? 'sequence' : 'target';
    dropRelation(draft, relation, { isCascade: true, reason });
  }
}

/** What is locked with a relation that goes away. */
function dropRelation(
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
