import type { CatalogConstraint } from '../catalog/catalog.ts';
import { notNullOf } from '../catalog/replay/constraint.ts';
import type { Target } from './draft.ts';

/**
 * Whether a column is known to hold no null, by a not-null constraint or a check that are both
 * validated, so that PostgreSQL does not look; undefined where the catalog does not know the column.
 *
 * @param dropped constraints that the same statement drops
 */
export function isProvenNotNull(
  { relation }: Target,
  name: string,
  dropped: ReadonlySet<CatalogConstraint>,
): boolean | undefined {
  const column = relation?.columns.get(name);
  if (relation === undefined || column === undefined) return undefined;
  if (column.isNotNull && notNullOf(relation, name)?.isValidated !== false) return true;
  return [...relation.constraints.values()].some(
    (one) =>
      one.kind === 'check' &&
      one.isValidated &&
      one.isEnforced &&
      one.provesNotNull.includes(name) &&
      !dropped.has(one),
  );
}
