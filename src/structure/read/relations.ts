import { quoteLiteral } from '../../sql/quote.ts';
import { foreignOptionsSql, inScope, qualified, standsAlone } from '../structure.ts';
import { CATALOG, type KindQuery } from './catalogs.ts';

const OWN_METHOD = `coalesce(am.amname <> 'heap', false)`;

/** Tables, views, sequences and composite types. */
export const RELATIONS: KindQuery = {
  catalog: CATALOG.class,
  sql: (context) => `
select
    c.oid,
    case c.relkind
        when 'v' then 'view'
        when 'm' then 'materialized view'
        when 'f' then 'foreign table'
        when 'c' then 'composite type'
        else 'table'
    end as "kind",
    ${qualified('n.nspname', 'c.relname')} as "name",
    pg_catalog.quote_ident(c.relname) as "own",
    c.relowner as "ownerOid",
    case when c.relkind = 'c' then '${CATALOG.type}:' || c.reltype end as "aliases",
    case when c.relpersistence = 'u' then 'yes' end as "unlogged",
    pg_catalog.pg_get_partkeydef(c.oid) as "partition by",
    case when c.relispartition then i.parents end as "partition of",
    pg_catalog.pg_get_expr(c.relpartbound, c.oid) as "bound",
    case when not c.relispartition then i.parents end as "inherits",
    case when c.reloftype <> 0 then pg_catalog.format_type(c.reloftype, null) end as "of type",
    case when am.amname <> 'heap' then pg_catalog.quote_ident(am.amname) end as "access method",
    case when c.reloptions is not null then ${relationOptionsSql('c.reloptions', OWN_METHOD)} end as "options",
    case when t.reloptions is not null then ${relationOptionsSql('t.reloptions', OWN_METHOD, 'toast.')} end as "toast options",
    case when c.reloptions is not null or t.reloptions is not null
        then ${unknownOptionsSql(['c.reloptions', 't.reloptions'], OWN_METHOD)}
    end as "unknown options",
    case when c.relforcerowsecurity and c.relrowsecurity then 'forced'
        when c.relforcerowsecurity then 'forced, but disabled'
        when c.relrowsecurity then 'enabled'
    end as "row security",
    case when c.relkind not in ('r', 'p', 'm') then null
        else case c.relreplident when 'n' then 'nothing' when 'f' then 'full' end
    end as "replica identity",
    case when c.relkind in ('v', 'm') then pg_catalog.rtrim(pg_catalog.pg_get_viewdef(c.oid), ';') end as "definition",
    case when c.relkind = 'm' and not c.relispopulated then 'yes' end as "not populated",
    case when f.ftrelid is not null then pg_catalog.quote_ident(s.srvname) end as "server",
    case when f.ftoptions is not null then ${foreignOptionsSql('f.ftoptions')} end as "foreign options"
from pg_catalog.pg_class as c
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
left join pg_catalog.pg_class as t on t.oid = c.reltoastrelid
left join pg_catalog.pg_am as am on am.oid = c.relam
left join pg_catalog.pg_foreign_table as f on f.ftrelid = c.oid
left join pg_catalog.pg_foreign_server as s on s.oid = f.ftserver
left join (
    select inhrelid, pg_catalog.string_agg(inhparent::pg_catalog.regclass::text, ', ' order by inhseqno) as parents
    from pg_catalog.pg_inherits
    group by inhrelid
) as i on i.inhrelid = c.oid
where c.relkind in ('r', 'p', 'v', 'm', 'f', 'c')
    and ${inScope(context, 'c.relnamespace')}
    and ${standsAlone(CATALOG.class, 'c.oid')}
    and (c.relkind <> 'c' or ${standsAlone(CATALOG.type, 'c.reltype')})`,
};

