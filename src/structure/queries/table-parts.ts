import { CATALOG } from '../catalogs.ts';
import { inScope, qualified, standsAlone } from '../scope.ts';
import type { KindQuery } from './kind-query.ts';

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
    o.conkey[1] as "column",
    case when o.conindid <> 0 and o.contype in ('p', 'u', 'x') then '${CATALOG.class}:' || o.conindid end as "aliases",
    o.conislocal as "isLocal",
    o.coninhcount > 0 or o.conparentid <> 0 as "isInherited",
    case when o.contype = 'f' and o.conparentid <> 0 then o.conparentid end as "parentOid",
    o.contype = 'n' and o.convalidated and not o.connoinherit
        and o.conname = pg_catalog.concat(coalesce(c.relname, t.typname), '_' || a.attname, '_not_null') as "isPlainNotNull",
    pg_catalog.pg_get_constraintdef(o.oid) as "definition",
    case when o.conparentid <> 0 and o.contype <> 'f' then ${qualified('pn.nspname', 'pi.relname')} end as "attached to",
    case when x.indisclustered then 'yes' end as "clustered",
    case when x.indisreplident then 'yes' end as "replica identity"
from pg_catalog.pg_constraint as o
left join pg_catalog.pg_class as c on c.oid = o.conrelid
left join pg_catalog.pg_type as t on t.oid = o.contypid
left join pg_catalog.pg_attribute as a on o.contype = 'n' and a.attrelid = o.conrelid and a.attnum = o.conkey[1]
left join pg_catalog.pg_index as x on x.indexrelid = o.conindid and o.contype in ('p', 'u', 'x')
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
