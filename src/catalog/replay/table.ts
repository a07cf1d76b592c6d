import type {
  ColumnDef,
  CreateStmt,
  Node,
  PartitionBoundSpec,
  PartitionSpec,
  TableLikeClause,
} from '@pgsql/types';
import { asKind, relationNameOf, writtenNameOf } from '../../sql/tree.ts';
import {
  type Catalog,
  type CatalogConstraint,
  findRelation,
  type PartitionKey,
  type Relation,
  resolveKey,
} from '../catalog.ts';
import {
  addColumn,
  addOwnedSequence,
  constraintsOfColumn,
  type WrittenConstraint,
} from './column.ts';
import { addConstraint, addNotNull, constrainIndex, copyForeignKey } from './constraint.ts';
import { addIndex, findAttachable, shapeOf } from './indexes.ts';
import { addChild, copyColumn, createRelation, newRelationName } from './relation.ts';

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
  if (!isReplaced) relation.everLinked = new Set();
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
    if (row) addChild(row, relation);
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
  const { tableElts = [], constraints = [] } = statement;
  const elements = constraints.length === 0 ? tableElts : [...tableElts, ...constraints];
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
  for (const rank of ['check', 'not null', 'indexed', 'foreign key'] as const) {
    for (const { constraint, place } of written) {
      if (RANKS[constraint.contype ?? ''] === rank) {
        addConstraint(catalog, relation, constraint, place);
      }
    }
  }
}

const RANKS: Record<string, 'check' | 'not null' | 'indexed' | 'foreign key'> = {
  CONSTR_CHECK: 'check',
  CONSTR_NOTNULL: 'not null',
  CONSTR_PRIMARY: 'indexed',
  CONSTR_UNIQUE: 'indexed',
  CONSTR_EXCLUSION: 'indexed',
  CONSTR_FOREIGN: 'foreign key',
};

/** What `including` asks for, as PostgreSQL numbers it. */
const INCLUDING = { constraints: 4, defaults: 8, generated: 16, identity: 32, indexes: 64 };

function sourceOf(catalog: Catalog, { relation }: TableLikeClause): Relation | undefined {
  return relation && findRelation(catalog, relationNameOf(relation));
}

/** Gives a child the columns of its parent; one that it has already stays. */
function copyColumns(parent: Relation, child: Relation): void {
  for (const column of parent.columns.values()) {
    const existing = child.columns.get(column.name);
    if (existing) existing.hasDefault ||= column.hasDefault;
    else child.columns.set(column.name, { ...copyColumn(column), isNotNull: false });
  }
}

/** The columns of `like`, each with what it includes. */
function likeColumns(catalog: Catalog, relation: Relation, like: TableLikeClause): void {
  const source = sourceOf(catalog, like);
  const includes = (what: keyof typeof INCLUDING) => ((like.options ?? 0) & INCLUDING[what]) !== 0;
  for (const column of source?.columns.values() ?? []) {
    const { generated } = column;
    const isKept =
      generated === undefined ||
      (generated === 'identity' ? includes('identity') : includes('generated'));
    const hasPlainDefault = generated === undefined && column.hasDefault && includes('defaults');
    relation.columns.set(column.name, {
      ...copyColumn(column),
      isNotNull: false,
      generated: isKept ? generated : undefined,
      hasDefault: hasPlainDefault || (generated !== undefined && isKept),
    });
    if (generated === 'identity' && isKept) addOwnedSequence(catalog, relation, column.name);
  }
}

/** The constraints and indexes of `like`; what is not null stays so whatever is included. */
function copyLike(catalog: Catalog, relation: Relation, like: TableLikeClause): void {
  const source = sourceOf(catalog, like);
  const options = like.options ?? 0;
  for (const one of source?.constraints.values() ?? []) {
    const [column = ''] = one.columns;
    if (one.kind === 'not null') addNotNull(catalog, relation, column, { name: one.name });
    if (one.kind === 'check' && (options & INCLUDING.constraints) !== 0) {
      const { isInherited: _, ...copied } = one;
      relation.constraints.set(one.name, { ...copied, isValidated: one.isEnforced });
    }
  }
  if ((options & INCLUDING.indexes) !== 0 && source) copyIndexes(catalog, source, relation);
}

