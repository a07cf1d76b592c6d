import type { Session } from '../../connection/session.ts';
import type { ReportNote, StatsReport } from '../../report/columns.ts';
import { commandLine } from '../../text/command-line.ts';
import { readCounterAge } from './counted-since.ts';
import { estimateNotes, runWithoutWaiting } from './exclusive-locks.ts';
import { requireSchema, type StatsOptions } from './scope.ts';
import { renderTables } from './tables-query.ts';

/** Why there is no estimate of what a table wastes. */
export type BloatUnknown =
  | 'hidden'
  | 'not-analyzed'
  | 'partial-statistics'
  | 'partitioned'
  | 'locked';

/** One table or materialized view; a partitioned one stands for its partitions. */
export interface TableRow {
  schema: string;
  table: string;
  kind: 'table' | 'partitioned' | 'materialized view';
  partitions: number;
  /** An estimate: the server's running count, else what the planner believes; null where neither is known. */
  rows: number | null;
  /** All of it: rows, TOAST and indexes, with their maps. */
  totalBytes: number;
  tableBytes: number;
  toastBytes: number;
  indexBytes: number;
  isSizeEstimated: boolean;
  /**
   * What the table holds beyond what its rows need at its fillfactor, from the average widths in
   * pg_stats as of the last analyze. An estimate; pgstattuple measures. Null where it is unknown.
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
  /** Transactions since the oldest row was frozen; null for what holds no rows. */
  transactionAge: number | null;
}

/**
 * Every table with its size, its estimated bloat and its last maintenance, the largest first.
 *
 * @throws {EvdbError} USAGE where the schema does not exist
 */
export async function readTables(
  session: Session,
  options: StatsOptions = {},
): Promise<StatsReport<TableRow>> {
  await requireSchema(session, options);
  const rows = (await runWithoutWaiting(session, options, (precision) =>
    renderTables(options, precision),
  )) as unknown as TableRow[];
  const { countedSince, notes } = await readCounterAge(session);
  return {
    rows,
    countedSince,
    notes: [...notes, ...estimateNotes(rows, options, ['table', 'tables']), ...bloatNotes(rows)],
  };
}

function bloatNotes(rows: TableRow[]): ReportNote[] {
  const count = (reason: BloatUnknown) => rows.filter((row) => row.bloatUnknown === reason).length;
  const notes: ReportNote[] = [];
  const tables = (number: number) => `${number} ${number === 1 ? 'table' : 'tables'}`;
  if (count('hidden') > 0) {
    notes.push({
      level: 'unknown',
      text: `the bloat of ${tables(count('hidden'))} is unknown: this role may not read them, so their statistics are hidden`,
      hint: 'grant pg_read_all_data to the role.',
    });
  }
  if (count('not-analyzed') > 0) {
    notes.push({
      level: 'unknown',
      text: `the bloat of ${tables(count('not-analyzed'))} is unknown: never analyzed`,
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
