import type { Session } from '../connection/session.ts';
import { quoteIdent } from '../sql/quote.ts';
import { renderScope } from '../stats/catalog-queries.ts';
import type { DoctorCheck, DoctorFinding } from './check.ts';

/** A table, view or sequence on which every role has privileges. */
export interface OpenRelation {
  schema: string;
  name: string;
  isSequence: boolean;
  hasRowSecurity: boolean;
  /** Who granted them, unless it was the owner. */
  grantor: string | null;
  /** As `revoke` takes them: `select`, `update ("email")`. */
  privileges: string[];
}

/** What an extension opens to everybody is meant so. */
const notOfExtension = (oid: string, catalog: string) => `not exists (
        select from pg_catalog.pg_depend as e
        where e.classid = 'pg_catalog.${catalog}'::regclass and e.objid = ${oid} and e.deptype = 'e'
    )`;

async function readOpenRelations(session: Session): Promise<OpenRelation[]> {
  const rows = await session.run(`
with granted as (
    select c.oid, a.grantor, pg_catalog.lower(a.privilege_type) as privilege
    from pg_catalog.pg_class as c
    cross join lateral pg_catalog.aclexplode(c.relacl) as a
    where c.relacl is not null and a.grantee = 0
    union all
    select f.attrelid, a.grantor,
        pg_catalog.lower(a.privilege_type) || ' ("' || pg_catalog.replace(f.attname, '"', '""') || '")'
    from pg_catalog.pg_attribute as f
    cross join lateral pg_catalog.aclexplode(f.attacl) as a
    where f.attacl is not null and a.grantee = 0 and not f.attisdropped
)
select
    n.nspname::text as "schema",
    c.relname::text as "name",
    c.relkind = 'S' as "isSequence",
    c.relrowsecurity as "hasRowSecurity",
    case when g.grantor <> c.relowner then pg_catalog.pg_get_userbyid(g.grantor)::text end as "grantor",
    pg_catalog.json_agg(g.privilege order by g.privilege) as "privileges"
from granted as g
join pg_catalog.pg_class as c on c.oid = g.oid
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where ${renderScope('n', {})} and ${notOfExtension('c.oid', 'pg_class')}
group by 1, 2, 3, 4, 5
order by 1, 2, 5`);
  return rows as unknown as OpenRelation[];
}

/** Privileges with which rows can be read, but not changed. */
const READING = /^(select|usage)\b/;

/** Relations that every role may use, whoever it belongs to. */
function judgePublicTables(rows: readonly OpenRelation[]): DoctorFinding[] {
  return rows.map(({ schema, name, isSequence, hasRowSecurity, grantor, privileges }) => {
    const isWritable = !isSequence && !privileges.every((privilege) => READING.test(privilege));
    const sql = `${isSequence ? 'sequence ' : ''}${quoteIdent(schema)}.${quoteIdent(name)}`;
    return {
      severity: isWritable && !hasRowSecurity ? 'error' : 'warning',
      message: `${schema}.${name} is open to every role that can connect: ${privileges.join(', ')}`,
      objects: [`${schema}.${name}`],
      hint: 'Grant it to the roles that need it, and then revoke it from all.',
      fix: asGrantor(grantor, `revoke ${privileges.join(', ')} on ${sql} from public;`),
    };
  });
}

/** A superuser revokes as the owner, which leaves what others granted. */
function asGrantor(grantor: string | null, revoke: string): string {
  return grantor === null ? revoke : `set role ${quoteIdent(grantor)}; ${revoke} reset role;`;
}

export const PUBLIC_TABLES: DoctorCheck = {
  name: 'public-tables',
  group: 'security',
  async examine(session) {
    return {
      findings: judgePublicTables(await readOpenRelations(session)),
      summary: 'no table is open to every role',
    };
  },
};

/** A schema or a database in which every role may create objects. */
interface OpenContainer {
  kind: 'schema' | 'database';
  name: string;
  grantor: string | null;
}

/** Other roles that log in here: with none beside the owner, what is open to all is open to nobody. */
const otherLogins = (owner: string) => `exists (
        select
        from pg_catalog.pg_roles as r
        where r.rolcanlogin
            and not r.rolsuper
            and not pg_catalog.pg_has_role(r.oid, ${owner}, 'member')
            and not pg_catalog.pg_has_role(r.oid, (select datdba from here), 'member')
            and pg_catalog.has_database_privilege(r.oid, (select oid from here), 'connect')
    )`;

