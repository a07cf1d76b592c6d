import type { Session } from '../connection/session.ts';
import { quoteIdent } from '../sql/quote.ts';
import { readVacuum, type VacuumReport } from '../stats/vacuum.ts';
import { renderCount } from '../text/units.ts';
import type { DoctorCheck, DoctorFinding } from './check.ts';

/** Whether the server, or a table, is left without autovacuum. */
export function judgeAutovacuum({
  isAutovacuumOn,
  rows,
}: Pick<VacuumReport, 'isAutovacuumOn' | 'rows'>): DoctorFinding[] {
  const tables = rows
    .filter((row) => row.isAutovacuumOff)
    .map((row): DoctorFinding => {
      const name = `${row.schema}.${row.name}`;
      const table = `${quoteIdent(row.schema ?? '')}.${quoteIdent(row.name)}`;
      return {
        severity: 'warning',
        message: `autovacuum is off for ${name}: dead rows stay until it is vacuumed by hand`,
        objects: [name],
        fix: `alter table ${table} reset (autovacuum_enabled);`,
      };
    });
  if (isAutovacuumOn) return tables;
  return [
    {
      severity: 'error',
      message:
        'autovacuum is off on the whole server, or track_counts is, without which it does nothing',
      objects: [],
      fix: 'alter system set autovacuum = on; alter system set track_counts = on; select pg_reload_conf();',
    },
    ...tables,
  ];
}

export const AUTOVACUUM: DoctorCheck = {
  name: 'autovacuum',
  group: 'vacuum',
  async examine(_session, context) {
    const report = await context.once(readVacuum);
    return { findings: judgeAutovacuum(report), summary: 'autovacuum is on' };
  },
};

/** Rows of a table that vacuum should have removed, or that the planner knows nothing of. */
interface TableUpkeep {
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
async function readUpkeep(session: Session): Promise<TableUpkeep[]> {
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
/** Smaller tables cost nothing however they look, and their plans are hardly worse. */
const FEW_ROWS = 10_000;

/** Tables whose dead rows autovacuum does not get rid of. */
export function judgeDeadRows(rows: TableUpkeep[]): DoctorFinding[] {
  return rows
    .filter(({ deadRows, vacuumAt }) => deadRows > vacuumAt * LATE && deadRows >= FEW_ROWS)
    .map(({ schema, table, deadRows, liveRows, vacuumAt }) => ({
      severity: 'warning',
      message: `${schema}.${table} has ${deadRows} dead rows beside ${liveRows} live ones; autovacuum begins at ${Math.round(vacuumAt)}`,
      objects: [`${schema}.${table}`],
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
        late === 0 ? 'no table waits for vacuum' : `${renderCount(late, 'table')} due for vacuum`,
    };
  },
};

/** Tables that changed so much since the last analyze that plans are guesses. */
export function judgeStaleStatistics(rows: TableUpkeep[]): DoctorFinding[] {
  return rows
    .filter(
      ({ changedSinceAnalyze, analyzeAt }) =>
        changedSinceAnalyze > analyzeAt * LATE && changedSinceAnalyze >= FEW_ROWS,
    )
    .map(({ schema, table, changedSinceAnalyze, liveRows }) => ({
      severity: 'warning',
      message: `${changedSinceAnalyze} rows of ${schema}.${table} changed since it was analyzed (${liveRows} rows then)`,
      objects: [`${schema}.${table}`],
      fix: `analyze ${quoteIdent(schema)}.${quoteIdent(table)};`,
    }));
}

export const STALE_STATISTICS: DoctorCheck = {
  name: 'stale-statistics',
  group: 'vacuum',
  async examine(_session, context) {
    const rows = await context.once(readUpkeep);
    const due = rows.filter((row) => row.changedSinceAnalyze > row.analyzeAt).length;
    return {
      findings: judgeStaleStatistics(rows),
      summary:
        due === 0 ? 'no table waits for analyze' : `${renderCount(due, 'table')} due for analyze`,
    };
  },
};
