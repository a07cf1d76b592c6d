import type { Session } from '../connection/session.ts';
import { readRelationCounters } from '../history/snapshot.ts';
import { listSnapshots, readSnapshot } from '../stats/history.ts';
import type { SnapshotIndex, SnapshotTable, StatsSnapshot } from '../stats/snapshot-format.ts';
import { DAY_MS } from '../text/units.ts';

/** A table with what it grew by since the first snapshot that counts. */
export interface OverviewTable extends SnapshotTable {
  /** Null without a snapshot, or if it was not there then. */
  growthBytes: number | null;
}

/** An index with what it grew by since the first snapshot that counts. */
export interface OverviewIndex extends SnapshotIndex {
  growthBytes: number | null;
}

/** How large all tables with their indexes were at one moment. */
export interface SizePoint {
  takenAt: Date;
  totalBytes: number;
}

/** Tables and indexes outside evdb's own schema, the largest first. */
export interface OverviewSizes {
  tables: OverviewTable[];
  indexes: OverviewIndex[];
  totalBytes: number;
  indexBytes: number;
  /** The moment that growth is compared with; null without a snapshot. */
  since: Date | null;
  /** From the snapshots, and now; empty without a snapshot. */
  history: SizePoint[];
}

/** More do not tell more, and each has to be unpacked. */
const SAMPLES = 12;
const LONGEST_MS = 90 * DAY_MS;

/** Reads sizes and counters of tables and indexes, and how large they were. */
export async function readSizes(
  session: Session,
  { ledgerSchema, now }: { ledgerSchema: string; now: Date },
): Promise<OverviewSizes> {
  const counters = await readRelationCounters(session, ledgerSchema);
  const totalBytes = sumOf(counters.tables, ({ totalBytes: bytes }) => bytes);
  const past = await readPast(session, { ledgerSchema, now });
  const [first] = past;
  const tablesBefore = bytesBefore(first?.tables, ({ totalBytes: bytes }) => bytes);
  const indexesBefore = bytesBefore(first?.indexes, ({ sizeBytes }) => sizeBytes);
  const tables = counters.tables
    .map((table) => ({ ...table, growthBytes: tablesBefore(table.oid, table.totalBytes) }))
    .sort((a, b) => b.totalBytes - a.totalBytes);
  const indexes = counters.indexes
    .map((index) => ({ ...index, growthBytes: indexesBefore(index.oid, index.sizeBytes) }))
    .sort((a, b) => b.sizeBytes - a.sizeBytes);
  const points = past.map((snapshot) => ({
    takenAt: new Date(snapshot.takenAt),
    totalBytes: sumOf(snapshot.tables, ({ totalBytes: bytes }) => bytes),
  }));
  return {
    tables,
    indexes,
    totalBytes,
    indexBytes: sumOf(tables, ({ indexBytes }) => indexBytes),
    since: points[0]?.takenAt ?? null,
    history: points.length === 0 ? [] : [...points, { takenAt: now, totalBytes }],
  };
}

function sumOf<T>(rows: readonly T[], value: (row: T) => number): number {
  return rows.reduce((sum, row) => sum + value(row), 0);
}

function bytesBefore<T extends { oid: number }>(
  rows: readonly T[] | undefined,
  bytesOf: (row: T) => number,
): (oid: number, bytes: number) => number | null {
  const before = new Map(rows?.map((row) => [row.oid, bytesOf(row)]));
  return (oid, bytes) => {
    const was = before.get(oid);
    return was === undefined ? null : bytes - was;
  };
}

/** Snapshots of this very database, the oldest first: in a restored one the same IDs mean others. */
async function readPast(
  session: Session,
  { ledgerSchema, now }: { ledgerSchema: string; now: Date },
): Promise<StatsSnapshot[]> {
  const from = new Date(now.getTime() - LONGEST_MS);
  const entries = await listSnapshots(session, { ledgerSchema, from });
  if (entries.length === 0) return [];
  const [row] = await session.run(`select d.oid::bigint::float8 as "oid"
    from pg_catalog.pg_database d where d.datname = pg_catalog.current_database()`);
  const step = Math.max(1, Math.ceil((entries.length - 1) / (SAMPLES - 1)));
  const chosen = entries.filter((_, at) => (entries.length - 1 - at) % step === 0 || at === 0);
  const past: StatsSnapshot[] = [];
  for (const { id } of chosen) {
    const { statements: _, ...snapshot } = await readSnapshot(session, id, { ledgerSchema });
    if (snapshot.server.databaseOid === row?.oid) past.push({ ...snapshot, statements: null });
  }
  return past;
}
