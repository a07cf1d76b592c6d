import { withInspection } from '../connection/inspection.ts';
import type { ConnectionOptions } from '../connection/options.ts';
import type { Session } from '../connection/session.ts';
import { type ReadOnce, readingOnce } from '../doctor/check.ts';
import { type DoctorOptions, type DoctorReport, runDoctor } from '../doctor/doctor.ts';
import { type AuditSummaryRow, readAuditSummary } from '../events/audit-log.ts';
import { type MigrationHistoryRow, readMigrationHistory } from '../migrate/ledger/history.ts';
import type { ReportNote, StatsReport } from '../report/columns.ts';
import { quoteLiteral } from '../sql/quote.ts';
import { type ActivityRow, readActivity } from '../stats/activity.ts';
import { type ConnectionsReport, readConnections } from '../stats/connections.ts';
import { type DuplicateIndexRow, readDuplicateIndexes } from '../stats/duplicates.ts';
import { type LockRow, readLocks } from '../stats/locks.ts';
import { type QueryStatsRow, readQueries } from '../stats/queries.ts';
import { readSequences, type SequenceRow } from '../stats/sequences.ts';
import { readTrends } from '../stats/trends.ts';
import { readUnusedIndexes, type UnusedIndexRow } from '../stats/unused.ts';
import { readVacuum, type VacuumReport } from '../stats/vacuum.ts';
import { DAY_MS } from '../text/units.ts';
import { type OverviewRegistrations, readRegistrations } from './registrations.ts';
import { absent, type OverviewSection, readSection } from './section.ts';
import { type OverviewSizes, readSizes } from './sizes.ts';

/** Which database and server an overview is of. */
export interface OverviewServer {
  database: string;
  version: string;
  /** The role that looked: another one may see more. */
  user: string;
  startedAt: Date;
  isStandby: boolean;
}

/** Entries of the audit log by day and table, and how long they stay. */
export interface OverviewAudit {
  /** The newest days first. */
  rows: AuditSummaryRow[];
  /** Entries are to stay for so many days. */
  retentionDays: number;
  /** Older ones are beyond their time. */
  expiresBefore: Date;
  /** From this moment on they were counted. */
  since: Date;
}

/** What a database is, does and lacks at one moment. */
export interface Overview {
  takenAt: Date;
  server: OverviewServer;
  doctor: OverviewSection<DoctorReport>;
  /** Everything that happened to migrations, the oldest first. */
  migrations: OverviewSection<{ rows: MigrationHistoryRow[] }>;
  sizes: OverviewSection<OverviewSizes>;
  unusedIndexes: OverviewSection<StatsReport<UnusedIndexRow>>;
  duplicateIndexes: OverviewSection<StatsReport<DuplicateIndexRow>>;
  queries: OverviewSection<StatsReport<QueryStatsRow>>;
  activity: OverviewSection<StatsReport<ActivityRow>>;
  locks: OverviewSection<StatsReport<LockRow>>;
  connections: OverviewSection<ConnectionsReport>;
  sequences: OverviewSection<StatsReport<SequenceRow>>;
  wraparound: OverviewSection<VacuumReport>;
  registrations: OverviewSection<OverviewRegistrations>;
  audit: OverviewSection<OverviewAudit>;
}

/** What an overview looks at. */
export interface ReadOverviewOptions {
  /** The PostgreSQL schema of the migrations and of the event schema; default `public`. */
  schema?: string | undefined;
  /** evdb's own schema, which is left out of the sizes; default `evdb`. */
  ledgerSchema?: string | undefined;
  /** How the doctor is to look; default: all checks. */
  doctor?: Omit<DoctorOptions, 'schema' | 'ledgerSchema' | 'once'> | undefined;
  /** How long each statement may run, in ms; default 10,000. */
  timeoutMs?: number | undefined;
  /** For how many days entries of the audit log are to stay; default 90. */
  auditRetentionDays?: number | undefined;
}

/** Everything but the findings and what the checks of the doctor read as well. */
const DEFAULT_TIMEOUT_MS = 10_000;
const DEFAULT_RETENTION_DAYS = 90;
/** How many days beyond the retention are counted, so that what is overdue is seen. */
const OVERDUE_DAYS = 14;

/**
 * Reads all that a page on a database has: the findings of `doctor`, migrations, sizes, indexes,
 * statements, sessions, sequences, wraparound, and what people register for. It uses two connections,
 * waits for no lock and writes nothing. A topic that cannot be read is unknown, and the others are
 * read all the same.
 *
 * @throws {EvdbError} as `pingDatabase`
 * @example
 * import { writeFileSync } from 'node:fs';
 * import { readOverview, renderOverviewPage } from 'evdb/ops';
 *
 * writeFileSync('report.html', renderOverviewPage(await readOverview(connection)));
 */
