import { listColumns } from '../../connection/inspection.ts';
import type { Session } from '../../connection/session.ts';

/** A vacuum that runs. */
export interface RunningVacuum {
  pid: number;
  /** Such as `scanning heap`; null where it is hidden. */
  phase: string | null;
  /** 0 to 1: how much of the table it has read; null where it is hidden. */
  progress: number | null;
  isAutovacuum: boolean;
  /** Whether it runs to prevent wraparound, and so does not give way to others. */
  isForWraparound: boolean;
  startedAt: Date | null;
  runningMs: number | null;
}

/** A vacuum, and what it works on. */
export interface VacuumOfTable {
  vacuum: RunningVacuum;
  /** Of the table or its toast table; 0 where it is hidden. */
  relationId: number;
  /** Whether it is one of this database. */
  isHere: boolean;
  /** The table as far as it can be named: those of other databases have only a number. */
  name: string;
  isHidden: boolean;
}

/** Lists the vacuums that run on the whole server (without `vacuum full`). */
export async function listRunningVacuums(session: Session): Promise<VacuumOfTable[]> {
  const columns = await listColumns(session, 'pg_catalog.pg_stat_progress_vacuum');
  if (!columns.has('heap_blks_scanned')) return [];
  const rows = await session.run(`
select
    p.pid as "pid",
    p.phase as "phase",
    p.heap_blks_scanned::float8 / nullif(p.heap_blks_total, 0) as "progress",
    coalesce(a.backend_type = 'autovacuum worker', false) as "isAutovacuum",
    coalesce(a.query like '%(to prevent wraparound)%', false) as "isForWraparound",
    a.xact_start as "startedAt",
    (extract(epoch from pg_catalog.clock_timestamp() - a.xact_start) * 1000)::float8 as "runningMs",
    coalesce(p.relid, 0)::bigint::float8 as "relationId",
    p.datname = pg_catalog.current_database() and p.relid is not null as "isHere",
    case when p.relid is null then '(hidden) in database ' || p.datname
        else 'relation ' || p.relid || ' in database ' || p.datname end as "name",
    p.relid is null as "isHidden"
from pg_catalog.pg_stat_progress_vacuum as p
left join pg_catalog.pg_stat_activity as a using (pid)
order by a.xact_start`);
  return rows.map((row) => {
    const { relationId, isHere, name, isHidden, ...vacuum } = row as unknown as RunningVacuum &
      Omit<VacuumOfTable, 'vacuum'>;
    return { vacuum, relationId, isHere, name, isHidden };
  });
}
