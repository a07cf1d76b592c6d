import type { ReportNote } from '../report/columns.ts';
import type {
  SnapshotFinding,
  SnapshotIndex,
  SnapshotStatement,
  SnapshotTable,
  StatsSnapshot,
} from '../stats/snapshot-format.ts';
import { DAY_MS, MIB } from '../text/units.ts';
import { type Counting, countBetween, judgeCounting, pairUp } from './counting.ts';

/** A statement that takes longer than it did, or one that is new and takes much of the time. */
export interface QueryChangeRow {
  change: 'slower' | 'new';
  query: string | null;
  user: string | null;
  /** In the time between both snapshots, as are the following. */
  calls: number;
  meanMs: number;
  totalMs: number;
  /** Up to the earlier snapshot; null for a new statement. */
  meanBeforeMs: number | null;
  /** What all calls took longer than they did before. */
  extraMs: number;
}

/** A table whose size changed. */
export interface TableChangeRow {
  change: 'grown' | 'shrunk' | 'created' | 'dropped';
  schema: string;
  table: string;
  /** Null if it was not there. */
  bytesBefore: number | null;
  bytesAfter: number | null;
  changeBytes: number;
  /** At the rate between both snapshots; null where that is less than a day. */
  bytesPerDay: number | null;
  rowsAfter: number | null;
}

/** A table that is read from start to end more often than before. */
export interface ScanChangeRow {
  schema: string;
  table: string;
  /** 0 to 1: sequential scans of all scans up to the earlier snapshot, and since. */
  shareBefore: number;
  shareAfter: number;
  sequentialScans: number;
  /** On average. */
  rowsPerScan: number;
}

/** An index whose use or existence changed. */
export interface IndexChangeRow {
  /** `ceased`: no scan any more, though at the earlier rate there were at least 10. */
  change: 'began' | 'ceased' | 'created' | 'dropped' | 'invalid';
  schema: string;
  table: string;
  index: string;
  sizeBytes: number;
  /** Up to the earlier snapshot, as far back as the server counts; null if it was not there. */
  scansBefore: number | null;
  /** Between both snapshots. */
  scans: number;
}

/** A setting that has another value. */
export interface SettingChangeRow {
  setting: string;
  /** Null for PostgreSQL's default. */
  before: string | null;
  after: string | null;
}

/** A finding of `doctor` that is new, or gone. */
export interface FindingChangeRow extends SnapshotFinding {
  change: 'new' | 'gone';
}

/** Which snapshot is compared. */
export type SnapshotHead = Pick<StatsSnapshot, 'takenAt' | 'reason' | 'server'>;

/** What changed between two snapshots. */
export interface StatsDiff {
  before: SnapshotHead;
  after: SnapshotHead;
  durationMs: number;
  queries: QueryChangeRow[];
  scans: ScanChangeRow[];
  tables: TableChangeRow[];
  indexes: IndexChangeRow[];
  settings: SettingChangeRow[];
  findings: FindingChangeRow[];
  /** Resets in between, and what could not be compared. */
  notes: ReportNote[];
}

/**
 * Compares two snapshots of a database. Counters that were reset in between count from the reset; those
 * of another server are not compared.
 *
 * @example
 * const { entry } = chooseSnapshot(await listSnapshots(session), new Date('2026-11-28T06:00:00Z'));
 * const before = await readSnapshot(session, entry.id);
 * const diff = diffSnapshots(before, await readStatsSnapshot(connection));
 */
export function diffSnapshots(before: StatsSnapshot, after: StatsSnapshot): StatsDiff {
  const counting = judgeCounting(before, after);
  const durationMs = Date.parse(after.takenAt) - Date.parse(before.takenAt);
  const pair: Pair = { before, after, counting, durationMs };
  return {
    before: headOf(before),
    after: headOf(after),
    durationMs,
    queries: counting.isComparable ? diffQueries(pair) : [],
    scans: counting.isComparable ? diffScans(pair) : [],
    tables: diffTables(pair),
    indexes: diffIndexes(pair),
    settings: diffSettings(pair),
    findings: diffFindings(pair),
    notes: [...counting.notes, ...unknownNotes(pair)],
  };
}