export const COLUMNS: KindQuery = {
  kind: 'column',
  catalog: CATALOG.class,
  sql: (context) => `
select
    a.attrelid as "oid",
    a.attrelid as "ofOid",
    a.attnum as "sub",
    pg_catalog.quote_ident(a.attname) as "own",
    a.attislocal as "isLocal",
    pg_catalog.format_type(a.atttypid, a.atttypmod) as "type",
    case when a.attcollation <> t.typcollation then ${qualified('cn.nspname', 'co.collname')} end as "collation",
    case when a.attnotnull then 'yes' end as "not null",
    case when a.attgenerated = '' then pg_catalog.pg_get_expr(d.adbin, d.adrelid) end as "default",
    case a.attgenerated
        when 's' then pg_catalog.concat('always as (', pg_catalog.pg_get_expr(d.adbin, d.adrelid), ') stored')
        when 'v' then pg_catalog.concat('always as (', pg_catalog.pg_get_expr(d.adbin, d.adrelid), ') virtual')
    end as "generated",
    case a.attidentity when 'a' then 'always' when 'd' then 'by default' end as "identity",
    case when a.attstorage <> t.typstorage
        then case a.attstorage when 'p' then 'plain' when 'e' then 'external' when 'm' then 'main' else 'extended' end
    end as "storage",
    case t.typstorage when 'p' then 'plain' when 'e' then 'external' when 'm' then 'main' else 'extended' end as "usualStorage",
    case a.attcompression when 'p' then 'pglz' when 'l' then 'lz4' end as "compression",
    case when a.attstattarget >= 0 then a.attstattarget::text end as "statistics",
    case when a.attoptions is not null then ${columnOptionsSql('a.attoptions')} end as "options",
    case when a.attfdwoptions is not null then ${foreignOptionsSql('a.attfdwoptions')} end as "foreign options"
from pg_catalog.pg_attribute as a
join pg_catalog.pg_class as c on c.oid = a.attrelid
join pg_catalog.pg_type as t on t.oid = a.atttypid
left join pg_catalog.pg_attrdef as d on d.adrelid = a.attrelid and d.adnum = a.attnum
left join pg_catalog.pg_collation as co on co.oid = a.attcollation and a.attcollation <> t.typcollation
left join pg_catalog.pg_namespace as cn on cn.oid = co.collnamespace
where a.attnum > 0
    and not a.attisdropped
    and c.relkind in ('r', 'p', 'v', 'm', 'f', 'c')
    and ${inScope(context, 'c.relnamespace')}
order by a.attrelid, a.attnum`,
};

/** Sequences of their own, and those behind identity columns. */
export const SEQUENCES: KindQuery = {
  catalog: CATALOG.class,
  sql: (context) => `
select
    c.oid,
    case when d.deptype = 'i' then 'identity' else 'sequence' end as "kind",
    ${qualified('n.nspname', 'c.relname')} as "name",
    pg_catalog.quote_ident(c.relname) as "own",
    c.relowner as "ownerOid",
    case when d.deptype = 'i' then d.refobjid end as "ofOid",
    case when d.deptype = 'i' then d.refobjsubid end as "ofSub",
    case
        -- that of an identity is made with its table, and since PostgreSQL 15 as its table is
        when d.deptype = 'i' and (c.relpersistence = r.relpersistence or ${context.version} < 150000) then null
        when c.relpersistence = 'u' then 'yes'
        when d.deptype = 'i' then 'no'
    end as "unlogged",
    case when s.seqtypid <> l.usual then pg_catalog.format_type(s.seqtypid, null) end as "type",
    case when s.seqincrement <> 1 then s.seqincrement::text end as "increment",
    case when l.says_all or s.seqmin <> case when s.seqincrement > 0 then 1 else l.least end then s.seqmin::text
    end as "minimum",
    case when l.says_all or s.seqmax <> case when s.seqincrement > 0 then l.greatest else -1 end then s.seqmax::text
    end as "maximum",
    case when l.says_all or s.seqstart <> case when s.seqincrement > 0 then s.seqmin else s.seqmax end
        then s.seqstart::text
    end as "start",
    case when s.seqcache <> 1 then s.seqcache::text end as "cache",
    case when s.seqcycle then 'yes' end as "cycle",
    case when d.deptype = 'a'
        then pg_catalog.concat(d.refobjid::pg_catalog.regclass, '.', pg_catalog.quote_ident(a.attname))
    end as "owned by",
    case when d.deptype = 'i' and c.relname <> r.relname || '_' || a.attname || '_seq'
        then ${qualified('n.nspname', 'c.relname')}
    end as "sequence name"
from pg_catalog.pg_class as c
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
join pg_catalog.pg_sequence as s on s.seqrelid = c.oid
left join pg_catalog.pg_depend as d
    on d.classid = ${CATALOG.class} and d.objid = c.oid and d.objsubid = 0
    and d.refclassid = ${CATALOG.class} and d.deptype in ('a', 'i')
left join pg_catalog.pg_class as r on r.oid = d.refobjid
left join pg_catalog.pg_attribute as a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
cross join lateral (
    select
        case when d.deptype = 'i' then a.atttypid else 'pg_catalog.int8'::pg_catalog.regtype end as usual,
        -- a copy of an identity (like ... including identity) is a bigint with the limits of its original
        coalesce(d.deptype = 'i' and s.seqtypid <> a.atttypid, false) as says_all,
        case s.seqtypid::integer when 21 then -32768 when 23 then -2147483648 else -9223372036854775808 end as least,
        case s.seqtypid::integer when 21 then 32767 when 23 then 2147483647 else 9223372036854775807 end as greatest
) as l
where ${inScope(context, 'c.relnamespace')}
    and ${standsAlone(CATALOG.class, 'c.oid')}`,
};

