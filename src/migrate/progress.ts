import type { Blocker, Victims } from '../connection/blockers.ts';
import type { Direction, PlanWarning } from './plan.ts';
import type { LockHolder } from './preflight.ts';
import type { BuildProgress } from './stepwise/build-progress.ts';
import type { Version } from './version.ts';

/** What the runner tells while it works. */
export type Progress =
  | { kind: 'lock-wait'; holders: Blocker[]; waitedMs: number }
  | { kind: 'step-started'; direction: Direction; step: StepName; index: number; total: number }
  /** A no-transaction script that had stopped half way goes on behind what is done of it. */
  | { kind: 'resumed'; step: StepName; statementsDone: number; statementsTotal: number }
  | { kind: 'statement'; step: StepName; line: number; command: string; durationMs: number }
  /** Transactions that hold locks on the step's tables since long, seen before its first try. */
  | { kind: 'in-the-way'; step: StepName; holders: LockHolder[] }
  /** What the step waits for, and who waits for the step. */
  | { kind: 'blocked'; step: StepName; blockers: Blocker[]; victims: Victims | null }
  /** How far an index is that is built concurrently; about once a second, when it changes. */
  | ({ kind: 'index-build'; step: StepName } & BuildProgress)
  | {
      kind: 'retry';
      step: StepName;
      attempt: number;
      /** Null where a budget says when the tries end. */
      attempts: number | null;
      pauseMs: number;
      /** What went into waiting and pauses so far. */
      waitedMs: number;
      blockers: Blocker[];
    }
  /** What the server said while the statement ran; of each file the first twenty. */
  | {
      kind: 'notice';
      /** As shown to people. */
      file: string;
      line: number;
      /** As PostgreSQL names it: `WARNING`, `NOTICE`, `INFO`. */
      severity: string;
      sqlstate?: string | undefined;
      message: string;
      detail?: string | undefined;
      hint?: string | undefined;
    }
  | { kind: 'step-done'; direction: Direction; step: StepName; durationMs: number }
  | { kind: 'warning'; warning: PlanWarning };

export interface StepName {
  version: Version;
  label: string;
  name: string;
}

export type OnProgress = (progress: Progress) => void;
