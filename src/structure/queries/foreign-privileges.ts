import { CATALOG } from '../catalogs.ts';
import { databaseWide, type QueryContext } from '../scope.ts';

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
