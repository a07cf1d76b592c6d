import { CLUSTER_NOTE, type ClusterSize, readClusterSizes } from '../citus/sizes.ts';
import type { Session } from '../connection/session.ts';
import type { ReportNote, ReportView, StatsReport } from '../report/columns.ts';
import { commandLine } from '../text/command-line.ts';
import { renderCount } from '../text/units.ts';
import {
  estimateNotes,
  HELD,
  renderScope,
  renderTableParts,
  requireSchema,
  runWithoutWaiting,
  type StatsOptions,
  type StatsPrecision,
} from './catalog-queries.ts';
import { readCounterAge } from './counted-since.ts';

/** Why there is no estimate of what a table wastes. */
export type BloatUnknown =
  | 'hidden'
  | 'not-analyzed'
  | 'partial-statistics'
  | 'partitioned'
  | 'locked'
  | 'distributed';

/** One table or materialized view; a partitioned one represents its partitions. */
export interface TableRow {
  schema: string;
  table: string;
  kind: 'table' | 'partitioned' | 'materialized view';
  partitions: number;
  /** An estimate: the server's running count, otherwise the planner's; null if neither is known. */
  rows: number | null;
  /** All of it: rows, TOAST and indexes, with their maps. */
  totalBytes: number;
  tableBytes: number;
  toastBytes: number;
  indexBytes: number;
  isSizeEstimated: boolean;
  /**
   * The space the table uses beyond what its rows need at its fillfactor, from the average widths
   * in pg_stats as of the last analyze. An estimate; pgstattuple measures. Null if it is unknown.
   */
  bloatBytes: number | null;
  /** Of the table without TOAST and indexes, 0 to 100. */
  bloatPercent: number | null;
  bloatSource: 'pg_stats' | null;
  bloatUnknown: BloatUnknown | null;
  deadRows: number;
  /** The last time by hand or by autovacuum; of a partitioned table, that of any partition. */
  lastVacuum: Date | null;
  lastAnalyze: Date | null;
  /** Rows changed since then. */
  changedSinceAnalyze: number;
  /** Transactions since the oldest row was frozen; null for relations without rows. */
  transactionAge: number | null;
}

/**
 * Every table with its size, its estimated bloat and its last maintenance, the largest first.
 *
 * @throws {EvdbError} USAGE if the schema does not exist
 * @example
 * const { rows, notes } = await withInspection(connection, (session) => readTables(session));
 */
export async function readTables(
  session: Session,
  options: StatsOptions = {},
): Promise<StatsReport<TableRow>> {
  await requireSchema(session, options);
  const local = (await runWithoutWaiting(session, options, (precision) =>
    renderTables(options, precision),
  )) as unknown as TableRow[];
  const cluster = await readClusterSizes(session);
  const rows = withCluster(local, cluster);
  const { countedSince, notes } = await readCounterAge(session);
  return {
    rows,
    countedSince,
    notes: [
      ...notes,
      ...(cluster.length > 0 ? [{ level: 'info' as const, text: CLUSTER_NOTE }] : []),
      ...estimateNotes(rows, options, ['table', 'tables']),
      ...bloatNotes(rows),
    ],
  };
}

/** The tables of a cluster as big as they are on all nodes, the largest first; pure. */
function withCluster(rows: TableRow[], cluster: readonly ClusterSize[]): TableRow[] {
  if (cluster.length === 0) return rows;
  const sizes = new Map(cluster.map((one) => [`${one.schema}\0${one.name}`, one]));
  return rows
    .map((row): TableRow => {
      const size = sizes.get(`${row.schema}\0${row.table}`);
      if (size === undefined) return row;
      const { tableBytes, totalBytes, rows: count } = size;
      const table = tableBytes ?? 0;
      const indexBytes = Math.max(0, (totalBytes ?? 0) - table);
      return {
        ...{ ...row, rows: count, tableBytes: table, toastBytes: 0, indexBytes },
        ...{ totalBytes: totalBytes ?? 0, isSizeEstimated: totalBytes === null },
        ...{ bloatBytes: null, bloatPercent: null, bloatSource: null },
        bloatUnknown: 'distributed',
      };
    })
    .toSorted((a, b) => b.totalBytes - a.totalBytes);
}

