import { CATALOG } from '../catalogs.ts';
import { inScope, qualified, standsAlone } from '../scope.ts';
import type { KindQuery } from './kind-query.ts';

const COLUMNS = `
    t.oid,
    ${qualified('n.nspname', 't.typname')} as "name",
    pg_catalog.quote_ident(t.typname) as "own",
    t.typowner as "ownerOid"`;
const FROM = `
from pg_catalog.pg_type as t
join pg_catalog.pg_namespace as n on n.oid = t.typnamespace`;

export const ENUMS: KindQuery = {
  kind: 'enum',
  catalog: CATALOG.type,
  sql: (context) => `
select ${COLUMNS},
    coalesce((
        select pg_catalog.string_agg(pg_catalog.quote_literal(e.enumlabel), ', ' order by e.enumsortorder)
        from pg_catalog.pg_enum as e
        where e.enumtypid = t.oid
    ), '') as "labels"
${FROM}
where t.typtype = 'e' and ${inScope(context, 't.typnamespace')} and ${standsAlone(CATALOG.type, 't.oid')}`,
};

export const DOMAINS: KindQuery = {
  kind: 'domain',
  catalog: CATALOG.type,
  sql: (context) => `
select ${COLUMNS},
    pg_catalog.format_type(t.typbasetype, t.typtypmod) as "type",
    case when t.typcollation <> b.typcollation then ${qualified('cn.nspname', 'co.collname')} end as "collation",
    coalesce(pg_catalog.pg_get_expr(t.typdefaultbin, 0), t.typdefault) as "default",
    case when t.typnotnull then 'yes' end as "not null"
${FROM}
join pg_catalog.pg_type as b on b.oid = t.typbasetype
left join pg_catalog.pg_collation as co on co.oid = t.typcollation and t.typcollation <> b.typcollation
left join pg_catalog.pg_namespace as cn on cn.oid = co.collnamespace
where t.typtype = 'd' and ${inScope(context, 't.typnamespace')} and ${standsAlone(CATALOG.type, 't.oid')}`,
};

export const RANGES: KindQuery = {
  kind: 'range',
  catalog: CATALOG.type,
  sql: (context) => `
select ${COLUMNS},
    '${CATALOG.type}:' || r.rngmultitypid as "aliases",
    pg_catalog.concat_ws(', ',
        'subtype = ' || pg_catalog.format_type(r.rngsubtype, null),
        case when not oc.opcdefault then 'subtype_opclass = ' || ${qualified('ocn.nspname', 'oc.opcname')} end,
        case when r.rngcollation <> st.typcollation then 'collation = ' || ${qualified('cn.nspname', 'co.collname')} end,
        case when r.rngcanonical <> 0 then 'canonical = ' || r.rngcanonical::pg_catalog.regproc::text end,
        case when r.rngsubdiff <> 0 then 'subtype_diff = ' || r.rngsubdiff::pg_catalog.regproc::text end,
        'multirange_type_name = ' || ${qualified('mn.nspname', 'm.typname')}
    ) as "definition"
${FROM}
join pg_catalog.pg_range as r on r.rngtypid = t.oid
join pg_catalog.pg_type as st on st.oid = r.rngsubtype
join pg_catalog.pg_type as m on m.oid = r.rngmultitypid
join pg_catalog.pg_namespace as mn on mn.oid = m.typnamespace
join pg_catalog.pg_opclass as oc on oc.oid = r.rngsubopc
join pg_catalog.pg_namespace as ocn on ocn.oid = oc.opcnamespace
left join pg_catalog.pg_collation as co on co.oid = r.rngcollation and r.rngcollation <> st.typcollation
left join pg_catalog.pg_namespace as cn on cn.oid = co.collnamespace
where ${inScope(context, 't.typnamespace')} and ${standsAlone(CATALOG.type, 't.oid')}`,
};

const optionalProc = (name: string, column: string) =>
  `case when t.${column} <> 0 then '${name} = ' || t.${column}::pg_catalog.regproc::text end`;

/** Base types, and shells that were never filled. */
export const BASE_TYPES: KindQuery = {
  kind: 'base type',
  catalog: CATALOG.type,
  sql: (context) => `
select ${COLUMNS},
    case when t.typisdefined then pg_catalog.concat_ws(', ',
        'input = ' || t.typinput::pg_catalog.regproc::text,
        'output = ' || t.typoutput::pg_catalog.regproc::text,
        ${optionalProc('receive', 'typreceive')},
        ${optionalProc('send', 'typsend')},
        ${optionalProc('typmod_in', 'typmodin')},
        ${optionalProc('typmod_out', 'typmodout')},
        ${optionalProc('analyze', 'typanalyze')},
        ${optionalProc('subscript', 'typsubscript')},
        'internallength = ' || case when t.typlen < 0 then 'variable' else t.typlen::text end,
        case when t.typbyval then 'passedbyvalue' end,
        'alignment = ' || case t.typalign when 'c' then 'char' when 's' then 'int2' when 'i' then 'int4' else 'double' end,
        'storage = ' || case t.typstorage when 'p' then 'plain' when 'e' then 'external' when 'm' then 'main' else 'extended' end,
        case when t.typcategory <> 'U' then 'category = ' || pg_catalog.quote_literal(t.typcategory::text) end,
        case when t.typispreferred then 'preferred = true' end,
        'default = ' || pg_catalog.quote_literal(t.typdefault),
        case when t.typelem <> 0 then 'element = ' || pg_catalog.format_type(t.typelem, null) end,
        case when t.typdelim <> ',' then 'delimiter = ' || pg_catalog.quote_literal(t.typdelim::text) end,
        case when t.typcollation <> 0 then 'collatable = true' end
    ) end as "definition"
${FROM}
where (t.typtype = 'b' or not t.typisdefined)
    and not exists (select from pg_catalog.pg_type as e where e.typarray = t.oid)
    and ${inScope(context, 't.typnamespace')}
    and ${standsAlone(CATALOG.type, 't.oid')}`,
};

export const COLLATIONS: KindQuery = {
  kind: 'collation',
  catalog: CATALOG.collation,
  sql: (context) => `
select
    o.oid,
    ${qualified('n.nspname', 'o.collname')} as "name",
    pg_catalog.quote_ident(o.collname) as "own",
    o.collowner as "ownerOid",
    pg_catalog.concat_ws(', ',
        'provider = ' || case o.collprovider when 'i' then 'icu' when 'b' then 'builtin' else 'libc' end,
        ${localeSql(context.version)},
        case when not o.collisdeterministic then 'deterministic = false' end
        ${context.version >= 160000 ? ", 'rules = ' || pg_catalog.quote_literal(o.collicurules)" : ''}
    ) as "definition"
from pg_catalog.pg_collation as o
join pg_catalog.pg_namespace as n on n.oid = o.collnamespace
where ${inScope(context, 'o.collnamespace')} and ${standsAlone(CATALOG.collation, 'o.oid')}`,
};

/** ICU's locale stood in `collcollate` first, then in a column of its own, which was renamed. */
function localeSql(version: number): string {
  const named =
    version >= 170000 ? 'o.colllocale' : version >= 150000 ? 'o.colliculocale' : 'null::text';
  return `case
            when ${named} is not null then 'locale = ' || pg_catalog.quote_literal(${named})
            when o.collcollate = o.collctype then 'locale = ' || pg_catalog.quote_literal(o.collcollate)
            else pg_catalog.concat('lc_collate = ', pg_catalog.quote_literal(o.collcollate), ', lc_ctype = ', pg_catalog.quote_literal(o.collctype))
        end`;
}
