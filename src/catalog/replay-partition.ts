import type { PartitionBoundSpec } from '@pgsql/types';
import type { Catalog, CatalogConstraint, Relation } from './catalog.ts';
import { copyForeignKey } from './replay-foreign-key.ts';
import { addIndex, findAttachable, shapeOf } from './replay-index.ts';
import { constrainIndex } from './replay-index-constraint.ts';
import { addNotNull } from './replay-not-null.ts';

/** Makes a table a child of another: it gets the checks and not-null constraints. */
export function inheritFrom(catalog: Catalog, parent: Relation, child: Relation): void {
  parent.children.add(child.key);
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
