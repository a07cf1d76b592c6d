import {
  databaseWide,
  foreignOptionsSql,
  inScope,
  type QueryContext,
  qualified,
  schemaCondition,
  standsAlone,
} from '../structure.ts';
import { CATALOG, type KindQuery } from './catalogs.ts';

export const SCHEMAS: KindQuery = {
  kind: 'schema',
  catalog: CATALOG.namespace,
  sql: ({ scope }) => `
select
    n.oid,
    pg_catalog.quote_ident(n.nspname) as "name",
    pg_catalog.quote_ident(n.nspname) as "own",
    n.nspowner as "ownerOid"
from pg_catalog.pg_namespace as n
where ${schemaCondition(scope, 'n.nspname')} and ${standsAlone(CATALOG.namespace, 'n.oid')}`,
};

/** Objects of the schemas, of those kinds that make use of what extensions bring. */
const usersSql = (context: QueryContext) =>
  [
    `select oid from pg_catalog.pg_class where ${inScope(context, 'relnamespace')}`,
    `select oid from pg_catalog.pg_proc where ${inScope(context, 'pronamespace')}`,
    `select oid from pg_catalog.pg_type where ${inScope(context, 'typnamespace')}`,
    `select oid from pg_catalog.pg_constraint where ${inScope(context, 'connamespace')}`,
    `select d.oid from pg_catalog.pg_attrdef as d join pg_catalog.pg_class as c on c.oid = d.adrelid where ${inScope(context, 'c.relnamespace')}`,
    `select r.oid from pg_catalog.pg_rewrite as r join pg_catalog.pg_class as c on c.oid = r.ev_class where ${inScope(context, 'c.relnamespace')}`,
    `select t.oid from pg_catalog.pg_trigger as t join pg_catalog.pg_class as c on c.oid = t.tgrelid where ${inScope(context, 'c.relnamespace')}`,
  ].join('\n        union all ');

/** Where single schemas are read: those that live in them, and those that something in them needs. */
export const EXTENSIONS: KindQuery = {
  kind: 'extension',
  catalog: CATALOG.extension,
  sql: (context) => `
select
    e.oid,
    pg_catalog.quote_ident(e.extname) as "name",
    pg_catalog.quote_ident(e.extname) as "own",
    pg_catalog.quote_ident(n.nspname) as "schema"
from pg_catalog.pg_extension as e
join pg_catalog.pg_namespace as n on n.oid = e.extnamespace
where e.oid >= 16384
    and ${databaseWide(
      context,
      `${inScope(context, 'e.extnamespace')} or e.oid in (
        select m.refobjid
        from pg_catalog.pg_depend as m
        join pg_catalog.pg_depend as d on d.refclassid = m.classid and d.refobjid = m.objid and d.deptype = 'n'
        where m.deptype = 'e' and m.refclassid = ${CATALOG.extension} and d.objid in (
        ${usersSql(context)}
        )
        union all
        select x.refobjid
        from pg_catalog.pg_depend as x
        where x.deptype = 'x' and x.refclassid = ${CATALOG.extension} and x.objid in (
        ${usersSql(context)}
        )
    )`,
    )}`,
};

export const ACCESS_METHODS: KindQuery = {
  kind: 'access method',
  catalog: CATALOG.accessMethod,
  sql: (context) => `
select
    a.oid,
    pg_catalog.quote_ident(a.amname) as "name",
    pg_catalog.quote_ident(a.amname) as "own",
    pg_catalog.concat('type ', case a.amtype when 't' then 'table' else 'index' end, ' handler ', a.amhandler::pg_catalog.regproc) as "definition"
from pg_catalog.pg_am as a
where a.oid >= 16384
    and ${databaseWide(context)}
    and ${standsAlone(CATALOG.accessMethod, 'a.oid')}`,
};

/** Servers of the foreign tables in the schemas. */
const serversSql = (context: QueryContext) =>
  `select f.ftserver from pg_catalog.pg_foreign_table as f join pg_catalog.pg_class as c on c.oid = f.ftrelid where ${inScope(context, 'c.relnamespace')}`;

