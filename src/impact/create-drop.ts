import type { CreateStmt, CreateTrigStmt, DropStmt, IndexStmt, Node, ViewStmt } from '@pgsql/types';
import {
  type ObjectKey,
  objectKey,
  type Relation,
  resolveKey,
  splitKey,
} from '../catalog/catalog.ts';
import { chooseRelationName, joinColumnNames } from '../catalog/object-names.ts';
import { inlineConstraints } from '../catalog/replay/column.ts';
import { shapeOfIndex } from '../catalog/replay/indexes.ts';
import { newRelationName, referencesToRows, withDescendants } from '../catalog/replay/relation.ts';
import { asKind, objectNameOf, type WrittenName, writtenNameOf } from '../sql/tree.ts';
import { lockTriggersOf } from './constraint.ts';
import {
  build,
  type Draft,
  lock,
  lockTree,
  storedTables,
  type Target,
  targetOf,
  targetOfRange,
  unknown,
} from './draft.ts';
import type { LockReason } from './impact.ts';
import { lockSequences } from './objects.ts';
import { lockKeysOfNewPartition, scanDefaultPartition } from './partition.ts';
import { impactOfReading } from './query.ts';

/** `create table`: nobody uses the new one, but it locks those that it hangs on. */
export function impactOfCreate(draft: Draft, statement: CreateStmt): void {
  const { relation, if_not_exists } = statement;
  const key = relation && newRelationName(draft.catalog, relation).key;
  if (if_not_exists && draft.catalog.relations.has(key ?? '')) return;
  for (const node of statement.inhRelations ?? []) {
    const parent = targetOfRange(draft, asKind(node, 'RangeVar'));
    if (parent === undefined) continue;
    const isPartition = statement.partbound !== undefined;
    lock(draft, parent.key, isPartition ? 'AccessExclusive' : 'ShareUpdateExclusive', 'parent');
    if (isPartition) lockKeysOfNewPartition(draft, parent);
    if (isPartition && !statement.partbound?.is_default) scanDefaultPartition(draft, parent);
  }
  for (const node of [...(statement.tableElts ?? []), ...(statement.constraints ?? [])]) {
    const source = targetOfRange(draft, asKind(node, 'TableLikeClause')?.relation);
    if (source) lock(draft, source.key, 'AccessShare', 'dependent');
    for (const referenced of referencedBy(node)) lockReferenced(draft, referenced, key);
  }
}

function referencedBy(node: Node) {
  const definition = asKind(node, 'ColumnDef');
  const constraints = definition
    ? inlineConstraints(definition).map(({ constraint }) => constraint)
    : [asKind(node, 'Constraint')];
  return constraints.flatMap((one) =>
    one?.contype === 'CONSTR_FOREIGN' && one.pktable ? [one.pktable] : [],
  );
}

function lockReferenced(
  draft: Draft,
  referenced: Parameters<typeof targetOfRange>[1],
  own: string | undefined,
): void {
  if (referenced && newRelationName(draft.catalog, referenced).key === own) return;
  const target = targetOfRange(draft, referenced);
  if (target) lockTree(draft, target, 'ShareRowExclusive', 'referenced table');
}

/** `create index` */
export function impactOfCreateIndex(draft: Draft, statement: IndexStmt): void {
  const target = targetOfRange(draft, statement.relation);
  if (target === undefined) return;
  const isConcurrent = statement.concurrent === true;
  const isOnly = statement.relation?.inh !== true;
  const mode = isConcurrent ? 'ShareUpdateExclusive' : 'Share';
  const name = statement.idxname || undefined;
  lock(draft, target.key, mode, 'target');
  if (name !== undefined && statement.if_not_exists && isTaken(draft, target, name)) return;
  if (!isOnly && target.relation?.kind === 'partitioned table') {
    lockTree(draft, target, mode, 'target');
  }
  const subject = name ?? generatedName(draft, target, statement);
  const isHere = isOnly || target.relation?.kind !== 'partitioned table';
  for (const { key } of storedTables(draft, target, isHere)) {
    build(draft, { relation: key, reason: 'create index', subject, isCertain: true, isConcurrent });
  }
}