/**
 * Of tables and domains, inherited ones too: `inheritConstraints` leaves those that say nothing of
 * their own. A foreign key has a row for each partition that it refers to as well; those are parts of it.
 */
export const CONSTRAINTS: KindQuery = {
  kind: 'constraint',
  catalog: CATALOG.constraint,
  sql: (context) => `
select
    o.oid,
    case when o.conrelid <> 0 then o.conrelid else o.contypid end as "ofOid",
    case when o.conrelid = 0 then ${CATALOG.type} end as "ofCatalog",
    pg_catalog.quote_ident(o.conname) as "own",
    o.contype::text as "contype",
    o.connamespace as "schemaOid",
    o.conkey[1] as "column",
    case when o.conindid <> 0 and o.contype in ('p', 'u', 'x') then '${CATALOG.class}:' || o.conindid end as "aliases",
    o.conislocal as "isLocal",
    o.coninhcount > 0 or o.conparentid <> 0 as "isInherited",
    case when o.contype = 'f' and o.conparentid <> 0 then o.conparentid end as "parentOid",
    o.contype = 'n' and o.convalidated and not o.connoinherit
        and o.conname = pg_catalog.concat(coalesce(c.relname, t.typname), '_' || a.attname, '_not_null') as "isPlainNotNull",
    pg_catalog.pg_get_constraintdef(o.oid) as "definition",
    -- the definition of an exclusion constraint says them, that of a key does not
    case when o.contype in ('p', 'u') and xc.reloptions is not null then ${keyOptionsSql('xc.reloptions')} end as "index options",
    case when o.conparentid <> 0 and o.contype <> 'f' then ${qualified('pn.nspname', 'pi.relname')} end as "attached to",
    case when x.indisclustered then 'yes' end as "clustered",
    case when x.indisreplident then 'yes' end as "replica identity"
from pg_catalog.pg_constraint as o
left join pg_catalog.pg_class as c on c.oid = o.conrelid
left join pg_catalog.pg_type as t on t.oid = o.contypid
left join pg_catalog.pg_attribute as a on o.contype = 'n' and a.attrelid = o.conrelid and a.attnum = o.conkey[1]
left join pg_catalog.pg_index as x on x.indexrelid = o.conindid and o.contype in ('p', 'u', 'x')
left join pg_catalog.pg_class as xc on xc.oid = x.indexrelid
left join pg_catalog.pg_constraint as p on p.oid = o.conparentid
left join pg_catalog.pg_class as pi on pi.oid = p.conindid
left join pg_catalog.pg_namespace as pn on pn.oid = pi.relnamespace
where ${inScope(context, 'o.connamespace')}
    and o.contype in ('c', 'f', 'p', 'u', 'x', 'n')
    and (o.contype <> 'f' or o.conparentid = 0 or p.conrelid <> o.conrelid)`,
};

