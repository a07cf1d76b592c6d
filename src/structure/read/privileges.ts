import { databaseWide, type QueryContext } from '../structure.ts';
import { CATALOG } from './catalogs.ts';

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

/** `catalog`, columns of the object, and the letter that `acldefault` knows it by. */
const WITH_PRIVILEGES: readonly [catalog: number, table: string, prefix: string, letter: string][] =
  [
    [CATALOG.class, 'pg_class', 'rel', `case relkind when 'S' then 's' else 'r' end::"char"`],
    [CATALOG.proc, 'pg_proc', 'pro', `'f'::"char"`],
    [CATALOG.type, 'pg_type', 'typ', `'T'::"char"`],
    [CATALOG.namespace, 'pg_namespace', 'nsp', `'n'::"char"`],
    [CATALOG.language, 'pg_language', 'lan', `'l'::"char"`],
    [CATALOG.foreignDataWrapper, 'pg_foreign_data_wrapper', 'fdw', `'F'::"char"`],
    [CATALOG.foreignServer, 'pg_foreign_server', 'srv', `'S'::"char"`],
  ];

/** initdb keeps what it granted, but not what the script of the information schema did after that. */
const INFORMATION_SCHEMA = `(select oid from pg_catalog.pg_namespace where nspname = 'information_schema')`;
const USUAL_EXTRA: Record<string, string> = {
  pg_class: `relnamespace = ${INFORMATION_SCHEMA} then pg_catalog.makeaclitem(0, relowner, 'SELECT', false)`,
  pg_namespace: `nspname = 'information_schema' then pg_catalog.makeaclitem(0, nspowner, 'USAGE', false)`,
};
const usualExtra = (table: string) =>
  USUAL_EXTRA[table] ? ` || case when ${USUAL_EXTRA[table]} end` : '';

const OBJECTS = WITH_PRIVILEGES.map(
  ([catalog, table, prefix, letter]) => `
    select ${catalog}, oid, 0, null::name, ${prefix}acl, ${prefix}owner, pg_catalog.acldefault(${letter}, ${prefix}owner)${usualExtra(table)}
    from pg_catalog.${table}
    where ${prefix}acl is not null`,
).join('\n    union all');

/** How `grant` calls what has no word of its own there. */
const GRANT_WORD = `case
        when o.catalog = ${CATALOG.class} then case when i.type = 'sequence' then 'sequence' else 'table' end
        when o.catalog = ${CATALOG.type} then 'type'
        when o.catalog = ${CATALOG.foreignDataWrapper} then 'foreign data wrapper'
        when o.catalog = ${CATALOG.foreignServer} then 'foreign server'
        when i.type = 'aggregate' then 'function'
        else i.type
    end`;

/**
 * Privileges on what the user did not make, where they differ from what initdb and the scripts of
 * extensions granted, which `pg_init_privs` keeps. An owner's own are left out: who owns a member
 * may have changed since.
 */
export const FOREIGN_PRIVILEGES = (context: QueryContext) => `
with objects (catalog, oid, sub, "column", acl, owner, usual) as (${OBJECTS}
    union all
    select ${CATALOG.class}, a.attrelid, a.attnum::integer, a.attname, a.attacl, c.relowner, null::aclitem[]
    from pg_catalog.pg_attribute as a
    join pg_catalog.pg_class as c on c.oid = a.attrelid
    where a.attacl is not null
),
foreigners as (
    select o.*, e.refobjid as extension, p.initprivs
    from objects as o
    left join pg_catalog.pg_depend as e
        on e.classid = o.catalog and e.objid = o.oid and e.objsubid = 0 and e.deptype = 'e'
    left join pg_catalog.pg_init_privs as p
        on p.classoid = o.catalog and p.objoid = o.oid and p.objsubid = o.sub
    where (e.refobjid >= 16384 or o.oid < 16384 and o.oid <> 2200 and ${databaseWide(context)})
),
entries (catalog, oid, sub, direction, grantee, privilege_type, is_grantable) as (
    select o.catalog, o.oid, o.sub, d.direction, e.grantee, e.privilege_type, d.direction = 'grant' and e.is_grantable
    from foreigners as o
    cross join (values ('grant'), ('revoke')) as d (direction)
    cross join lateral (
        select grantee, privilege_type, is_grantable
        from pg_catalog.aclexplode(case d.direction when 'grant' then o.acl else coalesce(o.initprivs, o.usual) end)
        where grantee <> o.owner and grantee <> grantor
        except
        select grantee, privilege_type, case d.direction when 'grant' then is_grantable else g.option end
        from pg_catalog.aclexplode(case d.direction when 'grant' then coalesce(o.initprivs, o.usual) else o.acl end)
        cross join (values (false), (true)) as g (option)
    ) as e
)
select
    pg_catalog.concat(${GRANT_WORD}, ' ', i.identity) as "name",
    o.extension::bigint::text as "extension",
    e.direction,
    pg_catalog.string_agg(
        pg_catalog.concat(pg_catalog.lower(e.privilege_type), ' (' || pg_catalog.quote_ident(o."column") || ')'),
        ', ' order by e.privilege_type
    ) as "privileges",
    case when e.grantee = 0 then 'public' else pg_catalog.quote_ident(r.rolname) end as "grantee",
    e.is_grantable as "isGrantable"
from foreigners as o
join entries as e on e.catalog = o.catalog and e.oid = o.oid and e.sub = o.sub
cross join lateral pg_catalog.pg_identify_object(o.catalog::oid, o.oid, 0) as i
left join pg_catalog.pg_roles as r on r.oid = e.grantee
group by o.catalog, o.oid, o.sub, o."column", o.extension, i.type, i.identity, e.direction, e.grantee, r.rolname, e.is_grantable
order by 1, e.direction desc, o.sub, 5, e.is_grantable`;

/** Routines, triggers, indexes and materialized views that go when an extension goes. */
export const EXTENSION_TIES = `
select d.classid::integer as "catalog", d.objid::bigint::text as "oid", d.refobjid::bigint::text as "extension"
from pg_catalog.pg_depend as d
where d.deptype = 'x' and d.refclassid = ${CATALOG.extension}`;
