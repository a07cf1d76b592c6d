import type { Constraint } from '@pgsql/types';
import { relationNameOf, stringsOf } from '../sql/tree.ts';
import {
  type Catalog,
  type ReferentialAction,
  type Relation,
  resolveKey,
  splitKey,
} from './catalog.ts';
import type { ConstraintPlace } from './constraint-name.ts';
import { chooseConstraintName, cutName, joinColumnNames } from './object-names.ts';
import { type MadeConstraint, primaryKeyColumns, putConstraint } from './replay-relation.ts';

const ACTIONS: Record<string, ReferentialAction> = {
  a: 'no action',
  r: 'restrict',
  c: 'cascade',
  n: 'set null',
  d: 'set default',
};

/** Adds a foreign key to a table and its partitions. */
export function addForeignKey(
  catalog: Catalog,
  relation: Relation,
  constraint: Constraint,
  place: ConstraintPlace,
): void {
  const columns = place.column === undefined ? stringsOf(constraint.fk_attrs) : [place.column];
  const references = resolveKey(
    catalog,
    relationNameOf(constraint.pktable ?? {}),
    catalog.relations,
  );
  const target = catalog.relations.get(references);
  const named = stringsOf(constraint.pk_attrs);
  const isEnforced = constraint.is_enforced === true && place.isUnenforced !== true;
  copyForeignKey(catalog, relation, {
    name: cutName(constraint.conname ?? ''),
    kind: 'foreign key',
    isValidated: isEnforced && constraint.skip_validation !== true,
    isEnforced,
    columns,
    provesNotNull: [],
    references,
    referencedColumns: named.length > 0 || !target ? named : primaryKeyColumns(target),
    onDelete: ACTIONS[constraint.fk_del_action ?? 'a'] ?? 'no action',
    onUpdate: ACTIONS[constraint.fk_upd_action ?? 'a'] ?? 'no action',
  });
}

/** Adds a foreign key to a table and its partitions, which get names of their own where it is taken. */
export function copyForeignKey(
  catalog: Catalog,
  relation: Relation,
  foreignKey: MadeConstraint,
  isInherited = false,
): void {
  const { constraints } = relation;
  const name =
    foreignKey.name !== '' && !constraints.has(foreignKey.name)
      ? foreignKey.name
      : chooseConstraintName(constraints, {
          first: splitKey(relation.key).name,
          second: joinColumnNames(foreignKey.columns),
          label: 'fkey',
        });
  putConstraint(relation, { ...foreignKey, name }, isInherited);
  catalog.relations.get(foreignKey.references ?? '')?.everReferencedBy?.add(relation);
  if (relation.kind !== 'partitioned table') return;
  for (const child of relation.children) {
    const partition = catalog.relations.get(child);
    if (partition) copyForeignKey(catalog, partition, { ...foreignKey, name }, true);
  }
}
