import type { Session } from '../connection/session.ts';
import { isModelled, MODEL_ROWS_SQL } from './model.ts';

/*
 * How tables are spread over a cluster, as words of a structure: they stand beside the other parts of a
 * table, so that a diff and the drift tell of them, and a dump makes them again.
 */

/** A row of the query below. */
export interface DistributionRow {
  /** Of the table, or of the schema where `isSchema`. */
  oid: number;
  isSchema: boolean;
  /** As in a structure: qualified and quoted where SQL needs it. */
  name: string;
  /** `h` hash, `n` reference or single shard, `r` and `a` of old clusters; null for a schema. */
  method: string | null;
  /** The distribution column, unquoted. */
  column: string | null;
  /** 0 for a local table that Citus manages. */
  colocation: number;
  /** `t` for a reference table. */
  replication: string | null;
  shards: number | null;
}

/**
 * The distributed tables and the schemas of tenants; tables in those follow their schema and are left out,
 * as are local tables that Citus took in by itself.
 *
 * Source: citusdata/citus, `pg_dist_partition`, `pg_dist_colocation` and `pg_dist_schema` (from 12.0 on).
 */
function distributionSql({ hasSchemas }: { hasSchemas: boolean }): string {
  const tenants = hasSchemas
    ? `
union all
select s.schemaid::oid, true, pg_catalog.quote_ident(n.nspname), null, null, s.colocationid, null, null
from pg_catalog.pg_dist_schema as s
join pg_catalog.pg_namespace as n on n.oid = s.schemaid::oid`
    : '';
  const ofTenant = hasSchemas
    ? ' and p.colocationid not in (select s.colocationid from pg_catalog.pg_dist_schema as s)'
    : '';
  return `
select c.oid as "oid", false as "isSchema", pg_catalog.format('%I.%I', n.nspname, c.relname) as "name",
    p.partmethod::text as "method",
    pg_catalog.column_to_column_name(p.logicalrelid, p.partkey) as "column",
    p.colocationid as "colocation", p.repmodel::text as "replication", l.shardcount as "shards"
from pg_catalog.pg_dist_partition as p
join pg_catalog.pg_class as c on c.oid = p.logicalrelid::oid
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
left join pg_catalog.pg_dist_colocation as l on l.colocationid = p.colocationid
where not c.relispartition and not p.autoconverted${ofTenant}${tenants}`;
}

/**
 * The query that reads how the tables of a database are distributed; undefined where nothing is, which
 * needs no query. In a scratch database it reads what was written down there.
 */
export async function readDistributionSql(session: Session): Promise<string | undefined> {
  if (!session.facts.isCitus) return isModelled(session) ? MODEL_ROWS_SQL : undefined;
  const [row] = await session.run(HAS_TENANT_SCHEMAS_SQL);
  return distributionSql({ hasSchemas: row?.hasSchemas === true });
}

const HAS_TENANT_SCHEMAS_SQL =
  'select pg_catalog.to_regclass(\'pg_catalog.pg_dist_schema\') is not null as "hasSchemas"';

/**
 * How each table is distributed, by its oid, in words; pure. Of tables that are colocated the first by
 * name says how many shards there are, and the others name it.
 *
 * @example
 * describeDistributions(rows).get(16412) // 'hash (tenant_id), 32 shards'
 */
export function describeDistributions(rows: readonly DistributionRow[]): Map<number, string> {
  const leaders = new Map<number, DistributionRow>();
  for (const row of rows) {
    if (!isSpread(row)) continue;
    const known = leaders.get(row.colocation);
    if (known === undefined || row.name < known.name) leaders.set(row.colocation, row);
  }
  return new Map(rows.map((row) => [row.oid, describe(row, leaders.get(row.colocation))]));
}

function isSpread({ isSchema, replication, colocation }: DistributionRow): boolean {
  return !isSchema && replication !== 't' && colocation !== 0;
}

function describe(row: DistributionRow, leader: DistributionRow | undefined): string {
  if (row.isSchema) return 'tenant';
  if (row.replication === 't') return 'reference';
  if (row.colocation === 0) return 'local';
  const how = row.column === null ? 'single shard' : `${methodOf(row)} (${row.column})`;
  if (leader !== undefined && leader !== row) return `${how}, with ${leader.name}`;
  if (row.column === null) return how;
  return row.shards === null
    ? how
    : `${how}, ${row.shards} ${row.shards === 1 ? 'shard' : 'shards'}`;
}

function methodOf({ method }: DistributionRow): string {
  return { h: 'hash', r: 'range', a: 'append' }[method ?? ''] ?? `${method}`;
}

const SPREAD =
  /^(?:(?<method>\w+) \((?<column>.*)\)|single shard)(?:, (?:(?<shards>\d+) shards?|with (?<leader>.*)))?$/s;

/** As dumps write it, where backslashes mean themselves. */
const plainLiteral = (text: string) => `'${text.replaceAll("'", "''")}'`;

/** How a table is to be distributed. */
export interface Distribution {
  /** The statement, with its semicolon. */
  statement: string;
  /** The table that has to be distributed before it. */
  leader?: string;
}

/**
 * The statement that distributes a table as its words say; undefined for words that are not known; pure.
 *
 * @param name of the table, or of a schema of a tenant, qualified and quoted where SQL needs it
 *
 * Source: citusdata/citus, sql/udfs/create_distributed_table and citus_schema_distribute.
 */
export function renderDistribution(name: string, words: string): Distribution | undefined {
  const table = plainLiteral(name);
  if (words === 'tenant') return { statement: `select citus_schema_distribute(${table});` };
  if (words === 'reference') return { statement: `select create_reference_table(${table});` };
  if (words === 'local') {
    return { statement: `select citus_add_local_table_to_metadata(${table});` };
  }
  const { method, column, shards, leader } = SPREAD.exec(words)?.groups ?? {};
  if (method === undefined && !words.startsWith('single shard')) return undefined;
  const given = [
    table,
    column === undefined ? 'null' : plainLiteral(column),
    ...(method === undefined || method === 'hash' ? [] : [plainLiteral(method)]),
    `colocate_with => ${leader === undefined ? "'none'" : plainLiteral(leader)}`,
    ...(shards === undefined ? [] : [`shard_count => ${shards}`]),
  ];
  const statement = `select create_distributed_table(${given.join(', ')});`;
  return leader === undefined ? { statement } : { statement, leader };
}
