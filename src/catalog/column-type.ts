import type { Node, TypeName } from '@pgsql/types';
import { asKind, isArrayType, stringsOf } from '../sql/tree.ts';
import { type Catalog, type ColumnType, type ObjectKey, resolveKey } from './catalog.ts';

/** What stands for a type that only the database knows, such as that of an expression. */
export const UNKNOWN_TYPE: ColumnType = { name: 'unknown', modifiers: [], isArray: false };

const SERIALS = new Map([
  ['serial', 'int4'],
  ['serial4', 'int4'],
  ['bigserial', 'int8'],
  ['serial8', 'int8'],
  ['smallserial', 'int2'],
  ['serial2', 'int2'],
]);

/** The integer type behind `serial` and its relatives, undefined for every other type. */
export function serialBase(type: TypeName | undefined): string | undefined {
  const names = type?.names;
  if (names?.length !== 1) return undefined;
  return SERIALS.get(asKind(names[0], 'String')?.sval ?? '');
}

/** A type as a statement writes it, in the catalog's terms. */
export function columnTypeOf(catalog: Catalog, type: TypeName | undefined): ColumnType {
  if (type === undefined || type.pct_type) return UNKNOWN_TYPE;
  const names = stringsOf(type.names);
  const last = names.at(-1) ?? '';
  const name = serialBase(type) ?? typeNameOf(catalog, names.at(-2), last);
  return { name, modifiers: modifiersOf(name, type.typmods), isArray: isArrayType(type) };
}

function typeNameOf(catalog: Catalog, schema: string | undefined, name: string): string {
  if (schema === 'pg_catalog') return name;
  const written = { schema, name };
  if (schema !== undefined || catalog.types.size > 0) {
    const key = resolveKey(catalog, written, catalog.types);
    if (schema !== undefined || catalog.types.has(key)) return key;
  }
  const row = resolveKey(catalog, written, catalog.relations);
  return catalog.relations.has(row) ? row : name;
}

/** An interval of some fields has two modifiers: which ones, as bits, and the digits of seconds. */
const FULL_INTERVAL = 0x7fff;
const ALL_DIGITS = 0xffff;

function modifiersOf(name: string, typmods: readonly Node[] | undefined): number[] {
  const modifiers = (typmods ?? []).map((node) => asKind(node, 'A_Const')?.ival?.ival ?? 0);
  if (name === 'numeric' && modifiers.length === 1) return [...modifiers, 0];
  if (name === 'interval' && modifiers.length > 0) {
    const [fields, precision = ALL_DIGITS] = modifiers;
    return fields === FULL_INTERVAL ? [precision] : [fields ?? 0, precision];
  }
  return modifiers;
}

const SHOWN: Record<string, string> = {
  int2: 'smallint',
  int4: 'integer',
  int8: 'bigint',
  float4: 'real',
  float8: 'double precision',
  bool: 'boolean',
  bpchar: 'char',
};

/** A type for messages: `varchar(10)`, `numeric(12,2)`, `integer[]`. */
export function showType({ name, modifiers, isArray }: ColumnType): string {
  if (name === 'interval' && modifiers.length > 1) {
    return `${showInterval(modifiers)}${isArray ? '[]' : ''}`;
  }
  const parentheses = modifiers.length === 0 ? '' : `(${modifiers.join(',')})`;
  return `${SHOWN[name] ?? name}${parentheses}${isArray ? '[]' : ''}`;
}

const FIELDS: [name: string, bit: number][] = [
  ['year', 4],
  ['month', 2],
  ['day', 8],
  ['hour', 1024],
  ['minute', 2048],
  ['second', 4096],
];

function showInterval([bits = 0, digits = ALL_DIGITS]: readonly number[]): string {
  const fields = FIELDS.filter(([, bit]) => (bits & bit) !== 0).map(([name]) => name);
  const range = fields.length > 1 ? `${fields[0]} to ${fields.at(-1)}` : (fields[0] ?? '');
  return `interval ${range}${digits === ALL_DIGITS ? '' : `(${digits})`}`;
}

/** Whether a type is a domain with a rule, itself or by the domain below it. */
export function isConstrainedDomain({ types }: Catalog, { name, isArray }: ColumnType): boolean {
  const type = types.get(name);
  return !isArray && type?.kind === 'domain' && type.isConstrained;
}

/** What a chain of domains is over in the end. */
export function baseTypeOf({ types }: Catalog, type: ColumnType): ColumnType {
  let base = type;
  // A script that no server takes may put a domain over itself.
  const seen = new Set<ObjectKey>();
  while (!base.isArray && !seen.has(base.name)) {
    seen.add(base.name);
    const domain = types.get(base.name);
    if (domain?.kind !== 'domain' || domain.base === undefined) break;
    base = domain.base;
  }
  return base;
}
