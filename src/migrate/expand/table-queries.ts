/*
 * What the catalogs know of a table, by its oid. Definitions come with the schema in front of every name, as
 * they are asked for with an empty search path.
 */

export function columnsSql(oid: string): string {
  return `
select a.attname::text as "name",
    pg_catalog.quote_ident(a.attname) as "sql",
    pg_catalog.format_type(a.atttypid, a.atttypmod) as "type",
    case when a.attcollation <> t.typcollation
        then pg_catalog.format('%I.%I', cn.nspname, co.collname)
    end as "collation",
    a.attnotnull as "isNotNull",
    pg_catalog.pg_get_expr(d.adbin, d.adrelid) as "default",
    a.attgenerated <> '' as "generated",
    case a.attidentity when 'a' then 'always' when 'd' then 'by default' end as "identity",
    pg_catalog.col_description(a.attrelid, a.attnum) as "comment",
    case when s.seqrelid is not null then pg_catalog.format('%I.%I', sn.nspname, sc.relname) end as "sequence",
    pg_catalog.format_type(s.seqtypid, null) as "sequenceType",
    pg_catalog.concat_ws(' ',
        case when s.seqincrement <> 1 then 'increment by ' || s.seqincrement end,
        case when s.seqmin <> case when s.seqincrement > 0 then 1 else -l.top - 1 end
            then 'minvalue ' || s.seqmin end,
        case when s.seqmax <> case when s.seqincrement > 0 then l.top else -1 end
            then 'maxvalue ' || s.seqmax end,
        case when s.seqstart <> case when s.seqincrement > 0 then s.seqmin else s.seqmax end
            then 'start with ' || s.seqstart end,
        case when s.seqcache <> 1 then 'cache ' || s.seqcache end,
        case when s.seqcycle then 'cycle' end
    ) as "sequenceOptions",
    (
        select pg_catalog.json_agg(pg_catalog.concat(
            'grant ', pg_catalog.lower(g.privilege_type), ' ($) on @ to ',
            case when g.grantee = 0 then 'public' else pg_catalog.quote_ident(r.rolname) end,
            case when g.is_grantable then ' with grant option' end
        ) order by r.rolname, g.privilege_type)::text
        from pg_catalog.aclexplode(a.attacl) as g
        left join pg_catalog.pg_roles as r on r.oid = g.grantee
    ) as "grants",
    pg_catalog.json_build_array(
        case when a.attstattarget >= 0 then 'set statistics ' || a.attstattarget end,
        case when a.attstorage <> t.typstorage then 'set storage ' ||
            case a.attstorage when 'p' then 'plain' when 'e' then 'external' when 'm' then 'main' else 'extended' end
        end,
        case a.attcompression when 'p' then 'set compression pglz' when 'l' then 'set compression lz4' end,
        case when a.attoptions is not null
            then 'set (' || pg_catalog.array_to_string(a.attoptions, ', ') || ')'
        end
    )::text as "settings"
from pg_catalog.pg_attribute as a
join pg_catalog.pg_type as t on t.oid = a.atttypid
left join pg_catalog.pg_attrdef as d on d.adrelid = a.attrelid and d.adnum = a.attnum
left join pg_catalog.pg_collation as co on co.oid = a.attcollation
left join pg_catalog.pg_namespace as cn on cn.oid = co.collnamespace
left join pg_catalog.pg_depend as p
    on p.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and p.refobjid = a.attrelid
    and p.refobjsubid = a.attnum and p.classid = p.refclassid and p.deptype in ('a', 'i')
    and exists (select from pg_catalog.pg_sequence where seqrelid = p.objid)
left join pg_catalog.pg_sequence as s on s.seqrelid = p.objid
cross join lateral (
    select case pg_catalog.format_type(s.seqtypid, null)
        when 'smallint' then 32767 when 'integer' then 2147483647 else 9223372036854775807 end as top
) as l
left join pg_catalog.pg_class as sc on sc.oid = s.seqrelid
left join pg_catalog.pg_namespace as sn on sn.oid = sc.relnamespace
where a.attrelid = ${oid} and a.attnum > 0 and not a.attisdropped
order by a.attnum`;
}

const NAMES_OF = (numbers: string, relation: string) => `(
        select pg_catalog.json_agg(a.attname order by k.place)::text
        from pg_catalog.unnest(${numbers}) with ordinality as k(number, place)
        join pg_catalog.pg_attribute as a on a.attrelid = ${relation} and a.attnum = k.number
    )`;

export function constraintsSql(oid: string): string {
  return `
select o.conname::text as "name",
    pg_catalog.quote_ident(o.conname) as "sql",
    o.contype::text as "kind",
    pg_catalog.pg_get_constraintdef(o.oid) as "definition",
    ${NAMES_OF('o.conkey', 'o.conrelid')} as "columns",
    o.convalidated as "isValidated",
    pg_catalog.obj_description(o.oid, 'pg_constraint') as "comment"
from pg_catalog.pg_constraint as o
where o.conrelid = ${oid} and o.contype in ('p', 'u', 'c', 'f', 'x', 'n') and o.conparentid = 0
order by o.conname`;
}

