import type { Row, Session } from '../connection/session.ts';
import { EvdbError } from '../errors.ts';
import { CATALOG } from '../structure/read/catalogs.ts';
import { runInSnapshot } from '../structure/read/structure.ts';
import {
  inScope,
  type QueryContext,
  schemaCondition,
  standsAlone,
} from '../structure/structure.ts';

/** Numbers of objects stand for themselves within one reading only. */
export type Oid = number;

/** A table, a view, or a composite type. */
export interface RelationFacts {
  oid: Oid;
  schema: string;
  name: string;
  kind: 'table' | 'view' | 'materialized view' | 'composite type';
  comment: string | null;
  canInsert: boolean;
  canUpdate: boolean;
  columns: ColumnFacts[];
}

export interface ColumnFacts {
  name: string;
  type: Oid;
  /** Whether rows may hold null: of a view nobody knows, so they may. */
  isNullable: boolean;
  /** Whether null may be written. */
  acceptsNull: boolean;
  hasDefault: boolean;
  /** Whether it takes no value: it is generated, an identity always, or an expression of a view. */
  isReadOnly: boolean;
  comment: string | null;
}

export interface TypeFacts {
  oid: Oid;
  schema: string;
  name: string;
  kind: 'base' | 'composite' | 'domain' | 'enum' | 'pseudo' | 'range' | 'multirange';
  /** Of an array, else 0. */
  element: Oid;
  /** Of a domain, else 0. */
  base: Oid;
  isNotNull: boolean;
  /** The table or view whose rows it describes, else 0. */
  relation: Oid;
  /** Whether it is one of those that were asked for. */
  isListed: boolean;
  /** Of an enum, in its order. */
  labels: string[] | null;
  comment: string | null;
}

export interface FunctionFacts {
  oid: Oid;
  schema: string;
  name: string;
  /** As PostgreSQL keeps them: i in, o out, b both, v variadic, t a column of the table that it returns. */
  args: { name: string; mode: string; type: Oid }[];
  /** How many of the last arguments may be left out. */
  defaults: number;
  returns: Oid;
  returnsSet: boolean;
  comment: string | null;
}

/** What types are made of, sorted by name alone: the same for the same structure. */
export interface TypeCatalog {
  /** In the order in which they were asked for. */
  schemas: string[];
  relations: RelationFacts[];
  types: Map<Oid, TypeFacts>;
  functions: FunctionFacts[];
}

const comment = (catalog: number, oid: string, sub = '0') =>
  `left join pg_catalog.pg_description as d on d.classoid = ${catalog} and d.objoid = ${oid} and d.objsubid = ${sub}`;

const RELATION_KIND = `case c.relkind when 'v' then 'view' when 'm' then 'materialized view' when 'c' then 'composite type' else 'table' end`;

/** Partitions come and go, and rows are written by their table. */
const listedRelations = (context: QueryContext) =>
  `c.relkind in ('r', 'p', 'f', 'v', 'm', 'c')
    and not c.relispartition
    and ${inScope(context, 'c.relnamespace')}
    and ${standsAlone(CATALOG.class, 'c.oid')}
    and (c.relkind <> 'c' or ${standsAlone(CATALOG.type, 'c.reltype')})`;

// The bits are those of the events of rules: 4 update, 8 insert.
const relationsSql = (context: QueryContext) => `
select
    c.oid::bigint::float8 as "oid",
    n.nspname::text as "schema",
    c.relname::text as "name",
    ${RELATION_KIND} as "kind",
    d.description as "comment",
    case c.relkind
        when 'v' then pg_catalog.pg_relation_is_updatable(c.oid, true) & 8 = 8
        else c.relkind not in ('m', 'c')
    end as "canInsert",
    case c.relkind
        when 'v' then pg_catalog.pg_relation_is_updatable(c.oid, true) & 4 = 4
        else c.relkind not in ('m', 'c')
    end as "canUpdate"
from pg_catalog.pg_class as c
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
${comment(CATALOG.class, 'c.oid')}
where ${listedRelations(context)}`;

/** From 18 on a column may be not null while rows that were there before still hold null. */
const unprovenNotNull = ({ version }: QueryContext) =>
  version < 180000
    ? 'false'
    : `exists (
        select
        from pg_catalog.pg_constraint as k
        where k.conrelid = a.attrelid and k.contype = 'n' and not k.convalidated and k.conkey = array[a.attnum]
    )`;

const columnsSql = (context: QueryContext) => `
with recursive domains as (
    select oid, oid as "domain", typbasetype, typnotnull, typdefault is not null as "hasDefault"
    from pg_catalog.pg_type
    where typtype = 'd'
    union all
    select t.oid, o."domain", t.typbasetype, t.typnotnull, t.typdefault is not null
    from domains as o
    join pg_catalog.pg_type as t on t.oid = o.typbasetype and t.typtype = 'd'
), told as (
    select "domain", pg_catalog.bool_or(typnotnull) as "isNotNull", pg_catalog.bool_or("hasDefault") as "hasDefault"
    from domains
    group by "domain"
)
select
    a.attrelid::bigint::float8 as "relation",
    a.attname::text as "name",
    a.atttypid::bigint::float8 as "type",
    c.relkind in ('v', 'm', 'c')
        or not (a.attnotnull or coalesce(o."isNotNull", false))
        or (a.attnotnull and not coalesce(o."isNotNull", false) and ${unprovenNotNull(context)}) as "isNullable",
    not (a.attnotnull or coalesce(o."isNotNull", false)) as "acceptsNull",
    a.atthasdef or a.attidentity = 'd' or coalesce(o."hasDefault", false) as "hasDefault",
    case c.relkind
        when 'v' then not pg_catalog.pg_column_is_updatable(a.attrelid, a.attnum, true)
        else a.attgenerated <> '' or a.attidentity = 'a' or c.relkind in ('m', 'c')
    end as "isReadOnly",
    d.description as "comment"
from pg_catalog.pg_attribute as a
join pg_catalog.pg_class as c on c.oid = a.attrelid
left join told as o on o."domain" = a.atttypid
${comment(CATALOG.class, 'a.attrelid', 'a.attnum')}
where a.attnum > 0
    and not a.attisdropped
    and ${listedRelations(context)}
order by a.attrelid, a.attnum`;

