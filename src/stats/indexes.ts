import type { Session } from '../connection/session.ts';
import type { ReportView, StatsReport } from '../report/columns.ts';
import {
  estimateNotes,
  findCatalogColumns,
  requireSchema,
  runWithoutWaiting,
  type StatsOptions,
  type StatsPrecision,
} from './catalog-queries.ts';
import { readCounterAge } from './counted-since.ts';
import {
  type IndexCatalogFeatures,
  renderDefinition,
  renderIndexCatalog,
  renderSizes,
} from './index-catalog.ts';

/** One index; a partitioned one represents its partitions. */
export interface IndexRow {
  schema: string;
  table: string;
  index: string;
  /** Access method, such as `btree`. */
  method: string;
  /** `create index …`; null if the table is locked exclusively. */
  definition: string | null;
  sizeBytes: number;
  isSizeEstimated: boolean;
  /** Scans since `countedSince`. Enforcing uniqueness counts as none. */
  scans: number;
  entriesRead: number;
  rowsFetched: number;
  /** The last scan; null if there was none or the server does not record it (before 16). */
  lastScan: Date | null;
  /** The share of this index in all scans of its table, 0 to 1; null if there were none. */
  usageRatio: number | null;
  tableScans: number;
  /** Rows inserted, updated and deleted in the table. */
  tableWrites: number;
  isUnique: boolean;
  isPrimary: boolean;
  /** The constraint that it enforces. */
  constraint: string | null;
  isReplicaIdentity: boolean;
  isClustered: boolean;
  /** Foreign keys whose checks use it when the other table loses a row. */
  supportsForeignKeys: string[];
  /** False also if a partition's is invalid. */
  isValid: boolean;
  /** 0 for an index on an ordinary table. */
  partitions: number;
}

/**
 * Every index with its use, size and purpose, the largest first.
 *
 * The event schema's `get_index_usage_stats()` says the same about its own schema. This reads the
 * catalog itself, because a database contains other tables too, and because the function is only
 * for roles that were granted it.
 *
 * @throws {EvdbError} USAGE if the schema does not exist
 * @example
 * const { rows, notes } = await withInspection(connection, (session) => readIndexes(session, { schema: 'public' }));
 */
export async function readIndexes(
  session: Session,
  options: StatsOptions = {},
): Promise<StatsReport<IndexRow>> {
  await requireSchema(session, options);
  const features = await readIndexFeatures(session);
  const rows = await runWithoutWaiting(session, options, (precision) =>
    render(options, precision, features),
  );
  const { countedSince, notes } = await readCounterAge(session);
  const indexes = rows as unknown as IndexRow[];
  return {
    rows: indexes,
    countedSince,
    notes: [...notes, ...estimateNotes(indexes, options, ['index', 'indexes'])],
  };
}

/** What of the catalog of indexes this server has. */
export async function readIndexFeatures(session: Session): Promise<IndexCatalogFeatures> {
  const columns = await findCatalogColumns(session, ['pg_stat_all_indexes.last_idx_scan']);
  return { hasLastScan: columns.size > 0 };
}

function render(
  options: StatsOptions,
  precision: StatsPrecision,
  features: IndexCatalogFeatures,
): string {
  return `${renderIndexCatalog(options, features)},
  ${renderSizes('select r.indexrelid from roots r', precision)}
  select r.nspname as "schema", r.table_name as "table", r.relname as "index",
    r.amname as "method", ${renderDefinition(precision)} as "definition",
    z.size_bytes::float8 as "sizeBytes", z.is_estimated as "isSizeEstimated",
    u.scans::float8 as "scans", u.entries_read::float8 as "entriesRead",
    u.rows_fetched::float8 as "rowsFetched", u.last_scan as "lastScan",
    (u.scans / nullif(t.scans, 0))::float8 as "usageRatio",
    t.scans::float8 as "tableScans", t.writes::float8 as "tableWrites",
    r.indisunique as "isUnique", r.indisprimary as "isPrimary", x.conname as "constraint",
    r.indisreplident as "isReplicaIdentity", r.indisclustered as "isClustered",
    coalesce(s.names, '[]') as "supportsForeignKeys", u.is_valid as "isValid",
    u.partitions::int as "partitions"
  from roots r
  join used u on u.whole = r.indexrelid
  join sized z on z.whole = r.indexrelid
  join table_used t on t.whole = r.indrelid
  left join supported s on s.indexrelid = r.indexrelid
  left join own_constraints x on x.conindid = r.indexrelid and x.conrelid = r.indrelid
  order by z.size_bytes desc, r.nspname, r.table_name, r.relname`;
}

export const INDEXES_VIEW: ReportView<IndexRow> = {
  title: 'Indexes',
  columns: [
    { header: 'index', value: nameOf },
    { header: 'table', value: (row) => row.table, priority: 3 },
    { header: 'size', value: (row) => row.sizeBytes, unit: 'bytes' },
    {
      header: 'scans',
      value: (row) => row.scans,
      unit: 'count',
      tone: (row) => (row.scans === 0 ? 'muted' : undefined),
    },
    { header: 'share of scans', value: (row) => row.usageRatio, unit: 'ratio', priority: 4 },
    { header: 'last scan', value: (row) => row.lastScan, unit: 'time', priority: 5 },
    { header: 'purpose', value: purposeOf, priority: 2 },
    {
      header: 'valid',
      value: (row) => row.isValid,
      unit: 'flag',
      priority: 6,
      usual: 'yes',
      tone: (row) => (row.isValid ? undefined : 'critical'),
    },
    { header: 'definition', value: (row) => row.definition, priority: 7 },
  ],
  empty: () => 'there are no indexes',
};

function nameOf({ schema, index, partitions }: IndexRow): string {
  return `${schema}.${index}${partitions > 0 ? ` (${partitions} partitions)` : ''}`;
}

function purposeOf(row: IndexRow): string {
  return [
    ...(row.isPrimary ? ['primary key'] : row.isUnique ? ['unique'] : []),
    ...(row.constraint !== null && !row.isUnique ? ['constraint'] : []),
    ...(row.supportsForeignKeys.length > 0 ? ['foreign key'] : []),
    ...(row.isReplicaIdentity ? ['replica identity'] : []),
    ...(row.isClustered ? ['clustered'] : []),
  ].join(', ');
}
