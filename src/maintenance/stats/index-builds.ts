import type { Session } from '../../connection/session.ts';

/** A `create index` or `reindex` that is running. */
export interface IndexBuild {
  pid: number;
  phase: string;
  /** Of the present phase, 0 to 100; null where it does not count. */
  percent: number | null;
  /** When the statement began; null where it is hidden. */
  since: Date | null;
}

interface RunningBuild {
  build: IndexBuild;
  isOf: (indexOid: number, tableOid: number) => boolean;
}

// The index is 0 until it exists; the lock tells the table where the rest is hidden.
const BUILDS = `select p.pid, p.relid::bigint::float8 as "tableOid", p.index_relid::bigint::float8 as "indexOid",
    coalesce(p.phase, 'hidden') as "phase",
    case when p.blocks_total > 0 then 100.0 * p.blocks_done / p.blocks_total
      when p.tuples_total > 0 then 100.0 * p.tuples_done / p.tuples_total end::float8 as "percent",
    a.query_start as "since"
  from pg_catalog.pg_stat_progress_create_index p
  left join pg_catalog.pg_stat_activity a on a.pid = p.pid
  where p.datname = pg_catalog.current_database()`;

/** What is being built in this database, and how many builds this role is not shown. */
export async function readBuilds(
  session: Session,
): Promise<{ running: RunningBuild[]; hidden: number }> {
  const rows = (await session.run(BUILDS)) as unknown as (IndexBuild & {
    tableOid: number | null;
    indexOid: number | null;
  })[];
  const seen = rows.filter(({ tableOid }) => tableOid !== null);
  return {
    hidden: rows.length - seen.length,
    running: seen.map(({ tableOid, indexOid, ...build }) => ({
      build,
      isOf: (index, table) => (indexOid ? indexOid === index : tableOid === table),
    })),
  };
}
