import type { Session } from '../../connection/session.ts';
import { quoteIdent } from '../../sql/quote.ts';
import { describeCount } from '../../text/units.ts';
import type { DoctorCheck, DoctorFinding } from './check.ts';

/** Rows of a table that vacuum should have removed, or that the planner knows nothing of. */
export interface TableUpkeep {
  schema: string;
  table: string;
  liveRows: number;
  deadRows: number;
  /** Where autovacuum begins. */
  vacuumAt: number;
  changedSinceAnalyze: number;
  analyzeAt: number;
}

/** Reads the tables that are past the point where autovacuum begins, by its own reckoning. */
export async function readUpkeep(session: Session): Promise<TableUpkeep[]> {
  const setting = (name: string, option = name) =>
    `coalesce(own.${option}, pg_catalog.current_setting('autovacuum_${name}')::float8)`;
  const option = (name: string) =>
    `pg_catalog.max(option_value) filter (where option_name = 'autovacuum_${name}')::float8 as ${name}`;
  const rows = await session.run(`
with counted as materialized (
    select
        c.oid, c.relnamespace, c.relname,
        greatest(c.reltuples, 0)::float8 as live,
        pg_catalog.pg_stat_get_dead_tuples(c.oid)::float8 as dead,
        pg_catalog.pg_stat_get_mod_since_analyze(c.oid)::float8 as changed,
        ${setting('vacuum_threshold')} + ${setting('vacuum_scale_factor')} * greatest(c.reltuples, 0) as vacuum_at,
        ${setting('analyze_threshold')} + ${setting('analyze_scale_factor')} * greatest(c.reltuples, 0) as analyze_at
    from pg_catalog.pg_class as c
    left join lateral (
        select ${['vacuum_threshold', 'vacuum_scale_factor', 'analyze_threshold', 'analyze_scale_factor'].map(option).join(', ')}
        from pg_catalog.pg_options_to_table(c.reloptions)
    ) as own on c.reloptions is not null
    where c.relkind in ('r', 'm') and c.relpersistence <> 't'
)
select
    n.nspname::text as "schema",
    c.relname::text as "table",
    c.live as "liveRows",
    c.dead as "deadRows",
    c.vacuum_at as "vacuumAt",
    c.changed as "changedSinceAnalyze",
    c.analyze_at as "analyzeAt"
from counted as c
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where (c.dead > c.vacuum_at or c.changed > c.analyze_at)
    and n.nspname not in ('pg_catalog', 'information_schema')
order by c.dead desc, n.nspname, c.relname`);
  return rows as unknown as TableUpkeep[];
}

/** So far past its beginning autovacuum is kept off, or too slow. */
const LATE = 2;
/** Smaller tables cost nothing however they look. */
const FEW_ROWS = 10_000;

/** Tables whose dead rows autovacuum does not get rid of. */
export function judgeDeadRows(rows: TableUpkeep[]): DoctorFinding[] {
  return rows
    .filter(({ deadRows, vacuumAt }) => deadRows > vacuumAt * LATE && deadRows >= FEW_ROWS)
    .map(({ schema, table, deadRows, liveRows, vacuumAt }) => ({
      status: 'warning',
      object: `${schema}.${table}`,
      reason: `${schema}.${table} has ${deadRows} dead rows beside ${liveRows} live ones; autovacuum begins at ${Math.round(vacuumAt)}`,
      fix: `vacuum (analyze) ${quoteIdent(schema)}.${quoteIdent(table)}; -- it cannot remove what old transactions may still see`,
    }));
}

export const DEAD_ROWS: DoctorCheck = {
  name: 'dead-rows',
  group: 'vacuum',
  async examine(_session, context) {
    const rows = await context.once(readUpkeep);
    const late = rows.filter(({ deadRows, vacuumAt }) => deadRows > vacuumAt).length;
    return {
      findings: judgeDeadRows(rows),
      summary:
        late === 0 ? 'no table waits for vacuum' : `${describeCount(late, 'table')} due for vacuum`,
    };
  },
};
