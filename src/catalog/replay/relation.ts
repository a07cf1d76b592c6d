import type {
  AlterPublicationStmt,
  CreatePublicationStmt,
  Node,
  RangeVar,
  ReplicaIdentityStmt,
} from '@pgsql/types';
import { asKind, relationNameOf, stringsOf } from '../../sql/tree.ts';
import {
  type Catalog,
  type CatalogColumn,
  type CatalogConstraint,
  findRelation,
  type ObjectKey,
  objectKey,
  type Publication,
  type Relation,
  type RelationKind,
  splitKey,
  TEMPORARY_SCHEMA,
} from '../catalog.ts';
import { columnsIn } from '../expression.ts';
import { renameUse, useColumns } from './uses.ts';

/** Where a new relation lands: in its own schema, the first of the search path, or among the temporary ones. */
export function newRelationName(
  { searchPath }: Catalog,
  range: RangeVar,
): { schema: string; name: string; key: ObjectKey } {
  const { schema: written, name } = relationNameOf(range);
  const schema =
    range.relpersistence === 't' ? TEMPORARY_SCHEMA : (written ?? searchPath[0] ?? 'public');
  return { schema, name, key: objectKey(schema, name) };
}

/** A relation without columns. */
export function createRelation(
  key: ObjectKey,
  kind: RelationKind,
  { relpersistence }: Pick<RangeVar, 'relpersistence'> = {},
): Relation {
  return {
    key,
    kind,
    columns: new Map(),
    constraints: new Map(),
    indexes: new Set(),
    children: new Set(),
    dependents: new Set(),
    triggers: new Map(),
    isUnlogged: relpersistence === 'u',
    isTemporary: relpersistence === 't',
  };
}

/** A relation with all that hangs below it, itself first. */
export function withDescendants({ relations }: Catalog, root: Relation): Relation[] {
  const found = new Set([root]);
  for (const one of found) {
    for (const key of one.children) {
      const child = relations.get(key);
      if (child !== undefined) found.add(child);
    }
  }
  return [...found];
}

/** Makes a relation a child of another. */
export function addChild(parent: Relation, child: Relation): void {
  parent.children.add(child.key);
  child.everLinked?.add(parent);
}

/** A foreign key and the table that has it. */
export interface Reference {
  relation: Relation;
  constraint: CatalogConstraint;
}

/** The foreign keys that point at a table, its own among them. */
export function referencesTo({ relations }: Catalog, key: ObjectKey): Reference[] {
  const found: Reference[] = [];
  for (const relation of relations.get(key)?.everLinked ?? relations.values()) {
    if (relations.get(relation.key) !== relation) continue;
    for (const constraint of relation.constraints.values()) {
      if (constraint.references === key) found.push({ relation, constraint });
    }
  }
  return found;
}

/** The partitioned tables that a partition belongs to, from the nearest on. */
function partitionedAbove({ relations }: Catalog, relation: Relation | undefined): Relation[] {
  const found = new Set<Relation>();
  let above = relations.get(relation?.parent ?? '');
  while (above?.kind === 'partitioned table' && !found.has(above)) {
    found.add(above);
    above = relations.get(above.parent ?? '');
  }
  return [...found];
}

/** The foreign keys that point at rows of a table: also those to tables that it is a partition of. */
export function referencesToRows(catalog: Catalog, key: ObjectKey): Reference[] {
  const above = partitionedAbove(catalog, catalog.relations.get(key));
  return [key, ...above.map((one) => one.key)].flatMap((one) => referencesTo(catalog, one));
}

/** The foreign keys that point at a table or at what hangs below it. */
export function referencesBelow(catalog: Catalog, key: ObjectKey): Reference[] {
  const relation = catalog.relations.get(key);
  if (relation === undefined) return referencesTo(catalog, key);
  return withDescendants(catalog, relation).flatMap((one) => referencesTo(catalog, one.key));
}

/** The foreign keys that point at rows of a table or of what hangs below it. */
export function referencesToAllRows(catalog: Catalog, key: ObjectKey): Reference[] {
  return [...new Set([...referencesToRows(catalog, key), ...referencesBelow(catalog, key)])];
}

/** The columns of a table's primary key; none where it has none. */
export function primaryKeyColumns({ constraints }: Relation): readonly string[] {
  for (const one of constraints.values()) if (one.kind === 'primary key') return one.columns;
  return [];
}

/** A column of its own, for another table to have. */
export function copyColumn(column: CatalogColumn): CatalogColumn {
  return { ...column, type: { ...column.type } };
}

/** A constraint in the making. */
export type MadeConstraint = Omit<CatalogConstraint, 'isEnforced' | 'isInherited'> & {
  isEnforced?: boolean;
};

/** Gives a table a constraint. */
export function putConstraint(relation: Relation, made: MadeConstraint, isInherited = false): void {
  const constraint: CatalogConstraint = { isEnforced: true, ...made };
  if (isInherited) constraint.isInherited = true;
  relation.constraints.set(made.name, constraint);
}

/** `create publication` */
export function replayPublication(catalog: Catalog, statement: CreatePublicationStmt): void {
  const { pubname: name = '', for_all_tables, pubobjects, options } = statement;
  const publication: Publication = {
    name,
    isForAll: for_all_tables === true,
    schemas: new Set(),
    needsIdentity: needsIdentity(options) ?? true,
  };
  catalog.publications.set(name, publication);
  addObjects(catalog, publication, pubobjects);
}