export const FOREIGN_DATA_WRAPPERS: KindQuery = {
  kind: 'foreign data wrapper',
  catalog: CATALOG.foreignDataWrapper,
  sql: (context) => `
select
    w.oid,
    pg_catalog.quote_ident(w.fdwname) as "name",
    pg_catalog.quote_ident(w.fdwname) as "own",
    w.fdwowner as "ownerOid",
    pg_catalog.concat_ws(' ',
        case when w.fdwhandler <> 0 then 'handler ' || w.fdwhandler::pg_catalog.regproc::text end,
        case when w.fdwvalidator <> 0 then 'validator ' || w.fdwvalidator::pg_catalog.regproc::text end
    ) as "definition",
    ${foreignOptionsSql('w.fdwoptions')} as "foreign options"
from pg_catalog.pg_foreign_data_wrapper as w
where ${databaseWide(context, `w.oid in (select s.srvfdw from pg_catalog.pg_foreign_server as s where s.oid in (${serversSql(context)}))`)}
    and ${standsAlone(CATALOG.foreignDataWrapper, 'w.oid')}`,
};

export const SERVERS: KindQuery = {
  kind: 'server',
  catalog: CATALOG.foreignServer,
  sql: (context) => `
select
    s.oid,
    pg_catalog.quote_ident(s.srvname) as "name",
    pg_catalog.quote_ident(s.srvname) as "own",
    s.srvowner as "ownerOid",
    pg_catalog.quote_literal(s.srvtype) as "type",
    pg_catalog.quote_literal(s.srvversion) as "version",
    pg_catalog.quote_ident(w.fdwname) as "foreign data wrapper",
    ${foreignOptionsSql('s.srvoptions')} as "foreign options"
from pg_catalog.pg_foreign_server as s
join pg_catalog.pg_foreign_data_wrapper as w on w.oid = s.srvfdw
where ${databaseWide(context, `s.oid in (${serversSql(context)})`)}
    and ${standsAlone(CATALOG.foreignServer, 's.oid')}`,
};

/** From the view that hides the options of others; those that may hold a secret never leave the server. */
export const USER_MAPPINGS: KindQuery = {
  kind: 'user mapping',
  catalog: CATALOG.userMapping,
  sql: (context) => `
select
    u.umid as "oid",
    pg_catalog.concat('for ', case when u.umuser = 0 then 'public' else pg_catalog.quote_ident(u.usename) end, ' server ', pg_catalog.quote_ident(u.srvname)) as "name",
    pg_catalog.concat('for ', case when u.umuser = 0 then 'public' else pg_catalog.quote_ident(u.usename) end, ' server ', pg_catalog.quote_ident(u.srvname)) as "own",
    ${foreignOptionsSql('u.umoptions')} as "foreign options"
from pg_catalog.pg_user_mappings as u
where ${databaseWide(context, `u.srvid in (${serversSql(context)})`)}`,
};

export const DEFAULT_PRIVILEGES: KindQuery = {
  kind: 'default privileges',
  catalog: CATALOG.defaultAcl,
  sql: (context) => `
select
    d.oid,
    pg_catalog.concat(
        'for role ', pg_catalog.quote_ident(r.rolname),
        ' in schema ' || pg_catalog.quote_ident(n.nspname),
        ' on ', case d.defaclobjtype when 'r' then 'tables' when 'S' then 'sequences' when 'f' then 'functions' when 'T' then 'types' when 'n' then 'schemas' else 'large objects' end
    ) as "name",
    pg_catalog.concat('for role ', pg_catalog.quote_ident(r.rolname), ' in schema ' || pg_catalog.quote_ident(n.nspname)) as "own"
from pg_catalog.pg_default_acl as d
join pg_catalog.pg_roles as r on r.oid = d.defaclrole
left join pg_catalog.pg_namespace as n on n.oid = d.defaclnamespace
where ${databaseWide({ ...context }, 'n.nspname is not null')}
    and (n.nspname is null or ${schemaCondition(context.scope, 'n.nspname')})`,
};

