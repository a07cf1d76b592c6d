import { CATALOG } from '../catalogs.ts';
import { foreignOptionsSql, inScope, qualified, standsAlone } from '../scope.ts';
import type { KindQuery } from './kind-query.ts';
import { columnOptionsSql, relationOptionsSql, unknownOptionsSql } from './options.ts';

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
    case when c.relpersistence = 'u' and coalesce(r.relpersistence, 'p') <> 'u' then 'yes' end as "unlogged",
    case when d.deptype = 'i' or s.seqtypid = 'pg_catalog.int8'::pg_catalog.regtype then null
        else pg_catalog.format_type(s.seqtypid, null)
    end as "type",
    case when s.seqincrement <> 1 then s.seqincrement::text end as "increment",
    case when s.seqmin <> case when s.seqincrement > 0 then 1 else l.least end then s.seqmin::text end as "minimum",
    case when s.seqmax <> case when s.seqincrement > 0 then l.greatest else -1 end then s.seqmax::text end as "maximum",
    case when s.seqstart <> case when s.seqincrement > 0 then s.seqmin else s.seqmax end then s.seqstart::text end as "start",
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
cross join lateral (
    select
        case s.seqtypid::integer when 21 then -32768 when 23 then -2147483648 else -9223372036854775808 end as least,
        case s.seqtypid::integer when 21 then 32767 when 23 then 2147483647 else 9223372036854775807 end as greatest
) as l
left join pg_catalog.pg_depend as d
    on d.classid = ${CATALOG.class} and d.objid = c.oid and d.objsubid = 0
    and d.refclassid = ${CATALOG.class} and d.deptype in ('a', 'i')
left join pg_catalog.pg_class as r on r.oid = d.refobjid
left join pg_catalog.pg_attribute as a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
where ${inScope(context, 'c.relnamespace')}
    and ${standsAlone(CATALOG.class, 'c.oid')}`,
};
