import type { Session } from '../../connection/session.ts';
import { quoteIdent } from '../../sql/quote.ts';
import type { DoctorCheck, DoctorFinding } from './check.ts';

/** A trigger that does not fire. */
export interface DisabledTrigger {
  schema: string;
  table: string;
  trigger: string;
  /** The foreign key that it guards; null for one that somebody wrote. */
  constraint: string | null;
}

async function readDisabledTriggers(session: Session): Promise<DisabledTrigger[]> {
  const rows = await session.run(`
select
    n.nspname::text as "schema",
    c.relname::text as "table",
    t.tgname::text as "trigger",
    (select x.conname::text from pg_catalog.pg_constraint as x where x.oid = t.tgconstraint and t.tgisinternal)
        as "constraint"
from pg_catalog.pg_trigger as t
join pg_catalog.pg_class as c on c.oid = t.tgrelid
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where t.tgenabled = 'D'
order by 1, 2, 3`);
  return rows as unknown as DisabledTrigger[];
}

/** Triggers that were switched off, mostly for a load of data, and never on again. */
export function judgeDisabledTriggers(rows: DisabledTrigger[]): DoctorFinding[] {
  const keys = new Set<string>();
  return rows.flatMap(({ schema, table, trigger, constraint }): DoctorFinding[] => {
    const name = `${schema}.${table}`;
    const sql = `${quoteIdent(schema)}.${quoteIdent(table)}`;
    if (constraint === null) {
      return [
        {
          status: 'warning',
          object: `${name}.${trigger}`,
          reason: `trigger ${trigger} of ${name} is disabled`,
          fix: `alter table ${sql} enable trigger ${quoteIdent(trigger)};`,
        },
      ];
    }
    // Two internal triggers on either side guard one key.
    const key = `${name}.${constraint}`;
    if (keys.has(key)) return [];
    keys.add(key);
    return [
      {
        status: 'critical',
        object: key,
        reason: `foreign key ${constraint} is not checked on ${name}: its triggers are disabled`,
        fix: `alter table ${sql} enable trigger all; -- then look for rows that broke it meanwhile`,
      },
    ];
  });
}

export const DISABLED_TRIGGERS: DoctorCheck = {
  name: 'disabled-triggers',
  group: 'tables',
  async examine(session) {
    return {
      findings: judgeDisabledTriggers(await readDisabledTriggers(session)),
      summary: 'all triggers are enabled',
    };
  },
};