const publicationTables = ({ version }: QueryContext) => `(
        select pg_catalog.string_agg(pg_catalog.concat(
            ${qualified('n.nspname', 'c.relname')}
            ${
              version >= 150000
                ? `, ' (' || (
                select pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' order by a.attnum)
                from pg_catalog.pg_attribute as a
                where a.attrelid = r.prrelid and a.attnum = any (r.prattrs::smallint[])
            ) || ')', ' where ' || pg_catalog.regexp_replace(pg_catalog.pg_get_expr(r.prqual, r.prrelid), '^([^(].*|.*[^)])$', '(\\1)')`
                : ''
            }
        ), ', ' order by n.nspname, c.relname)
        from pg_catalog.pg_publication_rel as r
        join pg_catalog.pg_class as c on c.oid = r.prrelid
        join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
        where r.prpubid = p.oid
    )`;

const publicationSchemas = ({ version }: QueryContext) =>
  version < 150000
    ? 'null::text'
    : `(
        select pg_catalog.string_agg(pg_catalog.quote_ident(n.nspname), ', ' order by n.nspname)
        from pg_catalog.pg_publication_namespace as s
        join pg_catalog.pg_namespace as n on n.oid = s.pnnspid
        where s.pnpubid = p.oid
    )`;

export const PUBLICATIONS: KindQuery = {
  kind: 'publication',
  catalog: CATALOG.publication,
  sql: (context) => `
select
    p.oid,
    pg_catalog.quote_ident(p.pubname) as "name",
    pg_catalog.quote_ident(p.pubname) as "own",
    p.pubowner as "ownerOid",
    case when p.puballtables then 'yes' end as "all tables",
    ${publicationTables(context)} as "tables",
    ${publicationSchemas(context)} as "schemas",
    case when not (p.pubinsert and p.pubupdate and p.pubdelete and p.pubtruncate)
        then pg_catalog.concat_ws(', ', case when p.pubinsert then 'insert' end, case when p.pubupdate then 'update' end, case when p.pubdelete then 'delete' end, case when p.pubtruncate then 'truncate' end)
    end as "publish",
    ${context.version >= 180000 ? "case when p.pubgencols = 's' then 'stored' end" : 'null::text'} as "generated columns",
    case when p.pubviaroot then 'yes' end as "via partition root"
from pg_catalog.pg_publication as p
where ${databaseWide(
    context,
    `p.puballtables or exists (select from pg_catalog.pg_publication_rel as r join pg_catalog.pg_class as c on c.oid = r.prrelid where r.prpubid = p.oid and ${inScope(context, 'c.relnamespace')})${
      context.version < 150000
        ? ''
        : ` or exists (select from pg_catalog.pg_publication_namespace as s where s.pnpubid = p.oid and ${inScope(context, 's.pnnspid')})`
    }`,
  )}
    and ${standsAlone(CATALOG.publication, 'p.oid')}`,
};

/** Functions and procedures; not those that come with a range type. */
export const ROUTINES: KindQuery = {
  catalog: CATALOG.proc,
  sql: (context) => `
select
    p.oid,
    case p.prokind when 'p' then 'procedure' else 'function' end as "kind",
    p.oid::pg_catalog.regprocedure::text as "name",
    pg_catalog.quote_ident(p.proname) as "own",
    p.proowner as "ownerOid",
    pg_catalog.rtrim(pg_catalog.pg_get_functiondef(p.oid), E'\\n') as "definition"
from pg_catalog.pg_proc as p
where p.prokind <> 'a'
    and ${inScope(context, 'p.pronamespace')}
    and ${standsAlone(CATALOG.proc, 'p.oid', "'e', 'i'")}`,
};

const proc = (column: string) => `a.${column}::pg_catalog.regproc::text`;
const optionalProc = (name: string, column: string) =>
  `case when a.${column} <> 0 then '${name} = ' || ${proc(column)} end`;

