import type { BlockedSessions, Blocker } from '../connection/blockers.ts';
import type { RestReason } from './backfill/throttle.ts';
import type { Version } from './files/version.ts';

/** Called with the runner's progress. What it throws becomes a warning of the process. */
export type OnMigrationProgress = (progress: MigrationProgress) => void;

/** A listener that fails must not end what it listens to, be it behind a commit. */
export function listenSafely(listener: OnMigrationProgress | undefined): OnMigrationProgress {
  if (!listener) return () => undefined;
  const warn = (error: unknown) => process.emitWarning(`onProgress failed: ${String(error)}`);
  return (progress) => {
    try {
      const heard: unknown = listener(progress);
      if (heard instanceof Promise) heard.catch(warn);
    } catch (error) {
      warn(error);
    }
  };
}

/** Tells of the remarks about a plan. */
export function tellWarnings(
  warnings: MigrationPlanWarning[],
  { onProgress }: { onProgress?: OnMigrationProgress | undefined },
): void {
  const tell = listenSafely(onProgress);
  for (const warning of warnings) tell({ kind: 'warning', warning });
}

/** The runner's progress. */
export type MigrationProgress =
  | { kind: 'lock-wait'; holders: Blocker[]; waitedMs: number }
  | {
      kind: 'step-started';
      direction: MigrationDirection;
      step: MigrationStepName;
      index: number;
      total: number;
    }
  /** What was taken down and made again as it was, so that a repeatable could change what they depend on. */
  | { kind: 'rebuilt'; step: MigrationStepName; objects: string[] }
  /** What `reset` dropped in the schema, once that is committed. */
  | { kind: 'dropped'; objects: DroppedObjects[] }
  /** A no-transaction script that had stopped halfway continues after its completed statements. */
  | { kind: 'resumed'; step: MigrationStepName; statementsDone: number; statementsTotal: number }
  | {
      kind: 'statement';
      step: MigrationStepName;
      line: number;
      command: string;
      durationMs: number;
    }
  /** Transactions that have long held locks on the step's tables, seen before its first try. */
  | { kind: 'in-the-way'; step: MigrationStepName; holders: LockHolder[] }
  /** What the step waits for, and what waits for the step. */
  | {
      kind: 'blocked';
      step: MigrationStepName;
      blockers: Blocker[];
      victims: BlockedSessions | null;
    }
  /** How far an index is that is built concurrently; about once a second, when it changes. */
  | ({ kind: 'index-build'; step: MigrationStepName } & IndexBuildProgress)
  | {
      kind: 'retry';
      step: MigrationStepName;
      attempt: number;
      /** Null if a budget says when the tries end. */
      attempts: number | null;
      pauseMs: number;
      /** Time spent waiting and pausing so far. */
      waitedMs: number;
      blockers: Blocker[];
    }
  /** The server's messages while a statement ran; the first fifty of each migration and level. */
  | { kind: 'notice'; notice: MigrationNotice }
  /** How many of them were left out, once the step is done or has failed. */
  | {
      kind: 'notices-left-out';
      direction: MigrationDirection;
      step: MigrationStepName;
      count: number;
    }
  | {
      kind: 'step-done';
      direction: MigrationDirection;
      step: MigrationStepName;
      durationMs: number;
    }
  /** A backfill that had stopped continues after its last batch. */
  | {
      kind: 'backfill-resumed';
      step: MigrationStepName;
      rowsWalked: number;
      /** An estimate; null if unknown. */
      rowsTotal: number | null;
    }
  /** A backfill is left for later: it is written down in the ledger, and nothing of it has run. */
  | { kind: 'backfill-postponed'; step: MigrationStepName }
  /** Several workers begin to walk the table of a backfill; told where there is more than one. */
  | {
      kind: 'backfill-workers';
      step: MigrationStepName;
      workers: number;
      /** Of evdb to the server, the one included that looks on. */
      connections: number;
    }
  /** A batch of a backfill is committed. */
  | ({ kind: 'backfill'; step: MigrationStepName } & BackfillProgress)
  /** A backfill rests for a second or longer; told again each second. */
  | {
      kind: 'backfill-rest';
      step: MigrationStepName;
      reasons: RestReason[];
      /** Whether it did not rest for these before. */
      isNew: boolean;
      /** How long it has rested for them. */
      restedMs: number;
    }
  /** What the server hides from the role, so that a backfill cannot see it. */
  | { kind: 'backfill-unknown'; step: MigrationStepName; figures: string[] }
  | { kind: 'warning'; warning: MigrationPlanWarning };