function isTaken({ catalog }: Draft, { key: table }: Target, name: string): boolean {
  const key = objectKey(splitKey(table).schema, name);
  return catalog.indexes.has(key) || catalog.relations.has(key);
}

function generatedName({ catalog }: Draft, { key }: Target, statement: IndexStmt): string {
  const { schema, name: first } = splitKey(key);
  const { attributes } = shapeOfIndex(statement.indexParams, {
    including: statement.indexIncludingParams,
    isUnique: false,
  });
  const second = joinColumnNames(attributes);
  return chooseRelationName(catalog, schema, { first, second, label: 'idx' }).name;
}

/** `create trigger`; one for each row goes to the partitions too. */
export function impactOfCreateTrigger(draft: Draft, statement: CreateTrigStmt): void {
  const target = targetOfRange(draft, statement.relation);
  if (target === undefined) return;
  const isInherited = statement.row === true && target.relation?.kind === 'partitioned table';
  if (isInherited) lockTree(draft, target, 'ShareRowExclusive', 'target');
  else lock(draft, target.key, 'ShareRowExclusive', 'target');
}

/** `create view`: only one that is there already is felt by others. */
export function impactOfCreateView(draft: Draft, { view, query, replace }: ViewStmt): void {
  const key = view && newRelationName(draft.catalog, view).key;
  if (replace && key && draft.catalog.relations.has(key)) {
    lock(draft, key, 'AccessExclusive', 'target');
  }
  impactOfReading(draft, query, { isRun: false });
}

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
      if (isCascade && statement.removeType === 'OBJECT_SEQUENCE') {
        unknown(draft, `which columns get defaults from ${written.name}`);
      }
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
      dropType(draft, written, isCascade);
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
  // Children that are no partitions have indexes of their own.
  if (relation?.kind === 'partitioned table') {
    lockTree(draft, { key: index.table, relation }, mode, 'target');
  } else {
    lock(draft, index.table, mode, 'target');
  }
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

/** With a type may go the columns that have it. */
function dropType(draft: Draft, written: WrittenName, isCascade: boolean): void {
  const { catalog } = draft;
  const named = resolveKey(catalog, written, catalog.types);
  if (catalog.relations.has(named)) lock(draft, named, 'AccessExclusive', 'target');
  if (!isCascade) return;
  const types = [named];
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
    for (const { name } of used) lockSequences(draft, key, 'AccessExclusive', name);
  }
}

/** With a function go the triggers that call it; what else does is not known. */
function dropRoutine(draft: Draft, written: WrittenName): void {
  const { catalog } = draft;
  const routine = resolveKey(catalog, written, catalog.routines);
  unknown(draft, `which defaults, checks, indexes and views call ${written.name}`);
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
  for (const { relation, constraint } of referencesToRows(draft.catalog, key)) {
    lockTree(draft, { key: relation.key, relation }, 'AccessExclusive', 'referencing table');
    // One to a partitioned table goes away as a whole, with its triggers on all partitions.
    if (constraint.references !== key) lockTriggersOf(draft, constraint);
  }
  for (const view of dependents) dropDependent(draft, view);
  lockRulesOn(draft, key);
}

/** The policies and rules of other tables that read what goes away go too. */
function lockRulesOn(draft: Draft, key: ObjectKey): void {
  for (const { key: other, rulesRead } of draft.catalog.relations.values()) {
    for (const read of rulesRead?.values() ?? []) {
      if (read.has(key)) lock(draft, other, 'AccessExclusive', 'dependent');
    }
  }
}

/** A view goes away with all views that read it. */
export function dropDependent(draft: Draft, key: ObjectKey): void {
  const views = new Set([key]);
  for (const one of views) {
    const view = draft.catalog.relations.get(one);
    if (view === undefined || draft.locks.get(one)?.mode === 'AccessExclusive') continue;
    lock(draft, one, 'AccessExclusive', 'dependent');
    for (const dependent of view.dependents) views.add(dependent);
    lockRulesOn(draft, one);
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
