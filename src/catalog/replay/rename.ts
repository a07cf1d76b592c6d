import type { AlterObjectSchemaStmt, RenameStmt } from '@pgsql/types';
import { asKind, objectNameOf, relationNameOf } from '../../sql/tree.ts';
import {
  type Catalog,
  findRelation,
  type ObjectKey,
  objectKey,
  type Relation,
  resolveKey,
  splitKey,
} from '../catalog.ts';
import { moveIndex, renameIndex } from './indexes.ts';
import { referencesTo, renamePublication, withDescendants } from './relation.ts';
import { renameUse } from './uses.ts';

/** `alter … rename` */
export function replayRename(catalog: Catalog, statement: RenameStmt): void {
  const { renameType, newname = '', subname = '' } = statement;
  const written = statement.relation && relationNameOf(statement.relation);
  const relation = written && findRelation(catalog, written);
  switch (renameType) {
    case 'OBJECT_COLUMN':
    case 'OBJECT_ATTRIBUTE':
      if (relation) renameColumn(catalog, relation, subname, newname);
      return;
    case 'OBJECT_TABCONSTRAINT':
      if (relation) renameConstraint(catalog, relation, subname, newname);
      return;
    case 'OBJECT_TRIGGER': {
      const routine = relation?.triggers?.get(subname);
      if (routine !== undefined && relation?.triggers?.delete(subname)) {
        relation.triggers.set(newname, routine);
      }
      if (relation) renameUse(catalog, relation, 'trigger', { from: subname, to: newname });
      return;
    }
    case 'OBJECT_POLICY':
    case 'OBJECT_RULE':
      if (relation) {
        const kind = renameType === 'OBJECT_POLICY' ? 'policy' : 'rule';
        renameUse(catalog, relation, kind, { from: subname, to: newname });
      }
      return;
    case 'OBJECT_SCHEMA':
      moveSchema(catalog, subname, newname);
      return;
    case 'OBJECT_TABLE':
    case 'OBJECT_FOREIGN_TABLE':
    case 'OBJECT_VIEW':
    case 'OBJECT_MATVIEW':
    case 'OBJECT_SEQUENCE':
    case 'OBJECT_INDEX':
      // Each of these words may name any of them.
      if (relation) moveRelation(catalog, relation, renamed(relation.key, newname));
      else if (written)
        renameIndex(catalog, resolveKey(catalog, written, catalog.indexes), newname);
      return;
    default:
      renameObject(catalog, statement);
  }
}

function renamed(key: ObjectKey, name: string): ObjectKey {
  return objectKey(splitKey(key).schema, name);
}

function renameObject(
  catalog: Catalog,
  { renameType, object, newname = '', subname = '' }: RenameStmt,
): void {
  if (renameType === 'OBJECT_PUBLICATION') {
    renamePublication(catalog, asKind(object, 'String')?.sval ?? '', newname);
    return;
  }
  const written = objectNameOf(object);
  if (written === undefined) return;
  const type = resolveKey(catalog, written, catalog.types);
  switch (renameType) {
    case 'OBJECT_TYPE':
    case 'OBJECT_DOMAIN':
      moveType(catalog, type, renamed(type, newname));
      return;
    case 'OBJECT_DOMCONSTRAINT': {
      const checks = catalog.types.get(type)?.checks;
      const check = checks?.get(subname);
      if (check && checks?.delete(subname)) checks.set(newname, check);
      return;
    }
    case 'OBJECT_FUNCTION':
    case 'OBJECT_PROCEDURE':
    case 'OBJECT_ROUTINE': {
      const routine = resolveKey(catalog, written, catalog.routines);
      moveRoutine(catalog, routine, renamed(routine, newname));
      return;
    }
  }
}

function renameColumn(catalog: Catalog, relation: Relation, from: string, to: string): void {
  const rename = (names: readonly string[]) => names.map((name) => (name === from ? to : name));
  for (const one of withDescendants(catalog, relation)) {
    one.columns = new Map(
      [...one.columns].map(([name, column]) =>
        name === from ? [to, { ...column, name: to }] : [name, column],
      ),
    );
    for (const column of one.columns.values()) {
      if (column.reads) column.reads = rename(column.reads);
    }
    for (const use of one.uses?.values() ?? []) use.columns = new Set(rename([...use.columns]));
    for (const constraint of one.constraints.values()) {
      // The tree still has the old name.
      if (constraint.columns.includes(from)) delete constraint.expression;
      constraint.columns = rename(constraint.columns);
      constraint.provesNotNull = rename(constraint.provesNotNull);
    }
    for (const key of one.indexes) {
      const index = catalog.indexes.get(key);
      if (index === undefined) continue;
      index.columns = index.columns.map((name) => (name === from ? to : name));
      index.mentions = rename(index.mentions);
    }
    if (one.partitionKey) {
      const columns = one.partitionKey.columns.map((name) => (name === from ? to : name));
      one.partitionKey = { ...one.partitionKey, columns };
    }
    for (const view of one.dependents) {
      const reads = catalog.relations.get(view)?.reads;
      reads?.set(one.key, new Set(rename([...(reads.get(one.key) ?? [])])));
    }
    for (const { constraint } of referencesTo(catalog, one.key)) {
      constraint.referencedColumns = rename(constraint.referencedColumns ?? []);
    }
  }
  for (const { ownedBy } of relation.everLinked ?? catalog.relations.values()) {
    if (ownedBy?.table === relation.key && ownedBy.column === from) ownedBy.column = to;
  }
}

