import type { Session } from '../connection/session.ts';
import { quoteIdent } from '../sql/quote.ts';
import { renderScope } from '../stats/catalog-queries.ts';
import { renderCount } from '../text/units.ts';
import type { DoctorCheck, DoctorFinding } from './check.ts';

/** A role as which applications are connected at the moment. */
export interface ApplicationRole {
  role: string;
  sessions: number;
  isSuperuser: boolean;
  /** Of the superuser that `initdb` made, which cannot be anything else. */
  isBootstrap: boolean;
  /** The schemas in which it owns tables, itself. */
  schemas: string[];
  tables: number;
}

/** Programs that people administer with, by the application names that they send. */
const TOOLS =
  '^(psql|pg_|pgAdmin|DBeaver|DataGrip|TablePlus|evdb|postgres_exporter|PostgreSQL JDBC Driver - dbeaver)';

async function readApplicationRoles(session: Session): Promise<ApplicationRole[]> {
  // Where the kind of a session is hidden, it counts: all but a few processes are clients.
  const rows = await session.run(`
with connected as (
    select a.usesysid as oid, pg_catalog.count(*)::int as sessions
    from pg_catalog.pg_stat_activity as a
    where a.usesysid is not null
        and a.datname = pg_catalog.current_database()
        and a.pid <> pg_catalog.pg_backend_pid()
        and coalesce(a.backend_type, 'client backend') = 'client backend'
        and a.application_name !~* '${TOOLS}'
    group by 1
),
owned as (
    select c.relowner as oid, pg_catalog.count(*)::int as tables, pg_catalog.json_agg(distinct n.nspname::text) as schemas
    from pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p') and ${renderScope('n', {})} and c.relowner in (select oid from connected)
    group by 1
)
select
    r.rolname::text as "role",
    c.sessions as "sessions",
    r.rolsuper as "isSuperuser",
    r.oid = 10 as "isBootstrap",
    coalesce(o.schemas, '[]') as "schemas",
    coalesce(o.tables, 0) as "tables"
from connected as c
join pg_catalog.pg_roles as r on r.oid = c.oid
left join owned as o on o.oid = c.oid
order by 1`);
  return rows as unknown as ApplicationRole[];
}

/** Applications that may do more than theirs is: a hole in one is then a hole in the server. */
function judgeApplicationRoles(rows: readonly ApplicationRole[]): DoctorFinding[] {
  return rows.flatMap(({ role, sessions, isSuperuser, isBootstrap, schemas, tables }) => {
    const who = `${renderCount(sessions, 'session')} of an application ${sessions === 1 ? 'is' : 'are'} connected as ${role}`;
    if (isSuperuser) {
      return [
        {
          severity: 'warning',
          message: `${who}, a superuser: whoever gets SQL into it reads files and runs programs on the server`,
          objects: [role],
          hint: isBootstrap
            ? 'Let applications connect as a role of their own, with the privileges that they need.'
            : 'Grant it what it needs first.',
          ...(!isBootstrap && { fix: `alter role ${quoteIdent(role)} nosuperuser;` }),
        },
      ];
    }
    if (tables === 0) return [];
    return [
      {
        severity: 'warning',
        message: `${who}, which owns ${renderCount(tables, 'table')}: whoever gets SQL into it may drop them, and row security does not apply`,
        objects: [role],
        hint: 'The fix gives what it owns to a new role, and back the privileges to use it. Run migrations as the new role.',
        fix: handOver(role, schemas),
      },
    ];
  });
}

function handOver(role: string, schemas: readonly string[]): string {
  const user = quoteIdent(role);
  const owner = quoteIdent(`${role}_owner`);
  const list = schemas.map(quoteIdent).join(', ');
  return [
    `create role ${owner} nologin`,
    `reassign owned by ${user} to ${owner}`,
    `grant usage on schema ${list} to ${user}`,
    `grant select, insert, update, delete on all tables in schema ${list} to ${user}`,
    `grant usage on all sequences in schema ${list} to ${user};`,
  ].join('; ');
}

export const APPLICATION_ROLES: DoctorCheck = {
  name: 'application-roles',
  group: 'security',
  async examine(session) {
    const roles = await readApplicationRoles(session);
    return {
      findings: judgeApplicationRoles(roles),
      summary:
        roles.length === 0
          ? 'no application is connected to this database'
          : `applications are connected as ${roles.map(({ role }) => role).join(', ')}`,
      isSkipped: roles.length === 0,
    };
  },
};
