import { databaseWide, inScope, qualified, standsAlone } from '../structure.ts';
import { CATALOG, type KindQuery } from './catalogs.ts';

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
