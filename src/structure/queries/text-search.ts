import { CATALOG } from '../catalogs.ts';
import { inScope, qualified, standsAlone } from '../scope.ts';
import type { KindQuery } from './kind-query.ts';

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