async function readOpenContainers(session: Session): Promise<OpenContainer[]> {
  const rows = await session.run(`
with here as (
    select oid, datname, datdba, datacl from pg_catalog.pg_database where datname = pg_catalog.current_database()
),
open as (
    select 'schema' as kind, n.nspname as name, n.nspowner as owner, a.grantor
    from pg_catalog.pg_namespace as n
    cross join lateral pg_catalog.aclexplode(n.nspacl) as a
    where ${renderScope('n', {})} and a.grantee = 0 and a.privilege_type = 'CREATE'
        and ${notOfExtension('n.oid', 'pg_namespace')}
    union all
    select 'database', d.datname, d.datdba, a.grantor
    from here as d
    cross join lateral pg_catalog.aclexplode(d.datacl) as a
    where a.grantee = 0 and a.privilege_type = 'CREATE'
)
select
    o.kind as "kind",
    o.name::text as "name",
    case when o.grantor <> o.owner then pg_catalog.pg_get_userbyid(o.grantor)::text end as "grantor"
from open as o
where ${otherLogins('o.owner')}
order by 1, 2, 3`);
  return rows as unknown as OpenContainer[];
}

/** Where every role may put an object that others then take for theirs. */
function judgePublicCreate(rows: readonly OpenContainer[]): DoctorFinding[] {
  return rows.map(({ kind, name, grantor }) => ({
    severity: 'warning',
    message:
      kind === 'schema'
        ? `every role may create objects in schema ${name}: a function there runs as whoever calls it by mistake`
        : `every role may create schemas in database ${name}`,
    objects: [`${kind} ${name}`],
    fix: asGrantor(grantor, `revoke create on ${kind} ${quoteIdent(name)} from public;`),
  }));
}

export const PUBLIC_CREATE: DoctorCheck = {
  name: 'public-create',
  group: 'security',
  async examine(session) {
    return {
      findings: judgePublicCreate(await readOpenContainers(session)),
      summary: 'no schema lets every role create objects',
    };
  },
};

/** How `alter default privileges` names each kind that is closed unless somebody opens it. */
const KINDS = { r: 'tables', S: 'sequences', n: 'schemas', L: 'large objects' } as const;

/** What a role's new objects are open to every role for. */
export interface OpenDefault {
  role: string;
  /** Null for all schemas. */
  schema: string | null;
  kind: keyof typeof KINDS;
  privileges: string[];
}

async function readOpenDefaults(session: Session): Promise<OpenDefault[]> {
  // To call functions and to use types is open to all from the start: there this says nothing new.
  const rows = await session.run(`
select
    pg_catalog.pg_get_userbyid(d.defaclrole)::text as "role",
    n.nspname::text as "schema",
    d.defaclobjtype::text as "kind",
    pg_catalog.json_agg(pg_catalog.lower(a.privilege_type) order by a.privilege_type) as "privileges"
from pg_catalog.pg_default_acl as d
left join pg_catalog.pg_namespace as n on n.oid = d.defaclnamespace
cross join lateral pg_catalog.aclexplode(d.defaclacl) as a
where a.grantee = 0 and d.defaclobjtype in ('r', 'S', 'n', 'L')
group by 1, 2, 3
order by 1, 2, 3`);
  return rows as unknown as OpenDefault[];
}

/** Objects that will be open to every role as soon as they exist. */
function judgeDefaultPrivileges(rows: readonly OpenDefault[]): DoctorFinding[] {
  return rows.map(({ role, schema, kind, privileges }) => {
    const what = KINDS[kind];
    const where = schema === null ? '' : ` in schema ${schema}`;
    const inSchema = schema === null ? '' : ` in schema ${quoteIdent(schema)}`;
    const list = privileges.join(', ');
    return {
      severity: 'warning',
      message: `new ${what} of ${role}${where} are open to every role: ${list}`,
      objects: [`${role}${schema === null ? '' : `.${schema}`}`],
      hint: 'This is about objects to come: those that exist keep what they have.',
      fix: `alter default privileges for role ${quoteIdent(role)}${inSchema} revoke ${list} on ${what} from public;`,
    };
  });
}

export const DEFAULT_PRIVILEGES: DoctorCheck = {
  name: 'default-privileges',
  group: 'security',
  async examine(session) {
    return {
      findings: judgeDefaultPrivileges(await readOpenDefaults(session)),
      summary: 'new objects are closed to roles that are granted nothing',
    };
  },
};
