import { brotliCompressSync, brotliDecompressSync, constants } from 'node:zlib';
import { EvdbError } from '../errors.ts';
import type { Finding } from '../finding.ts';
import type { ReportNote } from '../report/columns.ts';

/** The counters of a table at one moment; a partitioned one represents its partitions. */
export interface SnapshotTable {
  oid: number;
  schema: string;
  table: string;
  /** An estimate; null if the table was never analyzed. */
  rows: number | null;
  /** All of it: rows, TOAST and indexes. */
  totalBytes: number;
  indexBytes: number;
  deadRows: number;
  sequentialScans: number;
  /** Rows that sequential scans read. */
  sequentialRows: number;
  indexScans: number;
  inserted: number;
  updated: number;
  /** Of the updates, those that wrote no index entry. */
  hotUpdated: number;
  deleted: number;
}

/** The counters of an index at one moment; a partitioned one represents its partitions. */
export interface SnapshotIndex {
  oid: number;
  schema: string;
  table: string;
  index: string;
  sizeBytes: number;
  scans: number;
  isValid: boolean;
}

/** The counters of a statement of pg_stat_statements at one moment. */
export interface SnapshotStatement {
  /** The query ID and whose it is. */
  id: string;
  user: string | null;
  /** Without secrets; null if it was hidden. */
  query: string | null;
  calls: number;
  totalMs: number;
  rows: number;
  readBytes: number;
  tempBytes: number;
  walBytes: number | null;
  /** Since when it is counted, as ISO 8601; null before PostgreSQL 17. */
  countedSince: string | null;
}

/** How far a sequence was at one moment. */
export interface SnapshotSequence {
  /** With its schema. */
  sequence: string;
  /** Null if no number was taken yet, or it was hidden. */
  lastValue: string | null;
}

/** A finding of `doctor` as a snapshot keeps it. */
export type SnapshotFinding = Pick<Finding, 'code' | 'severity' | 'objects' | 'message'>;

/** Which server and database a snapshot is of, and since when they count. All times as ISO 8601. */
export interface SnapshotServer {
  /** The same on a server and its standbys; null if hidden. */
  system: string | null;
  /** Another one after each promotion; null on a standby. */
  timeline: string | null;
  isStandby: boolean;
  database: string;
  databaseOid: number;
  version: string;
  /** The role that took the snapshot: another one may see less. */
  user: string;
  startedAt: string;
  /** Null if the server does not count. */
  countedSince: string | null;
  statementsCountedSince: string | null;
  /** The next transaction ID, with its epoch; null on a standby. */
  nextTransaction: string | null;
}

/** Why a snapshot was taken. */
export type SnapshotReason = 'requested' | 'before up' | 'after up';

/** What evdb keeps of a database at one moment. */
export interface StatsSnapshot {
  /** ISO 8601. */
  takenAt: string;
  reason: SnapshotReason;
  server: SnapshotServer;
  tables: SnapshotTable[];
  indexes: SnapshotIndex[];
  /** Null if there was no pg_stat_statements, or it was hidden. */
  statements: SnapshotStatement[] | null;
  sequences: SnapshotSequence[];
  /** Settings that differ from PostgreSQL's default, as this role sees them. */
  settings: Record<string, string>;
  /** Null if `doctor` was not asked. */
  findings: SnapshotFinding[] | null;
  /** What could not be read. */
  notes: ReportNote[];
}

/** Raised when the shape changes in a way that breaks its readers. */
export const SNAPSHOT_FORMAT = 1;

type Value = string | number | boolean | null;
type Row = Record<string, Value>;

/** A list that mostly repeats the one before: how its rows are known again, and what never changes. */
interface List {
  key: string;
  names: string[];
}

const LISTS = {
  tables: { key: 'oid', names: ['schema', 'table'] },
  indexes: { key: 'oid', names: ['schema', 'table', 'index'] },
  statements: { key: 'id', names: ['user', 'query'] },
  sequences: { key: 'sequence', names: [] },
} as const satisfies Record<string, List>;

type ListName = keyof typeof LISTS;

/** A list column by column, which compresses to half of what rows do. */
type Columns = Record<string, Value[]>;

/** What changed in a list: rows that are new or have another name, new numbers of others, and who left. */
interface EncodedList {
  whole: Columns;
  numbers: Columns;
  gone: Value[];
}

/**
 * Packs a snapshot. Beside a base it keeps what differs from that, which for a database at work is a
 * tenth: most names and most tables stay as they are.
 */
