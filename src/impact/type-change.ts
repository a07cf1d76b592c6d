import type { Node } from '@pgsql/types';
import type { Catalog, CatalogColumn, CatalogIndex, ColumnType } from '../catalog/catalog.ts';
import { baseTypeOf, columnTypeOf, isConstrainedDomain } from '../catalog/column-type.ts';
import { columnOf, withoutCasts } from '../catalog/expression.ts';
import { asKind } from '../sql/tree.ts';

/** `unknown` where it depends on the session's time zone, or on a type that the catalog lacks. */
type TypeChange = 'none' | 'rewrite' | 'unknown';

interface TypeChangeContext {
  catalog: Catalog;
  timeZoneIsUtc: boolean | undefined;
}

/**
 * Whether a table is written anew when a column's type changes.
 *
 * @param using the expression behind `using`, which changes nothing where it only casts the column
 */
export function changeOfType(
  from: ColumnType | undefined,
  to: ColumnType,
  { column, using }: { column: string; using: Node | undefined },
  context: TypeChangeContext,
): TypeChange {
  if (from === undefined || from.name === 'unknown') return 'unknown';
  const steps = using === undefined ? [] : castsOf(context.catalog, using, column);
  if (steps === undefined) return 'rewrite';
  let result: TypeChange = 'none';
  let at = from;
  for (const step of [...steps, to]) {
    result = worse(result, castOf(at, step, context));
    at = step;
  }
  return result;
}

/** The types that a chain of casts around the column goes through; undefined for any other expression. */
function castsOf(catalog: Catalog, expression: Node, column: string): ColumnType[] | undefined {
  if (columnOf(withoutCasts(expression)) !== column) return undefined;
  const types: ColumnType[] = [];
  let cast = asKind(expression, 'TypeCast');
  for (; cast; cast = asKind(cast.arg, 'TypeCast'))
    types.push(columnTypeOf(catalog, cast.typeName));
  return types.reverse();
}

function worse(a: TypeChange, b: TypeChange): TypeChange {
  if (a === 'rewrite' || b === 'rewrite') return 'rewrite';
  return a === 'none' ? b : a;
}

function castOf(from: ColumnType, to: ColumnType, context: TypeChangeContext): TypeChange {
  const { catalog } = context;
  if (isSame(from, to)) return 'none';
  if (isConstrainedDomain(catalog, to)) return 'rewrite';
  const [source, target] = [baseTypeOf(catalog, from), baseTypeOf(catalog, to)];
  if (isSame(source, target)) return 'none';
  if (isUnknownDomain(catalog, from) || isUnknownDomain(catalog, to)) return 'unknown';
  if (source.isArray !== target.isArray) return 'rewrite';
  if (source.isArray) {
    // Only an array that loses its limits is taken as it is: no function adapts one's elements.
    return source.name === target.name && target.modifiers.length === 0 ? 'none' : 'rewrite';
  }
  if (source.name === target.name) return isWidening(source, target) ? 'none' : 'rewrite';
  return castBetween(source, target, context);
}

function isSame(a: ColumnType, b: ColumnType): boolean {
  return a.name === b.name && a.isArray === b.isArray && a.modifiers.join() === b.modifiers.join();
}

/** A type of the user's that may be a domain over the other one. */
function isUnknownDomain({ types }: Catalog, { name }: ColumnType): boolean {
  return name.includes('.') && !types.has(name);
}

/** Whether every value that fits `from` fits `to`, both of one type, so that PostgreSQL looks at none. */
function isWidening(from: ColumnType, to: ColumnType): boolean {
  const [before, after] = [from.modifiers, to.modifiers];
  if (from.name === 'bpchar') return after.length === 0;
  if (after.length === 0) return true;
  if (from.name === 'interval') return isWideningInterval(before, after);
  const [a, b = 0] = before;
  const [c = 0, d = 0] = after;
  if (FRACTIONS.has(from.name)) return c >= MAX_FRACTION || (a !== undefined && c >= a);
  if (a === undefined) return false;
  return from.name === 'bit' ? a === c : c >= a && b === d;
}

const FRACTIONS = new Set(['timestamp', 'timestamptz', 'time', 'timetz']);
const MAX_FRACTION = 6;

/** The fields of an interval from the finest on, as bits of its range. */
const INTERVAL_FIELDS = [4096, 2048, 1024, 8, 2, 4];
const FULL_PRECISION = 0xffff;

