import type { Session } from '../../connection/session.ts';
import { quoteLiteral } from '../../sql/quote.ts';
import type { MissingForeignKeyIndexRow } from '../missing-fk.ts';
import {
  type AdvisedStatement,
  type CandidateIndex,
  type ChosenIndex,
  isPrefix,
  type StatementGain,
} from './choose.ts';

/** An index that would help, or that is a candidate for it. */
export interface IndexAdviceRow {
  schema: string;
  table: string;
  columns: string[];
  /**
   * `plans`: statements were planned with it, and got cheaper. `scan`: a candidate, because a statement
   * reads the whole table for these columns. `foreignKey`: deletes in the other table read this one.
   */
  basis: 'plans' | 'scan' | 'foreignKey';
  /** 0 to 1: the part of their cost that the statements save, by their calls; null if it is unknown. */
  gain: number | null;
  /** 0 to 1: the part of the time of all statements that these take; null for a foreign key. */
  shareOfTime: number | null;
  /** The statements that it is for, those with the most time first. */
  statements: IndexAdviceStatement[];
  /** By hypopg; null if that is missing. */
  estimatedBytes: number | null;
  /** As the planner believes; null before the first vacuum or analyze. */
  tableRows: number | null;
  /** Rows inserted, updated and deleted since the counters began: what writes the index too. */
  tableWrites: number;
  /** Calls of updates that set one of its columns, and could not be HOT any more. */
  columnUpdates: number;
  /** Existing indexes that would be the first columns of this one. */
  redundantIndexes: string[];
  indexName: string;
  createSql: string;
  dropSql: string;
}

/** What an index does for a statement. */
export interface IndexAdviceStatement {
  queryId: string | null;
  query: string;
  calls: number;
  totalMs: number;
  /** Of the planner, without this index and with those of the rows above. */
  costBefore: number;
  /** Null if it is unknown. */
  costAfter: number | null;
}

/** A row whose index has no name yet. */
export interface IndexAdviceDraft
  extends Omit<IndexAdviceRow, 'indexName' | 'createSql' | 'dropSql'> {
  isPartitioned: boolean;
}

/** What rows need beside the candidates. */
export interface AdviceFacts {
  updates: { oid: number; columns: string[]; calls: number }[];
}

/** The rows of indexes that plans got cheaper with. */
export function chosenRows(chosen: readonly ChosenIndex[], facts: AdviceFacts): IndexAdviceDraft[] {
  return chosen.map((index) => {
    const gains = [...index.gains].sort((a, b) => b.statement.totalMs - a.statement.totalMs);
    return {
      ...describe(index, facts),
      basis: 'plans' as const,
      gain: gainRatio(gains),
      shareOfTime: gains.reduce((sum, { statement }) => sum + statement.shareOfTime, 0),
      statements: gains.map(({ statement, costBefore, costAfter }) =>
        statementOf(statement, costBefore, costAfter),
      ),
      estimatedBytes: index.estimatedBytes,
    };
  });
}

/** The part of the cost that is saved, by the calls of each statement. */
function gainRatio(gains: readonly StatementGain[]): number {
  const sum = (cost: (gain: StatementGain) => number) =>
    gains.reduce((total, gain) => total + cost(gain) * gain.statement.calls, 0);
  const before = sum(({ costBefore }) => costBefore);
  return before === 0 ? 0 : 1 - sum(({ costAfter }) => costAfter) / before;
}

const MOST_SCAN_ROWS = 20;

/** The rows of candidates for tables that plans read from start to end. */
export function scanRows(
  statements: readonly AdvisedStatement[],
  candidates: readonly CandidateIndex[],
  facts: AdviceFacts,
): IndexAdviceDraft[] {
  const longest = candidates.filter(
    (one) => !candidates.some((other) => other !== one && isPrefix(one, other)),
  );
  const rows = longest.flatMap((candidate) => {
    const { table } = candidate;
    const readers = statements.filter(({ wanted, plan }) => {
      const isWanted = wanted.some((one) => isPrefix(one, candidate));
      return isWanted && plan.scans.some((scan) => table.partNames.includes(scan.table));
    });
    if (readers.length === 0) return [];
    const sorted = [...readers].sort((a, b) => b.totalMs - a.totalMs);
    return [
      {
        ...describe(candidate, facts),
        basis: 'scan' as const,
        gain: null,
        shareOfTime: sorted.reduce((sum, { shareOfTime }) => sum + shareOfTime, 0),
        statements: sorted.map((statement) => statementOf(statement, statement.plan.cost, null)),
        estimatedBytes: null,
      },
    ];
  });
  return rows.sort((a, b) => b.shareOfTime - a.shareOfTime).slice(0, MOST_SCAN_ROWS);
}

