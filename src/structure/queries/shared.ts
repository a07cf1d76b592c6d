import { CATALOG } from '../catalogs.ts';

/** Comments on objects; of others than those that are read too. */
export const COMMENTS = `
select classoid::integer as "catalog", objoid::bigint::text as "oid", objsubid as "sub", description as "comment"
from pg_catalog.pg_description
where objoid >= 16384 or objoid = 2200 and description <> 'standard public schema'`;

/** What each object needs: an array or a row means its type or table. */
export const DEPENDENCIES = `
select
    d.classid::integer as "catalog",
    d.objid::bigint::text as "oid",
    d.objsubid as "sub",
    case when r.typrelid <> 0 then ${CATALOG.class} else d.refclassid::integer end as "refCatalog",
    case when r.typrelid <> 0 then r.typrelid else coalesce(r.oid, d.refobjid) end::bigint::text as "refOid"
from pg_catalog.pg_depend as d
left join pg_catalog.pg_type as t on d.refclassid = ${CATALOG.type} and t.oid = d.refobjid
left join pg_catalog.pg_type as e on e.typarray = t.oid and t.typarray = 0
left join pg_catalog.pg_type as r on r.oid = coalesce(e.oid, t.oid)
where d.deptype = 'n'
    and d.refobjid >= 16384
    and d.refclassid <> ${CATALOG.namespace}`;

/** Defaults, rules of views: what means another object when something depends. */
export const STAND_INS = `
select ${CATALOG.attrdef} as "catalog", oid::bigint::text as "oid", adrelid::bigint::text as "relation", adnum as "sub"
from pg_catalog.pg_attrdef
union all
select ${CATALOG.rewrite}, oid::bigint::text, ev_class::bigint::text, 0
from pg_catalog.pg_rewrite
where rulename = '_RETURN' and oid >= 16384`;

/**
 * Where privileges differ from what the object had when it was made, by object, role and direction:
 * `grant select to app`, `revoke execute from public`. Who granted them is left out.
 */
export const PRIVILEGES = `
with objects (catalog, oid, sub, acl, base) as (
    select ${CATALOG.class}, oid, 0, relacl, pg_catalog.acldefault(case relkind when 'S' then 's' else 'r' end::"char", relowner)
    from pg_catalog.pg_class
    where relacl is not null
    union all
    select ${CATALOG.class}, attrelid, attnum::integer, attacl, null::aclitem[]
    from pg_catalog.pg_attribute
    where attacl is not null
    union all
    select ${CATALOG.proc}, oid, 0, proacl, pg_catalog.acldefault('f', proowner)
    from pg_catalog.pg_proc
    where proacl is not null
    union all
    select ${CATALOG.type}, oid, 0, typacl, pg_catalog.acldefault('T', typowner)
    from pg_catalog.pg_type
    where typacl is not null
    union all
    select ${CATALOG.namespace}, n.oid, 0, n.nspacl, coalesce(i.initprivs, pg_catalog.acldefault('n', n.nspowner))
    from pg_catalog.pg_namespace as n
    left join pg_catalog.pg_init_privs as i on i.classoid = ${CATALOG.namespace} and i.objoid = n.oid
    where n.nspacl is not null
    union all
    select ${CATALOG.language}, oid, 0, lanacl, pg_catalog.acldefault('l', lanowner)
    from pg_catalog.pg_language
    where lanacl is not null
    union all
    select ${CATALOG.foreignDataWrapper}, oid, 0, fdwacl, pg_catalog.acldefault('F', fdwowner)
    from pg_catalog.pg_foreign_data_wrapper
    where fdwacl is not null
    union all
    select ${CATALOG.foreignServer}, oid, 0, srvacl, pg_catalog.acldefault('S', srvowner)
    from pg_catalog.pg_foreign_server
    where srvacl is not null
    union all
    select ${CATALOG.defaultAcl}, oid, 0, defaclacl,
        case when defaclnamespace <> 0 then null::aclitem[] else pg_catalog.acldefault(case defaclobjtype when 'S' then 's' else defaclobjtype end, defaclrole) end
    from pg_catalog.pg_default_acl
),
entries (catalog, oid, sub, direction, grantee, privilege_type, is_grantable) as (
    select o.catalog, o.oid, o.sub, 'grant', e.*
    from objects as o
    cross join lateral (
        select grantee, privilege_type, is_grantable from pg_catalog.aclexplode(o.acl)
        except
        select grantee, privilege_type, is_grantable from pg_catalog.aclexplode(o.base)
    ) as e
    union all
    select o.catalog, o.oid, o.sub, 'revoke', e.*
    from objects as o
    cross join lateral (
        select grantee, privilege_type, false from pg_catalog.aclexplode(o.base)
        except
        select grantee, privilege_type, false from pg_catalog.aclexplode(o.acl)
    ) as e
)
select
    e.catalog,
    e.oid::bigint::text as "oid",
    e.sub,
    e.direction,
    case when e.grantee = 0 then 'public' else pg_catalog.quote_ident(r.rolname) end as "grantee",
    pg_catalog.lower(pg_catalog.string_agg(e.privilege_type, ', ' order by e.privilege_type)) as "privileges",
    e.is_grantable as "isGrantable"
from entries as e
left join pg_catalog.pg_roles as r on r.oid = e.grantee
where e.oid >= 16384 or e.catalog = ${CATALOG.namespace}
group by e.catalog, e.oid, e.sub, e.direction, e.grantee, r.rolname, e.is_grantable
order by e.direction desc, 5, e.is_grantable`;

export const ROLES = `
select oid::bigint::text as "oid", pg_catalog.quote_ident(rolname) as "name"
from pg_catalog.pg_roles`;

/**
 * What an expression does not say and the search path decides: which `=` is meant by `is distinct
 * from`, `nullif`, `case x when` and `join … using`, and where the text of an SQL function that has
 * no path of its own finds what it names.
 */
export const UNSAID_NAMES = `
select
    d.classid::integer as "catalog",
    d.objid::bigint::text as "oid",
    d.objsubid as "sub",
    case when o.oid is not null then pg_catalog.quote_ident(n.nspname) end as "schema"
from pg_catalog.pg_depend as d
left join pg_catalog.pg_operator as o on d.refclassid = ${CATALOG.operator} and o.oid = d.refobjid
left join pg_catalog.pg_namespace as n on n.oid = o.oprnamespace
left join pg_catalog.pg_proc as p on d.refclassid = ${CATALOG.proc} and p.oid = d.refobjid
where d.deptype in ('n', 'a')
    and d.refobjid >= 16384
    and d.classid not in (${CATALOG.amop}, ${CATALOG.amproc}, ${CATALOG.operator}, ${CATALOG.opclass}, ${CATALOG.opfamily})
    and (
        o.oprname = '='
        or p.prosqlbody is null and p.proconfig is null
            and p.prolang = (select oid from pg_catalog.pg_language where lanname = 'sql')
    )`;