/** Those that belong to no constraint. */
export const INDEXES: KindQuery = {
  kind: 'index',
  catalog: CATALOG.class,
  sql: (context) => `
select
    i.indexrelid as "oid",
    i.indrelid as "ofOid",
    ${qualified('n.nspname', 'c.relname')} as "name",
    pg_catalog.quote_ident(c.relname) as "own",
    pg_catalog.pg_get_indexdef(i.indexrelid) as "definition",
    case when not i.indisvalid and c.relkind = 'i' then 'yes' end as "invalid",
    case when i.indisclustered then 'yes' end as "clustered",
    case when i.indisreplident then 'yes' end as "replica identity",
    case when h.inhparent is not null then h.inhparent::pg_catalog.regclass::text end as "attached to",
    case when i.indexprs is not null then (
        select pg_catalog.string_agg(pg_catalog.concat(a.attnum, ' ', a.attstattarget), ', ' order by a.attnum)
        from pg_catalog.pg_attribute as a
        where a.attrelid = i.indexrelid and a.attstattarget >= 0
    ) end as "statistics"
from pg_catalog.pg_index as i
join pg_catalog.pg_class as c on c.oid = i.indexrelid
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
left join pg_catalog.pg_inherits as h on h.inhrelid = i.indexrelid
where ${inScope(context, 'c.relnamespace')}
    and not exists (
        select
        from pg_catalog.pg_constraint as o
        where o.conindid = i.indexrelid and o.contype in ('p', 'u', 'x')
    )
    and ${standsAlone(CATALOG.class, 'i.indrelid')}`,
};

const ENABLED = (column: string) =>
  `case ${column} when 'D' then 'disabled' when 'R' then 'replica' when 'A' then 'always' end`;

/**
 * A trigger that a partition has from its table only where it is switched differently: what switches
 * the table's switches all that come from it.
 */
export const TRIGGERS: KindQuery = {
  kind: 'trigger',
  catalog: CATALOG.trigger,
  sql: (context) => `
select
    t.oid,
    t.tgrelid as "ofOid",
    pg_catalog.quote_ident(t.tgname) as "own",
    case when t.tgparentid = 0 then pg_catalog.pg_get_triggerdef(t.oid) end as "definition",
    case when t.tgparentid <> 0 and t.tgenabled = 'O' then 'origin' else ${ENABLED('t.tgenabled')} end as "enabled"
from pg_catalog.pg_trigger as t
join pg_catalog.pg_class as c on c.oid = t.tgrelid
left join pg_catalog.pg_trigger as p on p.oid = t.tgparentid
where (
        t.tgparentid = 0 and not t.tgisinternal
        or t.tgenabled <> p.tgenabled and not exists (
            select
            from pg_catalog.pg_constraint as o
            where o.oid = t.tgconstraint and o.contype <> 't'
        )
    )
    and ${inScope(context, 'c.relnamespace')}
    and ${standsAlone(CATALOG.class, 'c.oid')}`,
};

export const RULES: KindQuery = {
  kind: 'rule',
  catalog: CATALOG.rewrite,
  sql: (context) => `
select
    r.oid,
    r.ev_class as "ofOid",
    pg_catalog.quote_ident(r.rulename) as "own",
    pg_catalog.rtrim(pg_catalog.pg_get_ruledef(r.oid), ';') as "definition",
    ${ENABLED('r.ev_enabled')} as "enabled"
from pg_catalog.pg_rewrite as r
join pg_catalog.pg_class as c on c.oid = r.ev_class
where r.rulename <> '_RETURN'
    and ${inScope(context, 'c.relnamespace')}
    and ${standsAlone(CATALOG.class, 'c.oid')}`,
};

export const POLICIES: KindQuery = {
  kind: 'policy',
  catalog: CATALOG.policy,
  sql: (context) => `
select
    p.oid,
    p.polrelid as "ofOid",
    pg_catalog.quote_ident(p.polname) as "own",
    case when p.polpermissive then null else 'restrictive' end as "kind of policy",
    case p.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete' end as "for",
    (
        select pg_catalog.string_agg(pg_catalog.quote_ident(r.rolname), ', ' order by r.rolname)
        from pg_catalog.pg_roles as r
        where r.oid = any (p.polroles)
    ) as "to",
    pg_catalog.pg_get_expr(p.polqual, p.polrelid) as "using",
    pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid) as "check"
from pg_catalog.pg_policy as p
join pg_catalog.pg_class as c on c.oid = p.polrelid
where ${inScope(context, 'c.relnamespace')}
    and ${standsAlone(CATALOG.class, 'c.oid')}`,
};

