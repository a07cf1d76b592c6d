import type { Row, Session } from '../connection/session.ts';
import type { SqlParser } from '../sql/parser.ts';
import { type Catalog, objectKey, type UserType } from './catalog.ts';
import { readColumnType, TYPE_COLUMNS, TYPE_JOINS } from './read-column-type.ts';
import { parseExpression } from './read-constraints.ts';
import { readList, USER_SCHEMAS } from './read-relations.ts';

const KINDS: Record<string, UserType['kind']> = {
  e: 'enum',
  d: 'domain',
  c: 'composite',
  r: 'range',
  b: 'base',
};

/** Fills in the types of users and extensions; not those that a table or a type brings along. */
export async function readTypes(
  session: Session,
  catalog: Catalog,
  parser: SqlParser,
): Promise<void> {
  const rows = await session.run(`
    select n.nspname::text as "schema",
        d.typname::text as "name",
        d.typtype::text as "kind",
        d.typnotnull as "isNotNull",
        d.typdefault as "default",
        nullif(co.collname, 'default')::text as "collation",
        (
            select pg_catalog.json_agg(e.enumlabel order by e.enumsortorder)::text
            from pg_catalog.pg_enum as e
            where e.enumtypid = d.oid
        ) as "labels",
        (
            select pg_catalog.json_agg(k.conname order by k.oid)::text
            from pg_catalog.pg_constraint as k
            where k.contypid = d.oid and k.contype = 'c'
        ) as "checks",
        (
            select pg_catalog.json_agg(k.conname)::text
            from pg_catalog.pg_constraint as k
            where k.contypid = d.oid and k.contype = 'c' and k.convalidated
        ) as "validated",
        ${TYPE_COLUMNS('d.typtypmod')}
    from pg_catalog.pg_type as d
    join pg_catalog.pg_namespace as n on n.oid = d.typnamespace
    left join pg_catalog.pg_class as c on c.oid = d.typrelid
    left join pg_catalog.pg_collation as co on co.oid = d.typcollation
    ${TYPE_JOINS('coalesce(nullif(d.typbasetype, 0), d.oid)')}
    where ${USER_SCHEMAS}
        and d.typtype in ('e', 'd', 'c', 'r', 'b')
        and (d.typtype <> 'c' or c.relkind = 'c')
        and not (d.typtype = 'b' and d.typcategory = 'A')`);
  for (const row of rows) {
    const type = typeOf(row, parser);
    catalog.types.set(type.key, type);
  }
  for (const type of catalog.types.values()) type.isConstrained = isConstrained(catalog, type);
}

function typeOf(row: Row, parser: SqlParser): UserType {
  const type: UserType = {
    key: objectKey(String(row.schema), String(row.name)),
    kind: KINDS[String(row.kind)] ?? 'base',
    labels: readList(row.labels),
    isConstrained: false,
  };
  if (type.kind !== 'domain') return type;
  const validated = new Set(readList(row.validated));
  type.base = readColumnType(row);
  type.isNotNull = row.isNotNull === true;
  if (row.collation !== null) type.collation = String(row.collation);
  type.checks = new Map(
    readList(row.checks).map((name) => [name, { isValidated: validated.has(name) }]),
  );
  const value = row.default === null ? undefined : parseExpression(parser, String(row.default));
  if (value !== undefined) type.default = value;
  return type;
}

function isConstrained(catalog: Catalog, { isNotNull, checks, base }: UserType): boolean {
  if (isNotNull || (checks?.size ?? 0) > 0) return true;
  const below = catalog.types.get(base?.isArray ? '' : (base?.name ?? ''));
  return below?.kind === 'domain' && isConstrained(catalog, below);
}
