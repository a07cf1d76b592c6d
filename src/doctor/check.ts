import type { Session } from '../connection/session.ts';
import type { Finding } from '../finding.ts';
import type { ReportNote } from '../report/columns.ts';
import type { Trends } from '../stats/trends.ts';

/** In the order in which they are examined and shown. */
export const CHECK_GROUPS = [
  'connections',
  'locks',
  'vacuum',
  'indexes',
  'tables',
  'sequences',
  'replication',
  'cluster',
  'configuration',
  'security',
  'event-schema',
  'evdb',
] as const;

/** The topic of a doctor check. */
export type DoctorCheckGroup = (typeof CHECK_GROUPS)[number];

/**
 * What a check reports: a finding without its code, which is the name of the check. `objects` has
 * what it is about, as `--ignore check:object` names it, and is empty if it is about the whole
 * check.
 */
export interface DoctorFinding extends Omit<Finding, 'code'> {
  /** `unknown`: this role may not see it, or it could not be read in time. */
  severity: 'error' | 'warning' | 'unknown';
}

/** How doctor calls the severities of its findings, from the least to the worst. */
export const STATUSES = {
  info: 'unknown',
  unknown: 'unknown',
  warning: 'warning',
  error: 'critical',
} as const satisfies Record<Finding['severity'], string>;

/** The values from which on a check warns, and from which on somebody should look now. */
export interface Thresholds {
  warning: number;
  error: number;
}

/** How bad a value is, of those that are bad when they are high; undefined where it is not. */
export function severityOf(
  value: number,
  { warning, error }: Thresholds,
): 'warning' | 'error' | undefined {
  if (value >= error) return 'error';
  return value >= warning ? 'warning' : undefined;
}

/** The result of a check. */
export interface DoctorExamination {
  findings: DoctorFinding[];
  /** A summary for people: `12 of 97 connections are taken`. */
  summary: string;
  /** Whether an input is an estimate, because of a lock. */
  isEstimated?: boolean;
  /** Set if there is nothing to examine, such as no event schema. */
  isSkipped?: boolean;
}

/**
 * Reads once what several judge.
 *
 * @param key what it is known by; default: the function itself
 */
export type ReadOnce = <T>(
  read: (session: Session) => Promise<T>,
  key?: (...args: never[]) => unknown,
) => Promise<T>;

/** What fails, fails for everybody who asks. */
export function readingOnce(session: Session): ReadOnce {
  const known = new Map<unknown, Promise<unknown>>();
  return <T>(read: (session: Session) => Promise<T>, key: unknown = read) => {
    const found = known.get(key) ?? read(session);
    known.set(key, found);
    return found as Promise<T>;
  };
}

/** What the checks of one run share. */
export interface CheckContext {
  /** The PostgreSQL schema that the event schema may be in. */
  schema: string;
  once: ReadOnce;
  /** What the history of snapshots shows; null if there is none. */
  readTrends(): Promise<Trends | null>;
  /** Where each migration stands, by its state; undefined where nobody knows the files. */
  readMigrationCounts?: (() => Promise<MigrationCounts>) | undefined;
}

/** How many migrations are in each state, as in `readStatus`. */
export interface MigrationCounts {
  counts: Readonly<Record<string, number>>;
}

/** One check: its name, and how it examines a server. */
export interface DoctorCheck {
  /** Unique, and not the name of a group. */
  name: string;
  group: DoctorCheckGroup;
  /** The command that examines the same without the time limit, such as `stats locks`. */
  command?: string;
  /** How long each of its statements may run, in ms, if it has to read every row; default 1000. */
  timeoutMs?: number;
  examine(session: Session, context: CheckContext): Promise<DoctorExamination>;
}

/** The object of a finding, where it has one that is known. */
export function known(object: string | null): string[] {
  return object === null ? [] : [object];
}

/** What a report could not see, as findings. */
export function unknownsOf(notes: readonly ReportNote[]): DoctorFinding[] {
  return notes.filter(({ level }) => level === 'unknown').map((note) => told('unknown', note));
}

/** What a report warns of, as findings. */
export function warningsOf(notes: readonly ReportNote[]): DoctorFinding[] {
  return notes.filter(({ level }) => level === 'warning').map((note) => told('warning', note));
}

function told(severity: 'warning' | 'unknown', { text, hint }: ReportNote): DoctorFinding {
  return { severity, message: text, objects: [], ...(hint !== undefined && { hint }) };
}