interface Pair {
  before: StatsSnapshot;
  after: StatsSnapshot;
  counting: Counting;
  durationMs: number;
}

function headOf({ takenAt, reason, server }: StatsSnapshot): SnapshotHead {
  return { takenAt, reason, server };
}

function unknownNotes({ before, after }: Pair): ReportNote[] {
  const notes = [...before.notes, ...after.notes];
  const texts = new Set(notes.map(({ text }) => text));
  return [...texts].flatMap((text) => notes.find((note) => note.text === text) ?? []);
}

const SLOWER_FACTOR = 1.5;
const SLOWER_MS = 20;
/** Fewer calls say nothing of an average. */
const FEW_CALLS = 5;
const NEW_SHARE = 0.05;
const NEW_MS = 100;

function diffQueries({ before, after, counting }: Pair): QueryChangeRow[] {
  if (before.statements === null || after.statements === null) return [];
  const old = new Map(before.statements.map((statement) => [statement.id, statement]));
  const spent = after.statements.map((statement) => {
    const was = old.get(statement.id);
    const isReset = counting.areStatementsReset || isCountedAnew(statement, was, before.takenAt);
    const calls = countBetween(was?.calls, statement.calls, isReset);
    const totalMs = countBetween(was?.totalMs, statement.totalMs, isReset);
    return { statement, was, calls, totalMs };
  });
  const allMs = spent.reduce((sum, { totalMs }) => sum + totalMs, 0);
  return spent
    .flatMap(({ statement, was, calls, totalMs }): QueryChangeRow[] => {
      if (calls === 0) return [];
      const { query, user } = statement;
      const meanMs = totalMs / calls;
      const facts = { query, user, calls, meanMs, totalMs };
      if (!was) {
        const isMuch = totalMs >= NEW_MS && totalMs >= allMs * NEW_SHARE;
        return isMuch ? [{ change: 'new', ...facts, meanBeforeMs: null, extraMs: totalMs }] : [];
      }
      if (calls < FEW_CALLS || was.calls < FEW_CALLS) return [];
      const meanBeforeMs = was.totalMs / was.calls;
      const extraMs = (meanMs - meanBeforeMs) * calls;
      if (meanMs < meanBeforeMs * SLOWER_FACTOR || extraMs < SLOWER_MS) return [];
      return [{ change: 'slower', ...facts, meanBeforeMs, extraMs }];
    })
    .sort((a, b) => b.extraMs - a.extraMs);
}

/** A statement that was dropped for lack of room and came back. */
function isCountedAnew(
  { countedSince, calls }: SnapshotStatement,
  was: SnapshotStatement | undefined,
  takenAt: string,
): boolean {
  if (was === undefined) return false;
  return calls < was.calls || (countedSince !== null && countedSince > takenAt);
}

const MORE_SHARE = 0.2;
const FEW_SCANS = 10;
/** Smaller tables are read as fast without an index. */
const FEW_ROWS = 1000;

function diffScans({ before, after, counting: { isReset } }: Pair): ScanChangeRow[] {
  const old = new Map(before.tables.map((table) => [table.oid, table]));
  return after.tables
    .flatMap((table): ScanChangeRow[] => {
      const was = old.get(table.oid);
      if (!was || was.sequentialScans + was.indexScans === 0) return [];
      const count = (name: 'sequentialScans' | 'sequentialRows' | 'indexScans') =>
        countBetween(was[name], table[name], isReset);
      const sequentialScans = count('sequentialScans');
      if (sequentialScans < FEW_SCANS) return [];
      const shareBefore = was.sequentialScans / (was.sequentialScans + was.indexScans);
      const shareAfter = sequentialScans / (sequentialScans + count('indexScans'));
      const rowsPerScan = count('sequentialRows') / sequentialScans;
      if (shareAfter - shareBefore < MORE_SHARE || rowsPerScan < FEW_ROWS) return [];
      const { schema, table: name } = table;
      return [{ schema, table: name, shareBefore, shareAfter, sequentialScans, rowsPerScan }];
    })
    .sort((a, b) => b.sequentialScans * b.rowsPerScan - a.sequentialScans * a.rowsPerScan);
}