function bloatNotes(rows: TableRow[]): ReportNote[] {
  const count = (reason: BloatUnknown) => rows.filter((row) => row.bloatUnknown === reason).length;
  const notes: ReportNote[] = [];
  const tables = (reason: BloatUnknown) => renderCount(count(reason), 'table');
  if (count('hidden') > 0) {
    notes.push({
      level: 'unknown',
      text: `the bloat of ${tables('hidden')} is unknown: this role may not read them, so their statistics are hidden`,
      hint: 'grant pg_read_all_data to the role.',
    });
  }
  if (count('not-analyzed') > 0) {
    notes.push({
      level: 'unknown',
      text: `the bloat of ${tables('not-analyzed')} is unknown: never analyzed`,
      hint: commandLine('stats update'),
    });
  }
  if (rows.some(({ bloatBytes }) => bloatBytes !== null)) {
    notes.push({
      level: 'info',
      text: 'bloat is estimated from the average widths of the last analyze, without TOAST and indexes',
      hint: 'The extension pgstattuple measures it: select * from pgstattuple_approx(…).',
    });
  }
  return notes;
}

/** Renders the query behind `readTables`; its columns are those of the row. */
function renderTables(options: StatsOptions, precision: StatsPrecision): string {
  return `with recursive ${HELD},
  ${renderTableParts(options)},
  ${precision === 'exact' ? EXACT_SIZES : ESTIMATED_SIZES},
  ${renderBloat(options)},
  summed as materialized (
    select p.whole,
      pg_catalog.count(*) filter (where c.relkind <> 'p') as leaves,
      pg_catalog.bool_or(s.is_estimated) as is_estimated,
      pg_catalog.sum(s.table_bytes) as table_bytes, pg_catalog.sum(s.toast_bytes) as toast_bytes,
      pg_catalog.sum(s.index_bytes) as index_bytes,
      pg_catalog.sum(case
        when c.relkind = 'p' then null
        -- The running count starts at zero after a crash, the planner's is only as old as the last analyze.
        when pg_catalog.pg_stat_get_live_tuples(c.oid) > 0 then pg_catalog.pg_stat_get_live_tuples(c.oid)
        when c.reltuples >= 0 then c.reltuples
        when s.table_bytes = 0 then 0
      end) as rows,
      pg_catalog.sum(pg_catalog.pg_stat_get_dead_tuples(c.oid)) as dead_rows,
      pg_catalog.max(greatest(pg_catalog.pg_stat_get_last_vacuum_time(c.oid),
        pg_catalog.pg_stat_get_last_autovacuum_time(c.oid))) as last_vacuum,
      pg_catalog.max(greatest(pg_catalog.pg_stat_get_last_analyze_time(c.oid),
        pg_catalog.pg_stat_get_last_autoanalyze_time(c.oid))) as last_analyze,
      pg_catalog.sum(pg_catalog.pg_stat_get_mod_since_analyze(c.oid)) as changed,
      pg_catalog.max(greatest(
        case when c.relfrozenxid <> '0' then pg_catalog.age(c.relfrozenxid) end,
        case when o.relfrozenxid <> '0' then pg_catalog.age(o.relfrozenxid) end)) as transaction_age
    from parts p
    join pg_catalog.pg_class c on c.oid = p.part
    left join pg_catalog.pg_class o on o.oid = c.reltoastrelid
    join sizes s on s.oid = p.part
    group by p.whole
  )
  select n.nspname as "schema", c.relname as "table",
    case c.relkind when 'p' then 'partitioned' when 'm' then 'materialized view' else 'table' end as "kind",
    case when c.relkind = 'p' then s.leaves else 0 end::int as "partitions",
    s.rows::float8 as "rows",
    (s.table_bytes + s.toast_bytes + s.index_bytes)::float8 as "totalBytes",
    s.table_bytes::float8 as "tableBytes", s.toast_bytes::float8 as "toastBytes",
    s.index_bytes::float8 as "indexBytes", s.is_estimated as "isSizeEstimated",
    b.bloat_bytes::float8 as "bloatBytes", b.bloat_percent::float8 as "bloatPercent",
    case when b.bloat_bytes is not null then 'pg_stats' end as "bloatSource",
    case when c.relkind = 'p' then 'partitioned' else b.unknown end as "bloatUnknown",
    s.dead_rows::float8 as "deadRows", s.last_vacuum as "lastVacuum",
    s.last_analyze as "lastAnalyze", s.changed::float8 as "changedSinceAnalyze",
    s.transaction_age::float8 as "transactionAge"
  from summed s
  join pg_catalog.pg_class c on c.oid = s.whole
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  left join bloat b on b.oid = s.whole
  order by s.table_bytes + s.toast_bytes + s.index_bytes desc, n.nspname, c.relname`;
}

