import { type Catalog, type CatalogConstraint, type Relation, splitKey } from './catalog.ts';
import { chooseConstraintName } from './object-names.ts';
import { putConstraint } from './replay-relation.ts';

interface NotNullOptions {
  name?: string | undefined;
  isValidated?: boolean;
  isOnly?: boolean;
  isInherited?: boolean;
}

/** Makes a column not null, by the constraint that PostgreSQL 18 keeps for it, in the children too. */
export function addNotNull(
  catalog: Catalog,
  relation: Relation,
  column: string,
  { name, isValidated = true, isOnly = false, isInherited = false }: NotNullOptions = {},
): void {
  const known = relation.columns.get(column);
  if (known !== undefined) known.isNotNull = true;
  const existing = notNullOf(relation, column);
  if (existing !== undefined) {
    existing.isValidated ||= isValidated;
    if (isInherited) existing.isInherited = true;
  }
  const own =
    existing?.name ??
    name ??
    chooseConstraintName(relation.constraints, {
      first: splitKey(relation.key).name,
      second: column,
      label: 'not_null',
    });
  if (existing === undefined) {
    const columns = [column];
    putConstraint(
      relation,
      { name: own, kind: 'not null', isValidated, columns, provesNotNull: columns },
      isInherited,
    );
  }
  if (isOnly) return;
  for (const child of relation.children) {
    const partition = catalog.relations.get(child);
    if (partition)
      addNotNull(catalog, partition, column, { name: own, isValidated, isInherited: true });
  }
}

/** The not-null constraint of a column, where the catalog has one. */
export function notNullOf(relation: Relation, column: string): CatalogConstraint | undefined {
  for (const one of relation.constraints.values()) {
    if (one.kind === 'not null' && one.columns[0] === column) return one;
  }
  return undefined;
}