export function encodeSnapshot(snapshot: StatsSnapshot, base?: StatsSnapshot): Buffer {
  const lists = Object.fromEntries(
    (Object.keys(LISTS) as ListName[]).map((name) => {
      const rows = snapshot[name];
      return [name, rows && encodeList(LISTS[name], rowsOf(rows), rowsOf(base?.[name] ?? []))];
    }),
  );
  const text = JSON.stringify({ ...snapshot, ...lists });
  return brotliCompressSync(text, { params: { [constants.BROTLI_PARAM_QUALITY]: 6 } });
}

/**
 * Unpacks a snapshot.
 *
 * @param base the one that it was packed beside
 */
export function decodeSnapshot(packed: Uint8Array, base?: StatsSnapshot): StatsSnapshot {
  const snapshot = JSON.parse(brotliDecompressSync(packed).toString()) as StatsSnapshot;
  const lists = (Object.keys(LISTS) as ListName[]).map((name) => {
    const encoded = snapshot[name] as unknown as EncodedList | null;
    return [name, encoded && decodeList(LISTS[name], encoded, rowsOf(base?.[name] ?? []))];
  });
  return { ...snapshot, ...Object.fromEntries(lists) };
}

function rowsOf(rows: readonly object[]): Row[] {
  return rows as Row[];
}

function encodeList({ key, names }: List, rows: Row[], base: Row[]): EncodedList {
  const before = new Map(base.map((row) => [row[key], row]));
  const whole: Row[] = [];
  const numbers: Row[] = [];
  for (const row of rows) {
    const old = before.get(row[key] as Value);
    before.delete(row[key] as Value);
    if (!old || names.some((name) => old[name] !== row[name])) whole.push(row);
    else if (Object.keys(row).some((name) => old[name] !== row[name])) {
      const kept = Object.entries(row).filter(([name]) => !names.includes(name));
      numbers.push(Object.fromEntries(kept));
    }
  }
  const gone = [...before.keys()] as Value[];
  return { whole: toColumns(whole), numbers: toColumns(numbers), gone };
}

function decodeList({ key }: List, { whole, numbers, gone }: EncodedList, base: Row[]): Row[] {
  const rows = new Map(base.map((row) => [row[key], row]));
  for (const id of gone) rows.delete(id);
  for (const row of toRows(numbers)) rows.set(row[key], { ...rows.get(row[key]), ...row });
  for (const row of toRows(whole)) rows.set(row[key], row);
  return [...rows.values()];
}

function toColumns(rows: Row[]): Columns {
  const names = Object.keys(rows[0] ?? {});
  return Object.fromEntries(names.map((name) => [name, rows.map((row) => row[name] ?? null)]));
}

function toRows(columns: Columns): Row[] {
  const entries = Object.entries(columns);
  const count = entries[0]?.[1].length ?? 0;
  return Array.from({ length: count }, (_, at) =>
    Object.fromEntries(entries.map(([name, values]) => [name, values[at] ?? null])),
  );
}

/**
 * A snapshot as a file: JSON, for tools as well.
 *
 * @example
 * import { writeFileSync } from 'node:fs';
 * import { readStatsSnapshot, renderSnapshotFile } from 'evdb/ops';
 *
 * writeFileSync('before.json', renderSnapshotFile(await readStatsSnapshot(connection)));
 */
export function renderSnapshotFile(snapshot: StatsSnapshot): string {
  return `${JSON.stringify({ evdbSnapshot: SNAPSHOT_FORMAT, ...snapshot })}\n`;
}

/**
 * Reads what `renderSnapshotFile` wrote.
 *
 * @param path for the message
 * @throws {EvdbError} USAGE if it is something else, or of a newer evdb
 * @example
 * import { readFileSync } from 'node:fs';
 * import { parseSnapshotFile } from 'evdb/ops';
 *
 * const before = parseSnapshotFile(readFileSync('before.json', 'utf8'), 'before.json');
 */
export function parseSnapshotFile(text: string, path: string): StatsSnapshot {
  const found = parseJson(text);
  const format = found?.evdbSnapshot;
  if (found && format === SNAPSHOT_FORMAT) {
    const { evdbSnapshot: _, ...snapshot } = found;
    return snapshot;
  }
  const isNewer = typeof format === 'number' && format > SNAPSHOT_FORMAT;
  const what = isNewer ? 'a snapshot of a newer evdb' : 'not a snapshot of evdb';
  throw new EvdbError('USAGE', `${path} is ${what}`, {
    hint: isNewer ? 'Use that version or a newer one.' : 'Give a file that `--to` has written.',
  });
}

function parseJson(text: string): (StatsSnapshot & { evdbSnapshot?: unknown }) | null {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
