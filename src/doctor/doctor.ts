import { CITUS_CHECKS } from '../citus/doctor-checks.ts';
import { codeOf, queryError } from '../connection/connection-error.ts';
import type { Session } from '../connection/session.ts';
import { EvdbError } from '../errors.ts';
import type { Finding, SuppressedFinding } from '../finding.ts';
import { quoteIdent } from '../sql/quote.ts';
import { readTrends } from '../stats/trends.ts';
import { commandLine } from '../text/command-line.ts';
import { renderCount } from '../text/units.ts';
import { APPLICATION_ROLES } from './application-roles.ts';
import {
  type CheckContext,
  type DoctorCheck,
  type DoctorCheckGroup,
  type DoctorExamination,
  type DoctorFinding,
  type MigrationCounts,
  type ReadOnce,
  readingOnce,
  STATUSES,
} from './check.ts';
import { DEFINER_FUNCTIONS } from './definer-functions.ts';
import { EXTENSION_VERSIONS } from './extension-versions.ts';
import { HOST_ACCESS } from './host-access.ts';
import { covers, type DoctorIgnore, isExpired, requireIgnores, selectChecks } from './ignore.ts';
import {
  DUPLICATE_INDEXES,
  INVALID_INDEXES,
  MISSING_FK_INDEXES,
  UNUSED_INDEXES,
  UNVALIDATED_CONSTRAINTS,
} from './indexes.ts';
import { BUSINESS_RULES, DISABLED_TRIGGERS, MIGRATIONS, UNAUDITED_COLUMNS } from './integrity.ts';
import { PASSWORD_ENCRYPTION } from './password-encryption.ts';
import { DEFAULT_PRIVILEGES, PUBLIC_CREATE, PUBLIC_TABLES } from './public-privileges.ts';
import { REPLICATION_LAG, REPLICATION_SLOTS } from './replication.ts';
import { LEAKING_VIEWS, ROW_SECURITY } from './row-security.ts';
import { PARTITION_RUNWAY, SEQUENCE_RUNWAY, WRAPAROUND } from './runways.ts';
import { COLLATION_VERSIONS, CONNECTION_LIMIT, DURABILITY, PENDING_RESTART } from './server.ts';
import {
  IDLE_IN_TRANSACTION,
  LOCK_WAITS,
  LONG_TRANSACTIONS,
  PREPARED_TRANSACTIONS,
} from './sessions.ts';
import { AUTOVACUUM, DEAD_ROWS, STALE_STATISTICS } from './vacuum.ts';

/** `skipped`: there is nothing to examine, such as no event schema. */
export type DoctorCheckStatus = 'ok' | 'warning' | 'critical' | 'unknown' | 'skipped';

/** The result of one check. */
export interface DoctorCheckReport {
  check: string;
  group: DoctorCheckGroup;
  /** The worst of its findings: critical (of an error), warning, unknown, ok. */
  status: DoctorCheckStatus;
  /**
   * A summary if nothing is wrong, the reason if nothing was examined, otherwise the number of
   * findings.
   */
  summary: string;
  /** Whether an input is an estimate, because of a lock. */
  isEstimated: boolean;
  durationMs: number;
}

/** The results of all checks, and how many there are of each status. */
export interface DoctorReport {
  checks: DoctorCheckReport[];
  counts: Record<DoctorCheckStatus, number>;
  /** The findings, check by check. */
  findings: Finding[];
  /** Findings that `ignore` accepts. */
  suppressed: SuppressedFinding[];
}

/** Which checks run, and their limits. */
export interface DoctorOptions {
  /** The PostgreSQL schema that the event schema may be in; default `public`. */
  schema?: string | undefined;
  /** Where the history of snapshots is, in evdb's own schema; default `evdb`. */
  ledgerSchema?: string | undefined;
  /** Names of checks and groups; default all. */
  only?: readonly string[] | undefined;
  /** Findings that do not count. */
  ignore?: readonly DoctorIgnore[] | undefined;
  /** Returns the state of the migrations, like `readStatus`; default: the files are unknown. */
  readMigrationCounts?: (() => Promise<MigrationCounts>) | undefined;
  /**
   * How long each statement may run, in ms; default 1000, and more for checks that read every row.
   */
  checkTimeoutMs?: number | undefined;
  /** Default: the time of the call. */
  now?: Date | undefined;
  /** Reads what the caller needs as well; default: what the checks share among themselves. */
  once?: ReadOnce | undefined;
  /** Default: all checks of evdb. */
  checks?: readonly DoctorCheck[] | undefined;
}