/** What the server said while a statement of a migration ran: `raise notice`, or that a table exists already. */
export interface MigrationNotice extends MigrationStepName {
  direction: MigrationDirection;
  /** The statement's place; the path for display, or `ledger:…` for a script kept there. */
  location: { file: string; line: number; column: number };
  /** As PostgreSQL names it: `WARNING`, `NOTICE`, `INFO`, `LOG`, `DEBUG`. */
  severity: string;
  sqlstate?: string;
  /** Texts are without secrets, and cut after 2000 characters. */
  message: string;
  detail?: string;
  hint?: string;
}

/** How far a backfill is. */
export interface BackfillProgress {
  /** The table that it walks, such as `public.events`. */
  table: string;
  /** From 1: it walks the table again where rows still match. */
  round: number;
  /** Committed in all rounds. */
  batches: number;
  /** Of this round: the rows of the table that are passed. */
  rowsWalked: number;
  /** An estimate of the rows of the table; null if unknown. */
  rowsTotal: number | null;
  /** Changed in all rounds. */
  rowsChanged: number;
  /** How many walk the table at a time. */
  workers: number;
  /** Of late; null before that is known. */
  rowsPerSecond: number | null;
  /** When this round ends at that rate, in ms; null if unknown. */
  leftMs: number | null;
  /** How many rows the next batch passes at most. */
  batchRows: number;
}

/** How many objects of one kind `reset` dropped. */
export interface DroppedObjects {
  /** In PostgreSQL's words, such as `table` or `materialized view`. */
  type: string;
  count: number;
}

/** Whether a script applies a migration or rolls it back. */
export type MigrationDirection = 'up' | 'down';

/** Which migration a step is about; `label` is its version as written in the file name. */
export interface MigrationStepName {
  version: Version;
  label: string;
  name: string;
}

/** A remark about a plan before it runs; `code` is stable. */
export interface MigrationPlanWarning {
  code:
    | 'REWORDED'
    | 'LEDGER_AHEAD'
    | 'CHANGED_MIGRATION'
    | 'SYNTAX_UNSURE'
    | 'OUT_OF_ORDER'
    /** A baseline counts as applied, because what it replaces is. */
    | 'REPLACED'
    | 'BASELINE'
    | 'ALSO_DROPPED'
    | 'NO_WAY_BACK'
    | 'STILL_MATCHING'
    | 'DRIFT_FOUND'
    | 'DRIFT_UNCHECKED'
    | 'REPEATABLE_MISSING'
    | 'NEEDED_BY_REPEATABLE'
    | 'NO_LONGER_MADE'
    /** A runner that is stopped or gone had a lease, which has ended. */
    | 'LEASE_TAKEN_OVER';
  message: string;
  version?: Version;
  /** A unified diff from what was applied to the file, if both texts are available. */
  diff?: string;
}

/**
 * A transaction that has been open for a long time, and a table of the step that it holds a lock
 * on.
 */
export interface LockHolder extends Blocker {
  /** `schema.table`. */
  tables: string[];
}

/** How far the build of an index is. */
export interface IndexBuildProgress {
  /** In PostgreSQL's words, such as `building index: scanning table` or `waiting for old snapshots`. */
  phase: string;
  /** What is counted in this phase; null if PostgreSQL counts nothing. */
  unit: 'blocks' | 'rows' | 'transactions' | null;
  done: number;
  total: number;
  /** The sessions it waits for; null if it does not wait. */
  lockerPid: number | null;
}