export function indexesSql(oid: string): string {
  return `
select c.relname::text as "name",
    pg_catalog.quote_ident(c.relname) as "sql",
    pg_catalog.pg_get_indexdef(i.indexrelid) as "definition",
    (
        select pg_catalog.json_agg(distinct a.attname)::text
        from pg_catalog.pg_attribute as a
        where a.attrelid = i.indrelid and a.attnum > 0 and (
            a.attnum = any (i.indkey::int2[])
            or exists (
                select from pg_catalog.pg_depend as d
                where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = i.indexrelid
                    and d.refclassid = d.classid and d.refobjid = i.indrelid and d.refobjsubid = a.attnum
            )
        )
    ) as "columns",
    i.indisunique as "isUnique",
    i.indisreplident as "isReplicaIdentity",
    o.conname::text as "constraint",
    pg_catalog.obj_description(i.indexrelid, 'pg_class') as "comment"
from pg_catalog.pg_index as i
join pg_catalog.pg_class as c on c.oid = i.indexrelid
left join pg_catalog.pg_constraint as o
    on o.conindid = i.indexrelid and o.conrelid = i.indrelid and o.contype in ('p', 'u', 'x')
where i.indrelid = ${oid} and i.indisvalid
order by c.relname`;
}

export function incomingSql(oid: string): string {
  return `
select o.conname::text as "name",
    pg_catalog.quote_ident(o.conname) as "sql",
    o.convalidated as "isValidated",
    pg_catalog.format('%I.%I', n.nspname, c.relname) as "table",
    pg_catalog.pg_get_constraintdef(o.oid) as "definition",
    ${NAMES_OF('o.confkey', 'o.confrelid')} as "referencedColumns",
    pg_catalog.obj_description(o.oid, 'pg_constraint') as "comment"
from pg_catalog.pg_constraint as o
join pg_catalog.pg_class as c on c.oid = o.conrelid
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where o.confrelid = ${oid} and o.contype = 'f' and o.conparentid = 0
order by 2, 1`;
}

/** All that depends on columns of the table and is neither an index, a constraint nor the column's own. */
export function usersSql(oid: string): string {
  const catalog = (name: string) => `'pg_catalog.${name}'::pg_catalog.regclass`;
  return `
select distinct a.attname::text as "column", coalesce(
    case
        when d.classid = ${catalog('pg_rewrite')} and r.rulename = '_RETURN' then (
            select pg_catalog.format('%s %I.%I', case v.relkind when 'm' then 'materialized view' else 'view' end, n.nspname, v.relname)
            from pg_catalog.pg_class as v
            join pg_catalog.pg_namespace as n on n.oid = v.relnamespace
            where v.oid = r.ev_class
        )
        when d.classid = ${catalog('pg_rewrite')} then pg_catalog.format('rule %I', r.rulename)
        when d.classid = ${catalog('pg_trigger')} then (select pg_catalog.format('trigger %I', t.tgname) from pg_catalog.pg_trigger as t where t.oid = d.objid)
        when d.classid = ${catalog('pg_policy')} then (select pg_catalog.format('policy %I', p.polname) from pg_catalog.pg_policy as p where p.oid = d.objid)
        when d.classid = ${catalog('pg_attrdef')} then (select pg_catalog.format('generated column %I', g.attname) from pg_catalog.pg_attrdef as e join pg_catalog.pg_attribute as g on g.attrelid = e.adrelid and g.attnum = e.adnum where e.oid = d.objid)
        when d.classid = ${catalog('pg_class')} then (select pg_catalog.format('generated column %I', g.attname) from pg_catalog.pg_attribute as g where g.attrelid = d.objid and g.attnum = d.objsubid)
        when d.classid = ${catalog('pg_statistic_ext')} then (select pg_catalog.format('statistics %I', e.stxname) from pg_catalog.pg_statistic_ext as e where e.oid = d.objid)
        when d.classid = ${catalog('pg_proc')} then (select pg_catalog.format('function %I.%I', n.nspname, p.proname) from pg_catalog.pg_proc as p join pg_catalog.pg_namespace as n on n.oid = p.pronamespace where p.oid = d.objid)
        when d.classid = ${catalog('pg_publication_rel')} then (select pg_catalog.format('publication %I', p.pubname) from pg_catalog.pg_publication_rel as e join pg_catalog.pg_publication as p on p.oid = e.prpubid where e.oid = d.objid)
    end,
    pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid)
) as "what"
from pg_catalog.pg_depend as d
join pg_catalog.pg_attribute as a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
left join pg_catalog.pg_rewrite as r on d.classid = ${catalog('pg_rewrite')} and r.oid = d.objid
left join pg_catalog.pg_attrdef as own on d.classid = ${catalog('pg_attrdef')} and own.oid = d.objid
where d.refclassid = ${catalog('pg_class')} and d.refobjid = ${oid} and d.refobjsubid > 0
    and d.classid <> ${catalog('pg_constraint')}
    -- until 14 a generated column itself depends on the others, from 15 on its expression
    and (d.classid <> ${catalog('pg_class')} or d.objid = d.refobjid and d.objsubid > 0)
    and (own.oid is null or own.adnum <> a.attnum)
order by 1, 2`;
}

/** PostgreSQL does not know what the text of a function uses, so its words have to do. */
export function mentionsSql(oid: string): string {
  return `
select a.attname::text as "column", pg_catalog.format('function %I.%I', n.nspname, p.proname) as "what"
from pg_catalog.pg_attribute as a
join pg_catalog.pg_class as c on c.oid = a.attrelid
join pg_catalog.pg_proc as p on p.prosrc ~* pg_catalog.concat('\\m', pg_catalog.regexp_replace(a.attname, '(\\W)', '\\\\\\1', 'g'), '\\M')
join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
join pg_catalog.pg_language as l on l.oid = p.prolang
where a.attrelid = ${oid} and a.attnum > 0 and not a.attisdropped
    and l.lanname not in ('internal', 'c')
    and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    and (
        p.prosrc ~* pg_catalog.concat('\\m', pg_catalog.regexp_replace(c.relname, '(\\W)', '\\\\\\1', 'g'), '\\M')
        or exists (select from pg_catalog.pg_trigger as t where t.tgrelid = c.oid and t.tgfoid = p.oid)
    )
order by 1, 2`;
}
