import { CLUSTER_NOTE, type ClusterSize, readClusterSizes } from '../citus/sizes.ts';
import { codeOf } from '../connection/connection-error.ts';
import type { Session } from '../connection/session.ts';
import type { ReportNote, ReportView, StatsReport } from '../report/columns.ts';
import { commandLine } from '../text/command-line.ts';

/** The size of the database, of one schema or of one relation with all that belongs to it. */
export interface DatabaseSizeRow {
  kind: 'database' | 'schema' | 'table' | 'materialized view';
  /** Null for the database. */
  schema: string | null;
  /** Of the database or the relation; null for a schema. */
  name: string | null;
  totalBytes: number;
  /** Rows including out-of-line storage; null for the database. */
  tableBytes: number | null;
  /** Null for the database. */
  indexBytes: number | null;
  /** Of the database, 0 to 1. */
  share: number;
}

/** How many relations are shown. */
export interface ReadDatabaseSizesOptions {
  /** The highest number of relations, the biggest first; default 10. */
  limit?: number | undefined;
}

/**
 * Reads the size of the database and its contents. If a table is locked exclusively, the sizes are
 * those of the last vacuum or analyze, and a note says so.
 *
 * @param session from `withInspection`
 * @throws {EvdbError} QueryError if the server refuses a statement
 * @example
 * const { rows, notes } = await withInspection(connection, (session) => readDatabaseSizes(session));
 */
export async function readDatabaseSizes(
  session: Session,
  { limit = 10 }: ReadDatabaseSizesOptions = {},
): Promise<StatsReport<DatabaseSizeRow>> {
  const notes: ReportNote[] = [];
  let rows: unknown[];
  const cluster = await readClusterSizes(session);
  if (cluster.length > 0) notes.push({ level: 'info', text: CLUSTER_NOTE });
  try {
    rows = await session.run(sizesSql(MEASURED, limit, cluster));
  } catch (error) {
    if (codeOf(error) !== '55P03') throw error;
    rows = await session.run(sizesSql(ESTIMATED, limit, cluster));
    notes.push({
      level: 'warning',
      text: 'another session has a table locked, so the sizes of schemas and tables are estimates from the last vacuum or analyze',
      hint: `To see which one: ${commandLine('stats locks')}`,
    });
  }
  return { rows: rows as DatabaseSizeRow[], countedSince: null, notes };
}

/**
 * Both functions wait for a lock on the table. What all databases share, such as pg_authid, belongs to none
 * of them, and does not count in the size of a database.
 */
const MEASURED = `
    select c.oid, c.relnamespace, c.relname, c.relkind,
        pg_catalog.pg_table_size(c.oid)::float8 as table_bytes,
        pg_catalog.pg_indexes_size(c.oid)::float8 as index_bytes
    from pg_catalog.pg_class as c
    where c.relkind in ('r', 'm') and not c.relisshared`;

const ESTIMATED = `
    select c.oid, c.relnamespace, c.relname, c.relkind,
        b.bytes * (c.relpages + coalesce(t.relpages, 0) + coalesce(ti.pages, 0))::float8 as table_bytes,
        b.bytes * coalesce(i.pages, 0)::float8 as index_bytes
    from pg_catalog.pg_class as c
    cross join (select pg_catalog.current_setting('block_size')::float8 as bytes) as b
    left join pg_catalog.pg_class as t on t.oid = c.reltoastrelid
    left join index_pages as i on i.indrelid = c.oid
    left join index_pages as ti on ti.indrelid = t.oid
    where c.relkind in ('r', 'm') and not c.relisshared`;

/** The tables of a cluster with their sizes on all nodes; a size that is not known counts as none. */
function withCluster(relations: string, cluster: readonly ClusterSize[]): string {
  if (cluster.length === 0) return relations;
  const values = cluster.map(({ oid, tableBytes, totalBytes }) => {
    const bytes = tableBytes ?? 0;
    return `(${oid}::oid, ${bytes}::float8, ${Math.max(0, (totalBytes ?? 0) - bytes)}::float8)`;
  });
  return `
    select r.oid, r.relnamespace, r.relname, r.relkind,
        coalesce(w.table_bytes, r.table_bytes) as table_bytes,
        coalesce(w.index_bytes, r.index_bytes) as index_bytes
    from (${relations}
    ) as r
    left join (values ${values.join(', ')}) as w (oid, table_bytes, index_bytes) on w.oid = r.oid`;
}

/** Of the coordinator's database, and of what lies on all nodes. */
const sumOf = (cluster: readonly ClusterSize[]) =>
  cluster.reduce((sum, { totalBytes }) => sum + (totalBytes ?? 0), 0);

function sizesSql(relations: string, limit: number, cluster: readonly ClusterSize[]): string {
  return `
with index_pages as (
    select x.indrelid, pg_catalog.sum(c.relpages)::float8 as pages
    from pg_catalog.pg_index as x
    join pg_catalog.pg_class as c on c.oid = x.indexrelid
    group by x.indrelid
),
relations as materialized (${withCluster(relations, cluster)}
),
named as (
    select n.nspname::text as schema, r.relname::text as name, r.relkind, r.table_bytes, r.index_bytes
    from relations as r
    join pg_catalog.pg_namespace as n on n.oid = r.relnamespace
),
whole as (
    select pg_catalog.pg_database_size(pg_catalog.current_database())::float8 + ${sumOf(cluster)} as bytes
),
sizes as (
    select 1 as part, 'database' as kind, null as schema,
        pg_catalog.current_database()::text as name, bytes as total,
        null::float8 as table_bytes, null::float8 as index_bytes
    from whole
    union all
    select 2, 'schema', schema, null, pg_catalog.sum(table_bytes + index_bytes),
        pg_catalog.sum(table_bytes), pg_catalog.sum(index_bytes)
    from named
    group by schema
    union all
    (
        select 3, case relkind when 'm' then 'materialized view' else 'table' end, schema, name,
            table_bytes + index_bytes, table_bytes, index_bytes
        from named
        where schema not in ('pg_catalog', 'information_schema', 'pg_toast')
        order by 5 desc, schema, name
        limit ${Math.max(0, Math.floor(limit))}
    )
)
select s.kind, s.schema, s.name, s.total as "totalBytes", s.table_bytes as "tableBytes",
    s.index_bytes as "indexBytes", least(s.total / nullif(w.bytes, 0), 1) as "share"
from sizes as s cross join whole as w
order by s.part, s.total desc, s.schema, s.name`;
}

export const SIZES_VIEW: ReportView<DatabaseSizeRow> = {
  title: 'Sizes',
  columns: [
    { header: 'what', value: (row) => row.kind, priority: 4, tone: () => 'muted' },
    {
      header: 'name',
      value: ({ schema, name }) => [schema, name].filter((part) => part !== null).join('.'),
    },
    { header: 'size', unit: 'bytes', value: (row) => row.totalBytes },
    { header: 'of all', unit: 'ratio', value: (row) => row.share, priority: 3 },
    { header: 'data', unit: 'bytes', value: (row) => row.tableBytes, priority: 1 },
    { header: 'indexes', unit: 'bytes', value: (row) => row.indexBytes, priority: 2 },
  ],
  empty: () => 'the database has no size',
};
