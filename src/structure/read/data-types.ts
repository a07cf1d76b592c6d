import { inScope, qualified, standsAlone } from '../structure.ts';
import { CATALOG, type KindQuery } from './catalogs.ts';

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

/** `public.===(integer,integer)`, as `comment on operator` and others want it. */
const OPERATOR_NAME = `pg_catalog.concat(pg_catalog.quote_ident(n.nspname), '.', o.oprname, ' (', case when o.oprleft = 0 then 'none' else pg_catalog.format_type(o.oprleft, null) end, ', ', case when o.oprright = 0 then 'none' else pg_catalog.format_type(o.oprright, null) end, ')')`;

const otherOperator = (name: string, alias: string) =>
  `case when ${alias}.oid is not null then pg_catalog.concat('${name} = operator(', pg_catalog.quote_ident(${alias}n.nspname), '.', ${alias}.oprname, ')') end`;

export const OPERATORS: KindQuery = {
  kind: 'operator',
  catalog: CATALOG.operator,
  sql: (context) => `
select
    o.oid,
    ${OPERATOR_NAME} as "name",
    pg_catalog.concat(pg_catalog.quote_ident(n.nspname), '.', o.oprname) as "own",
    o.oprowner as "ownerOid",
    pg_catalog.concat_ws(', ',
        'function = ' || o.oprcode::pg_catalog.regproc::text,
        case when o.oprleft <> 0 then 'leftarg = ' || pg_catalog.format_type(o.oprleft, null) end,
        case when o.oprright <> 0 then 'rightarg = ' || pg_catalog.format_type(o.oprright, null) end,
        ${otherOperator('commutator', 'co')},
        ${otherOperator('negator', 'ne')},
        case when o.oprrest <> 0 then 'restrict = ' || o.oprrest::pg_catalog.regproc::text end,
        case when o.oprjoin <> 0 then 'join = ' || o.oprjoin::pg_catalog.regproc::text end,
        case when o.oprcanhash then 'hashes' end,
        case when o.oprcanmerge then 'merges' end
    ) as "definition"
from pg_catalog.pg_operator as o
join pg_catalog.pg_namespace as n on n.oid = o.oprnamespace
left join pg_catalog.pg_operator as co on co.oid = o.oprcom
left join pg_catalog.pg_namespace as con on con.oid = co.oprnamespace
left join pg_catalog.pg_operator as ne on ne.oid = o.oprnegate
left join pg_catalog.pg_namespace as nen on nen.oid = ne.oprnamespace
where o.oprcode <> 0
    and ${inScope(context, 'o.oprnamespace')}
    and ${standsAlone(CATALOG.operator, 'o.oid')}`,
};

const METHOD = `' using ' || pg_catalog.quote_ident(m.amname)`;

/** The operators and functions that belong to a family, and those only that belong to a class. */
function membersSql(owner: { catalog: number; oid: string }, separator: string): string {
  const belongs = (catalog: number, oid: string) => `exists (
            select
            from pg_catalog.pg_depend as d
            where d.classid = ${catalog} and d.objid = ${oid} and d.refclassid = ${owner.catalog} and d.refobjid = ${owner.oid}
        )`;
  return `(
        select pg_catalog.string_agg(member, ${separator} order by rank, number, member)
        from (
            select 1, a.amopstrategy, pg_catalog.concat(
                'operator ', a.amopstrategy, ' ', pg_catalog.quote_ident(an.nspname), '.', ao.oprname,
                ' (', pg_catalog.format_type(a.amoplefttype, null), ', ', pg_catalog.format_type(a.amoprighttype, null), ')',
                case when a.amoppurpose = 'o' then pg_catalog.concat(' for order by ', ${qualified('fn.nspname', 'af.opfname')}) end
            )
            from pg_catalog.pg_amop as a
            join pg_catalog.pg_operator as ao on ao.oid = a.amopopr
            join pg_catalog.pg_namespace as an on an.oid = ao.oprnamespace
            left join pg_catalog.pg_opfamily as af on af.oid = a.amopsortfamily
            left join pg_catalog.pg_namespace as fn on fn.oid = af.opfnamespace
            where ${belongs(CATALOG.amop, 'a.oid')}
            union all
            select 2, p.amprocnum, pg_catalog.concat(
                'function ', p.amprocnum,
                ' (', pg_catalog.format_type(p.amproclefttype, null), ', ', pg_catalog.format_type(p.amprocrighttype, null), ') ',
                p.amproc::pg_catalog.regprocedure::text
            )
            from pg_catalog.pg_amproc as p
            where ${belongs(CATALOG.amproc, 'p.oid')}
        ) as members (rank, number, member)
    )`;
}

