import type {
  AlterDomainStmt,
  AlterEnumStmt,
  CompositeTypeStmt,
  Constraint,
  CreateDomainStmt,
  CreateEnumStmt,
  CreateRangeStmt,
  Node,
} from '@pgsql/types';
import { asKind, stringsOf, writtenNameOf } from '../../sql/tree.ts';
import {
  type Catalog,
  type ObjectKey,
  objectKey,
  resolveKey,
  splitKey,
  type UserType,
} from '../catalog.ts';
import { columnTypeOf } from '../column-type.ts';
import { chooseConstraintName } from '../object-names.ts';
import { addColumn, collationOf } from './column.ts';
import { createRelation, newRelationName } from './relation.ts';

function newTypeKey({ searchPath }: Catalog, names: readonly Node[] | undefined): ObjectKey {
  const { schema, name } = writtenNameOf(names);
  return objectKey(schema ?? searchPath[0] ?? 'public', name);
}

/** A type without anything special. */
export function addType(
  catalog: Catalog,
  names: readonly Node[] | undefined,
  kind: UserType['kind'],
): UserType {
  const key = newTypeKey(catalog, names);
  const type: UserType = { key, kind, labels: [], isConstrained: false };
  catalog.types.set(key, type);
  return type;
}

/** `create type … as range`, which makes functions for it and for its multirange. */
export function replayRange(catalog: Catalog, { typeName }: CreateRangeStmt): void {
  const { key } = addType(catalog, typeName, 'range');
  const { schema, name } = splitKey(key);
  const several = name.includes('range')
    ? name.replace('range', 'multirange')
    : `${name}_multirange`;
  for (const one of [key, objectKey(schema, several)]) {
    catalog.routines.set(one, { key: one, volatility: 'immutable', language: 'internal' });
  }
}

/** `create type … as enum` */
export function replayEnum(catalog: Catalog, { typeName, vals }: CreateEnumStmt): void {
  addType(catalog, typeName, 'enum').labels = stringsOf(vals);
}

/** `alter type … add value` and `rename value` */
export function replayEnumChange(catalog: Catalog, statement: AlterEnumStmt): void {
  const key = resolveKey(catalog, writtenNameOf(statement.typeName), catalog.types);
  const labels = catalog.types.get(key)?.labels;
  const { oldVal, newVal = '', newValNeighbor, newValIsAfter } = statement;
  if (labels === undefined) return;
  if (oldVal) labels.splice(labels.indexOf(oldVal), labels.includes(oldVal) ? 1 : 0, newVal);
  else if (!labels.includes(newVal)) {
    const neighbor = labels.indexOf(newValNeighbor ?? '');
    const at = neighbor < 0 ? labels.length : newValIsAfter ? neighbor + 1 : neighbor;
    labels.splice(at, 0, newVal);
  }
}

/** `create type … as (…)` */
export function replayComposite(
  catalog: Catalog,
  { typevar, coldeflist }: CompositeTypeStmt,
): void {
  if (typevar === undefined) return;
  const { key } = newRelationName(catalog, typevar);
  const relation = createRelation(key, 'composite type', typevar);
  for (const node of coldeflist ?? []) {
    const definition = asKind(node, 'ColumnDef');
    if (definition) addColumn(catalog, relation, definition);
  }
  catalog.relations.set(key, relation);
  catalog.types.set(key, { key, kind: 'composite', labels: [], isConstrained: false });
}

/** `create domain` */
export function replayDomain(catalog: Catalog, statement: CreateDomainStmt): void {
  const base = columnTypeOf(catalog, statement.typeName);
  const domain = addType(catalog, statement.domainname, 'domain');
  Object.assign(domain, { base, checks: new Map(), isNotNull: false });
  for (const node of statement.constraints ?? []) {
    const constraint = asKind(node, 'Constraint');
    if (constraint) constrainDomain(domain, constraint, writtenNameOf(statement.domainname).name);
    if (constraint?.contype === 'CONSTR_DEFAULT' && constraint.raw_expr) {
      domain.default = constraint.raw_expr;
    }
  }
  const collation = collationOf(catalog, statement, base);
  if (collation !== undefined) domain.collation = collation;
  settleDomain(catalog, domain);
}

function constrainDomain(domain: UserType, constraint: Constraint, name: string): void {
  if (constraint.contype === 'CONSTR_NOTNULL') domain.isNotNull = true;
  if (constraint.contype !== 'CONSTR_CHECK') return;
  domain.checks ??= new Map();
  const own =
    constraint.conname ||
    chooseConstraintName(domain.checks, { first: name, second: '', label: 'check' });
  domain.checks.set(own, { isValidated: constraint.skip_validation !== true });
}

function settleDomain({ types }: Catalog, domain: UserType): void {
  const isBelow = types.get(domain.base?.name ?? '')?.isConstrained === true;
  domain.isConstrained = domain.isNotNull === true || (domain.checks?.size ?? 0) > 0 || isBelow;
}

/** `alter domain` */
export function replayDomainChange(catalog: Catalog, statement: AlterDomainStmt): void {
  const { typeName, subtype, name = '', def } = statement;
  const domain = catalog.types.get(resolveKey(catalog, writtenNameOf(typeName), catalog.types));
  const constraint = asKind(def, 'Constraint');
  if (domain === undefined) return;
  const check = domain.checks?.get(name);
  switch (subtype) {
    case 'C':
      if (constraint) constrainDomain(domain, constraint, writtenNameOf(typeName).name);
      break;
    case 'X':
      domain.checks?.delete(name);
      break;
    case 'V':
      if (check) check.isValidated = true;
      break;
    case 'T':
      delete domain.default;
      if (def !== undefined) domain.default = def;
      break;
    case 'O':
      domain.isNotNull = true;
      break;
    case 'N':
      domain.isNotNull = false;
      break;
  }
  settleDomain(catalog, domain);
}
