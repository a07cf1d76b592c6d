import type { Session } from '../connection/session.ts';
import type { ReportNote } from '../report/columns.ts';

/** In the order in which they are examined and shown. */
export const CHECK_GROUPS = [
  'connections',
  'locks',
  'vacuum',
  'indexes',
  'tables',
  'sequences',
  'replication',
  'configuration',
  'event-schema',
  'evdb',
] as const;

/** What a check of doctor is about. */
export type DoctorCheckGroup = (typeof CHECK_GROUPS)[number];

/** Something that a check found. */
export interface DoctorFinding {
  /** `unknown`: this role may not see it, or it could not be read in time. */
  status: 'warning' | 'critical' | 'unknown';
  /** What it is about, as `--ignore check:object` names it; null for the whole check. */
  object: string | null;
  reason: string;
  /** A command or SQL that mends it; null where that takes a decision. */
  fix: string | null;
}

/** What a check gives. */
export interface DoctorExamination {
  findings: DoctorFinding[];
  /** What was seen, for people: `12 of 97 connections are taken`. */
  summary: string;
  /** Whether an input is an estimate, because of a lock. */
  isEstimated?: boolean;
  /** Set where there is nothing to examine, such as no event schema. */
  isSkipped?: boolean;
}

/** What the checks of one run share. */
export interface CheckContext {
  /** The PostgreSQL schema that the event schema may be in. */
  schema: string;
  /** Reads once what several checks judge. */
  once<T>(read: (session: Session) => Promise<T>): Promise<T>;
  /** Where each migration stands, by its state; undefined where nobody knows the files. */
  readMigrationCounts?: (() => Promise<MigrationCounts>) | undefined;
}

/** How many migrations are in each state, as `readStatus` says. */
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
  /** How long a statement of it may run, in ms, where it has to look at every row; default 1000. */
  timeoutMs?: number;
  examine(session: Session, context: CheckContext): Promise<DoctorExamination>;
}

/** What a report could not see, as findings. */
export function unknownsOf(notes: readonly ReportNote[]): DoctorFinding[] {
  return notes
    .filter(({ level }) => level === 'unknown')
    .map(({ text, hint }) => ({
      status: 'unknown',
      object: null,
      reason: text,
      fix: hint ?? null,
    }));
}