const ESTIMATED = `
      c.relpages::numeric * pg_catalog.current_setting('block_size')::int as table_bytes,
      coalesce(o.relpages, 0)::numeric * pg_catalog.current_setting('block_size')::int
        + coalesce(x.toast_index_bytes, 0) as toast_bytes,
      coalesce(x.index_bytes, 0) as index_bytes, true as is_estimated`;

const INDEX_PAGES = `index_pages as (
    select i.indrelid,
      pg_catalog.sum(c.relpages::numeric) * pg_catalog.current_setting('block_size')::int as bytes
    from pg_catalog.pg_index i join pg_catalog.pg_class c on c.oid = i.indexrelid
    group by i.indrelid
  )`;

const ESTIMATED_FROM = `from (select distinct p.part from parts p) p
    join pg_catalog.pg_class c on c.oid = p.part
    left join pg_catalog.pg_class o on o.oid = c.reltoastrelid
    left join index_pages xi on xi.indrelid = c.oid
    left join index_pages xt on xt.indrelid = c.reltoastrelid
    cross join lateral (select xi.bytes as index_bytes, xt.bytes as toast_index_bytes) x`;

const ESTIMATED_SIZES = `${INDEX_PAGES},
  sizes as materialized (select c.oid, ${ESTIMATED} ${ESTIMATED_FROM})`;

// A lock on an index or on the TOAST table stands in the way as well.
const EXACT_SIZES = `${INDEX_PAGES},
  held_tables as materialized (
    select h.oid from held h
    union select i.indrelid from held h join pg_catalog.pg_index i on i.indexrelid = h.oid
    union select c.oid from held h join pg_catalog.pg_class c on c.reltoastrelid = h.oid
    union select c.oid from held h join pg_catalog.pg_index i on i.indexrelid = h.oid
      join pg_catalog.pg_class c on c.reltoastrelid = i.indrelid
  ),
  sizes as materialized (
    select c.oid, ${ESTIMATED} ${ESTIMATED_FROM}
    where c.oid in (select t.oid from held_tables t)
    union all
    select c.oid,
      coalesce(pg_catalog.pg_table_size(c.oid) - z.toast, 0), z.toast,
      coalesce(pg_catalog.pg_indexes_size(c.oid), 0), false
    from (select distinct p.part from parts p) p
    join pg_catalog.pg_class c on c.oid = p.part
    cross join lateral (
      select case when c.reltoastrelid = 0 then 0
        else coalesce(pg_catalog.pg_total_relation_size(c.reltoastrelid), 0) end as toast
      offset 0
    ) z
    where c.oid not in (select t.oid from held_tables t)
  )`;