/**
 * Runs all checks one after the other on one session. None waits for a lock, no statement exceeds
 * its time limit, and if a check fails, the others still run: it counts as unknown.
 *
 * @param session from `withInspection`
 * @throws {EvdbError} USAGE for a check that does not exist; CONNECTION_LOST
 * @example
 * const { counts } = await withInspection(connection, (session) => runDoctor(session));
 * if (counts.critical > 0) process.exitCode = 3;
 */
export async function runDoctor(
  session: Session,
  options: DoctorOptions = {},
): Promise<DoctorReport> {
  const { checks: all = DOCTOR_CHECKS, ignore = [] } = options;
  const { now = new Date(), schema = 'public' } = options;
  requireIgnores(all, ignore);
  const checks = selectChecks(all, options.only).filter(
    ({ group }) => group !== 'cluster' || options.only?.length || session.facts.isCitus,
  );
  const once = options.once ?? readingOnce(session);
  // It only adds to what the checks know: where it cannot be read in time, they do without.
  const readHistory = () =>
    readTrends(session, { ledgerSchema: options.ledgerSchema }).catch((error: unknown) => {
      if (session.isClosed) throw error;
      return null;
    });
  const context: CheckContext = {
    schema,
    once,
    readTrends: () => once(readHistory, readTrends),
    readMigrationCounts: options.readMigrationCounts,
  };
  const current = ignore.filter((entry) => !isExpired(entry, now));
  const examined: Examined[] = [];
  for (const check of checks) {
    const timeoutMs = options.checkTimeoutMs ?? check.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    const limited = await limitStatements(session, timeoutMs);
    examined.push(await examine(check, { session: limited, context, ignore: current, timeoutMs }));
  }
  const names = new Set(checks.map(({ name }) => name));
  const expired = ignore.filter((entry) => isExpired(entry, now) && names.has(entry.check));
  if (expired.length > 0) examined.push(reportExpired(expired));
  const reports = examined.map(({ report }) => report);
  return {
    checks: reports,
    counts: countStatuses(reports),
    findings: examined.flatMap(({ findings }) => findings),
    suppressed: examined.flatMap(({ suppressed }) => suppressed),
  };
}

/** One check, with what it found. */
interface Examined extends Pick<DoctorReport, 'findings' | 'suppressed'> {
  report: DoctorCheckReport;
}

const DEFAULT_TIMEOUT_MS = 1000;

/** What is set through a pooler, others would get: there the limit is part of each transaction. */
async function limitStatements(session: Session, timeoutMs: number): Promise<Session> {
  const limit = `statement_timeout = ${Math.ceil(timeoutMs)}`;
  if (!session.facts.isPooled) {
    await session.run(`set ${limit}`);
    return session;
  }
  const run = (text: string) => session.run(`set local ${limit}; ${text}`);
  return Object.create(session, { run: { value: run } });
}

async function examine(
  check: DoctorCheck,
  run: {
    session: Session;
    context: CheckContext;
    ignore: DoctorIgnore[];
    timeoutMs: number;
  },
): Promise<Examined> {
  const startedAt = performance.now();
  let examination: DoctorExamination;
  try {
    examination = await check.examine(run.session, run.context);
  } catch (error) {
    examination = { findings: [explainFailure(error, check, run)], summary: 'not examined' };
  }
  const { findings, suppressed } = takeOut(check.name, examination.findings, run.ignore);
  const report: DoctorCheckReport = {
    check: check.name,
    group: check.group,
    status: examination.isSkipped ? 'skipped' : worstOf(findings),
    summary: summarise(examination, findings),
    isEstimated: examination.isEstimated === true,
    durationMs: performance.now() - startedAt,
  };
  return { report, findings, suppressed };
}

function takeOut(
  check: string,
  all: readonly DoctorFinding[],
  ignore: readonly DoctorIgnore[],
): Pick<Examined, 'findings' | 'suppressed'> {
  const suppressed: SuppressedFinding[] = [];
  const findings = all.flatMap((said): Finding[] => {
    const finding = { code: check, ...said };
    const entry = ignore.find((one) => covers(one, finding));
    if (!entry) return [finding];
    suppressed.push({ ...finding, reason: entry.reason, until: entry.until ?? null });
    return [];
  });
  return { findings, suppressed };
}

/** What a check says where all is well must not stand beside what it found. */
function summarise(
  { findings: all, summary }: DoctorExamination,
  findings: readonly Finding[],
): string {
  if (all.length === 0) return summary;
  if (findings.length === 0) return 'all that was found is ignored';
  const [first] = findings;
  return findings.length === 1 && first ? first.message : renderCount(findings.length, 'finding');
}

