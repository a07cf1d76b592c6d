import type { Constraint } from '@pgsql/types';
import { type Catalog, objectKey, type Relation, splitKey } from './catalog.ts';
import { type ConstraintPlace, INDEXED, shapeOfConstraint } from './constraint-name.ts';
import { cutName } from './object-names.ts';
import { addIndex, renameIndex } from './replay-index.ts';
import { addNotNull } from './replay-not-null.ts';
import { putConstraint } from './replay-relation.ts';

/** Adds a constraint with an index, its own or one that is there. */
export function addIndexConstraint(
  catalog: Catalog,
  relation: Relation,
  constraint: Constraint,
  place: ConstraintPlace,
): void {
  const { kind, label } = INDEXED[constraint.contype as keyof typeof INDEXED];
  const name = constraint.conname ? cutName(constraint.conname) : undefined;
  const taken = constraint.indexname && takeIndex(catalog, relation, constraint);
  const index =
    taken ||
    addIndex(catalog, relation, shapeOfConstraint(constraint, place), {
      name,
      label,
      isOnly: place.isOnly === true,
    });
  constrainIndex(catalog, relation, { kind, key: index.key });
}

/** The index behind `using index`, which takes the constraint's name. */
function takeIndex(catalog: Catalog, relation: Relation, { indexname = '', conname }: Constraint) {
  const key = objectKey(splitKey(relation.key).schema, indexname);
  return catalog.indexes.get(conname ? renameIndex(catalog, key, conname) : key);
}

/** Makes the constraint of an index, and those of the partitions' indexes. */
export function constrainIndex(
  catalog: Catalog,
  relation: Relation,
  {
    kind,
    key,
    isInherited = false,
  }: { kind: 'primary key' | 'unique' | 'exclusion'; key: string; isInherited?: boolean },
): void {
  const index = catalog.indexes.get(key);
  if (index === undefined) return;
  const columns = index.columns.filter((name) => name !== undefined);
  const { name } = splitKey(key);
  putConstraint(
    relation,
    { name, kind, isValidated: true, columns, provesNotNull: [], index: key },
    isInherited,
  );
  if (kind === 'primary key') {
    for (const column of columns) addNotNull(catalog, relation, column);
  }
  if (relation.kind !== 'partitioned table') return;
  for (const child of relation.children) {
    const partition = catalog.relations.get(child);
    for (const own of partition?.indexes ?? []) {
      if (partition && catalog.indexes.get(own)?.parent === key) {
        constrainIndex(catalog, partition, { kind, key: own, isInherited: true });
      }
    }
  }
}