export const OPERATOR_FAMILIES: KindQuery = {
  kind: 'operator family',
  catalog: CATALOG.opfamily,
  sql: (context) => `
select
    f.oid,
    pg_catalog.concat(${qualified('n.nspname', 'f.opfname')}, ${METHOD}) as "name",
    pg_catalog.concat(pg_catalog.quote_ident(f.opfname), ${METHOD}) as "own",
    f.opfowner as "ownerOid",
    ${membersSql({ catalog: CATALOG.opfamily, oid: 'f.oid' }, "E',\\n    '")} as "members"
from pg_catalog.pg_opfamily as f
join pg_catalog.pg_namespace as n on n.oid = f.opfnamespace
join pg_catalog.pg_am as m on m.oid = f.opfmethod
where ${inScope(context, 'f.opfnamespace')} and ${standsAlone(CATALOG.opfamily, 'f.oid')}`,
};

export const OPERATOR_CLASSES: KindQuery = {
  kind: 'operator class',
  catalog: CATALOG.opclass,
  sql: (context) => `
select
    c.oid,
    pg_catalog.concat(${qualified('n.nspname', 'c.opcname')}, ${METHOD}) as "name",
    pg_catalog.concat(pg_catalog.quote_ident(c.opcname), ${METHOD}) as "own",
    c.opcowner as "ownerOid",
    (
        select pg_catalog.string_agg(pg_catalog.concat(d.classid, ':', d.objid), ' ')
        from pg_catalog.pg_depend as d
        where d.refclassid = ${CATALOG.opclass} and d.refobjid = c.oid and d.classid in (${CATALOG.amop}, ${CATALOG.amproc})
    ) as "aliases",
    case when c.opcdefault then 'yes' end as "default",
    pg_catalog.format_type(c.opcintype, null) as "type",
    pg_catalog.quote_ident(m.amname) as "using",
    ${qualified('fn.nspname', 'f.opfname')} as "family",
    coalesce(
        nullif(pg_catalog.concat_ws(E',\\n    ',
            ${membersSql({ catalog: CATALOG.opclass, oid: 'c.oid' }, "E',\\n    '")},
            case when c.opckeytype <> 0 then 'storage ' || pg_catalog.format_type(c.opckeytype, null) end
        ), ''),
        -- all of them are its family's, but the grammar wants something to be said
        'storage ' || pg_catalog.format_type(c.opcintype, null)
    ) as "members"
from pg_catalog.pg_opclass as c
join pg_catalog.pg_namespace as n on n.oid = c.opcnamespace
join pg_catalog.pg_am as m on m.oid = c.opcmethod
join pg_catalog.pg_opfamily as f on f.oid = c.opcfamily
join pg_catalog.pg_namespace as fn on fn.oid = f.opfnamespace
where ${inScope(context, 'c.opcnamespace')} and ${standsAlone(CATALOG.opclass, 'c.oid')}`,
};

export const TEXT_SEARCH_CONFIGURATIONS: KindQuery = {
  kind: 'text search configuration',
  catalog: CATALOG.tsConfig,
  sql: (context) => `
select
    c.oid,
    ${qualified('n.nspname', 'c.cfgname')} as "name",
    pg_catalog.quote_ident(c.cfgname) as "own",
    c.cfgowner as "ownerOid",
    ${qualified('pn.nspname', 'p.prsname')} as "parser",
    (
        select pg_catalog.string_agg(pg_catalog.concat(pg_catalog.quote_ident(m.token), ' with ', m.dictionaries), E'\\n' order by m.token)
        from (
            select
                (select t.alias from pg_catalog.ts_token_type(c.cfgparser) as t where t.tokid = cm.maptokentype) as token,
                pg_catalog.string_agg(${qualified('dn.nspname', 'd.dictname')}, ', ' order by cm.mapseqno) as dictionaries
            from pg_catalog.pg_ts_config_map as cm
            join pg_catalog.pg_ts_dict as d on d.oid = cm.mapdict
            join pg_catalog.pg_namespace as dn on dn.oid = d.dictnamespace
            where cm.mapcfg = c.oid
            group by cm.maptokentype
        ) as m
    ) as "mappings"
from pg_catalog.pg_ts_config as c
join pg_catalog.pg_namespace as n on n.oid = c.cfgnamespace
join pg_catalog.pg_ts_parser as p on p.oid = c.cfgparser
join pg_catalog.pg_namespace as pn on pn.oid = p.prsnamespace
where ${inScope(context, 'c.cfgnamespace')} and ${standsAlone(CATALOG.tsConfig, 'c.oid')}`,
};