const TYPE_KIND = `case t.typtype when 'c' then 'composite' when 'd' then 'domain' when 'e' then 'enum' when 'p' then 'pseudo' when 'r' then 'range' when 'm' then 'multirange' else 'base' end`;

const typesSql = (context: QueryContext) => `
select
    t.oid::bigint::float8 as "oid",
    n.nspname::text as "schema",
    t.typname::text as "name",
    ${TYPE_KIND} as "kind",
    case when e.oid is null then 0 else t.typelem::bigint::float8 end as "element",
    t.typbasetype::bigint::float8 as "base",
    t.typnotnull as "isNotNull",
    t.typrelid::bigint::float8 as "relation",
    ${inScope(context, 't.typnamespace')} and ${standsAlone(CATALOG.type, 't.oid')} as "isListed",
    case
        when t.typtype = 'e' then (
            select pg_catalog.json_agg(l.enumlabel::text order by l.enumsortorder)
            from pg_catalog.pg_enum as l
            where l.enumtypid = t.oid
        )
    end as "labels",
    d.description as "comment"
from pg_catalog.pg_type as t
join pg_catalog.pg_namespace as n on n.oid = t.typnamespace
left join pg_catalog.pg_type as e on e.typarray = t.oid
${comment(CATALOG.type, 't.oid')}`;

/** Who calls a trigger's function is a trigger. */
const functionsSql = (context: QueryContext) => `
select
    p.oid::bigint::float8 as "oid",
    n.nspname::text as "schema",
    p.proname::text as "name",
    pg_catalog.array_to_json(coalesce(p.proallargtypes, p.proargtypes::oid[])::bigint[]) as "types",
    pg_catalog.array_to_json(p.proargnames) as "names",
    pg_catalog.array_to_json(p.proargmodes) as "modes",
    p.pronargdefaults::integer as "defaults",
    p.prorettype::bigint::float8 as "returns",
    p.proretset as "returnsSet",
    d.description as "comment"
from pg_catalog.pg_proc as p
join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
join pg_catalog.pg_type as r on r.oid = p.prorettype
${comment(CATALOG.proc, 'p.oid')}
where p.prokind = 'f'
    and r.typname not in ('trigger', 'event_trigger', 'internal', 'language_handler', 'fdw_handler', 'index_am_handler', 'table_am_handler', 'tsm_handler')
    and ${inScope(context, 'p.pronamespace')}
    and ${standsAlone(CATALOG.proc, 'p.oid')}`;

/**
 * Reads what types are made of: five statements, sent in one go, in one snapshot.
 *
 * @throws {EvdbError} TARGET_SCHEMA where a schema is missing, and those of `readStructure`
 */
export async function readTypeCatalog(
  session: Session,
  schemas: readonly string[],
): Promise<TypeCatalog> {
  const scope = { schemas, exceptSchemas: [] };
  const context: QueryContext = { scope, version: session.facts.serverVersion };
  const [found = [], relations = [], columns = [], types = [], functions = []] =
    await runInSnapshot(session, [
      `select nspname::text as "name" from pg_catalog.pg_namespace where ${schemaCondition(scope, 'nspname')}`,
      ...[relationsSql, columnsSql, typesSql, functionsSql].map((sql) => sql(context)),
    ]);
  const names = new Set(found.map(({ name }) => name));
  const missing = schemas.find((name) => !names.has(name));
  if (missing !== undefined) {
    throw new EvdbError('TARGET_SCHEMA', `the database has no schema "${missing}"`, {
      hint: 'Name another one with --schema.',
    });
  }
  return {
    schemas: [...schemas],
    relations: relationsOf(relations, columns, schemas),
    types: new Map((types as unknown as TypeFacts[]).map((type) => [type.oid, type])),
    functions: functions.map(functionOf).sort(byName(schemas)),
  };
}

/** In the order of the schemas, then by name; overloads by their arguments. */
export function byName(schemas: readonly string[]) {
  type Named = { schema: string; name: string };
  return (a: Named, b: Named) =>
    schemas.indexOf(a.schema) - schemas.indexOf(b.schema) || compare(a.name, b.name);
}

/** By code units: the order of a collation would be the server's. */
export function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function relationsOf(rows: Row[], columns: Row[], schemas: readonly string[]): RelationFacts[] {
  const byOid = new Map(
    rows.map((row) => [row.oid, { ...(row as unknown as RelationFacts), columns: [] as Row[] }]),
  );
  for (const { relation, ...column } of columns) byOid.get(relation as Oid)?.columns.push(column);
  return ([...byOid.values()] as unknown as RelationFacts[]).sort(byName(schemas));
}

function functionOf(row: Row): FunctionFacts {
  const { types, names, modes, ...facts } = row as Record<string, unknown> & {
    types: Oid[];
    names: string[] | null;
    modes: string[] | null;
  };
  const args = types.map((type, index) => ({
    type,
    name: names?.[index] ?? '',
    mode: modes?.[index] ?? 'i',
  }));
  return { ...(facts as unknown as Omit<FunctionFacts, 'args'>), args };
}
