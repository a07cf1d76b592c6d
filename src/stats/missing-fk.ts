import type { Session } from '../connection/session.ts';
import type { ReportView, StatsReport } from '../report/columns.ts';
import {
  estimateNotes,
  findCatalogColumns,
  HELD,
  renderScope,
  renderSize,
  requireSchema,
  runWithoutWaiting,
  type StatsOptions,
  type StatsPrecision,
} from './catalog-queries.ts';
import { readCounterAge } from './counted-since.ts';
import { EXTENSION_OWNED, FITS_FOREIGN_KEY } from './index-catalog.ts';

/** A foreign key for which every delete in the other table reads this whole table. */
export interface MissingForeignKeyIndexRow {
  schema: string;
  table: string;
  constraint: string;
  columns: string[];
  /** The size of the table without indexes, its partitions together. */
  tableBytes: number;
  isSizeEstimated: boolean;
  /** As the planner believes; null before the first vacuum or analyze. */
  tableRows: number | null;
  /** Rows inserted, updated and deleted: what an index would cost. */
  tableWrites: number;
  /** How many partitions lack an index; 0 for an ordinary table. */
  partitions: number;
  referencedSchema: string;
  referencedTable: string;
  /** Rows deleted and updated there: how often the whole table may have been read. */
  referencedDeletes: number;
  referencedUpdates: number;
  /** `cascade`, `set null`, … */
  onDelete: string;
  fixSql: string;
}

/**
 * Foreign keys whose referencing columns no index begins with, the largest table first. An index
 * fits with the columns in any order, as B-tree or hash; a partial one only if it leaves out nulls
 * of the key. A key that is not enforced needs none. For a partitioned table, the partitions are
 * examined.
 *
 * @throws {EvdbError} USAGE if the schema does not exist
 * @example
 * const { rows, notes } = await withInspection(connection, (session) => readMissingForeignKeyIndexes(session));
 */
export async function readMissingForeignKeyIndexes(
  session: Session,
  options: StatsOptions = {},
): Promise<StatsReport<MissingForeignKeyIndexRow>> {
  await requireSchema(session, options);
  const columns = await findCatalogColumns(session, ['pg_constraint.conenforced']);
  const rows = (await runWithoutWaiting(session, options, (precision) =>
    render(options, precision, columns.size > 0),
  )) as unknown as MissingForeignKeyIndexRow[];
  const { countedSince, notes } = await readCounterAge(session);
  return {
    rows,
    countedSince,
    notes: [...notes, ...estimateNotes(rows, options, ['table', 'tables'])],
  };
}