export const STATISTICS: KindQuery = {
  kind: 'statistics',
  catalog: CATALOG.statisticExt,
  sql: (context) => `
select
    s.oid,
    ${qualified('n.nspname', 's.stxname')} as "name",
    pg_catalog.quote_ident(s.stxname) as "own",
    s.stxowner as "ownerOid",
    pg_catalog.pg_get_statisticsobjdef(s.oid) as "definition",
    case when s.stxstattarget >= 0 then s.stxstattarget::text end as "statistics"
from pg_catalog.pg_statistic_ext as s
join pg_catalog.pg_namespace as n on n.oid = s.stxnamespace
where ${inScope(context, 's.stxnamespace')}`,
};

/**
 * What `alter table … alter column … set (…)` documents. A server may keep values of its own in the
 * same place: nobody set those, and no statement can set them.
 */
const COLUMN_OPTIONS = ['n_distinct', 'n_distinct_inherited'];

/** What PostgreSQL 14 to 18 document for the indexes that can stand behind a key. */
const KEY_OPTIONS = ['fillfactor', 'deduplicate_items', 'buffering'];

/** What PostgreSQL 14 to 18 document for tables, materialized views, their TOAST tables, and views. */
const RELATION_OPTIONS = [
  ...['fillfactor', 'toast_tuple_target', 'parallel_workers', 'user_catalog_table'],
  ...['vacuum_index_cleanup', 'vacuum_truncate', 'vacuum_max_eager_freeze_failure_rate'],
  ...['log_autovacuum_min_duration', 'autovacuum_enabled'],
  ...['autovacuum_vacuum_threshold', 'autovacuum_vacuum_max_threshold'],
  ...['autovacuum_vacuum_scale_factor', 'autovacuum_vacuum_insert_threshold'],
  ...['autovacuum_vacuum_insert_scale_factor', 'autovacuum_analyze_threshold'],
  ...['autovacuum_analyze_scale_factor', 'autovacuum_vacuum_cost_delay'],
  ...['autovacuum_vacuum_cost_limit', 'autovacuum_freeze_min_age'],
  ...['autovacuum_freeze_max_age', 'autovacuum_freeze_table_age'],
  ...['autovacuum_multixact_freeze_min_age', 'autovacuum_multixact_freeze_max_age'],
  ...['autovacuum_multixact_freeze_table_age'],
  ...['security_barrier', 'security_invoker', 'check_option'],
];

const NAME = `pg_catalog.split_part(o, '=', 1)`;
const list = (names: string[]) => names.map(quoteLiteral).join(', ');

/** Options as `name='value', …`, null where there are none. */
function optionsSql(column: string, condition: string, prefix = ''): string {
  return `(select pg_catalog.string_agg(pg_catalog.concat('${prefix}', pg_catalog.quote_ident(${NAME}), '=', pg_catalog.quote_literal(pg_catalog.substr(o, pg_catalog.strpos(o, '=') + 1))), ', ' order by o) from pg_catalog.unnest(${column}) as o where ${condition})`;
}

/** The options of a column that a user can set. */
function columnOptionsSql(column: string): string {
  return optionsSql(column, `${NAME} in (${list(COLUMN_OPTIONS)})`);
}

/** The options of the index behind a primary key or unique constraint. */
function keyOptionsSql(column: string): string {
  return optionsSql(column, `${NAME} in (${list(KEY_OPTIONS)})`);
}

/**
 * The options of a relation that a user can set. An access method that is not PostgreSQL's own has
 * options of its own, all of them a user's.
 */
function relationOptionsSql(column: string, isOwnMethod: string, prefix = ''): string {
  return optionsSql(column, `${isOwnMethod} or ${NAME} in (${list(RELATION_OPTIONS)})`, prefix);
}

/** Names of what stands there and is none of those, so that it is told. */
function unknownOptionsSql(columns: string[], isOwnMethod: string): string {
  const all = columns.map((column) => `coalesce(${column}, '{}')`).join(' || ');
  return `(select pg_catalog.string_agg(distinct ${NAME}, ', ' order by ${NAME}) from pg_catalog.unnest(${all}) as o where not (${isOwnMethod} or ${NAME} in (${list(RELATION_OPTIONS)})))`;
}