export const TEXT_SEARCH_DICTIONARIES: KindQuery = {
  kind: 'text search dictionary',
  catalog: CATALOG.tsDict,
  sql: (context) => `
select
    d.oid,
    ${qualified('n.nspname', 'd.dictname')} as "name",
    pg_catalog.quote_ident(d.dictname) as "own",
    d.dictowner as "ownerOid",
    pg_catalog.concat_ws(', ',
        'template = ' || ${qualified('tn.nspname', 't.tmplname')},
        d.dictinitoption
    ) as "definition"
from pg_catalog.pg_ts_dict as d
join pg_catalog.pg_namespace as n on n.oid = d.dictnamespace
join pg_catalog.pg_ts_template as t on t.oid = d.dicttemplate
join pg_catalog.pg_namespace as tn on tn.oid = t.tmplnamespace
where ${inScope(context, 'd.dictnamespace')} and ${standsAlone(CATALOG.tsDict, 'd.oid')}`,
};

export const TEXT_SEARCH_PARSERS: KindQuery = {
  kind: 'text search parser',
  catalog: CATALOG.tsParser,
  sql: (context) => `
select
    p.oid,
    ${qualified('n.nspname', 'p.prsname')} as "name",
    pg_catalog.quote_ident(p.prsname) as "own",
    pg_catalog.concat_ws(', ',
        'start = ' || p.prsstart::pg_catalog.regproc::text,
        'gettoken = ' || p.prstoken::pg_catalog.regproc::text,
        'end = ' || p.prsend::pg_catalog.regproc::text,
        case when p.prsheadline <> 0 then 'headline = ' || p.prsheadline::pg_catalog.regproc::text end,
        'lextypes = ' || p.prslextype::pg_catalog.regproc::text
    ) as "definition"
from pg_catalog.pg_ts_parser as p
join pg_catalog.pg_namespace as n on n.oid = p.prsnamespace
where ${inScope(context, 'p.prsnamespace')} and ${standsAlone(CATALOG.tsParser, 'p.oid')}`,
};

export const TEXT_SEARCH_TEMPLATES: KindQuery = {
  kind: 'text search template',
  catalog: CATALOG.tsTemplate,
  sql: (context) => `
select
    t.oid,
    ${qualified('n.nspname', 't.tmplname')} as "name",
    pg_catalog.quote_ident(t.tmplname) as "own",
    pg_catalog.concat_ws(', ',
        case when t.tmplinit <> 0 then 'init = ' || t.tmplinit::pg_catalog.regproc::text end,
        'lexize = ' || t.tmpllexize::pg_catalog.regproc::text
    ) as "definition"
from pg_catalog.pg_ts_template as t
join pg_catalog.pg_namespace as n on n.oid = t.tmplnamespace
where ${inScope(context, 't.tmplnamespace')} and ${standsAlone(CATALOG.tsTemplate, 't.oid')}`,
};

export const CONVERSIONS: KindQuery = {
  kind: 'conversion',
  catalog: CATALOG.conversion,
  sql: (context) => `
select
    c.oid,
    ${qualified('n.nspname', 'c.conname')} as "name",
    pg_catalog.quote_ident(c.conname) as "own",
    c.conowner as "ownerOid",
    case when c.condefault then 'yes' end as "default",
    pg_catalog.concat(
        'for ', pg_catalog.quote_literal(pg_catalog.pg_encoding_to_char(c.conforencoding)),
        ' to ', pg_catalog.quote_literal(pg_catalog.pg_encoding_to_char(c.contoencoding)),
        ' from ', c.conproc::pg_catalog.regproc::text
    ) as "definition"
from pg_catalog.pg_conversion as c
join pg_catalog.pg_namespace as n on n.oid = c.connamespace
where ${inScope(context, 'c.connamespace')} and ${standsAlone(CATALOG.conversion, 'c.oid')}`,
};
