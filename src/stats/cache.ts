import type { Session } from '../connection/session.ts';
import type { ReportNote, ReportView, StatsReport } from '../report/columns.ts';
import { renderNumber, renderPercent } from '../text/units.ts';
import { readCounterAge } from './counted-since.ts';

/** How often a block was found in shared buffers. */
export interface CacheRow {
  /** The database with its catalogs; all tables; all indexes; one table with its toast; its indexes. */
  kind: 'database' | 'tables' | 'indexes' | 'table' | 'indexes of table';
  /** Null for the sums. */
  schema: string | null;
  name: string;
  hits: number;
  /** Blocks that were read: from disk, or from the operating system's cache. */
  reads: number;
  readBytes: number;
  /** 0 to 1; null if nothing was read. */
  hitRatio: number | null;
  /** Whether there were enough accesses for the ratio to mean anything. */
  isMeaningful: boolean;
}

/** How many tables are shown. */
export interface ReadCacheOptions {
  /** The highest number of tables and of indexes, those with the most blocks read; default 20. */
  limit?: number | undefined;
}

/** Each block is read once before it can be found, so below this the ratio shows warming up. */
const MEANINGFUL_ACCESSES = 10_000;

/**
 * Reads how often shared buffers contained the requested blocks, since the counters began.
 *
 * @param session from `withInspection`
 * @throws {EvdbError} QueryError if the server refuses a statement
 * @example
 * const { rows, notes } = await withInspection(connection, (session) => readCache(session, { limit: 10 }));
 */
export async function readCache(
  session: Session,
  { limit = 20 }: ReadCacheOptions = {},
): Promise<StatsReport<CacheRow>> {
  const rows = (await session.run(render(limit))) as unknown as CacheRow[];
  const { countedSince, notes } = await readCounterAge(session);
  return { rows, countedSince, notes: [...notes, ...notesOn(rows)] };
}

function notesOn(rows: CacheRow[]): ReportNote[] {
  const [database] = rows;
  if (!database) return [];
  if (!database.isMeaningful) {
    return [
      {
        level: 'info',
        text: `only ${database.hits + database.reads} blocks were asked for so far: these ratios show the cache warming up and mean nothing yet`,
      },
    ];
  }
  if (rows.every((row) => row.isMeaningful)) return [];
  return [
    {
      level: 'info',
      text: `ratios of fewer than ${renderNumber(MEANINGFUL_ACCESSES)} accesses are shown in brackets: they mean nothing yet`,
    },
  ];
}

function render(limit: number): string {
  return `
with io as materialized (
    select
        schemaname, relname,
        coalesce(heap_blks_hit, 0) + coalesce(toast_blks_hit, 0) as table_hits,
        coalesce(heap_blks_read, 0) + coalesce(toast_blks_read, 0) as table_reads,
        coalesce(idx_blks_hit, 0) + coalesce(tidx_blks_hit, 0) as index_hits,
        coalesce(idx_blks_read, 0) + coalesce(tidx_blks_read, 0) as index_reads
    from pg_catalog.pg_statio_user_tables
), part as (
    select 'table' as kind, schemaname, relname, table_hits as hits, table_reads as reads from io
    union all
    select 'indexes of table', schemaname, relname, index_hits, index_reads from io
), most as (
    select * from part
    where hits + reads > 0
    order by reads desc, hits desc, schemaname, relname, kind
    limit ${Math.max(0, Math.floor(limit))}
), line as (
    select 1 as place, 'database' as kind, null as schemaname, datname as relname, blks_hit as hits, blks_read as reads
    from pg_catalog.pg_stat_database
    where datname = pg_catalog.current_database()
    union all
    select 2, 'tables', null, 'all tables', coalesce(pg_catalog.sum(table_hits), 0), coalesce(pg_catalog.sum(table_reads), 0) from io
    union all
    select 3, 'indexes', null, 'all indexes', coalesce(pg_catalog.sum(index_hits), 0), coalesce(pg_catalog.sum(index_reads), 0) from io
    union all
    select 4, kind, schemaname, relname, hits, reads from most
)
select
    kind as "kind",
    schemaname::text as "schema",
    relname::text as "name",
    hits::float8 as "hits",
    reads::float8 as "reads",
    reads::float8 * pg_catalog.current_setting('block_size')::int as "readBytes",
    hits::float8 / nullif(hits + reads, 0)::float8 as "hitRatio",
    hits + reads >= ${MEANINGFUL_ACCESSES} as "isMeaningful"
from line
order by place, "reads" desc, "hits" desc, "schema", "name", "kind"`;
}

function renderRatio({ hitRatio, isMeaningful }: CacheRow): string | null {
  if (hitRatio === null) return null;
  // Cut, not rounded: 99.99 % is not 100 %.
  const text = renderPercent(Math.floor(hitRatio * 1000) / 10);
  return isMeaningful ? text : `(${text})`;
}

export const CACHE_VIEW: ReportView<CacheRow> = {
  title: 'Cache hits',
  columns: [
    { header: 'what', value: (row) => row.kind, priority: 1 },
    {
      header: 'name',
      value: (row) => (row.schema === null ? row.name : `${row.schema}.${row.name}`),
    },
    {
      header: 'found in cache',
      value: renderRatio,
      tone: (row) => (row.isMeaningful ? undefined : 'muted'),
    },
    { header: 'hits', unit: 'count', value: (row) => row.hits, priority: 2 },
    { header: 'read', unit: 'bytes', value: (row) => row.readBytes, priority: 3 },
  ],
  empty: () => 'nothing was read yet',
};
