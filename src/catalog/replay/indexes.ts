import type { IndexElem, IndexStmt, Node } from '@pgsql/types';
import { asKind, stringsOf } from '../../sql/tree.ts';
import {
  type Catalog,
  type CatalogIndex,
  findRelation,
  type ObjectKey,
  objectKey,
  type Relation,
  splitKey,
} from '../catalog.ts';
import { columnsIn, nameOfExpression } from '../expression.ts';
import {
  chooseRelationName,
  cutName,
  joinColumnNames,
  uniqueColumnNames,
} from '../object-names.ts';

/** An index without name and table. */
export type IndexShape = Pick<
  CatalogIndex,
  | 'columns'
  | 'mentions'
  | 'attributes'
  | 'isUnique'
  | 'isPartial'
  | 'method'
  | 'orders'
  | 'collations'
>;

/** What the parts of an index say. */
export function shapeOfIndex(
  keys: readonly Node[] | undefined,
  {
    including,
    where,
    isUnique,
    method,
  }: {
    including?: readonly Node[] | undefined;
    where?: Node | undefined;
    isUnique: boolean;
    method?: string | undefined;
  },
): IndexShape {
  const elements: IndexElem[] = [];
  for (const node of keys ?? []) {
    const element = asKind(node, 'IndexElem');
    if (element) elements.push(element);
  }
  const included = (including ?? []).flatMap((node) => asKind(node, 'IndexElem')?.name ?? []);
  const columns = elements.map(({ name }) => name || undefined);
  const shape: IndexShape = {
    columns,
    mentions: mentionsOf(elements, included, where),
    attributes: uniqueColumnNames([...elements.map(nameOfElement), ...included]),
    isUnique,
    isPartial: where !== undefined,
  };
  // Most indexes have none of these three.
  if (method !== undefined && method !== 'btree') shape.method = method;
  const orders = elements.map(orderOf);
  if (orders.some((one) => one !== undefined)) shape.orders = orders;
  if (elements.some(({ collation }) => collation !== undefined)) {
    shape.collations = elements.map(({ collation }) => stringsOf(collation).at(-1));
  }
  return shape;
}

function mentionsOf(
  elements: readonly IndexElem[],
  included: readonly string[],
  where: Node | undefined,
): string[] {
  const mentions = new Set<string>();
  for (const { name } of elements) if (name) mentions.add(name);
  for (const name of included) mentions.add(name);
  for (const { expr } of elements) {
    if (expr) for (const name of columnsIn(expr)) mentions.add(name);
  }
  if (where) for (const name of columnsIn(where)) mentions.add(name);
  return [...mentions];
}

function orderOf({ opclass, ordering, nulls_ordering }: IndexElem): string | undefined {
  const isUsual = ordering === 'SORTBY_DEFAULT' && nulls_ordering === 'SORTBY_NULLS_DEFAULT';
  if (opclass === undefined && isUsual) return undefined;
  const words = [
    ...stringsOf(opclass),
    ...(ordering === 'SORTBY_DESC' ? ['desc'] : []),
    ...(nulls_ordering?.replace('SORTBY_NULLS_', '') === 'DEFAULT' ? [] : [nulls_ordering ?? '']),
  ].filter((word) => word !== '');
  return words.length === 0 ? undefined : words.join(' ');
}

function nameOfElement({ indexcolname, name, expr }: IndexElem): string {
  return indexcolname || name || nameOfExpression(expr) || 'expr';
}

/** What an index has in common with its copies. */
export function shapeOf(index: CatalogIndex): IndexShape {
  const { key: _, table, isValid, isIdentity, parent, ...shape } = index;
  return shape;
}

/** The shape of an index over plain columns. */
export function shapeOfColumns(
  columns: readonly string[],
  { including = [], isUnique = true }: { including?: readonly string[]; isUnique?: boolean } = {},
): IndexShape {
  return {
    columns,
    mentions: [...new Set([...columns, ...including])],
    attributes: uniqueColumnNames([...columns, ...including]),
    isUnique,
    isPartial: false,
  };
}

/**
 * Adds an index to a table, and one to each of its partitions unless `isOnly`.
 *
 * @param label `idx`, `key`, `excl` or `pkey`, for a name that PostgreSQL makes
 */