const GROWN_BYTES = MIB;
const GROWN_SHARE = 0.05;

function diffTables({ before, after, durationMs }: Pair): TableChangeRow[] {
  return pairUp(before.tables, after.tables)
    .flatMap(([was, is]): TableChangeRow[] => {
      const { schema, table } = (is ?? was) as SnapshotTable;
      const changeBytes = (is?.totalBytes ?? 0) - (was?.totalBytes ?? 0);
      const isMuch =
        Math.abs(changeBytes) >= GROWN_BYTES &&
        Math.abs(changeBytes) >= (was?.totalBytes ?? 0) * GROWN_SHARE;
      if (was && is && !isMuch) return [];
      const change = !was ? 'created' : !is ? 'dropped' : changeBytes > 0 ? 'grown' : 'shrunk';
      return [
        {
          ...{ change, schema, table, changeBytes },
          bytesBefore: was?.totalBytes ?? null,
          bytesAfter: is?.totalBytes ?? null,
          bytesPerDay:
            was && is && durationMs >= DAY_MS ? (changeBytes * DAY_MS) / durationMs : null,
          rowsAfter: is?.rows ?? null,
        },
      ];
    })
    .sort((a, b) => b.changeBytes - a.changeBytes);
}

/** So many scans missing are no chance. */
const EXPECTED_SCANS = 10;

function diffIndexes(pair: Pair): IndexChangeRow[] {
  const { before, after, counting } = pair;
  return pairUp(before.indexes, after.indexes)
    .flatMap(([was, is]): IndexChangeRow[] => {
      const { schema, table, index, sizeBytes } = (is ?? was) as SnapshotIndex;
      const scans = is ? countBetween(was?.scans, is.scans, counting.isReset) : 0;
      const facts = { schema, table, index, sizeBytes, scansBefore: was?.scans ?? null, scans };
      const change = indexChange(pair, was, is, scans);
      return change ? [{ change, ...facts }] : [];
    })
    .sort((a, b) => b.sizeBytes - a.sizeBytes);
}

function indexChange(
  { before, counting, durationMs }: Pair,
  was: SnapshotIndex | undefined,
  is: SnapshotIndex | undefined,
  scans: number,
): IndexChangeRow['change'] | undefined {
  if (!is) return 'dropped';
  if (!is.isValid && was?.isValid !== false) return 'invalid';
  if (!was) return 'created';
  if (!counting.isComparable) return undefined;
  if (was.scans === 0) return scans > 0 ? 'began' : undefined;
  const { countedSince } = before.server;
  if (scans > 0 || countedSince === null) return undefined;
  const countedMs = Math.max(Date.parse(before.takenAt) - Date.parse(countedSince), 1);
  return (was.scans * durationMs) / countedMs >= EXPECTED_SCANS ? 'ceased' : undefined;
}

function diffSettings({ before, after }: Pair): SettingChangeRow[] {
  const names = new Set([...Object.keys(before.settings), ...Object.keys(after.settings)]);
  return [...names]
    .sort()
    .map((setting) => ({
      setting,
      before: before.settings[setting] ?? null,
      after: after.settings[setting] ?? null,
    }))
    .filter((row) => row.before !== row.after);
}

/** What one of both could not examine is neither new nor gone. */
function diffFindings({ before, after }: Pair): FindingChangeRow[] {
  if (before.findings === null || after.findings === null) return [];
  const only = (
    found: SnapshotFinding[],
    others: SnapshotFinding[],
    change: FindingChangeRow['change'],
  ) => {
    const known = new Set(others.map(keyOf));
    const unknown = new Set(
      others.filter(({ severity }) => severity === 'unknown').map(({ code }) => code),
    );
    return found
      .filter((one) => one.severity !== 'unknown')
      .filter((one) => !known.has(keyOf(one)) && !unknown.has(one.code))
      .map((one) => ({ change, ...one }));
  };
  return [
    ...only(after.findings, before.findings, 'new'),
    ...only(before.findings, after.findings, 'gone'),
  ];
}

function keyOf({ code, objects }: SnapshotFinding): string {
  return JSON.stringify([code, ...objects]);
}
