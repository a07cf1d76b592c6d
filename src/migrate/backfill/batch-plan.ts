import type { Asked } from '../../connection/session.ts';
import { quoteIdent, quoteLiteral } from '../../sql/quote.ts';
import { type Backfill, written } from './statement.ts';
import {
  askInPath,
  findWalkedTable,
  type KeyRange,
  rangeSql,
  readBatchEnd,
  readEnd,
  refused,
  shownRange,
  type WalkedTable,
} from './walked-table.ts';

/** What is known of a backfill once a server was asked. */
export interface PlannedBackfill extends BatchPlan {
  table: WalkedTable;
  /** The statement of each batch, with names for the ends of its range. */
  shownSql: string;
}

/**
 * Finds the table and its key, and has the server plan a batch.
 *
 * @param searchPath quoted names, as after `set search_path =`
 * @throws {EvdbError} BACKFILL_REFUSED
 */
export async function planBackfill(
  session: Asked,
  backfill: Backfill,
  searchPath: string,
): Promise<PlannedBackfill> {
  const table = await findWalkedTable(session, backfill, searchPath);
  const { template, alias } = backfill;
  const shownSql = `${template.before}${shownRange(table.columns, alias)}${template.after}`;
  return { ...(await readBatchPlan(session, backfill, table, searchPath)), table, shownSql };
}

/** How the server runs one batch. */
interface BatchPlan {
  /** The index by which it finds the rows of the batch; null where the table is small enough to read whole. */
  index: string | null;
  /** The planner's estimate of the rows that the whole statement changes. */
  rowsToChange: number | null;
  /** An estimate of the rows of the table. */
  rowsToWalk: number | null;
}

/** In pages of 8 kB: reading as much in each batch is not felt beside its 200 ms. */
const LARGE_PAGES = 1024;

/** How many rows a batch is assumed to have when its plan is read. */
const SAMPLE_ROWS = 1000;

/** The statement of one batch. */
export function batchSql(
  { template, alias }: Backfill,
  table: WalkedTable,
  range: KeyRange,
): string {
  return `${template.before}${rangeSql(table.columns, alias, range)}${template.after}`;
}

/**
 * Has the server plan a batch, and refuses one that would read a whole large table each time.
 *
 * @throws {EvdbError} BACKFILL_REFUSED with the index to make
 */
async function readBatchPlan(
  session: Asked,
  backfill: Backfill,
  table: WalkedTable,
  searchPath: string,
): Promise<BatchPlan> {
  const explain = (sql: string, settings = '') => explainIn(session, searchPath, sql, settings);
  const [whole, all] = [
    await explain(backfill.statement.text),
    await explain(`select from ${table.quoted}`),
  ];
  const live = await readLiveRows(session, table);
  const end = await readEnd(session, table);
  const rowsToWalk = live ?? all['Plan Rows'] ?? null;
  const planned = whole.Plans?.[0]?.['Plan Rows'] ?? null;
  // A join finds a row as often as it has partners, but only an insert makes as many rows of it.
  const isAtMostOnce = backfill.verb !== 'insert' && planned !== null && rowsToWalk !== null;
  const rows = {
    rowsToChange: isAtMostOnce ? Math.min(planned, rowsToWalk) : planned,
    rowsToWalk,
  };
  if (end === null) return { index: table.index, ...rows };
  const sample = Math.min(SAMPLE_ROWS, backfill.directive.batchRows ?? SAMPLE_ROWS);
  const { upTo } = await readBatchEnd(session, table, { after: null, upTo: end }, sample);
  const sql = batchSql(backfill, table, { after: null, upTo });
  const plan = await explain(sql);
  const scanned = await listLarge(session, wholeScans(plan));
  if (scanned.length > 0) {
    // It may read it whole although there is an index, because that is quicker.
    const forced = wholeScans(await explain(sql, AVOID_SCANS));
    const without = scanned.find((one) => forced.some((scan) => scan.alias === one.alias));
    if (without) throw wouldScan(without, backfill, await listColumns(session, without));
  }
  const index = nodesOf(plan).find(
    ({ Alias = '', 'Index Name': name }) =>
      // Partitions are called after the table, with a number.
      name !== undefined && (Alias === backfill.alias || Alias.startsWith(`${backfill.alias}_`)),
  );
  return { index: index?.['Index Name'] ?? null, ...rows };
}

