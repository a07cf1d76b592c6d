import { CATALOG } from '../catalogs.ts';
import { inScope, qualified, standsAlone } from '../scope.ts';
import type { KindQuery } from './kind-query.ts';

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