// A partitioned parent on either side makes further rows in pg_constraint: those with the same
// table are for the partitions of the referenced one.
function render(options: StatsOptions, precision: StatsPrecision, hasEnforced: boolean): string {
  return `with recursive ${HELD}, ${EXTENSION_OWNED},
  keys as materialized (
    select f.oid, f.conrelid, f.conparentid, f.conkey, c.relkind, c.relispartition,
      c.relpages, c.reltuples, c.relname
    from pg_catalog.pg_constraint f
    join pg_catalog.pg_class c on c.oid = f.conrelid
    left join pg_catalog.pg_constraint p on p.oid = f.conparentid
    where f.contype = 'f' and p.conrelid is distinct from f.conrelid
      ${hasEnforced ? 'and f.conenforced' : ''}
  ),
  served as materialized (
    select f.oid from keys f
    join pg_catalog.pg_index i on i.indrelid = f.conrelid
    join pg_catalog.pg_class x on x.oid = i.indexrelid
    join pg_catalog.pg_am a on a.oid = x.relam
    where ${FITS_FOREIGN_KEY}
  ),
  -- From the tables that hold rows up to the constraint that somebody wrote.
  way (leaf, at) as (
    select f.oid, f.oid from keys f
    where f.relkind = 'r' and f.oid not in (select s.oid from served s)
      and f.conrelid not in (select e.oid from extension_owned e)
    union all
    select w.leaf, k.conparentid from way w join keys k on k.oid = w.at
    where k.conparentid in (select o.oid from keys o)
  ),
  lacking as materialized (
    select w.at as top,
      pg_catalog.count(*) filter (where k.relispartition) as partitions,
      pg_catalog.sum(${renderSize('c', precision)}) as table_bytes,
      pg_catalog.bool_or(c.oid in (select h.oid from held h)) or ${precision === 'estimate'} as is_estimated,
      pg_catalog.sum(nullif(c.reltuples, -1)) as table_rows,
      pg_catalog.sum(pg_catalog.pg_stat_get_tuples_inserted(c.oid)
        + pg_catalog.pg_stat_get_tuples_updated(c.oid)
        + pg_catalog.pg_stat_get_tuples_deleted(c.oid)) as writes
    from way w
    join keys k on k.oid = w.leaf
    join pg_catalog.pg_class c on c.oid = k.conrelid
    join keys top on top.oid = w.at and not exists (select from keys o where o.oid = top.conparentid)
    group by w.at
  ),
  -- Of a partitioned table only the partitions count.
  referenced (table_oid, part) as (
    select f.confrelid, f.confrelid
    from lacking l join pg_catalog.pg_constraint f on f.oid = l.top
    union
    select r.table_oid, h.inhrelid
    from referenced r
    join pg_catalog.pg_inherits h on h.inhparent = r.part
    join pg_catalog.pg_class c on c.oid = h.inhrelid and c.relispartition
  ),
  lost as (
    select r.table_oid, pg_catalog.sum(pg_catalog.pg_stat_get_tuples_deleted(r.part)) as deletes,
      pg_catalog.sum(pg_catalog.pg_stat_get_tuples_updated(r.part)) as updates
    from referenced r group by r.table_oid
  ),
  columns as (
    select f.oid, pg_catalog.jsonb_agg(a.attname order by k.place) as names,
      pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' order by k.place) as list
    from lacking l
    join pg_catalog.pg_constraint f on f.oid = l.top
    cross join lateral pg_catalog.unnest(f.conkey) with ordinality k (number, place)
    join pg_catalog.pg_attribute a on a.attrelid = f.conrelid and a.attnum = k.number
    group by f.oid
  )
  select n.nspname as "schema", t.relname as "table", f.conname as "constraint",
    c.names as "columns", l.table_bytes::float8 as "tableBytes",
    l.is_estimated as "isSizeEstimated", l.table_rows::float8 as "tableRows",
    l.writes::float8 as "tableWrites", l.partitions::int as "partitions",
    rn.nspname as "referencedSchema", rt.relname as "referencedTable",
    o.deletes::float8 as "referencedDeletes", o.updates::float8 as "referencedUpdates",
    case f.confdeltype when 'a' then 'no action' when 'r' then 'restrict' when 'c' then 'cascade'
      when 'n' then 'set null' else 'set default' end as "onDelete",
    pg_catalog.format('create index %son %I.%I (%s);',
      case when t.relkind = 'p' then '' else 'concurrently ' end, n.nspname, t.relname, c.list)
      as "fixSql"
  from lacking l
  join pg_catalog.pg_constraint f on f.oid = l.top
  join columns c on c.oid = f.oid
  join pg_catalog.pg_class t on t.oid = f.conrelid
  join pg_catalog.pg_namespace n on n.oid = t.relnamespace
  join pg_catalog.pg_class rt on rt.oid = f.confrelid
  join lost o on o.table_oid = rt.oid
  join pg_catalog.pg_namespace rn on rn.oid = rt.relnamespace
  where ${renderScope('n', options)}
  order by l.table_bytes desc, n.nspname, t.relname, f.conname`;
}

export const MISSING_FK_VIEW: ReportView<MissingForeignKeyIndexRow> = {
  title: 'Foreign keys without an index',
  columns: [
    { header: 'table', value: (row) => `${row.schema}.${row.table}` },
    { header: 'columns', value: (row) => row.columns.join(', ') },
    { header: 'constraint', value: (row) => row.constraint, priority: 5 },
    { header: 'size', value: (row) => row.tableBytes, unit: 'bytes' },
    { header: 'rows', value: (row) => row.tableRows, unit: 'count', priority: 4 },
    { header: 'writes', value: (row) => row.tableWrites, unit: 'count', priority: 6 },
    {
      header: 'refers to',
      value: (row) => `${row.referencedSchema}.${row.referencedTable}`,
      priority: 2,
    },
    { header: 'deletes there', value: (row) => row.referencedDeletes, unit: 'count', priority: 3 },
    { header: 'updates there', value: (row) => row.referencedUpdates, unit: 'count', priority: 7 },
    { header: 'fix', value: (row) => row.fixSql, text: 'wraps' },
  ],
  empty: () => 'every foreign key has a fitting index',
};