/** What the server refused is unknown; a fault in evdb, or a lost connection, ends the run. */
function explainFailure(
  thrown: unknown,
  { command }: DoctorCheck,
  { session, timeoutMs }: { session: Session; timeoutMs: number },
): DoctorFinding {
  const error = queryError(thrown);
  const cause = error instanceof EvdbError ? (error.cause ?? error) : error;
  const isOver =
    session.isClosed || (error instanceof EvdbError && error.code === 'CONNECTION_LOST');
  if (!(error instanceof EvdbError) || isOver) throw error;
  const unknown = (message: string, more: { fix?: string; hint?: string }): DoctorFinding => ({
    ...{ severity: 'unknown', message, objects: [] },
    ...more,
  });
  switch (codeOf(cause)) {
    case '57014':
      return unknown(
        `it takes longer than ${renderLimit(timeoutMs)} and was cancelled`,
        command === undefined ? {} : { fix: commandLine(command) },
      );
    case '55P03':
      return unknown('another session holds a lock on what it reads', {
        fix: commandLine('stats locks'),
      });
    case '42501':
      return unknown(error.message, {
        hint: error.hint ?? `Let the owner grant it to ${quoteIdent(session.facts.user)}.`,
      });
    default:
      return unknown(error.message, error.hint === undefined ? {} : { hint: error.hint });
  }
}

function renderLimit(ms: number): string {
  return ms < 1000 ? `${ms} ms` : `${ms / 1000} s`;
}

function worstOf(findings: readonly Finding[]): DoctorCheckStatus {
  const order = Object.keys(STATUSES);
  const [worst] = findings.toSorted(
    (a, b) => order.indexOf(b.severity) - order.indexOf(a.severity),
  );
  return worst === undefined ? 'ok' : STATUSES[worst.severity];
}

function reportExpired(expired: readonly DoctorIgnore[]): Examined {
  const check = 'expired-ignores';
  const findings = expired.map(({ check: of, object, reason, until }): Finding => {
    const what = object === undefined ? of : `${object} in ${of}`;
    return {
      ...{ code: check, severity: 'warning' },
      message: `ignoring ${what} ended on ${until} (${reason})`,
      objects: [object === undefined ? of : `${of}:${object}`],
      hint: 'Repair it, or renew the entry of doctor.ignore in the config file.',
    };
  });
  const summary = 'entries of doctor.ignore that have expired';
  const facts = { status: 'warning', summary, isEstimated: false, durationMs: 0 } as const;
  return { report: { check, group: 'evdb', ...facts }, findings, suppressed: [] };
}

function countStatuses(reports: DoctorCheckReport[]): Record<DoctorCheckStatus, number> {
  const counts: Record<DoctorCheckStatus, number> = {
    ok: 0,
    warning: 0,
    critical: 0,
    unknown: 0,
    skipped: 0,
  };
  for (const { status } of reports) counts[status] += 1;
  return counts;
}

/** Every check, in the order in which they are examined and shown. */
export const DOCTOR_CHECKS: readonly DoctorCheck[] = [
  CONNECTION_LIMIT,
  IDLE_IN_TRANSACTION,
  LONG_TRANSACTIONS,
  LOCK_WAITS,
  PREPARED_TRANSACTIONS,
  WRAPAROUND,
  AUTOVACUUM,
  DEAD_ROWS,
  STALE_STATISTICS,
  INVALID_INDEXES,
  DUPLICATE_INDEXES,
  UNUSED_INDEXES,
  MISSING_FK_INDEXES,
  COLLATION_VERSIONS,
  UNVALIDATED_CONSTRAINTS,
  DISABLED_TRIGGERS,
  PARTITION_RUNWAY,
  SEQUENCE_RUNWAY,
  REPLICATION_SLOTS,
  REPLICATION_LAG,
  ...CITUS_CHECKS,
  DURABILITY,
  PENDING_RESTART,
  PUBLIC_TABLES,
  PUBLIC_CREATE,
  DEFAULT_PRIVILEGES,
  ROW_SECURITY,
  LEAKING_VIEWS,
  DEFINER_FUNCTIONS,
  APPLICATION_ROLES,
  PASSWORD_ENCRYPTION,
  HOST_ACCESS,
  EXTENSION_VERSIONS,
  BUSINESS_RULES,
  UNAUDITED_COLUMNS,
  MIGRATIONS,
];

/**
 * The checks of doctor by name, with the group of each, in the order in which they are shown.
 *
 * @example
 * const names = DOCTOR_CHECK_NAMES.map(({ name }) => name);
 */
export const DOCTOR_CHECK_NAMES: readonly Pick<DoctorCheck, 'name' | 'group'>[] = DOCTOR_CHECKS.map(
  ({ name, group }) => ({ name, group }),
);
