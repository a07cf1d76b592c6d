import type { Catalog, ObjectKey, Relation } from '../catalog/catalog.ts';
import { type RelationSize, readSizes } from '../catalog/read/sizes.ts';
import type { Session } from '../connection/session.ts';
import type { TableFacts } from './impact-plan.ts';

/** A relation of the target as it was before the plan. */
export interface TargetRelation {
  key: ObjectKey;
  indexes: number;
  /** Where its rows are: itself, or its partitions. */
  stored: readonly ObjectKey[];
}

/** By the relations themselves, which may be called otherwise later. */
export type TargetRelations = ReadonlyMap<Relation | undefined, TargetRelation>;

/** Notes what replaying changes in place. */
export function noteRelations({ relations }: Catalog): TargetRelations {
  return new Map(
    [...relations.values()].map((relation) => [
      relation,
      {
        key: relation.key,
        indexes: relation.indexes.size,
        stored: leavesOf(relations, relation).map(({ key }) => key),
      },
    ]),
  );
}

/** A partitioned table is as big as its partitions; autovacuum never analyzes it as a whole. */
function leavesOf(relations: Catalog['relations'], relation: Relation): Relation[] {
  if (relation.kind !== 'partitioned table') return [relation];
  return [...relation.children].flatMap((key) => {
    const child = relations.get(key);
    return child === undefined ? [] : leavesOf(relations, child);
  });
}

/**
 * Reads what the target says of tables.
 *
 * @param tables by the names that they have in the plan; undefined for those that it makes
 * @param known what was read of all relations; default: it is asked for these alone
 */
export async function readTableFacts(
  session: Session,
  tables: ReadonlyMap<ObjectKey, TargetRelation | undefined>,
  known?: ReadonlyMap<ObjectKey, RelationSize>,
): Promise<Record<ObjectKey, TableFacts>> {
  const asked = [...tables.values()].flatMap((one) => (one ? [one.key, ...one.stored] : []));
  const sizes = known ?? (await readSizes(session, new Set(asked)));
  return Object.fromEntries(
    [...tables].map(([key, one]) => [key, one === undefined ? NEW : factsOf(one, sizes)]),
  );
}

const NEW: TableFacts = { rows: null, bytes: null, indexes: 0, isNew: true };

function factsOf(
  { key, indexes, stored }: TargetRelation,
  sizes: ReadonlyMap<ObjectKey, RelationSize>,
): TableFacts {
  const own = sizes.get(key);
  const parts = stored.map((part) => sizes.get(part));
  const rows = own?.rows ?? sumOf(parts.map((part) => part?.rows));
  const bytes = own?.bytes ?? sumOf(parts.map((part) => part?.bytes));
  return { rows, bytes, indexes, isNew: false };
}

/** Null where one is not known. */
function sumOf(sizes: (number | undefined)[]): number | null {
  return sizes.reduce<number | null>(
    (sum, size) => (sum === null || size === undefined ? null : sum + size),
    0,
  );
}
