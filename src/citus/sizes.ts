import type { Session } from '../connection/session.ts';

/** How big a table is on all nodes together. */
export interface ClusterSize {
  oid: number;
  schema: string;
  name: string;
  /** Rows including out-of-line storage; null where a node did not answer. */
  tableBytes: number | null;
  totalBytes: number | null;
  /** The planner's estimates of all shards; null where one was never analyzed, or a node did not answer. */
  rows: number | null;
  shards: number;
}

/**
 * Reads the sizes of the distributed tables of a cluster. PostgreSQL's own functions see the empty table
 * of the coordinator. No query, and an empty list, where the database is of no cluster.
 *
 * Citus asks every node for each table, so this takes longer the more tables there are.
 *
 * Source: citusdata/citus, sql/udfs/citus_total_relation_size, citus_table_size and
 * run_command_on_all_nodes; `shard_name` gives what a shard is called on its node.
 */
export async function readClusterSizes(session: Session): Promise<ClusterSize[]> {
  if (!session.facts.isCitus) return [];
  return (await session.run(SIZES_SQL)) as unknown as ClusterSize[];
}

/** On each node: the estimates of the shards that are there, by their number. */
const ROWS_ON_NODE = `select coalesce(pg_catalog.json_object_agg(s.shardid, case
        when c.reltuples >= 0 then c.reltuples
        when pg_catalog.pg_relation_size(c.oid) = 0 then 0
    end), '{}')::text
    from pg_catalog.pg_dist_shard as s
    join pg_catalog.pg_class as c
        on c.oid = pg_catalog.to_regclass(pg_catalog.shard_name(s.logicalrelid, s.shardid))`;

const SIZES_SQL = `
with estimates as materialized (
    select e.key::bigint as shardid, pg_catalog.max(e.value::float8) as rows
    from pg_catalog.run_command_on_all_nodes($nodes$${ROWS_ON_NODE}$nodes$) as n
    cross join lateral pg_catalog.json_each_text(case when n.success then n.result::json else '{}' end) as e
    group by 1
)
select c.oid::bigint::float8 as "oid", n.nspname::text as "schema", c.relname::text as "name",
    pg_catalog.citus_table_size(p.logicalrelid, false)::float8 as "tableBytes",
    pg_catalog.citus_total_relation_size(p.logicalrelid, false)::float8 as "totalBytes",
    s.rows as "rows", s.shards::float8 as "shards"
from pg_catalog.pg_dist_partition as p
join pg_catalog.pg_class as c on c.oid = p.logicalrelid::oid
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
cross join lateral (
    select pg_catalog.count(*) as shards,
        case when pg_catalog.bool_and(e.rows is not null) then pg_catalog.sum(e.rows) end as rows
    from pg_catalog.pg_dist_shard as d
    left join estimates as e on e.shardid = d.shardid
    where d.logicalrelid = p.logicalrelid
) as s
order by c.oid`;

/** What reports say beside sizes that are those of a cluster. */
export const CLUSTER_NOTE =
  'the sizes and rows of distributed tables are those of all shards; dead rows, vacuum and analyze are those of the coordinator, which has no rows of them';
