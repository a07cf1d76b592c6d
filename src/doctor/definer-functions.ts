import type { Session } from '../connection/session.ts';
import { quoteIdent } from '../sql/quote.ts';
import { renderScope } from '../stats/catalog-queries.ts';
import type { DoctorCheck, DoctorFinding } from './check.ts';

/** A function with its owner's rights that looks names up where its caller says. */
export interface DefinerFunction {
  schema: string;
  name: string;
  /** As `alter function` takes them. */
  arguments: string;
  isProcedure: boolean;
  owner: string;
  isOwnerSuperuser: boolean;
}

async function readDefinerFunctions(session: Session): Promise<DefinerFunction[]> {
  const rows = await session.run(`
select
    n.nspname::text as "schema",
    p.proname::text as "name",
    pg_catalog.pg_get_function_identity_arguments(p.oid) as "arguments",
    p.prokind = 'p' as "isProcedure",
    o.rolname::text as "owner",
    o.rolsuper as "isOwnerSuperuser"
from pg_catalog.pg_proc as p
join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
join pg_catalog.pg_roles as o on o.oid = p.proowner
where p.prosecdef
    and ${renderScope('n', {})}
    and not exists (
        select from pg_catalog.unnest(p.proconfig) as s (setting) where s.setting like 'search\\_path=%'
    )
    -- Without privileges of its own, everybody may call it.
    and exists (
        select
        from pg_catalog.aclexplode(coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner))) as a
        where a.grantee <> p.proowner
    )
    and not exists (
        select
        from pg_catalog.pg_depend as e
        where e.classid = 'pg_catalog.pg_proc'::regclass and e.objid = p.oid and e.deptype = 'e'
    )
order by 1, 2, 3`);
  return rows as unknown as DefinerFunction[];
}

/** Functions that a caller can make run what they like, as their owner. */
function judgeDefinerFunctions(rows: readonly DefinerFunction[]): DoctorFinding[] {
  return rows.map(({ schema, name, arguments: list, isProcedure, owner, isOwnerSuperuser }) => {
    const kind = isProcedure ? 'procedure' : 'function';
    const sql = `${quoteIdent(schema)}.${quoteIdent(name)}(${list})`;
    return {
      severity: isOwnerSuperuser ? 'error' : 'warning',
      message: `${kind} ${schema}.${name}(${list}) runs as ${owner}${isOwnerSuperuser ? ', a superuser,' : ''} and looks names up in its caller's search_path`,
      objects: [`${schema}.${name}`],
      hint: 'Name the schemas that its body uses, with pg_temp last.',
      fix: `alter ${kind} ${sql} set search_path = ${quoteIdent(schema)}, pg_temp;`,
    };
  });
}

export const DEFINER_FUNCTIONS: DoctorCheck = {
  name: 'definer-functions',
  group: 'security',
  async examine(session) {
    return {
      findings: judgeDefinerFunctions(await readDefinerFunctions(session)),
      summary: 'security definer functions set their own search_path',
    };
  },
};