export const AGGREGATES: KindQuery = {
  kind: 'aggregate',
  catalog: CATALOG.proc,
  sql: (context) => `
select
    p.oid,
    pg_catalog.concat(${qualified('n.nspname', 'p.proname')}, '(', coalesce(nullif(pg_catalog.pg_get_function_identity_arguments(p.oid), ''), '*'), ')') as "name",
    pg_catalog.quote_ident(p.proname) as "own",
    p.proowner as "ownerOid",
    coalesce(nullif(pg_catalog.pg_get_function_arguments(p.oid), ''), '*') as "arguments",
    pg_catalog.concat_ws(E',\\n    ',
        'sfunc = ' || ${proc('aggtransfn')},
        'stype = ' || pg_catalog.format_type(a.aggtranstype, null),
        case when a.aggtransspace <> 0 then 'sspace = ' || a.aggtransspace end,
        ${optionalProc('finalfunc', 'aggfinalfn')},
        case when a.aggfinalextra then 'finalfunc_extra' end,
        case when a.aggfinalfn <> 0 and a.aggfinalmodify <> case a.aggkind when 'n' then 'r' else 'w' end::"char" then 'finalfunc_modify = ' || ${modifySql('aggfinalmodify')} end,
        ${optionalProc('combinefunc', 'aggcombinefn')},
        ${optionalProc('serialfunc', 'aggserialfn')},
        ${optionalProc('deserialfunc', 'aggdeserialfn')},
        'initcond = ' || pg_catalog.quote_literal(a.agginitval),
        ${optionalProc('msfunc', 'aggmtransfn')},
        ${optionalProc('minvfunc', 'aggminvtransfn')},
        case when a.aggmtranstype <> 0 then 'mstype = ' || pg_catalog.format_type(a.aggmtranstype, null) end,
        case when a.aggmtransspace <> 0 then 'msspace = ' || a.aggmtransspace end,
        ${optionalProc('mfinalfunc', 'aggmfinalfn')},
        case when a.aggmfinalextra then 'mfinalfunc_extra' end,
        case when a.aggmfinalfn <> 0 and a.aggmfinalmodify <> case a.aggkind when 'n' then 'r' else 'w' end::"char" then 'mfinalfunc_modify = ' || ${modifySql('aggmfinalmodify')} end,
        'minitcond = ' || pg_catalog.quote_literal(a.aggminitval),
        case when a.aggsortop <> 0 then pg_catalog.concat('sortop = operator(', pg_catalog.quote_ident(sn.nspname), '.', so.oprname, ')') end,
        case p.proparallel when 's' then 'parallel = safe' when 'r' then 'parallel = restricted' end,
        case when a.aggkind = 'h' then 'hypothetical' end
    ) as "definition"
from pg_catalog.pg_aggregate as a
join pg_catalog.pg_proc as p on p.oid = a.aggfnoid
join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
left join pg_catalog.pg_operator as so on so.oid = a.aggsortop
left join pg_catalog.pg_namespace as sn on sn.oid = so.oprnamespace
where ${inScope(context, 'p.pronamespace')}
    and ${standsAlone(CATALOG.proc, 'p.oid')}`,
};

function modifySql(column: string): string {
  return `case a.${column} when 'r' then 'read_only' when 's' then 'shareable' else 'read_write' end`;
}

export const LANGUAGES: KindQuery = {
  kind: 'language',
  catalog: CATALOG.language,
  sql: (context) => `
select
    l.oid,
    pg_catalog.quote_ident(l.lanname) as "name",
    pg_catalog.quote_ident(l.lanname) as "own",
    l.lanowner as "ownerOid",
    pg_catalog.concat_ws(' ',
        case when l.lanpltrusted then 'trusted' end,
        'handler ' || l.lanplcallfoid::pg_catalog.regproc::text,
        case when l.laninline <> 0 then 'inline ' || l.laninline::pg_catalog.regproc::text end,
        case when l.lanvalidator <> 0 then 'validator ' || l.lanvalidator::pg_catalog.regproc::text end
    ) as "definition"
from pg_catalog.pg_language as l
where l.lanispl
    and ${databaseWide(context, `l.oid in (select prolang from pg_catalog.pg_proc as p where ${inScope(context, 'p.pronamespace')})`)}
    and ${standsAlone(CATALOG.language, 'l.oid')}`,
};

