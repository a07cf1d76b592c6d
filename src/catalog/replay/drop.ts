import type { DropStmt, Node } from '@pgsql/types';
import { asKind, objectNameOf, stringsOf, writtenNameOf } from '../../sql/tree.ts';
import {
  type Catalog,
  findRelation,
  type ObjectKey,
  type Relation,
  resolveKey,
  splitKey,
} from '../catalog.ts';
import { removeIndex } from './indexes.ts';
import { dropPublication, referencesTo, referencesToRows, withDescendants } from './relation.ts';
import { detachChild } from './table.ts';
import { dropUses, forgetUse } from './uses.ts';

/** `drop …`; what only `cascade` takes along goes too, as without it nothing would have been there. */
export function replayDrop(catalog: Catalog, statement: DropStmt): void {
  for (const object of statement.objects ?? []) dropObject(catalog, statement, object);
}

const ON_TABLES = {
  OBJECT_TRIGGER: 'trigger',
  OBJECT_POLICY: 'policy',
  OBJECT_RULE: 'rule',
} as const;

function dropObject(catalog: Catalog, { removeType }: DropStmt, object: Node): void {
  const written = objectNameOf(object);
  if (written === undefined) return;
  switch (removeType) {
    case 'OBJECT_TABLE':
    case 'OBJECT_FOREIGN_TABLE':
    case 'OBJECT_VIEW':
    case 'OBJECT_MATVIEW':
    case 'OBJECT_SEQUENCE':
      dropRelation(catalog, resolveKey(catalog, written, catalog.relations));
      return;
    case 'OBJECT_INDEX':
      removeIndex(catalog, resolveKey(catalog, written, catalog.indexes));
      return;
    case 'OBJECT_TYPE':
    case 'OBJECT_DOMAIN':
      dropType(catalog, resolveKey(catalog, written, catalog.types));
      return;
    case 'OBJECT_FUNCTION':
    case 'OBJECT_PROCEDURE':
    case 'OBJECT_ROUTINE':
      dropRoutine(catalog, resolveKey(catalog, written, catalog.routines));
      return;
    case 'OBJECT_SCHEMA':
      dropSchema(catalog, written.name);
      return;
    case 'OBJECT_PUBLICATION':
      dropPublication(catalog, written.name);
      return;
    case 'OBJECT_TRIGGER':
    case 'OBJECT_POLICY':
    case 'OBJECT_RULE': {
      const items = asKind(object, 'List')?.items;
      const table = findRelation(catalog, writtenNameOf(items?.slice(0, -1)));
      const name = stringsOf(items).at(-1) ?? '';
      const kind = ON_TABLES[removeType];
      for (const one of table === undefined ? [] : ownersOf(catalog, table, kind)) {
        if (kind === 'trigger') one.triggers?.delete(name);
        forgetUse(catalog, one, `${kind} ${name}`);
      }
      return;
    }
  }
}

/** The tables that have a trigger, policy or rule: partitions have the triggers of their table. */
function ownersOf(catalog: Catalog, table: Relation, kind: string): Relation[] {
  const isShared = kind === 'trigger' && table.kind === 'partitioned table';
  return isShared ? withDescendants(catalog, table) : [table];
}

/** Takes a relation away with all that cannot be without it. */
export function dropRelation(catalog: Catalog, key: ObjectKey): void {
  // A set gives what is added to it meanwhile, too: views may read views without end.
  const dropped = new Set([key]);
  for (const one of dropped) {
    const relation = catalog.relations.get(one);
    for (const other of [...(relation?.dependents ?? []), ...(relation?.children ?? [])]) {
      dropped.add(other);
    }
  }
  for (const one of dropped) dropOne(catalog, one);
}

function dropOne(catalog: Catalog, key: ObjectKey): void {
  const relation = catalog.relations.get(key);
  if (relation === undefined) return;
  // A foreign key to a partitioned table goes away with any of its partitions.
  for (const { relation: other, constraint } of referencesToRows(catalog, key)) {
    other.constraints.delete(constraint.name);
  }
  for (const rule of relation.rulesRead?.keys() ?? []) forgetUse(catalog, relation, rule);
  catalog.relations.delete(key);
  for (const index of relation.indexes) catalog.indexes.delete(index);
  const parent = catalog.relations.get(relation.parent ?? '');
  if (parent) detachChild(catalog, parent, relation);
  for (const other of relation.everLinked ?? catalog.relations.values()) {
    other.dependents.delete(key);
    other.children.delete(key);
    for (const [rule, read] of other.rulesRead ?? []) {
      if (read.has(key)) forgetUse(catalog, other, rule);
    }
    if (other.ownedBy?.table === key && isThere(catalog, other)) {
      catalog.relations.delete(other.key);
    }
  }
}

/** Whether it is still what its key means. */
function isThere({ relations }: Catalog, one: Relation): boolean {
  return relations.get(one.key) === one;
}

