import type { Row, Session } from '../../connection/session.ts';
import { loadSqlParser, type SqlParser } from '../../sql/parser.ts';
import {
  type Catalog,
  type ColumnUse,
  createCatalog,
  objectKey,
  type Routine,
  type UserType,
} from '../catalog.ts';
import { noteReads, useColumns } from '../replay/uses.ts';
import { parseExpression, readConstraints, readIndexes } from './constraints.ts';
import {
  numbersIn,
  type ReadRelations,
  readColumnType,
  readList,
  readRelations,
  TYPE_COLUMNS,
  TYPE_JOINS,
  USER_SCHEMAS,
} from './relations.ts';

interface ReadCatalogOptions {
  /** Schemas in which unqualified names are looked up; default `public`. */
  searchPath?: readonly string[] | undefined;
  /** Default: the one of `loadSqlParser()`. It reads the checks. */
  parser?: SqlParser | undefined;
}

/**
 * Reads what a database holds, without the system's own schemas and what belongs to other sessions.
 * How big it is `readSizes` tells.
 *
 * A few queries over all, whatever the number of tables. Outside of a transaction they may see
 * changes between them.
 */
export async function readCatalog(
  session: Session,
  options: ReadCatalogOptions = {},
): Promise<Catalog> {
  const catalog = createCatalog(options.searchPath);
  catalog.isComplete = true;
  const parser = options.parser ?? (await loadSqlParser());
  // Each sends its queries at once, so that the server works while we read what it has answered.
  const relations = readRelations(session, catalog);
  await Promise.all([
    readTypes(session, catalog, parser),
    readIndexes(session, catalog, relations),
    readConstraints(session, relations, parser),
    readUses(session, relations),
    readViews(session, relations),
    readRoutines(session, catalog),
    readTriggers(session, relations),
  ]);
  return catalog;
}

const KINDS: Record<string, UserType['kind']> = {
  e: 'enum',
  d: 'domain',
  c: 'composite',
  r: 'range',
  b: 'base',
};

