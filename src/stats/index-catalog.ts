import type { Session } from '../connection/session.ts';
import {
  HELD,
  renderScope,
  renderSize,
  type StatsOptions,
  type StatsPrecision,
} from './catalog-queries.ts';

/**
 * The condition under which an index serves the checks of a foreign key: its first columns are
 * the key's, in any order, and what a predicate leaves out is null in the key (read as stored,
 * because pg_get_expr() takes a lock). `i` is pg_index, `a` the pg_am of the index and `f` the
 * pg_constraint.
 */
export const FITS_FOREIGN_KEY = `pg_catalog.cardinality(f.conkey) <= i.indnkeyatts
      and f.conkey <@ (i.indkey::smallint[])[0:pg_catalog.cardinality(f.conkey) - 1]
      and a.amname in ('btree', 'hash')
      and i.indisvalid
      and (i.indpred is null or pg_catalog.substring(i.indpred::text,
        '^[{]NULLTEST :arg [{]VAR :varno 1 :varattno ([0-9]+) [^{}]*[}] :nulltesttype 1 [^{}]*[}]$'
      )::smallint = any (f.conkey))`;

/** A common table expression with what belongs to an extension, which nobody else may change. */
export const EXTENSION_OWNED = `extension_owned as materialized (
    select p.objid as oid from pg_catalog.pg_depend p
    where p.classid = 'pg_catalog.pg_class'::regclass and p.deptype = 'e'
  )`;

/** What the server can tell about an index, by its catalog. */
export interface IndexCatalogFeatures {
  hasLastScan: boolean;
}

/**
 * Common table expressions with the facts on every index, partitioned ones summed up over their
 * parts: `held`, `roots` (what the catalog says), `parts`, `used` (counters by index),
 * `table_used` (counters by table), `supported` (foreign keys by index), `own_constraints`.
 */
export function renderIndexCatalog(
  options: StatsOptions,
  { hasLastScan }: IndexCatalogFeatures,
): string {
  return `with recursive ${HELD},
  ${EXTENSION_OWNED},
  roots as materialized (
    -- Not the expressions themselves: with their text the rows do not fit into memory.
    select i.indexrelid, i.indrelid, i.indisunique, i.indisprimary, i.indisexclusion,
      i.indisclustered, i.indisreplident, i.indexprs is not null as has_expressions,
      i.xmin as made_by, n.nspname, c.relname, c.relkind, t.relname as table_name, a.amname
    from pg_catalog.pg_index i
    join pg_catalog.pg_class c on c.oid = i.indexrelid
    join pg_catalog.pg_class t on t.oid = i.indrelid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    join pg_catalog.pg_am a on a.oid = c.relam
    where ${renderScope('n', options)} and not c.relispartition
  ),
  parts (whole, part) as (
    select r.indexrelid, r.indexrelid from roots r
    union all
    select p.whole, h.inhrelid from parts p join pg_catalog.pg_inherits h on h.inhparent = p.part
  ),
  used as materialized (
    select p.whole,
      pg_catalog.count(*) - 1 as partitions,
      pg_catalog.sum(pg_catalog.pg_stat_get_numscans(p.part)) as scans,
      pg_catalog.sum(pg_catalog.pg_stat_get_tuples_returned(p.part)) as entries_read,
      pg_catalog.sum(pg_catalog.pg_stat_get_tuples_fetched(p.part)) as rows_fetched,
      ${hasLastScan ? 'pg_catalog.max(pg_catalog.pg_stat_get_lastscan(p.part))' : 'null::timestamptz'} as last_scan,
      pg_catalog.bool_and(i.indisvalid) as is_valid
    from parts p
    join pg_catalog.pg_index i on i.indexrelid = p.part
    group by p.whole
  ),
  table_parts (whole, part) as (
    select distinct r.indrelid, r.indrelid from roots r
    union all
    select p.whole, h.inhrelid
    from table_parts p
    join pg_catalog.pg_inherits h on h.inhparent = p.part
    join pg_catalog.pg_class c on c.oid = h.inhrelid and c.relispartition
  ),
  index_scans as (
    select i.indrelid, pg_catalog.sum(pg_catalog.pg_stat_get_numscans(i.indexrelid)) as scans
    from pg_catalog.pg_index i group by i.indrelid
  ),
  table_used as materialized (
    select p.whole,
      pg_catalog.sum(pg_catalog.pg_stat_get_numscans(p.part) + coalesce(s.scans, 0)) as scans,
      pg_catalog.sum(pg_catalog.pg_stat_get_tuples_inserted(p.part)
        + pg_catalog.pg_stat_get_tuples_updated(p.part)
        + pg_catalog.pg_stat_get_tuples_deleted(p.part)) as writes
    from table_parts p left join index_scans s on s.indrelid = p.part
    group by p.whole
  ),
  supported as materialized (
    select i.indexrelid, pg_catalog.jsonb_agg(f.conname order by f.conname) as names
    from pg_catalog.pg_constraint f
    join pg_catalog.pg_index i on i.indrelid = f.conrelid
    join roots a on a.indexrelid = i.indexrelid
    where f.contype = 'f' and ${FITS_FOREIGN_KEY}
    group by i.indexrelid
  ),
  own_constraints as materialized (
    select x.conindid, x.conrelid, x.conname
    from pg_catalog.pg_constraint x
    join roots r on r.indexrelid = x.conindid and r.indrelid = x.conrelid
    where x.contype in ('p', 'u', 'x')
  )`;
}

/**
 * The common table expression `sized`: the size of each index of `source`, a query that yields
 * `whole`. Asking for a size opens the relation, which costs more than all else on the index.
 */
export function renderSizes(source: string, precision: StatsPrecision): string {
  return `sized as materialized (
    select p.whole,
      pg_catalog.bool_or(c.oid in (select h.oid from held h)) or ${precision === 'estimate'} as is_estimated,
      pg_catalog.sum(${renderSize('c', precision)}) as size_bytes
    from parts p
    join pg_catalog.pg_class c on c.oid = p.part
    where p.whole in (${source})
    group by p.whole
  )`;
}

/** The definition of an index `r` of `roots`; null where reading it would wait for a lock. */
export function renderDefinition(precision: StatsPrecision): string {
  if (precision === 'estimate') return 'null::text';
  return `case when r.indrelid in (select h.oid from held h)
      or r.indexrelid in (select h.oid from held h) then null
      else pg_catalog.pg_get_indexdef(r.indexrelid) end`;
}

/**
 * A definition that makes the index with all its parts: that of a partitioned table's index says
 * `only`, which leaves it invalid. `r` needs `indisunique` and `relname`.
 */
export function renderWhole(definition: string, alias = 'r'): string {
  const prefix = `pg_catalog.format('CREATE %sINDEX %I ON ', case when ${alias}.indisunique then 'UNIQUE ' else '' end, ${alias}.relname)`;
  return `case when pg_catalog.starts_with(${definition}, ${prefix} || 'ONLY ')
      then ${prefix} || pg_catalog.substr(${definition}, pg_catalog.length(${prefix}) + 6)
      else ${definition} end`;
}

/** A `create index` or `reindex` that is running. */
export interface IndexBuild {
  pid: number;
  phase: string;
  /** Of the current phase, 0 to 100; null if it does not count. */
  percent: number | null;
  /** When the statement began; null if it is hidden. */
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