function renameConstraint(catalog: Catalog, relation: Relation, from: string, to: string): void {
  const constraint = relation.constraints.get(from);
  if (constraint === undefined) return;
  if (constraint.index !== undefined) {
    renameIndex(catalog, constraint.index, to);
    return;
  }
  const isInheritable = constraint.kind === 'check' || constraint.kind === 'not null';
  for (const one of isInheritable ? withDescendants(catalog, relation) : [relation]) {
    const own = one.constraints.get(from);
    if (own === undefined || !one.constraints.delete(from)) continue;
    one.constraints.set(to, { ...own, name: to });
  }
}

/** `alter … set schema` */
export function replaySetSchema(catalog: Catalog, statement: AlterObjectSchemaStmt): void {
  const { newschema = '', relation: range, object, objectType } = statement;
  const relation = range && findRelation(catalog, relationNameOf(range));
  if (relation) {
    const { name } = splitKey(relation.key);
    for (const key of [...relation.indexes]) {
      const index = catalog.indexes.get(key);
      if (index) moveIndex(catalog, index, objectKey(newschema, splitKey(key).name));
    }
    const owned = [...catalog.relations.values()].filter(
      ({ ownedBy }) => ownedBy?.table === relation.key,
    );
    moveRelation(catalog, relation, objectKey(newschema, name));
    for (const one of owned) {
      moveRelation(catalog, one, objectKey(newschema, splitKey(one.key).name));
    }
    return;
  }
  const written = objectNameOf(object);
  if (written === undefined) return;
  const to = objectKey(newschema, written.name);
  switch (objectType) {
    case 'OBJECT_TYPE':
    case 'OBJECT_DOMAIN':
      moveType(catalog, resolveKey(catalog, written, catalog.types), to);
      return;
    case 'OBJECT_FUNCTION':
    case 'OBJECT_PROCEDURE':
    case 'OBJECT_ROUTINE':
      moveRoutine(catalog, resolveKey(catalog, written, catalog.routines), to);
      return;
  }
}

/** Moves a relation to another key, with all that points at it. */
function moveRelation(catalog: Catalog, relation: Relation, to: ObjectKey): void {
  const from = relation.key;
  if (from === to) return;
  const swap = (key: ObjectKey) => (key === from ? to : key);
  const swapIn = (keys: Set<ObjectKey>) => {
    if (keys.delete(from)) keys.add(to);
  };
  catalog.relations.delete(from);
  relation.key = to;
  catalog.relations.set(to, relation);
  for (const key of relation.indexes) {
    const index = catalog.indexes.get(key);
    if (index) index.table = to;
  }
  for (const other of catalog.relations.values()) {
    swapIn(other.dependents);
    const used = other.reads?.get(from);
    if (used && other.reads?.delete(from)) other.reads.set(to, used);
    for (const read of other.rulesRead?.values() ?? []) swapIn(read);
    swapIn(other.children);
    if (other.parent !== undefined) other.parent = swap(other.parent);
    if (other.defaultPartition !== undefined) other.defaultPartition = swap(other.defaultPartition);
    if (other.ownedBy !== undefined) other.ownedBy.table = swap(other.ownedBy.table);
    for (const constraint of other.constraints.values()) {
      if (constraint.references === from) constraint.references = to;
    }
  }
  if (catalog.types.has(from)) moveType(catalog, from, to);
}

/** Moves a type to another key, in the columns that have it too. */
function moveType(catalog: Catalog, from: ObjectKey, to: ObjectKey): void {
  const type = catalog.types.get(from);
  if (type === undefined || from === to) return;
  catalog.types.delete(from);
  type.key = to;
  catalog.types.set(to, type);
  const row = catalog.relations.get(from);
  if (row?.kind === 'composite type') moveRelation(catalog, row, to);
  for (const { columns } of catalog.relations.values()) {
    for (const column of columns.values()) {
      if (column.type.name === from) column.type = { ...column.type, name: to };
    }
  }
  for (const other of catalog.types.values()) {
    if (other.base?.name === from) other.base = { ...other.base, name: to };
  }
}

/** Moves a function to another key. */
function moveRoutine(catalog: Catalog, from: ObjectKey, to: ObjectKey): void {
  const routine = catalog.routines.get(from);
  if (routine === undefined) return;
  catalog.routines.delete(from);
  routine.key = to;
  catalog.routines.set(to, routine);
  for (const relation of catalog.relations.values()) {
    const { triggers } = relation;
    for (const [name, called] of triggers ?? []) if (called === from) triggers?.set(name, to);
    renameUse(catalog, relation, 'function', { from, to });
  }
}

/** Gives a schema another name. */
function moveSchema(catalog: Catalog, from: string, to: string): void {
  const inSchema = (keys: Iterable<ObjectKey>) =>
    [...keys].filter((key) => splitKey(key).schema === from);
  const moved = (key: ObjectKey) => objectKey(to, splitKey(key).name);
  for (const key of inSchema(catalog.indexes.keys())) {
    const index = catalog.indexes.get(key);
    if (index) moveIndex(catalog, index, moved(key));
  }
  for (const key of inSchema(catalog.types.keys())) moveType(catalog, key, moved(key));
  for (const key of inSchema(catalog.relations.keys())) {
    const relation = catalog.relations.get(key);
    if (relation) moveRelation(catalog, relation, moved(key));
  }
  for (const key of inSchema(catalog.routines.keys())) moveRoutine(catalog, key, moved(key));
}
