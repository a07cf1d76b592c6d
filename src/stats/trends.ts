import type { Session } from '../connection/session.ts';
import { DAY_MS } from '../text/units.ts';
import { type HistoryOptions, listSnapshots, readSnapshot, readSystem } from './history.ts';
import type { StatsSnapshot } from './snapshot-format.ts';

/** What the history of a database shows over its snapshots. */
export interface Trends {
  /** The time of the first snapshot that counts. */
  since: Date;
  /** The time of the last one. */
  until: Date;
  /** By index ID: scans between the snapshots, and what the server had counted at the last one. */
  indexScans: ReadonlyMap<number, { scans: number; last: number }>;
  /** By name with schema: numbers a day, negative if it falls; only where the snapshots span a day. */
  sequencesPerDay: ReadonlyMap<string, number>;
  /** Transaction IDs of the whole server a day; null where the snapshots do not span a day. */
  transactionsPerDay: number | null;
}

/** More do not tell more, and each has to be unpacked. */
const SAMPLES = 12;

/** How far back it looks: longer ago the application was another one. */
const LONGEST_MS = 90 * DAY_MS;

/**
 * Reads what changed over the snapshots of the history, from this server and database only.
 *
 * @returns null if there are fewer than two, or this role may not read them
 * @throws {EvdbError} QueryError if the server refuses a statement
 * @example
 * const trends = await withInspection(connection, (session) => readTrends(session));
 */
export async function readTrends(
  session: Session,
  options: HistoryOptions = {},
): Promise<Trends | null> {
  const from = new Date(Date.now() - LONGEST_MS);
  const entries = await listSnapshots(session, { ...options, from });
  if (entries.length < 2) return null;
  const system = await readSystem(session);
  const step = Math.max(1, Math.ceil((entries.length - 1) / (SAMPLES - 1)));
  const chosen = entries.filter((_, at) => (entries.length - 1 - at) % step === 0 || at === 0);
  let trend: Gathered | undefined;
  for (const { id } of chosen) {
    const snapshot = await readSnapshot(session, id, options);
    const { server } = snapshot;
    if (server.system !== system || server.isStandby !== session.facts.isInRecovery) continue;
    trend = trend ? gather(trend, snapshot) : begin(snapshot);
  }
  return trend && trend.first !== trend.last ? conclude(trend) : null;
}

interface Gathered {
  first: StatsSnapshot;
  last: StatsSnapshot;
  scans: Map<number, { scans: number; last: number }>;
}

function begin(first: StatsSnapshot): Gathered {
  const scans = new Map(first.indexes.map(({ oid, scans: last }) => [oid, { scans: 0, last }]));
  return { first, last: first, scans };
}

/** Counters that are smaller than before began anew. */
function gather({ first, scans }: Gathered, snapshot: StatsSnapshot): Gathered {
  for (const { oid, scans: now } of snapshot.indexes) {
    // One that is not as old as the history has not been idle for as long.
    const before = scans.get(oid) ?? { scans: Number.POSITIVE_INFINITY, last: now };
    const more = now >= before.last ? now - before.last : now;
    scans.set(oid, { scans: before.scans + more, last: now });
  }
  return { first, last: snapshot, scans };
}

function conclude({ first, last, scans }: Gathered): Trends {
  const [since, until] = [new Date(first.takenAt), new Date(last.takenAt)];
  const days = (until.getTime() - since.getTime()) / DAY_MS;
  return {
    since,
    until,
    indexScans: scans,
    sequencesPerDay: days < 1 ? new Map() : sequenceRates(first, last, days),
    transactionsPerDay: days < 1 ? null : transactionRate(first, last, days),
  };
}

function sequenceRates(
  first: StatsSnapshot,
  last: StatsSnapshot,
  days: number,
): Map<string, number> {
  const before = new Map(first.sequences.map(({ sequence, lastValue }) => [sequence, lastValue]));
  const rates = last.sequences.flatMap(({ sequence, lastValue }): [string, number][] => {
    const was = before.get(sequence);
    if (was === undefined || was === null || lastValue === null) return [];
    return [[sequence, Number(BigInt(lastValue) - BigInt(was)) / days]];
  });
  return new Map(rates);
}

function transactionRate(first: StatsSnapshot, last: StatsSnapshot, days: number): number | null {
  const [from, to] = [first.server.nextTransaction, last.server.nextTransaction];
  if (from === null || to === null) return null;
  const used = Number(BigInt(to) - BigInt(from));
  return used > 0 ? used / days : null;
}

/** How many numbers a sequence gives a day; null where nothing is known, or it was set back. */
export function sequenceRateIn(
  trends: Trends | null | undefined,
  { schema, sequence, increment }: { schema: string; sequence: string; increment: string },
): number | null {
  const rate = trends?.sequencesPerDay.get(`${schema}.${sequence}`) ?? 0;
  const perDay = rate * Math.sign(Number(increment));
  return perDay > 0 ? perDay : null;
}
