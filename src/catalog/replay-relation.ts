import type { RangeVar } from '@pgsql/types';
import { relationNameOf } from '../sql/tree.ts';
import {
  type Catalog,
  type CatalogColumn,
  type CatalogConstraint,
  type ObjectKey,
  objectKey,
  type Relation,
  type RelationKind,
  TEMPORARY_SCHEMA,
} from './catalog.ts';

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

/** A foreign key and the table that has it. */
export interface Reference {
  relation: Relation;
  constraint: CatalogConstraint;
}

/** The foreign keys that point at a table, its own among them. */
export function referencesTo({ relations }: Catalog, key: ObjectKey): Reference[] {
  const found: Reference[] = [];
  for (const relation of relations.get(key)?.everReferencedBy ?? relations.values()) {
    if (relations.get(relation.key) !== relation) continue;
    for (const constraint of relation.constraints.values()) {
      if (constraint.references === key) found.push({ relation, constraint });
    }
  }
  return found;
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
