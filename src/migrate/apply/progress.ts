import type { Blocker, Victims } from '../../connection/blockers.ts';
import type { Session } from '../../connection/session.ts';
import type { Statement } from '../../sql/statements.ts';
import type { Script } from '../files/source.ts';
import { displayPath, type Version } from '../files/version.ts';
import type { Direction, PlanWarning } from '../plan/plan.ts';
import type { LockHolder } from './preflight.ts';
import type { BuildProgress } from './stepwise/lone-statement.ts';

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

/** More of one file would hide what else is told. */
const MOST_OF_A_FILE = 20;

/** Tells what the server says while the statements of scripts run: `raise warning` and its like. */
export interface Notices {
  /** The statement is about to be sent; what the server says while it runs is told as of its place. */
  expect(statement: Pick<Statement, 'text' | 'line'>, script: Pick<Script, 'path'>): void;
}

interface Place {
  file: string;
  line: number;
}

/** @param worker whose own statements, which are evdb's, are not told of */
export function listenToNotices(worker: Session, onProgress: OnProgress): Notices {
  const places = new Map<string, Place>();
  const counts = new Map<string, number>();
  let last: Place | undefined;
  let current: string | undefined;
  worker.onNotice((notice, text) => {
    // A copy is not told apart from what was expected last.
    const place = text === undefined ? last : places.get(text);
    if (place === undefined) return;
    const count = (counts.get(place.file) ?? 0) + 1;
    counts.set(place.file, count);
    if (count > MOST_OF_A_FILE + 1) return;
    const { severity, code, message, detail, hint } = notice;
    const isLast = count > MOST_OF_A_FILE;
    const said = isLast
      ? { severity: 'WARNING', message: 'what else the server says of this file is not shown' }
      : { severity, message, ...{ sqlstate: code, detail, hint } };
    onProgress({ kind: 'notice', ...place, ...said });
  });
  return {
    expect: ({ text, line }, { path }) => {
      // the texts of a file before cannot come any more
      if (current !== path) places.clear();
      current = path;
      last = { file: displayPath(path), line };
      places.set(text, last);
    },
  };
}