const LABELS = { 'primary key': 'pkey', unique: 'key', exclusion: 'excl' } as const;

function copyIndexes(catalog: Catalog, source: Relation, relation: Relation): void {
  for (const key of [...source.indexes]) {
    const index = catalog.indexes.get(key);
    if (index === undefined) continue;
    const constraint = [...source.constraints.values()].find((one) => one.index === key);
    const kind = constraint?.kind as keyof typeof LABELS | undefined;
    const label = kind === undefined ? 'idx' : LABELS[kind];
    const shape = shapeOf(index);
    const copy = addIndex(catalog, relation, shape, { label });
    if (kind !== undefined) constrainIndex(catalog, relation, { kind, key: copy.key });
  }
}

/** Makes a table a child of another: it gets the checks and not-null constraints. */
export function inheritFrom(catalog: Catalog, parent: Relation, child: Relation): void {
  addChild(parent, child);
  child.parent ??= parent.key;
  for (const constraint of parent.constraints.values())
    inheritConstraint(catalog, constraint, child);
}

function inheritConstraint(catalog: Catalog, constraint: CatalogConstraint, child: Relation): void {
  const [column = ''] = constraint.columns;
  if (constraint.isOwnOnly) return;
  if (constraint.kind === 'not null') {
    addNotNull(catalog, child, column, { name: constraint.name, isInherited: true });
  }
  if (constraint.kind !== 'check') return;
  const own = child.constraints.get(constraint.name);
  if (own !== undefined) own.isInherited = true;
  else child.constraints.set(constraint.name, { ...constraint, isInherited: true });
}

/** Makes a table a partition: it gets the indexes and foreign keys too. */
export function attachPartition(
  catalog: Catalog,
  parent: Relation,
  partition: Relation,
  bound: PartitionBoundSpec | undefined,
): void {
  inheritFrom(catalog, parent, partition);
  if (bound?.is_default) parent.defaultPartition = partition.key;
  for (const key of [...parent.indexes]) {
    const index = catalog.indexes.get(key);
    if (index === undefined) continue;
    const kind = [...parent.constraints.values()].find((one) => one.index === key)?.kind;
    const shape = shapeOf(index);
    if (findAttachable(catalog, partition, index)) {
      for (const one of partition.constraints.values()) {
        if (catalog.indexes.get(one.index ?? '')?.parent === key) one.isInherited = true;
      }
    } else {
      const label = kind === 'primary key' ? 'pkey' : kind === 'unique' ? 'key' : 'idx';
      const copy = addIndex(catalog, partition, shape, { label, parent: key });
      if (kind === 'primary key' || kind === 'unique' || kind === 'exclusion') {
        constrainIndex(catalog, partition, { kind, key: copy.key, isInherited: true });
      }
    }
  }
  for (const constraint of parent.constraints.values()) {
    if (constraint.kind === 'foreign key' && !hasAlike(partition, constraint)) {
      copyForeignKey(catalog, partition, constraint, true);
    }
  }
}

/** Whether a table has a foreign key to the same table over the same columns. */
export function hasAlike({ constraints }: Relation, wanted: CatalogConstraint): boolean {
  return [...constraints.values()].some(
    (one) =>
      one.kind === 'foreign key' &&
      one.references === wanted.references &&
      one.columns.join() === wanted.columns.join() &&
      one.isEnforced === wanted.isEnforced,
  );
}

/** Makes a partition or child a table of its own again. */
export function detachChild(catalog: Catalog, parent: Relation, child: Relation): void {
  parent.children.delete(child.key);
  if (parent.defaultPartition === child.key) delete parent.defaultPartition;
  delete child.parent;
  for (const one of child.constraints.values()) delete one.isInherited;
  for (const key of child.indexes) delete catalog.indexes.get(key)?.parent;
}
