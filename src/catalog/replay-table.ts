import type { ColumnDef, Constraint, CreateStmt, Node, PartitionSpec } from '@pgsql/types';
import { asKind, relationNameOf, writtenNameOf } from '../sql/tree.ts';
import {
  type Catalog,
  findRelation,
  type PartitionKey,
  type Relation,
  resolveKey,
} from './catalog.ts';
import { addColumn, constraintsOfColumn, type WrittenConstraint } from './replay-column.ts';
import { addConstraint } from './replay-constraint.ts';
import { copyColumns, copyLike, likeColumns } from './replay-like.ts';
import { attachPartition, inheritFrom } from './replay-partition.ts';
import { createRelation, newRelationName } from './replay-relation.ts';

/** `create table`, also of a foreign one. */
export function replayTable(
  catalog: Catalog,
  statement: CreateStmt,
  kind: 'table' | 'foreign table' = 'table',
): void {
  if (statement.relation === undefined) return;
  const { key } = newRelationName(catalog, statement.relation);
  const isReplaced = catalog.relations.has(key);
  if (isReplaced) {
    if (statement.if_not_exists) return;
    catalog.relations.delete(key);
  }
  const { partspec } = statement;
  const relation = createRelation(key, partspec ? 'partitioned table' : kind, statement.relation);
  if (!isReplaced) relation.everReferencedBy = new Set();
  if (partspec) relation.partitionKey = partitionKeyOf(partspec);
  catalog.relations.set(key, relation);
  catalog.unfilled.add(key);
  const parents = (statement.inhRelations ?? []).flatMap((node) => {
    const range = asKind(node, 'RangeVar');
    return (range && findRelation(catalog, relationNameOf(range))) ?? [];
  });
  addColumns(catalog, relation, statement, parents);
  addConstraints(catalog, relation, statement, parents);
}

/** What the rows of a partitioned table are told apart by. */
function partitionKeyOf({ strategy, partParams }: PartitionSpec): PartitionKey {
  const columns = (partParams ?? []).map(
    (node) => asKind(node, 'PartitionElem')?.name || undefined,
  );
  switch (strategy) {
    case 'PARTITION_STRATEGY_LIST':
      return { strategy: 'list', columns };
    case 'PARTITION_STRATEGY_HASH':
      return { strategy: 'hash', columns };
    default:
      return { strategy: 'range', columns };
  }
}

function addColumns(
  catalog: Catalog,
  relation: Relation,
  { tableElts, ofTypename }: CreateStmt,
  parents: readonly Relation[],
): void {
  for (const parent of parents) copyColumns(parent, relation);
  if (ofTypename) {
    const written = writtenNameOf(ofTypename.names);
    const row = catalog.relations.get(resolveKey(catalog, written, catalog.relations));
    if (row) copyColumns(row, relation);
    // What is done to the type with cascade is done to its tables.
    row?.children.add(relation.key);
  }
  for (const node of tableElts ?? []) {
    const definition = asKind(node, 'ColumnDef');
    const like = asKind(node, 'TableLikeClause');
    if (like) likeColumns(catalog, relation, like);
    else if (definition) addOrChange(catalog, relation, definition);
  }
}

/** A column of a child that its parent has too stays where it is and keeps what the parent says. */
function addOrChange(catalog: Catalog, relation: Relation, definition: ColumnDef): void {
  const inherited = relation.columns.get(definition.colname ?? '');
  if (inherited === undefined) {
    addColumn(catalog, relation, definition);
    return;
  }
  if (!definition.typeName) {
    const hasDefault = (definition.constraints ?? []).some(
      (node) => asKind(node, 'Constraint')?.contype === 'CONSTR_DEFAULT',
    );
    inherited.hasDefault ||= hasDefault;
    return;
  }
  addColumn(catalog, relation, definition);
  const merged = relation.columns.get(inherited.name);
  if (merged) merged.hasDefault ||= inherited.hasDefault;
}

function addConstraints(
  catalog: Catalog,
  relation: Relation,
  statement: CreateStmt,
  parents: readonly Relation[],
): void {
  const elements = [...(statement.tableElts ?? []), ...(statement.constraints ?? [])];
  const [parent] = parents;
  if (statement.partbound && parent) {
    attachPartition(catalog, parent, relation, statement.partbound);
  } else for (const one of parents) inheritFrom(catalog, one, relation);
  addInOrder(catalog, relation, elements.flatMap(constraintsOfElement));
  for (const node of elements) {
    const like = asKind(node, 'TableLikeClause');
    if (like) copyLike(catalog, relation, like);
  }
}

function constraintsOfElement(node: Node): WrittenConstraint[] {
  const definition = asKind(node, 'ColumnDef');
  if (definition) return constraintsOfColumn(definition);
  const constraint = asKind(node, 'Constraint');
  return constraint ? [{ constraint, place: {} }] : [];
}

/** In PostgreSQL's order, on which generated names depend. */
function addInOrder(catalog: Catalog, relation: Relation, written: WrittenConstraint[]): void {
  for (const isWanted of [isCheck, isNotNull, isIndexed, isForeignKey]) {
    for (const { constraint, place } of written) {
      if (isWanted(constraint.contype)) addConstraint(catalog, relation, constraint, place);
    }
  }
}

const isCheck = (contype: Constraint['contype']) => contype === 'CONSTR_CHECK';
const isNotNull = (contype: Constraint['contype']) => contype === 'CONSTR_NOTNULL';
const isForeignKey = (contype: Constraint['contype']) => contype === 'CONSTR_FOREIGN';
const isIndexed = (contype: Constraint['contype']) =>
  contype === 'CONSTR_PRIMARY' || contype === 'CONSTR_UNIQUE' || contype === 'CONSTR_EXCLUSION';