/** Takes a column of one table away, with its indexes, constraints and sequence. */
export function dropColumn(catalog: Catalog, relation: Relation, name: string): void {
  if (!relation.columns.delete(name)) return;
  for (const [key, { kind, name: user, columns, owner = relation }] of relation.uses ?? []) {
    if (!columns.has(name)) continue;
    relation.uses?.delete(key);
    if (kind === 'trigger') relation.triggers?.delete(user);
    if (kind === 'policy' || kind === 'rule') forgetUse(catalog, owner, `${kind} ${user}`);
  }
  for (const one of [...relation.columns.values()]) {
    if (one.reads?.includes(name)) dropColumn(catalog, relation, one.name);
  }
  for (const view of [...relation.dependents]) {
    if (catalog.relations.get(view)?.reads?.get(relation.key)?.has(name)) {
      dropRelation(catalog, view);
    }
  }
  for (const one of [...relation.constraints.values()]) {
    const isOn = one.columns.includes(name);
    const index = catalog.indexes.get(one.index ?? '');
    if (isOn || index?.mentions.includes(name)) dropConstraint(catalog, relation, one.name);
  }
  for (const key of [...relation.indexes]) {
    if (catalog.indexes.get(key)?.mentions.includes(name)) removeIndex(catalog, key);
  }
  for (const { relation: other, constraint } of referencesTo(catalog, relation.key)) {
    if (constraint.referencedColumns?.includes(name)) other.constraints.delete(constraint.name);
  }
  dropOwnedSequences(catalog, relation, name);
}

/** Takes the sequences away that go with a column. */
export function dropOwnedSequences(catalog: Catalog, relation: Relation, column: string): void {
  for (const one of relation.everLinked ?? catalog.relations.values()) {
    const isOwned = one.ownedBy?.table === relation.key && one.ownedBy.column === column;
    if (isOwned && isThere(catalog, one)) catalog.relations.delete(one.key);
  }
}

/** Takes a constraint away, with its index, what the children have of it, and keys that need it. */
export function dropConstraint(catalog: Catalog, relation: Relation, name: string): void {
  const constraint = relation.constraints.get(name);
  if (constraint === undefined) return;
  relation.constraints.delete(name);
  const [column = ''] = constraint.columns;
  if (constraint.kind === 'not null') {
    const known = relation.columns.get(column);
    if (known) known.isNotNull = false;
  }
  if (constraint.index !== undefined) {
    for (const { relation: other, constraint: foreign } of referencesTo(catalog, relation.key)) {
      const isOnIt = foreign.referencedColumns?.join() === constraint.columns.join();
      if (isOnIt) other.constraints.delete(foreign.name);
    }
    removeIndex(catalog, constraint.index);
  }
  for (const key of relation.children) {
    const child = catalog.relations.get(key);
    for (const one of [...(child?.constraints.values() ?? [])]) {
      const isSame =
        one.isInherited &&
        one.kind === constraint.kind &&
        (one.name === name ||
          (one.kind === 'foreign key' &&
            one.references === constraint.references &&
            one.columns.join() === constraint.columns.join()));
      if (child && isSame) dropConstraint(catalog, child, one.name);
    }
  }
}

/** Takes a type away, with the columns that have it. */
function dropType(catalog: Catalog, key: ObjectKey): void {
  catalog.types.delete(key);
  if (catalog.relations.get(key)?.kind === 'composite type') catalog.relations.delete(key);
  for (const relation of [...catalog.relations.values()]) {
    for (const { name, type } of [...relation.columns.values()]) {
      if (type.name !== key) continue;
      if (relation.kind.endsWith('view')) dropRelation(catalog, relation.key);
      else dropColumn(catalog, relation, name);
    }
  }
  for (const type of [...catalog.types.values()]) {
    if (type.base?.name === key) dropType(catalog, type.key);
  }
}

/** Takes a function away, with the triggers that call it. */
function dropRoutine(catalog: Catalog, key: ObjectKey): void {
  catalog.routines.delete(key);
  dropUses(catalog, 'function', key);
  for (const relation of catalog.relations.values()) {
    for (const [name, routine] of relation.triggers ?? []) {
      if (routine !== key) continue;
      relation.triggers?.delete(name);
      forgetUse(catalog, relation, `trigger ${name}`);
    }
  }
}

/** Takes everything of a schema away. */
function dropSchema(catalog: Catalog, schema: string): void {
  const isIn = (key: ObjectKey) => splitKey(key).schema === schema;
  for (const key of [...catalog.relations.keys()].filter(isIn)) dropRelation(catalog, key);
  for (const key of [...catalog.types.keys()].filter(isIn)) dropType(catalog, key);
  for (const key of [...catalog.routines.keys()].filter(isIn)) dropRoutine(catalog, key);
}
