import type { Constraint } from '@pgsql/types';
import { stringsOf } from '../sql/tree.ts';
import type { Catalog, Relation } from './catalog.ts';
import { type ConstraintPlace, checkedColumns, nameOfConstraint } from './constraint-name.ts';
import { provenNotNull } from './expression.ts';
import { addForeignKey } from './replay-foreign-key.ts';
import { addIndexConstraint } from './replay-index-constraint.ts';
import { addNotNull } from './replay-not-null.ts';
import { type MadeConstraint, putConstraint } from './replay-relation.ts';

/** Adds a constraint to a table, and to the children that get it too. */
export function addConstraint(
  catalog: Catalog,
  relation: Relation,
  constraint: Constraint,
  place: ConstraintPlace = {},
): void {
  switch (constraint.contype) {
    case 'CONSTR_NOTNULL':
      addNotNull(catalog, relation, place.column ?? stringsOf(constraint.keys)[0] ?? '', {
        name: constraint.conname || undefined,
        isValidated: constraint.skip_validation !== true,
        isOnly: place.isOnly === true || constraint.is_no_inherit === true,
      });
      return;
    case 'CONSTR_CHECK':
      addCheck(catalog, relation, constraint, place);
      return;
    case 'CONSTR_FOREIGN':
      addForeignKey(catalog, relation, constraint, place);
      return;
    case 'CONSTR_PRIMARY':
    case 'CONSTR_UNIQUE':
    case 'CONSTR_EXCLUSION':
      addIndexConstraint(catalog, relation, constraint, place);
      return;
  }
}

function addCheck(
  catalog: Catalog,
  relation: Relation,
  constraint: Constraint,
  place: ConstraintPlace,
): void {
  const columns = checkedColumns(relation, constraint);
  const isEnforced = constraint.is_enforced === true && place.isUnenforced !== true;
  const name = nameOfConstraint(catalog, { key: relation.key, relation }, constraint);
  const check: MadeConstraint = {
    name,
    kind: 'check',
    isValidated: isEnforced && constraint.skip_validation !== true,
    isEnforced,
    columns,
    provesNotNull: provenNotNull(constraint.raw_expr),
  };
  if (constraint.raw_expr !== undefined) check.expression = constraint.raw_expr;
  if (constraint.is_no_inherit) check.isOwnOnly = true;
  const isOnly = place.isOnly === true || constraint.is_no_inherit === true;
  inheritCheck(catalog, relation, check, { isOnly, isInherited: false });
}

function inheritCheck(
  catalog: Catalog,
  relation: Relation,
  check: MadeConstraint,
  { isOnly, isInherited }: { isOnly: boolean; isInherited: boolean },
): void {
  if (!relation.constraints.has(check.name)) putConstraint(relation, check, isInherited);
  if (isOnly) return;
  for (const child of relation.children) {
    const one = catalog.relations.get(child);
    if (one) inheritCheck(catalog, one, check, { isOnly: false, isInherited: true });
  }
}