export const EVENT_TRIGGERS: KindQuery = {
  kind: 'event trigger',
  catalog: CATALOG.eventTrigger,
  sql: (context) => `
select
    e.oid,
    pg_catalog.quote_ident(e.evtname) as "name",
    pg_catalog.quote_ident(e.evtname) as "own",
    e.evtowner as "ownerOid",
    e.evtevent::text as "on",
    (select pg_catalog.string_agg(pg_catalog.quote_literal(tag), ', ' order by tag) from pg_catalog.unnest(e.evttags) as tag) as "tags",
    e.evtfoid::pg_catalog.regproc::text as "function",
    case e.evtenabled when 'D' then 'disabled' when 'R' then 'replica' when 'A' then 'always' end as "enabled"
from pg_catalog.pg_event_trigger as e
where ${databaseWide(context, `e.evtfoid in (select p.oid from pg_catalog.pg_proc as p where ${inScope(context, 'p.pronamespace')})`)}
    and ${standsAlone(CATALOG.eventTrigger, 'e.oid')}`,
};

export const TRANSFORMS: KindQuery = {
  kind: 'transform',
  catalog: CATALOG.transform,
  sql: (context) => `
select
    t.oid,
    pg_catalog.concat('for ', pg_catalog.format_type(t.trftype, null), ' language ', pg_catalog.quote_ident(l.lanname)) as "name",
    pg_catalog.concat('for ', pg_catalog.format_type(t.trftype, null), ' language ', pg_catalog.quote_ident(l.lanname)) as "own",
    pg_catalog.concat_ws(', ',
        case when t.trffromsql <> 0 then 'from sql with function ' || t.trffromsql::pg_catalog.regprocedure::text end,
        case when t.trftosql <> 0 then 'to sql with function ' || t.trftosql::pg_catalog.regprocedure::text end
    ) as "definition"
from pg_catalog.pg_transform as t
join pg_catalog.pg_language as l on l.oid = t.trflang
join pg_catalog.pg_type as y on y.oid = t.trftype
where ${databaseWide(context, inScope(context, 'y.typnamespace'))}
    and ${standsAlone(CATALOG.transform, 't.oid')}`,
};

export const CASTS: KindQuery = {
  kind: 'cast',
  catalog: CATALOG.cast,
  sql: (context) => `
select
    c.oid,
    pg_catalog.concat('(', pg_catalog.format_type(c.castsource, null), ' as ', pg_catalog.format_type(c.casttarget, null), ')') as "name",
    pg_catalog.concat('(', pg_catalog.format_type(c.castsource, null), ' as ', pg_catalog.format_type(c.casttarget, null), ')') as "own",
    pg_catalog.concat_ws(' ',
        case c.castmethod
            when 'f' then 'with function ' || c.castfunc::pg_catalog.regprocedure::text
            when 'i' then 'with inout'
            else 'without function'
        end,
        case c.castcontext when 'a' then 'as assignment' when 'i' then 'as implicit' end
    ) as "definition"
from pg_catalog.pg_cast as c
where c.oid >= 16384
    and ${databaseWide(
      context,
      `exists (select from pg_catalog.pg_type as t where t.oid in (c.castsource, c.casttarget) and ${inScope(context, 't.typnamespace')}) or exists (select from pg_catalog.pg_proc as p where p.oid = c.castfunc and ${inScope(context, 'p.pronamespace')})`,
    )}
    and ${standsAlone(CATALOG.cast, 'c.oid', "'e', 'i'")}`,
};