/** `alter publication` */
export function replayPublicationChange(catalog: Catalog, statement: AlterPublicationStmt): void {
  const { pubname: name = '', pubobjects, options, action } = statement;
  const publication = catalog.publications.get(name);
  if (publication === undefined) return;
  publication.needsIdentity = needsIdentity(options) ?? publication.needsIdentity;
  if (action === 'AP_DropObjects') {
    for (const { table, schema } of objectsIn(catalog, pubobjects)) {
      if (table) unpublish(table, name);
      if (schema !== undefined) publication.schemas.delete(schema);
    }
    return;
  }
  if (action === 'AP_SetObjects' && pubobjects) {
    for (const relation of catalog.relations.values()) unpublish(relation, name);
    publication.schemas.clear();
  }
  addObjects(catalog, publication, pubobjects);
}

/** `drop publication` */
export function dropPublication(catalog: Catalog, name: string): void {
  catalog.publications.delete(name);
  for (const relation of catalog.relations.values()) unpublish(relation, name);
}

/** Gives a publication another name. */
export function renamePublication(catalog: Catalog, from: string, to: string): void {
  const publication = catalog.publications.get(from);
  if (publication === undefined) return;
  catalog.publications.delete(from);
  catalog.publications.set(to, { ...publication, name: to });
  for (const relation of catalog.relations.values()) {
    if (relation.publishedBy?.delete(from)) relation.publishedBy.add(to);
    renameUse(catalog, relation, 'publication', { from, to });
  }
}

function unpublish(relation: Relation, name: string): void {
  relation.publishedBy?.delete(name);
  relation.uses?.delete(`publication ${name}`);
}

/** Whether a publication publishes updates or deletes; undefined where the options do not say. */
export function needsIdentity(options: readonly Node[] | undefined): boolean | undefined {
  for (const node of options ?? []) {
    const { defname, arg } = asKind(node, 'DefElem') ?? {};
    const published = asKind(arg, 'String')?.sval;
    if (defname === 'publish') return /update|delete/i.test(published ?? '');
  }
  return undefined;
}

function addObjects(
  catalog: Catalog,
  { name, schemas }: Publication,
  objects: readonly Node[] | undefined,
): void {
  for (const { table, schema, columns } of objectsIn(catalog, objects)) {
    if (schema !== undefined) schemas.add(schema);
    if (table === undefined) continue;
    table.publishedBy ??= new Set();
    table.publishedBy.add(name);
    if (columns.length > 0) {
      useColumns(table, { kind: 'publication', name, columns: new Set(columns), isSure: true });
    }
  }
}

/** What a publication names. */
interface PublishedObject {
  table?: Relation | undefined;
  schema?: string | undefined;
  columns: string[];
}

/** The tables and schemas that a statement about a publication names. */
export function objectsIn(
  catalog: Catalog,
  objects: readonly Node[] | undefined,
): PublishedObject[] {
  return (objects ?? []).map((node) => {
    const { pubobjtype, name, pubtable } = asKind(node, 'PublicationObjSpec') ?? {};
    if (pubobjtype === 'PUBLICATIONOBJ_TABLES_IN_SCHEMA') return { schema: name, columns: [] };
    if (pubobjtype === 'PUBLICATIONOBJ_TABLES_IN_CUR_SCHEMA') {
      return { schema: catalog.searchPath[0], columns: [] };
    }
    const table = pubtable?.relation && findRelation(catalog, relationNameOf(pubtable.relation));
    const columns = [...stringsOf(pubtable?.columns), ...columnsIn(pubtable?.whereClause)];
    return { table, columns };
  });
}

/** The publications that publish updates and deletes of a table. */
export function publicationsOf(catalog: Catalog, relation: Relation): Publication[] {
  const { schema } = splitKey(relation.key);
  return [...catalog.publications.values()].filter(
    ({ name, isForAll, schemas, needsIdentity: needs }) =>
      needs && (isForAll || schemas.has(schema) || relation.publishedBy?.has(name) === true),
  );
}

/** `replica identity` */
export function replayIdentity(
  catalog: Catalog,
  relation: Relation,
  statement: ReplicaIdentityStmt | undefined,
): void {
  const { schema } = splitKey(relation.key);
  for (const key of relation.indexes) delete catalog.indexes.get(key)?.isIdentity;
  delete relation.replicaIdentity;
  switch (statement?.identity_type) {
    case 'f':
      relation.replicaIdentity = 'full';
      return;
    case 'n':
      relation.replicaIdentity = 'nothing';
      return;
    case 'i': {
      const index = catalog.indexes.get(objectKey(schema, statement.name ?? ''));
      relation.replicaIdentity = 'index';
      if (index) index.isIdentity = true;
    }
  }
}

/** Whether the subscribers of a publication can tell which row an update or a delete is of. */
export function hasIdentity(catalog: Catalog, relation: Relation): boolean {
  switch (relation.replicaIdentity) {
    case 'full':
      return true;
    case 'nothing':
      return false;
    case 'index':
      return [...relation.indexes].some((key) => catalog.indexes.get(key)?.isIdentity);
    default:
      return [...relation.constraints.values()].some(({ kind }) => kind === 'primary key');
  }
}
