import type { Session } from '../connection/session.ts';
import { quoteIdent } from '../sql/quote.ts';
import { renderScope } from '../stats/catalog-queries.ts';
import type { DoctorCheck, DoctorFinding } from './check.ts';

/** A table with policies that do not apply, or without policies that should. */
export interface UnevenTable {
  schema: string;
  table: string;
  isEnabled: boolean;
  policies: number;
  /** Roles that were granted something, and see no row; `public` for all. */
  blind: string[];
}

/** Roles to which something is granted and row security applies; `object` is one of pg_class. */
const subjects = (object: string, privilege?: string) => `array(
        select distinct coalesce(r.rolname::text, 'public')
        from pg_catalog.aclexplode(${object}.relacl) as a
        left join pg_catalog.pg_roles as r on r.oid = a.grantee
        where a.grantee <> ${object}.relowner and coalesce(not (r.rolsuper or r.rolbypassrls), true)
            ${privilege === undefined ? '' : `and a.privilege_type = '${privilege}'`}
        order by 1
    )`;

async function readUnevenTables(session: Session): Promise<UnevenTable[]> {
  const rows = await session.run(`
with policies as (
    select polrelid, pg_catalog.count(*)::int as count from pg_catalog.pg_policy group by polrelid
)
select
    n.nspname::text as "schema",
    c.relname::text as "table",
    c.relrowsecurity as "isEnabled",
    coalesce(p.count, 0) as "policies",
    pg_catalog.to_json(
        ${subjects('c')} || case when c.relforcerowsecurity and not (o.rolsuper or o.rolbypassrls)
            then array[o.rolname::text] else '{}' end
    ) as "blind"
from pg_catalog.pg_class as c
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
join pg_catalog.pg_roles as o on o.oid = c.relowner
left join policies as p on p.polrelid = c.oid
where c.relkind in ('r', 'p') and c.relrowsecurity <> (p.count is not null) and ${renderScope('n', {})}
order by 1, 2`);
  return rows as unknown as UnevenTable[];
}

/** Policies that nobody obeys, and tables that look empty to whom they were granted. */
function judgeRowSecurity(rows: readonly UnevenTable[]): DoctorFinding[] {
  return rows.flatMap(({ schema, table, isEnabled, policies, blind }): DoctorFinding[] => {
    const name = `${schema}.${table}`;
    const sql = `${quoteIdent(schema)}.${quoteIdent(table)}`;
    if (!isEnabled) {
      return [
        {
          severity: 'error',
          message: `${policies === 1 ? 'the policy' : `the ${policies} policies`} of ${name} ${policies === 1 ? 'does' : 'do'} not apply: row security is off`,
          objects: [name],
          fix: `alter table ${sql} enable row level security;`,
        },
      ];
    }
    if (blind.length === 0) return [];
    return [
      {
        severity: 'warning',
        message: `row security of ${name} is on without a policy: ${blind.join(', ')} may use the table, and see no row`,
        objects: [name],
        hint: 'Create a policy for the rows that they should see. If that is none, the fix says so, and changes nothing else.',
        fix: `create policy nobody on ${sql} using (false);`,
      },
    ];
  });
}

export const ROW_SECURITY: DoctorCheck = {
  name: 'row-security',
  group: 'security',
  async examine(session) {
    return {
      findings: judgeRowSecurity(await readUnevenTables(session)),
      summary: 'row security is on where there are policies',
    };
  },
};

/** A view through which others read rows that row security hides from them. */
export interface LeakingView {
  schema: string;
  view: string;
  isMaterialized: boolean;
  /** Qualified. */
  tables: string[];
  readers: string[];
}

/**
 * Up from the tables with row security, which are few, through the views that read them. A view reads
 * with its owner's rights; one with `security_invoker` with those of whoever reads it, which may be
 * another view. `is_open` is null as long as that is not decided.
 */
const REACHED = `
with recursive
views as (
    select distinct w.ev_class as oid, d.refobjid as reads, v.relowner as owner, v.relkind = 'm'
        or not exists (
            select from pg_catalog.pg_options_to_table(v.reloptions) as o
            where o.option_name = 'security_invoker' and o.option_value::boolean
        ) as is_definer
    from pg_catalog.pg_rewrite as w
    join pg_catalog.pg_class as v on v.oid = w.ev_class and v.relkind in ('v', 'm')
    join pg_catalog.pg_depend as d
        on d.classid = 'pg_catalog.pg_rewrite'::regclass and d.objid = w.oid
        and d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid <> w.ev_class
),
secured as (
    select oid, relowner, relforcerowsecurity from pg_catalog.pg_class where relrowsecurity
),
reached (secured, relowner, is_forced, oid, is_open) as (
    select oid, relowner, relforcerowsecurity, oid, null::boolean from secured
    union
    select
        r.secured, r.relowner, r.is_forced, v.oid,
        case when r.is_open then true when v.is_definer then
            o.rolsuper or o.rolbypassrls
            or not r.is_forced and pg_catalog.pg_has_role(v.owner, r.relowner, 'usage')
        end
    from reached as r
    join views as v on v.reads = r.oid
    join pg_catalog.pg_roles as o on o.oid = v.owner
    -- Who reads a view through one with security_invoker needs the right to read both.
    where r.is_open is null or r.is_open and v.is_definer
)`;

async function readLeakingViews(session: Session): Promise<LeakingView[]> {
  const rows = await session.run(`${REACHED}
select *
from (
    select
        n.nspname::text as "schema",
        c.relname::text as "view",
        c.relkind = 'm' as "isMaterialized",
        (
            select pg_catalog.json_agg(distinct tn.nspname || '.' || t.relname)
            from reached as r
            join pg_catalog.pg_class as t on t.oid = r.secured
            join pg_catalog.pg_namespace as tn on tn.oid = t.relnamespace
            where r.oid = c.oid and r.is_open
        ) as "tables",
        pg_catalog.to_json(${subjects('c', 'SELECT')}) as "readers"
    from pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where c.oid in (select r.oid from reached as r where r.is_open)
) as found
where pg_catalog.json_array_length("readers") > 0
order by 1, 2`);
  return rows as unknown as LeakingView[];
}

/** @param hasInvoker whether views can have `security_invoker`, from PostgreSQL 15 on */
function judgeLeakingViews(rows: readonly LeakingView[], hasInvoker: boolean): DoctorFinding[] {
  return rows.map(({ schema, view, isMaterialized, tables, readers }) => {
    const sql = `${quoteIdent(schema)}.${quoteIdent(view)}`;
    const canInvoke = hasInvoker && !isMaterialized;
    const roles = readers.map((role) => (role === 'public' ? role : quoteIdent(role)));
    return {
      severity: 'warning',
      message: `${isMaterialized ? 'materialized view' : 'view'} ${schema}.${view} shows ${readers.join(', ')} the rows that row security of ${tables.join(', ')} hides`,
      objects: [`${schema}.${view}`],
      hint: canInvoke
        ? 'With the fix it reads with the rights of whoever asks: they need select on the tables too.'
        : "It reads with its owner's rights. Let a role own it that row security applies to, or revoke it.",
      fix: canInvoke
        ? `alter view ${sql} set (security_invoker = true);`
        : `revoke select on ${sql} from ${roles.join(', ')};`,
    };
  });
}

export const LEAKING_VIEWS: DoctorCheck = {
  name: 'leaking-views',
  group: 'security',
  async examine(session) {
    const hasInvoker = session.facts.serverVersion >= 150000;
    return {
      findings: judgeLeakingViews(await readLeakingViews(session), hasInvoker),
      summary: 'no view shows rows that row security hides',
    };
  },
};
