import type { ReportNote } from '../report/columns.ts';
import type { SnapshotServer, StatsSnapshot } from '../stats/snapshot-format.ts';
import { renderCount, renderTime } from '../text/units.ts';

/** Whether the counters of two snapshots can be compared, and from where they count. */
export interface Counting {
  /** False if another server counted: then nothing can be said of rates. */
  isComparable: boolean;
  /** Whether the counters of tables and indexes began anew in between. */
  isReset: boolean;
  /** The same for pg_stat_statements. */
  areStatementsReset: boolean;
  notes: ReportNote[];
}

/**
 * Says how far counters of two snapshots can be compared. The server has one time for the reset of any
 * table and of all of them, and after a crash none: so only counters that are smaller than before tell
 * what was reset.
 */
export function judgeCounting(before: StatsSnapshot, after: StatsSnapshot): Counting {
  const stranger = describeStranger(before.server, after.server);
  const notes = [...(stranger ? [stranger] : []), ...roleNotes(before.server, after.server)];
  if (stranger) return { isComparable: false, isReset: false, areStatementsReset: false, notes };
  const hasBegun = (since: string | null) => since !== null && since > before.takenAt;
  const { startedAt, countedSince, statementsCountedSince } = after.server;
  const { smaller, all } = countSmaller(before, after);
  const isReset = smaller > 0 && smaller >= all / 2;
  const when = hasBegun(countedSince) ? ` at ${renderTime(String(countedSince))}` : ' in between';
  if (isReset && hasBegun(startedAt)) {
    notes.push(
      resetNote(
        `the server was restarted at ${renderTime(startedAt)} and lost its counters, as after a crash`,
      ),
    );
  } else if (isReset) notes.push(resetNote(`the counters were reset${when}`));
  else if (smaller > 0) {
    const which = renderCount(smaller, 'table or index', 'tables and indexes');
    notes.push(resetNote(`the counters of ${which} were reset${when}`));
  } else if (hasBegun(startedAt)) {
    const text = `the server was restarted at ${renderTime(startedAt)} and kept its counters`;
    notes.push({ level: 'info', text });
  }
  const areStatementsReset = hasBegun(statementsCountedSince);
  if (areStatementsReset) {
    const at = renderTime(String(statementsCountedSince));
    notes.push(resetNote(`pg_stat_statements was reset at ${at}`));
  }
  return { isComparable: true, isReset, areStatementsReset, notes };
}

function resetNote(what: string): ReportNote {
  return { level: 'warning', text: `${what}: they count from there` };
}

function describeStranger(before: SnapshotServer, after: SnapshotServer): ReportNote | undefined {
  const why = strangeBecause(before, after);
  if (why === undefined) return undefined;
  return {
    level: 'warning',
    text: `${why}, and each server counts for itself: nothing is said of queries, scans and rates`,
    hint: 'Compare with a snapshot of the same server.',
  };
}

function strangeBecause(before: SnapshotServer, after: SnapshotServer): string | undefined {
  if (before.system !== null && after.system !== null && before.system !== after.system) {
    return 'the two snapshots are of different servers';
  }
  if (before.databaseOid !== after.databaseOid) {
    return 'the two snapshots are of different databases';
  }
  if (before.isStandby !== after.isStandby) return 'one of the snapshots is of a standby';
  if (before.timeline !== after.timeline) {
    return 'a standby was promoted in between, or a backup restored';
  }
  if (majorOf(before) !== majorOf(after)) {
    return `the server was upgraded from ${before.version} to ${after.version}`;
  }
  return undefined;
}

function majorOf({ version }: SnapshotServer): string | undefined {
  return /^\d+/.exec(version)?.[0];
}

function roleNotes(before: SnapshotServer, after: SnapshotServer): ReportNote[] {
  if (before.user === after.user) return [];
  return [
    {
      level: 'warning',
      text: `${before.user} took the earlier snapshot and ${after.user} the later one: one of them may see less`,
    },
  ];
}

/** How many tables and indexes count less than before, of those that had counted anything. */
function countSmaller(
  before: StatsSnapshot,
  after: StatsSnapshot,
): { smaller: number; all: number } {
  const pairs = [
    ...pairUp(before.tables, after.tables).map(([was, is]) =>
      COUNTERS.map((name) => [was?.[name], is?.[name]]),
    ),
    ...pairUp(before.indexes, after.indexes).map(([was, is]) => [[was?.scans, is?.scans]]),
  ];
  const counted = pairs.filter((counters) =>
    counters.some(([was = 0, is]) => was > 0 && is !== undefined),
  );
  const smaller = counted.filter((counters) =>
    counters.some(([was = 0, is]) => is !== undefined && is < was),
  );
  return { smaller: smaller.length, all: counted.length };
}

const COUNTERS = ['sequentialScans', 'inserted', 'updated', 'deleted'] as const;

/** What both have, and what only one of them has. */
export function pairUp<T extends { oid: number }>(
  before: readonly T[],
  after: readonly T[],
): [before: T | undefined, after: T | undefined][] {
  const old = new Map(before.map((one) => [one.oid, one]));
  const now = new Set(after.map(({ oid }) => oid));
  return [
    ...after.map((one): [T | undefined, T] => [old.get(one.oid), one]),
    ...before.filter(({ oid }) => !now.has(oid)).map((one): [T, undefined] => [one, undefined]),
  ];
}

/**
 * What was counted between two moments, never less than nothing: what was counted before a reset is
 * lost, so only what came after is told.
 */
export function countBetween(before: number | undefined, after: number, isReset: boolean): number {
  return before === undefined || isReset || after < before ? after : after - before;
}
