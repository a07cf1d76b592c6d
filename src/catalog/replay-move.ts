import { type Catalog, type ObjectKey, objectKey, type Relation, splitKey } from './catalog.ts';
import { moveIndex } from './replay-index.ts';
import { renameUse } from './replay-uses.ts';

/** Moves a relation to another key, with all that points at it. */
export function moveRelation(catalog: Catalog, relation: Relation, to: ObjectKey): void {
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
export function moveType(catalog: Catalog, from: ObjectKey, to: ObjectKey): void {
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
export function moveRoutine(catalog: Catalog, from: ObjectKey, to: ObjectKey): void {
  const routine = catalog.routines.get(from);
  if (routine === undefined) return;
  catalog.routines.delete(from);
  routine.key = to;
  catalog.routines.set(to, routine);
  for (const relation of catalog.relations.values()) {
    const { triggers } = relation;
    for (const [name, called] of triggers ?? []) if (called === from) triggers?.set(name, to);
    renameUse(relation, 'function', { from, to });
  }
}

/** Gives a schema another name. */
export function moveSchema(catalog: Catalog, from: string, to: string): void {
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
