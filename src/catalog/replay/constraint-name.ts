import type { Constraint } from '@pgsql/types';
import { asKind, stringsOf } from '../../sql/tree.ts';
import { type Catalog, type ObjectKey, type Relation, splitKey } from '../catalog.ts';
import { columnsIn } from '../expression.ts';
import {
  chooseConstraintName,
  chooseRelationName,
  cutName,
  joinColumnNames,
} from '../object-names.ts';
import { type IndexShape, shapeOfColumns, shapeOfIndex } from './indexes.ts';

/** Where a constraint is written. */
export interface ConstraintPlace {
  /** The column that it stands beside, where it is no constraint of the table. */
  column?: string;
  /** Whether children are left out, as `only` says. */
  isOnly?: boolean;
  /** Whether it says NOT ENFORCED apart from itself, as behind a column. */
  isUnenforced?: boolean;
}

/**
 * The name of a constraint: its own, or the one that PostgreSQL gives it.
 *
 * @param relation undefined for a table that the catalog does not know
 */
export function nameOfConstraint(
  catalog: Catalog,
  { key, relation }: { key: ObjectKey; relation: Relation | undefined },
  constraint: Constraint,
  column?: string,
): string {
  if (constraint.conname) return cutName(constraint.conname);
  const { schema, name: first } = splitKey(key);
  const taken = relation?.constraints ?? new Map();
  const columns = column === undefined ? stringsOf(constraint.keys) : [column];
  switch (constraint.contype) {
    case 'CONSTR_CHECK': {
      const mentioned = checkedColumns(relation, constraint, column);
      const second = mentioned.length === 1 ? (mentioned[0] ?? '') : '';
      return chooseConstraintName(taken, { first, second, label: 'check' });
    }
    case 'CONSTR_FOREIGN': {
      const own = column === undefined ? stringsOf(constraint.fk_attrs) : [column];
      return chooseConstraintName(taken, { first, second: joinColumnNames(own), label: 'fkey' });
    }
    case 'CONSTR_NOTNULL':
      return chooseConstraintName(taken, { first, second: columns[0] ?? '', label: 'not_null' });
    case 'CONSTR_PRIMARY':
    case 'CONSTR_UNIQUE':
    case 'CONSTR_EXCLUSION': {
      if (constraint.indexname) return constraint.indexname;
      const { label } = INDEXED[constraint.contype];
      const { attributes } = shapeOfConstraint(constraint, column === undefined ? {} : { column });
      const second = label === 'pkey' ? '' : joinColumnNames(attributes);
      return chooseRelationName(catalog, schema, { first, second, label }).name;
    }
    default:
      return '';
  }
}

/** The table's columns that a check mentions; one that is added beside it is not there yet. */
export function checkedColumns(
  relation: Relation | undefined,
  { raw_expr }: Constraint,
  column?: string,
): string[] {
  return columnsIn(raw_expr).filter(
    (name) => relation === undefined || name === column || relation.columns.has(name),
  );
}

/** The kinds of constraints with an index, and how their names end. */
export const INDEXED = {
  CONSTR_PRIMARY: { kind: 'primary key', label: 'pkey' },
  CONSTR_UNIQUE: { kind: 'unique', label: 'key' },
  CONSTR_EXCLUSION: { kind: 'exclusion', label: 'excl' },
} as const;

/** What the index of a constraint is over. */
export function shapeOfConstraint(constraint: Constraint, { column }: ConstraintPlace): IndexShape {
  if (constraint.contype === 'CONSTR_EXCLUSION') {
    const elements = (constraint.exclusions ?? []).flatMap(
      (node) => asKind(node, 'List')?.items?.[0] ?? [],
    );
    return shapeOfIndex(elements, { where: constraint.where_clause, isUnique: false });
  }
  const columns = column === undefined ? stringsOf(constraint.keys) : [column];
  return shapeOfColumns(columns, { including: stringsOf(constraint.including) });
}
