import type { ColumnDef, Constraint } from '@pgsql/types';
import { asKind, stringsOf } from '../../sql/tree.ts';
import {
  type Catalog,
  type CatalogColumn,
  type ColumnType,
  type Relation,
  splitKey,
} from '../catalog.ts';
import { columnTypeOf, serialBase } from '../column-type.ts';
import { columnsIn } from '../expression.ts';
import { chooseRelationName } from '../object-names.ts';
import { addConstraint } from './constraint.ts';
import type { ConstraintPlace } from './constraint-name.ts';
import { createRelation } from './relation.ts';

/** Constraints beside a column, each with what the words behind it say of it. */
export interface InlineConstraint {
  constraint: Constraint;
  isUnenforced: boolean;
}

/** The constraints beside a column; those that only change the one before are taken into it. */
export function inlineConstraints({ constraints }: ColumnDef): InlineConstraint[] {
  const found: InlineConstraint[] = [];
  for (const node of constraints ?? []) {
    const constraint = asKind(node, 'Constraint');
    const last = found.at(-1);
    if (constraint === undefined) continue;
    if (constraint.contype === 'CONSTR_ATTR_NOT_ENFORCED') {
      if (last !== undefined) last.isUnenforced = true;
    } else if (!constraint.contype?.startsWith('CONSTR_ATTR_')) {
      found.push({ constraint, isUnenforced: false });
    }
  }
  return found;
}

/** The constraint of a kind beside a column. */
export function inlineConstraint(
  { constraints }: ColumnDef,
  contype: NonNullable<Constraint['contype']>,
): Constraint | undefined {
  for (const node of constraints ?? []) {
    const constraint = asKind(node, 'Constraint');
    if (constraint?.contype === contype) return constraint;
  }
  return undefined;
}

/** Adds a column without its constraints; `serial` and identity columns get their sequence. */
export function addColumn(catalog: Catalog, relation: Relation, definition: ColumnDef): void {
  const name = definition.colname ?? '';
  const isSerial = serialBase(definition.typeName) !== undefined;
  const isBare = definition.constraints === undefined;
  const generated = isBare ? undefined : generationOf(definition);
  const column: CatalogColumn = {
    name,
    type: columnTypeOf(catalog, definition.typeName),
    isNotNull: false,
    hasDefault:
      isSerial ||
      generated !== undefined ||
      (!isBare && inlineConstraint(definition, 'CONSTR_DEFAULT') !== undefined),
    generated,
  };
  const collation = collationOf(catalog, definition, column.type);
  if (collation !== undefined) column.collation = collation;
  const expression =
    generated === undefined
      ? undefined
      : inlineConstraint(definition, 'CONSTR_GENERATED')?.raw_expr;
  if (expression) column.reads = columnsIn(expression);
  relation.columns.set(name, column);
  if (isSerial || generated === 'identity') addOwnedSequence(catalog, relation, name);
}

/** The collation of a column: what it says, or what its domain says; undefined for the database's own. */
export function collationOf(
  { types }: Catalog,
  { collClause }: Pick<ColumnDef, 'collClause'>,
  type?: ColumnType,
): string | undefined {
  const written = stringsOf(collClause?.collname).at(-1);
  if (written !== undefined) return written === 'default' ? undefined : written;
  if (type?.name === 'name') return 'C';
  return type === undefined ? undefined : types.get(type.name)?.collation;
}

/** How the values of a column come about, where it says so. */
export function generationOf(definition: ColumnDef): CatalogColumn['generated'] {
  if (inlineConstraint(definition, 'CONSTR_IDENTITY')) return 'identity';
  const generated = inlineConstraint(definition, 'CONSTR_GENERATED');
  if (generated === undefined) return undefined;
  return generated.generated_kind === 's' ? 'stored' : 'virtual';
}

/** A constraint to add, and where it is written. */
export interface WrittenConstraint {
  constraint: Constraint;
  place: ConstraintPlace;
}

const IMPLIED: Constraint = { contype: 'CONSTR_NOTNULL' };

/** The constraints of a column, of which `serial` and identity imply one. */
export function constraintsOfColumn(definition: ColumnDef): WrittenConstraint[] {
  if (definition.constraints === undefined && serialBase(definition.typeName) === undefined) {
    return [];
  }
  const column = definition.colname ?? '';
  let isImplied = serialBase(definition.typeName) !== undefined;
  let isSaid = false;
  const written: WrittenConstraint[] = [];
  for (const { constraint, isUnenforced } of inlineConstraints(definition)) {
    written.push({ constraint, place: { column, isUnenforced } });
    isImplied ||= constraint.contype === 'CONSTR_IDENTITY';
    isSaid ||= constraint.contype === 'CONSTR_NOTNULL';
  }
  if (isImplied && !isSaid) written.unshift({ constraint: IMPLIED, place: { column } });
  return written;
}

/** Adds the constraints of a column. */
export function addColumnConstraints(
  catalog: Catalog,
  relation: Relation,
  definition: ColumnDef,
): void {
  for (const { constraint, place } of constraintsOfColumn(definition)) {
    addConstraint(catalog, relation, constraint, place);
  }
}

/** The sequence behind a `serial` or identity column. */
export function addOwnedSequence(catalog: Catalog, relation: Relation, column: string): void {
  const { schema, name: first } = splitKey(relation.key);
  const { key } = chooseRelationName(catalog, schema, { first, second: column, label: 'seq' });
  const sequence = createRelation(key, 'sequence', {
    relpersistence: relation.isTemporary ? 't' : relation.isUnlogged ? 'u' : 'p',
  });
  sequence.ownedBy = { table: relation.key, column };
  relation.everLinked?.add(sequence);
  catalog.relations.set(key, sequence);
}