/** What the server has counted, which no dead rows make larger; undefined where it has not. */
async function readLiveRows(session: Asked, { oid }: WalkedTable): Promise<number | undefined> {
  const [row] = await session.run(
    `select pg_catalog.pg_stat_get_live_tuples(${oid}::oid)::float8 as "rows"`,
  );
  return Number(row?.rows) || undefined;
}

const AVOID_SCANS = `set local enable_seqscan = off;
set local enable_hashjoin = off;
set local enable_mergejoin = off;
set local enable_material = off;`;

interface PlanNode {
  'Node Type'?: string;
  'Plan Rows'?: number;
  'Relation Name'?: string;
  Schema?: string;
  Alias?: string;
  'Index Name'?: string;
  'Index Cond'?: string;
  Plans?: PlanNode[];
}

async function explainIn(
  session: Asked,
  searchPath: string,
  sql: string,
  settings: string,
): Promise<PlanNode> {
  const [row] = await askInPath(
    session,
    searchPath,
    `${settings} explain (verbose, format json) ${sql}`,
  );
  const told = row?.['QUERY PLAN'] as [{ Plan: PlanNode }];
  return told[0].Plan;
}

function nodesOf(plan: PlanNode): PlanNode[] {
  return [plan, ...(plan.Plans ?? []).flatMap(nodesOf)];
}

interface WholeScan {
  schema: string;
  relation: string;
  alias: string;
}

/** Tables that are read from their beginning to their end; those that are written are no scans. */
function wholeScans(plan: PlanNode): WholeScan[] {
  return nodesOf(plan).flatMap((node) => {
    const { Schema: schema, Alias: alias, 'Relation Name': relation } = node;
    const type = node['Node Type'] ?? '';
    const isWhole = type === 'Seq Scan' || (type.startsWith('Index') && !node['Index Cond']);
    if (!isWhole || !schema || !relation || !alias) return [];
    return [{ schema, relation, alias }];
  });
}

async function listLarge(session: Asked, scans: WholeScan[]): Promise<WholeScan[]> {
  if (scans.length === 0) return [];
  const sizes = await session.run(`select pg_catalog.json_agg(s.alias) as "large"
from (values ${scans.map((scan) => `(${[scan.schema, scan.relation, scan.alias].map(quoteLiteral).join(', ')})`).join(', ')}) as s (schema, relation, alias)
join pg_catalog.pg_namespace as n on n.nspname = s.schema
join pg_catalog.pg_class as c on c.relname = s.relation and c.relnamespace = n.oid
where pg_catalog.pg_relation_size(c.oid) > ${LARGE_PAGES} * 8192`);
  const large = (sizes[0]?.large ?? []) as string[];
  return scans.filter(({ alias }) => large.includes(alias));
}

async function listColumns(session: Asked, { schema, relation }: WholeScan): Promise<string[]> {
  const [row] = await session.run(`select pg_catalog.json_agg(a.attname) as "columns"
from pg_catalog.pg_attribute as a
join pg_catalog.pg_class as c on c.oid = a.attrelid
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where n.nspname = ${quoteLiteral(schema)} and c.relname = ${quoteLiteral(relation)} and a.attnum > 0`);
  return (row?.columns ?? []) as string[];
}

function wouldScan(scan: WholeScan, { compared }: Backfill, columns: string[]) {
  const { schema, relation, alias } = scan;
  const own = compared.filter(
    ({ qualifier, column }) =>
      columns.includes(column) && (qualifier === undefined || qualifier === alias),
  );
  const names = [...new Set(own.map(({ column }) => column))];
  const table = written({ schema, name: relation });
  const made =
    names.length === 0
      ? `Create an index on ${table} that finds the rows the statement needs there`
      : `Create it in a separate migration before this one: create index concurrently on ${quoteIdent(schema)}.${quoteIdent(relation)} (${names.map(quoteIdent).join(', ')});`;
  return refused(`each batch would read all of ${table}, because an index is missing`, made);
}