export async function readOverview(
  connection: ConnectionOptions,
  options: ReadOverviewOptions = {},
): Promise<Overview> {
  const { timeoutMs: statementTimeoutMs = DEFAULT_TIMEOUT_MS } = options;
  const look: Look = {
    schema: options.schema ?? 'public',
    ledgerSchema: options.ledgerSchema ?? 'evdb',
    timeoutMs: statementTimeoutMs,
    retentionDays: options.auditRetentionDays ?? DEFAULT_RETENTION_DAYS,
    now: new Date(),
  };
  const stop = new AbortController();
  // A fault of one ends the other: nobody would wait for it.
  const inspect = <T>(work: (session: Session) => Promise<T>) =>
    withInspection(connection, work, { statementTimeoutMs, signal: stop.signal }).catch(
      (error: unknown) => {
        stop.abort(error);
        throw error;
      },
    );
  return inspect(async (session) => {
    const once = readingOnce(session);
    // First, before the second connection shows up in it.
    const sessions = await readSessions(session, once, look);
    const [counted, judged] = await Promise.all([
      inspect((second) => readCounted(second, look)),
      readJudged(session, once, { ...options.doctor, ...look }),
    ]);
    return { takenAt: look.now, ...counted, ...sessions, ...judged };
  });
}

interface Look {
  schema: string;
  ledgerSchema: string;
  timeoutMs: number;
  retentionDays: number;
  now: Date;
}

async function readSessions(session: Session, once: ReadOnce, { timeoutMs }: Look) {
  const topic = <T>(read: (session: Session) => Promise<T>) =>
    readSection(session, timeoutMs, () => once(read));
  return {
    activity: await topic(readActivity),
    locks: await topic(readLocks),
    connections: await topic(readConnections),
  };
}

/** The findings, and with them what their checks read. */
async function readJudged(
  session: Session,
  once: ReadOnce,
  { timeoutMs, retentionDays: _, ...options }: ReadOverviewOptions['doctor'] & Look,
) {
  const section = <T>(read: () => Promise<T>) => readSection(session, timeoutMs, read);
  const doctor = await section(() =>
    runDoctor(session, { checkTimeoutMs: timeoutMs, ...options, once }),
  );
  const trends = await readTrendsOnce(once, options.ledgerSchema);
  return {
    doctor,
    unusedIndexes: await section(() =>
      once((asked) => readUnusedIndexes(asked, { trends }), readUnusedIndexes),
    ),
    duplicateIndexes: await section(() => once(readDuplicateIndexes)),
    sequences: await section(() =>
      once((asked) => readSequences(asked, { trends }), readSequences),
    ),
    wraparound: await section(() => once(readVacuum)),
  };
}

/** As the doctor has read them; without its checks nobody has. */
function readTrendsOnce(once: ReadOnce, ledgerSchema: string) {
  return once((session) => readTrends(session, { ledgerSchema }).catch(() => null), readTrends);
}

async function readCounted(session: Session, look: Look) {
  const section = <T>(read: (session: Session, look: Look) => Promise<T>) =>
    readSection(session, look.timeoutMs, (asked) => read(asked, look));
  return {
    server: await readServer(session),
    migrations: await readMigrations(session, look),
    queries: await section(readTopQueries),
    sizes: await section(readSizes),
    registrations: await section(readRegistrations),
    audit: await section(readAudit),
  };
}

async function readServer(session: Session): Promise<OverviewServer> {
  const [row] = await session.run(`select pg_catalog.current_database()::text as "database",
    pg_catalog.current_setting('server_version') as "version",
    current_user::text as "user", pg_catalog.pg_is_in_recovery() as "isStandby",
    pg_catalog.pg_postmaster_start_time() as "startedAt"`);
  return row as unknown as OverviewServer;
}

async function readMigrations(
  session: Session,
  { schema, ledgerSchema, timeoutMs }: Look,
): Promise<Overview['migrations']> {
  const section = await readSection(session, timeoutMs, async (asked) => ({
    rows: await readMigrationHistory(asked, { schema, ledgerSchema }),
    isThere: await hasLedger(asked, ledgerSchema),
  }));
  const { data } = section;
  if (data === null) return { ...section, data };
  if (data.rows !== null) return { ...section, data: { rows: data.rows } };
  if (!data.isThere) return absent('no migration was applied to this database by evdb');
  const { user } = session.facts;
  const reason: ReportNote = {
    level: 'unknown',
    text: `the history of migrations is hidden from ${user}`,
    hint: 'Only the owner of the ledger may read it.',
  };
  return { state: 'unknown', data: null, reason, durationMs: section.durationMs };
}

/** By the catalog, which everybody may read. */
async function hasLedger(session: Session, ledgerSchema: string): Promise<boolean> {
  const [row] = await session.run(`select exists (
    select from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname = ${quoteLiteral(ledgerSchema)} and c.relname = 'history') as "isThere"`);
  return row?.isThere === true;
}

const TOP_QUERIES = 20;

/** Tools that look, as evdb does, are no load to judge. */
async function readTopQueries(session: Session): Promise<StatsReport<QueryStatsRow>> {
  const report = await readQueries(session, { limit: 10 * TOP_QUERIES });
  const rows = report.rows.filter(({ query }) => query?.includes('pg_catalog.') !== true);
  return { ...report, rows: rows.slice(0, TOP_QUERIES) };
}

async function readAudit(
  session: Session,
  { schema, retentionDays, now }: Look,
): Promise<OverviewAudit> {
  const expiresBefore = new Date(now.getTime() - retentionDays * DAY_MS);
  const since = new Date(expiresBefore.getTime() - OVERDUE_DAYS * DAY_MS);
  // Whole days, as they are counted by.
  since.setUTCHours(0, 0, 0, 0);
  const by = ['day', 'table'] as const;
  const { rows } = await readAuditSummary(session, { schema, by, since, limit: 10_000 });
  return { rows, retentionDays, expiresBefore, since };
}