function statementOf(
  { queryId, query, calls, totalMs }: AdvisedStatement,
  costBefore: number,
  costAfter: number | null,
): IndexAdviceStatement {
  return { queryId, query, calls, totalMs, costBefore, costAfter };
}

function describe(
  { table, columns }: CandidateIndex,
  { updates }: AdviceFacts,
): Omit<IndexAdviceDraft, 'basis' | 'gain' | 'shareOfTime' | 'statements' | 'estimatedBytes'> {
  const setting = updates.filter(
    (update) => update.oid === table.oid && update.columns.some((one) => columns.includes(one)),
  );
  const redundant = table.indexes.filter(
    (index) =>
      index.isPlain &&
      index.columns.length < columns.length &&
      index.columns.every((column, at) => column === columns[at]),
  );
  return {
    ...{ schema: table.schema, table: table.name, columns },
    tableRows: table.rows,
    tableWrites: table.writes,
    columnUpdates: setting.reduce((sum, { calls }) => sum + calls, 0),
    redundantIndexes: redundant.map(({ name }) => name),
    isPartitioned: table.kind === 'p',
  };
}

/** Foreign keys of large tables that no other row serves. */
export function foreignKeyRows(
  keys: readonly MissingForeignKeyIndexRow[],
  others: readonly IndexAdviceDraft[],
  leastRows: number,
): IndexAdviceDraft[] {
  return keys
    .filter(({ schema, table, columns, tableRows }) => {
      const isServed = others.some(
        (row) =>
          row.schema === schema &&
          row.table === table &&
          columns.every((column) => row.columns.indexOf(column) < columns.length) &&
          columns.every((column) => row.columns.includes(column)),
      );
      return !isServed && (tableRows ?? 0) >= leastRows;
    })
    .slice(0, MOST_SCAN_ROWS)
    .map(({ schema, table, columns, tableRows, tableWrites, partitions }) => ({
      ...{ schema, table, columns, basis: 'foreignKey' as const },
      ...{ gain: null, shareOfTime: null, statements: [], estimatedBytes: null },
      ...{ tableRows, tableWrites, columnUpdates: 0, redundantIndexes: [] },
      isPartitioned: partitions > 0,
    }));
}

/** Names the indexes, and writes the SQL that creates and drops them. */
export async function nameIndexes(
  session: Session,
  drafts: readonly IndexAdviceDraft[],
): Promise<IndexAdviceRow[]> {
  if (drafts.length === 0) return [];
  const names = drafts.flatMap(({ schema, table, columns }) => [schema, table, ...columns]);
  const [row] = await session.run(`select
    (select pg_catalog.jsonb_object_agg(n.name, pg_catalog.quote_ident(n.name))
      from pg_catalog.unnest(array[${[...new Set(names)].map(quoteLiteral).join(', ')}]) n (name)) as "quoted",
    (select pg_catalog.jsonb_agg(pg_catalog.format('%s.%s', n.nspname, c.relname))
      from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where c.relkind in ('i', 'I') and n.nspname !~ '^pg_') as "taken"`);
  const { quoted, taken } = row as { quoted: Record<string, string>; taken: string[] | null };
  const known = new Set(taken ?? []);
  return drafts.map(({ isPartitioned, ...draft }) => {
    const indexName = freeName(draft, known);
    const how = isPartitioned ? '' : ' concurrently';
    const index = /^[a-z_][a-z0-9_]*$/.test(indexName)
      ? indexName
      : `"${indexName.replaceAll('"', '""')}"`;
    const qualifier = quoted[draft.schema];
    const list = draft.columns.map((column) => quoted[column]).join(', ');
    return {
      ...draft,
      indexName,
      createSql: `create index${how} ${index} on ${qualifier}.${quoted[draft.table]} (${list});`,
      dropSql: `drop index${how} ${qualifier}.${index};`,
    };
  });
}

const MAX_BYTES = 63;

/** As PostgreSQL names it, from the table and the columns; what is too long is cut. */
function freeName(
  { schema, table, columns }: Pick<IndexAdviceRow, 'schema' | 'table' | 'columns'>,
  taken: Set<string>,
): string {
  for (let at = 0; ; at++) {
    const suffix = at === 0 ? '_idx' : `_idx${at}`;
    let base = [table, ...columns].join('_');
    while (Buffer.byteLength(base + suffix) > MAX_BYTES) base = [...base].slice(0, -1).join('');
    const name = base + suffix;
    if (taken.has(`${schema}.${name}`)) continue;
    taken.add(`${schema}.${name}`);
    return name;
  }
}