export function addIndex(
  catalog: Catalog,
  relation: Relation,
  shape: IndexShape,
  options: { name?: string | undefined; label: string; isOnly?: boolean; parent?: ObjectKey },
): CatalogIndex {
  const { schema, name: first } = splitKey(relation.key);
  const key =
    options.name !== undefined
      ? objectKey(schema, cutName(options.name))
      : chooseRelationName(catalog, schema, {
          first,
          second: options.label === 'pkey' ? '' : joinColumnNames(shape.attributes),
          label: options.label,
        }).key;
  // Field by field: a spread takes ten times as long.
  const { columns, mentions, attributes, isUnique, isPartial, method, orders, collations } = shape;
  const table = relation.key;
  const index: CatalogIndex = {
    key,
    table,
    columns,
    mentions,
    attributes,
    isUnique,
    isPartial,
    isValid: true,
  };
  if (method !== undefined) index.method = method;
  if (orders !== undefined) index.orders = orders;
  if (collations !== undefined) index.collations = collations;
  if (options.parent !== undefined) index.parent = options.parent;
  catalog.indexes.set(key, index);
  relation.indexes.add(key);
  if (options.isOnly || relation.kind !== 'partitioned table') return index;
  for (const child of relation.children) {
    const partition = catalog.relations.get(child);
    if (partition === undefined || findAttachable(catalog, partition, index)) continue;
    addIndex(catalog, partition, shape, { label: options.label, parent: key });
  }
  return index;
}

/** Takes an index of a partition over that fits that of its parent, and says whether there was one. */
export function findAttachable(
  catalog: Catalog,
  partition: Relation,
  { key, ...wanted }: CatalogIndex,
): boolean {
  for (const candidate of partition.indexes) {
    const index = catalog.indexes.get(candidate);
    if (index === undefined || index.parent !== undefined || !isAlike(index, wanted)) continue;
    index.parent = key;
    return true;
  }
  return false;
}

/** Whether an index can be that of a partition for the other one of its table. */
export function isAlike(one: IndexShape, other: IndexShape): boolean {
  return (
    one.isUnique === other.isUnique &&
    one.isPartial === other.isPartial &&
    one.columns.length === other.columns.length &&
    one.columns.every((name, i) => name !== undefined && name === other.columns[i]) &&
    one.mentions.length === other.mentions.length
  );
}

/** Takes an index away, with those of the partitions. */
export function removeIndex(catalog: Catalog, key: ObjectKey): void {
  const index = catalog.indexes.get(key);
  if (index === undefined) return;
  const relation = catalog.relations.get(index.table);
  catalog.indexes.delete(key);
  relation?.indexes.delete(key);
  for (const one of [...(relation?.constraints.values() ?? [])]) {
    if (one.index === key) relation?.constraints.delete(one.name);
  }
  if (relation?.kind !== 'partitioned table') return;
  for (const child of relation.children) {
    for (const own of [...(catalog.relations.get(child)?.indexes ?? [])]) {
      if (catalog.indexes.get(own)?.parent === key) removeIndex(catalog, own);
    }
  }
}

/** Gives an index, and the constraint on it, another name. */
export function renameIndex(catalog: Catalog, key: ObjectKey, name: string): ObjectKey {
  const index = catalog.indexes.get(key);
  if (index === undefined) return key;
  const renamed = objectKey(splitKey(key).schema, name);
  if (renamed === key) return key;
  moveIndex(catalog, index, renamed);
  const constraints = catalog.relations.get(index.table)?.constraints;
  for (const one of [...(constraints?.values() ?? [])]) {
    if (one.index !== renamed) continue;
    constraints?.delete(one.name);
    constraints?.set(name, { ...one, name });
  }
  return renamed;
}

/** Moves an index to another key, with all that points at it. */
export function moveIndex(catalog: Catalog, index: CatalogIndex, to: ObjectKey): void {
  const from = index.key;
  const relation = catalog.relations.get(index.table);
  catalog.indexes.delete(from);
  index.key = to;
  catalog.indexes.set(to, index);
  relation?.indexes.delete(from);
  relation?.indexes.add(to);
  for (const one of relation?.constraints.values() ?? []) if (one.index === from) one.index = to;
  for (const child of relation?.children ?? []) {
    for (const own of catalog.relations.get(child)?.indexes ?? []) {
      const attached = catalog.indexes.get(own);
      if (attached?.parent === from) attached.parent = to;
    }
  }
}

/** `create index` */
export function replayIndex(catalog: Catalog, statement: IndexStmt): void {
  const relation = statement.relation && findRelation(catalog, nameOf(statement.relation));
  if (!relation) return;
  const name = statement.idxname || undefined;
  const { schema } = splitKey(relation.key);
  const isThere = name !== undefined && isTaken(catalog, objectKey(schema, name));
  if (isThere && statement.if_not_exists) return;
  const shape = shapeOfIndex(statement.indexParams, {
    including: statement.indexIncludingParams,
    where: statement.whereClause,
    isUnique: statement.unique === true,
    method: statement.accessMethod,
  });
  const isOnly = statement.relation?.inh !== true;
  const index = addIndex(catalog, relation, shape, { name, label: 'idx', isOnly });
  if (isOnly && relation.kind === 'partitioned table' && relation.children.size > 0) {
    index.isValid = false;
  }
}

function isTaken({ relations, indexes }: Catalog, key: ObjectKey): boolean {
  return relations.has(key) || indexes.has(key);
}

function nameOf({ schemaname, relname }: { schemaname?: string; relname?: string }) {
  return { schema: schemaname || undefined, name: relname ?? '' };
}