/** Fills in the types of users and extensions; not those that a table or a type brings along. */
async function readTypes(session: Session, catalog: Catalog, parser: SqlParser): Promise<void> {
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

const VOLATILITIES: Record<string, Routine['volatility']> = {
  i: 'immutable',
  s: 'stable',
  v: 'volatile',
};

/** Fills in the functions and procedures, of several with one name the most volatile. */
async function readRoutines(session: Session, catalog: Catalog): Promise<void> {
  const rows = await session.run(`
    select distinct on (n.nspname, p.proname)
        n.nspname::text as "schema",
        p.proname::text as "name",
        p.provolatile::text as "volatility",
        l.lanname::text as "language"
    from pg_catalog.pg_proc as p
    join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
    join pg_catalog.pg_language as l on l.oid = p.prolang
    where ${USER_SCHEMAS}
        and p.prokind in ('f', 'p')
    -- Immutable, stable, volatile are in the order of their letters.
    order by n.nspname, p.proname, p.provolatile desc`);
  for (const row of rows) {
    const key = objectKey(String(row.schema), String(row.name));
    const volatility = VOLATILITIES[String(row.volatility)] ?? 'volatile';
    catalog.routines.set(key, { key, volatility, language: String(row.language) });
  }
}

/** Notes the triggers of users, and what they call. */
async function readTriggers(session: Session, relations: Promise<ReadRelations>): Promise<void> {
  const query = session.run(`
    select t.tgrelid::text as "table",
        t.tgname::text as "name",
        n.nspname::text as "schema",
        p.proname::text as "routine"
    from pg_catalog.pg_trigger as t
    join pg_catalog.pg_proc as p on p.oid = t.tgfoid
    join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
    -- Before 15, those that a partition has from its table count as internal too.
    where not t.tgisinternal or (t.tgparentid <> 0 and t.tgconstraint = 0)`);
  const [byId, rows] = await Promise.all([relations, query]);
  for (const row of rows) {
    const relation = byId.get(String(row.table))?.relation;
    if (relation === undefined) continue;
    relation.triggers ??= new Map();
    relation.triggers.set(String(row.name), objectKey(String(row.schema), String(row.routine)));
  }
}

/**
 * Notes what uses columns of a table besides views, indexes and constraints, and what policies and
 * rules read besides their own table.
 */
async function readUses(session: Session, relations: Promise<ReadRelations>): Promise<void> {
  const query = session.run(`
    select u.kind,
        u.schema,
        u.name,
        u.own::text as "own",
        coalesce(d.refobjid, u.own)::text as "relation",
        pg_catalog.string_agg(d.refobjsubid::text, ' ') as "columns"
    from (
        select 'pg_catalog.pg_trigger'::pg_catalog.regclass as catalog, oid, 0 as part, tgrelid as own,
            'trigger' as kind, null as schema, tgname::text as name
        from pg_catalog.pg_trigger
        where not tgisinternal or (tgparentid <> 0 and tgconstraint = 0)
        union all
        select 'pg_catalog.pg_policy'::pg_catalog.regclass, oid, 0, polrelid, 'policy', null, polname
        from pg_catalog.pg_policy
        union all
        select 'pg_catalog.pg_rewrite'::pg_catalog.regclass, oid, 0, ev_class, 'rule', null, rulename
        from pg_catalog.pg_rewrite
        where rulename <> '_RETURN'
        union all
        select 'pg_catalog.pg_publication_rel'::pg_catalog.regclass, r.oid, 0, r.prrelid,
            'publication', null, p.pubname
        from pg_catalog.pg_publication_rel as r
        join pg_catalog.pg_publication as p on p.oid = r.prpubid
        union all
        select 'pg_catalog.pg_proc'::pg_catalog.regclass, p.oid, 0, null, 'function', n.nspname,
            p.proname
        from pg_catalog.pg_proc as p
        join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
        where p.prosqlbody is not null
        union all
        -- What a generated column reads depends on its expression, and before 15 on itself.
        select 'pg_catalog.pg_attrdef'::pg_catalog.regclass, k.oid, 0, a.attrelid, 'column', null,
            a.attname
        from pg_catalog.pg_attribute as a
        join pg_catalog.pg_attrdef as k on k.adrelid = a.attrelid and k.adnum = a.attnum
        where a.attgenerated <> ''
        union all
        select 'pg_catalog.pg_class'::pg_catalog.regclass, a.attrelid, a.attnum, a.attrelid, 'column',
            null, a.attname
        from pg_catalog.pg_attribute as a
        where a.attgenerated <> ''
    ) as u
    left join pg_catalog.pg_depend as d
        on d.classid = u.catalog
        and d.objid = u.oid
        and d.objsubid = u.part
        and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
    group by 1, 2, 3, 4, 5`);
  const [byId, rows] = await Promise.all([relations, query]);
  for (const row of rows) noteUse(row, byId);
}

function noteUse(row: Row, byId: ReadRelations): void {
  const own = byId.get(String(row.own))?.relation;
  const read = byId.get(String(row.relation));
  if (read === undefined) return;
  const columns = numbersIn(row.columns).flatMap((number) => read.columns.get(number) ?? []);
  const name = String(row.name);
  if (row.kind === 'column') {
    const column = own?.columns.get(name);
    const others = columns.filter((one) => one !== name);
    if (column) column.reads = [...new Set([...(column.reads ?? []), ...others])];
    return;
  }
  const kind = String(row.kind) as ColumnUse['kind'];
  const shown = kind === 'function' ? objectKey(String(row.schema), name) : name;
  const before = kind === 'function' ? read.relation.uses?.get(`${kind} ${shown}`)?.columns : [];
  const use = {
    kind,
    name: shown,
    columns: new Set([...(before ?? []), ...columns]),
    isSure: true,
  };
  const isOther = own !== undefined && own !== read.relation;
  useColumns(read.relation, isOther ? { ...use, owner: own } : use);
  if (own && (kind === 'policy' || kind === 'rule')) {
    noteReads(own, `${kind} ${name}`, [read.relation]);
  }
}

/** Notes which views read which columns of what. */
async function readViews(session: Session, relations: Promise<ReadRelations>): Promise<void> {
  const query = session.run(`
    select r.ev_class::text as "view",
        d.refobjid::text as "relation",
        pg_catalog.string_agg(d.refobjsubid::text, ' ') as "columns"
    from pg_catalog.pg_rewrite as r
    join pg_catalog.pg_depend as d
        on d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
        and d.objid = r.oid
        and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
        and d.refobjid <> r.ev_class
    where r.rulename = '_RETURN'
    group by r.ev_class, d.refobjid`);
  const [byId, rows] = await Promise.all([relations, query]);
  for (const row of rows) {
    const view = byId.get(String(row.view))?.relation;
    const read = byId.get(String(row.relation));
    if (view === undefined || read === undefined) continue;
    read.relation.dependents.add(view.key);
    view.reads ??= new Map();
    view.areReadsSure = true;
    const names = numbersIn(row.columns).flatMap((number) => read.columns.get(number) ?? []);
    view.reads.set(read.relation.key, new Set(names));
  }
}
