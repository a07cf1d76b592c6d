import type { CreateStmt, CreateTrigStmt, IndexStmt, Node, ViewStmt } from '@pgsql/types';
import { objectKey, splitKey } from '../catalog/catalog.ts';
import { chooseRelationName, joinColumnNames } from '../catalog/object-names.ts';
import { inlineConstraints } from '../catalog/replay/column.ts';
import { shapeOfIndex } from '../catalog/replay/indexes.ts';
import { newRelationName } from '../catalog/replay/relation.ts';
import { asKind } from '../sql/tree.ts';
import {
  build,
  type Draft,
  lock,
  lockTree,
  storedTables,
  type Target,
  targetOfRange,
} from './draft.ts';
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