function isWideningInterval(before: readonly number[], after: readonly number[]): boolean {
  const [from, to] = [finenessOf(before), finenessOf(after)];
  const hasNoSeconds = from.finest > 0;
  return (
    to.finest <= from.finest &&
    (hasNoSeconds || to.precision >= MAX_FRACTION || to.precision >= from.precision)
  );
}

/** The finest field of an interval, 0 for seconds, and the digits of those. */
function finenessOf(modifiers: readonly number[]): { finest: number; precision: number } {
  const [first = FULL_PRECISION, second] = modifiers;
  if (second === undefined) return { finest: 0, precision: first };
  const finest = INTERVAL_FIELDS.findIndex((bit) => (first & bit) !== 0);
  return { finest, precision: second };
}

function castBetween(
  source: ColumnType,
  target: ColumnType,
  { timeZoneIsUtc }: TypeChangeContext,
): TypeChange {
  const hasNoModifier = target.modifiers.length === 0;
  const pair = `${source.name} ${target.name}`;
  if (pair === 'timestamp timestamptz' || pair === 'timestamptz timestamp') {
    if (!hasNoModifier && target.modifiers[0] !== MAX_FRACTION) return 'rewrite';
    return timeZoneIsUtc === undefined ? 'unknown' : timeZoneIsUtc ? 'none' : 'rewrite';
  }
  return hasNoModifier && isBinaryCoercible(source.name, target.name) ? 'none' : 'rewrite';
}

const COERCIBLE = new Set([
  'text varchar',
  'text bpchar',
  'varchar text',
  'varchar bpchar',
  'cidr inet',
  'bit varbit',
  'varbit bit',
  'xml text',
  'xml varchar',
  'xml bpchar',
  'regproc regprocedure',
  'regprocedure regproc',
  'regoper regoperator',
  'regoperator regoper',
]);

/** Types that are an object's number, and can stand for each other and for `int4`. */
const OBJECT_TYPES = new Set([
  'oid',
  'regproc',
  'regprocedure',
  'regoper',
  'regoperator',
  'regclass',
  'regcollation',
  'regtype',
  'regconfig',
  'regdictionary',
  'regrole',
  'regnamespace',
]);

function isBinaryCoercible(from: string, to: string): boolean {
  if (COERCIBLE.has(`${from} ${to}`)) return true;
  const isNumber = (name: string) => name === 'oid' || name === 'int4';
  return (isNumber(from) && OBJECT_TYPES.has(to)) || (isNumber(to) && OBJECT_TYPES.has(from));
}

/** What becomes of a column whose values stay as they are. */
interface KeptValues {
  /** As it is before. */
  column: CatalogColumn;
  to: ColumnType;
  collation: string | undefined;
}

/**
 * Whether PostgreSQL takes an index of the column over as it is: one without expressions and
 * predicate, whose key columns are compared by the same operators in the same collation. What belongs
 * to the index of a partitioned table goes away with that one, which has no file to take over.
 */
export function keepsIndex(
  catalog: Catalog,
  { columns, collations, isPartial, method, parent }: CatalogIndex,
  { column, to, collation }: KeptValues,
): boolean {
  if (parent !== undefined || isPartial || columns.includes(undefined)) return false;
  return columns.every((name, i) => {
    if (name !== column.name) return true;
    const own = collations?.[i];
    const follows = own === undefined || (own === 'default' ? undefined : own) === column.collation;
    if (follows && collation !== column.collation) return false;
    // The entries are of the elements' type, which is then not that of the column any more.
    if (method === 'gin' && column.type.isArray && !isSame(column.type, to)) return false;
    return comparesAlike(catalog, column.type, to);
  });
}

/** Whether values of two types are compared by the same operators, so that what held for keys still does. */
export function comparesAlike(catalog: Catalog, from: ColumnType, to: ColumnType): boolean {
  return operatorClassOf(catalog, from) === operatorClassOf(catalog, to);
}

function operatorClassOf(catalog: Catalog, type: ColumnType): string {
  const { name } = baseTypeOf(catalog, type);
  return OBJECT_TYPES.has(name) ? 'oid' : (OPERATOR_CLASSES[name] ?? name);
}

/** Types that are indexed by the operators of another one. */
const OPERATOR_CLASSES: Record<string, string> = { varchar: 'text', cidr: 'inet' };
