import type { Blocker } from './blockers.ts';
import type { Direction, PlanWarning } from './plan.ts';
import type { Version } from './version.ts';

/** What the runner tells while it works. */
export type Progress =
  | { kind: 'lock-wait'; holders: Blocker[]; waitedMs: number }
  | { kind: 'step-started'; direction: Direction; step: StepName; index: number; total: number }
  | { kind: 'statement'; step: StepName; line: number; command: string; durationMs: number }
  | { kind: 'blocked'; step: StepName; blockers: Blocker[] }
  | {
      kind: 'retry';
      step: StepName;
      attempt: number;
      attempts: number;
      pauseMs: number;
      blockers: Blocker[];
    }
  | { kind: 'step-done'; direction: Direction; step: StepName; durationMs: number }
  | { kind: 'warning'; warning: PlanWarning };

export interface StepName {
  version: Version;
  label: string;
  name: string;
}

export type OnProgress = (progress: Progress) => void;