// A row is a line pointer (4), a header (23, and a bit for each column where one may be null) and
// its data, each rounded up to 8; a page has a header of 24. Pages and rows are both as of the last
// vacuum or analyze.
function renderBloat(options: StatsOptions): string {
  return `widths as materialized (
    select s.schemaname, s.tablename, pg_catalog.count(*) as columns,
      pg_catalog.sum((1 - s.null_frac) * s.avg_width) as data_width,
      pg_catalog.bool_or(s.null_frac > 0) as has_nulls
    from pg_catalog.pg_stats s
    where not s.inherited
    group by s.schemaname, s.tablename
  ),
  column_counts as materialized (
    select a.attrelid, pg_catalog.count(*) filter (where not a.attisdropped) as columns,
      pg_catalog.max(a.attnum) as places
    from pg_catalog.pg_attribute a where a.attnum > 0 group by a.attrelid
  ),
  needed as (
    select c.oid, c.relpages, c.reltuples, w.columns as known, k.columns,
      pg_catalog.has_table_privilege(c.oid, 'select') and not pg_catalog.row_security_active(c.oid) as is_visible,
      4 + pg_catalog.ceil((23 + case when w.has_nulls then (k.places + 7) / 8 else 0 end) / 8.0) * 8
        + pg_catalog.ceil(w.data_width / 8.0) * 8 as row_width,
      (pg_catalog.current_setting('block_size')::int - 24) * coalesce(
        pg_catalog.substring(pg_catalog.array_to_string(c.reloptions, ','), 'fillfactor=([0-9]+)')::numeric, 100) / 100 as page_room
    from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace and ${renderScope('n', options)}
    left join column_counts k on k.attrelid = c.oid
    left join widths w on w.schemaname = n.nspname and w.tablename = c.relname
    where c.relkind in ('r', 'm') and not c.relispartition
  ),
  judged as (
    select d.*,
      case
        when d.reltuples < 0 then 'not-analyzed'
        when d.relpages = 0 or d.reltuples = 0 or coalesce(d.columns, 0) = 0 then null
        when not d.is_visible then 'hidden'
        when d.known is null then 'not-analyzed'
        when d.known < d.columns then 'partial-statistics'
      end as unknown,
      -- As many whole rows as fit.
      pg_catalog.ceil(d.reltuples / greatest(pg_catalog.floor(d.page_room / d.row_width), 1)) as needed_pages
    from needed d
  ),
  bloat as (
    select j.oid, j.unknown,
      case
        when j.unknown is not null then null
        when j.relpages = 0 then 0
        when j.reltuples = 0 then j.relpages::numeric * pg_catalog.current_setting('block_size')::int
        else greatest(j.relpages - j.needed_pages, 0) * pg_catalog.current_setting('block_size')::int
      end as bloat_bytes,
      case
        when j.unknown is not null then null
        when j.relpages = 0 then 0
        when j.reltuples = 0 then 100
        else 100 * greatest(j.relpages - j.needed_pages, 0) / j.relpages
      end as bloat_percent
    from judged j
  )`;
}

export const TABLES_VIEW: ReportView<TableRow> = {
  title: 'Tables',
  columns: [
    { header: 'table', value: nameOf },
    { header: 'rows (estimate)', value: (row) => row.rows, unit: 'count', priority: 1 },
    { header: 'size', value: (row) => row.totalBytes, unit: 'bytes' },
    { header: 'toast', value: (row) => row.toastBytes, unit: 'bytes', priority: 8 },
    { header: 'indexes', value: (row) => row.indexBytes, unit: 'bytes', priority: 5 },
    { header: 'bloat (estimate)', value: (row) => row.bloatBytes, unit: 'bytes', priority: 2 },
    { header: 'bloat %', value: (row) => row.bloatPercent, unit: 'percent', priority: 7 },
    { header: 'dead rows', value: (row) => row.deadRows, unit: 'count', priority: 3 },
    { header: 'last vacuum', value: (row) => row.lastVacuum, unit: 'time', priority: 6 },
    { header: 'last analyze', value: (row) => row.lastAnalyze, unit: 'time', priority: 4 },
    { header: 'age', value: (row) => row.transactionAge, unit: 'count', priority: 9 },
  ],
  empty: () => 'there are no tables',
};

function nameOf({ schema, table, kind, partitions }: TableRow): string {
  return `${schema}.${table}${kind === 'partitioned' ? ` (${partitions} partitions)` : ''}`;
}
