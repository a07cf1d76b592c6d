import { listClusterBlockers } from '../../citus/lock-waits.ts';
import { listBlockers, restUnderName, type SeenBlockers } from '../../connection/blockers.ts';
import { type FailedTry, LADDER, type Pause, type Rung } from '../../connection/retry.ts';
import type { Session } from '../../connection/session.ts';
import type { LedgerKey } from '../ledger/ledger.ts';
import type { Provenance, ServerIdentity } from '../ledger/provenance.ts';
import type { ApplySettings } from '../options.ts';
import { fullName } from '../plan/plan.ts';
import type { MigrationStep } from '../plan/prepare.ts';
import type { MigrationStepName, OnMigrationProgress } from '../progress.ts';
import type { Listener } from './ahead.ts';
import type { MigrationResult } from './migrator.ts';
import type { Notices } from './notices.ts';
import { type Preflight, pauseWhileBlocked, watchBlockers } from './observations.ts';
import type { Observer } from './observer.ts';
import type { Cleanness } from './worker-session.ts';

/** What applying needs beside the step. */
export interface ApplyContext {
  /** Holds the runner's lock and does the work. */
  worker: Session;
  /** Looks on from outside, and keeps the books where the worker has no transaction. */
  observer: Observer;
  key: LedgerKey;
  settings: ApplySettings;
  notices: Notices;
  /** The server that they work on; undefined where it cannot be known. */
  server: Promise<ServerIdentity | undefined>;
  /** Whether the target schema has to be created first. */
  createTarget: boolean;
  cleanness: Cleanness;
  /** Settles when the step before is committed, and rejects with its failure. */
  previous: Promise<unknown>;
  provenance: Provenance;
  preflight: Preflight;
  onProgress: OnMigrationProgress;
  signal: AbortSignal | undefined;
}

export function stepName({ version, label, name }: MigrationStepName): MigrationStepName {
  return { version, label, name };
}

/** The ladder with the timeout that the file's header, else the configuration, asks for. */
export function ladderFor(step: MigrationStep, settings: ApplySettings): readonly Rung[] {
  const lockTimeoutMs = step.script.directives.lockTimeoutMs ?? settings.lockTimeoutMs;
  return lockTimeoutMs === undefined ? LADDER : LADDER.map((rung) => ({ ...rung, lockTimeoutMs }));
}

/** How long the statements of a step may wait for locks on one rung. */
export function lockTimeouts(rung: Rung, settings: ApplySettings) {
  return {
    ddl: rung.lockTimeoutMs,
    data: Math.max(rung.lockTimeoutMs, settings.dataLockTimeoutMs),
  };
}

/** The options of `withLockRetries` that both ways of applying share: who waits says so. */
export function retryOptions(step: MigrationStep, context: ApplyContext, seen: SeenBlockers) {
  return {
    ladder: ladderFor(step, context.settings),
    signal: context.signal,
    budgetMs: context.settings.lockWaitBudgetMs,
    onRetry: ({ cause: _, ...failed }: FailedTry) =>
      context.onProgress({
        kind: 'retry',
        step: stepName(step),
        ...failed,
        blockers: seen.last,
      }),
    rest: (nextTry: number, pause: Pause) =>
      restUnderName({ worker: context.worker, work: fullName(step) })(nextTry, () =>
        pauseWhileBlocked(pause, { observer: context.observer, seen }),
      ),
  };
}

/**
 * Names the transactions that will be in the way of a step. Nothing waits for the answer: it comes
 * while the first try is under way.
 */
export function tellWhoIsInTheWay(
  step: MigrationStep,
  { preflight, onProgress }: ApplyContext,
): void {
  const from = step.resume?.statementsDone ?? 0;
  preflight.look(step.statements.slice(from)).then(
    (holders) => {
      if (holders.length > 0) onProgress({ kind: 'in-the-way', step: stepName(step), holders });
    },
    () => undefined, // whoever looks must not fail the one who works
  );
}

/** Runs work while the observer looks who blocks it; the last seen blockers go to `seen`. */
export function withBlockersWatched<T>(
  work: () => Promise<T>,
  {
    step,
    context,
    lockTimeoutMs,
    seen,
  }: {
    step: MigrationStep;
    context: ApplyContext;
    lockTimeoutMs: number;
    seen: SeenBlockers;
  },
): Promise<T> {
  seen.startTry();
  return watchBlockers(work, {
    observer: context.observer,
    pid: context.worker.facts.pid,
    list: context.worker.facts.isCitus ? listClusterBlockers : listBlockers,
    // Late enough that short waits stay unmentioned, early enough to ask before the timeout.
    afterMs: lockTimeoutMs * 0.6,
    onBlocked: (blockers, victims) => {
      seen.note(blockers);
      context.onProgress({ kind: 'blocked', step: stepName(step), blockers, victims });
    },
  });
}

/** Tells of the steps as they run, and keeps those that are done. */
export function createCourse(
  total: number,
  { onProgress, notices }: ApplyContext,
): Listener & { completed: MigrationResult['steps'] } {
  const completed: MigrationResult['steps'] = [];
  let started = 0;
  return {
    completed,
    onStarted: ({ direction, ...step }) => {
      // One that failed when it was sent ahead runs again.
      if (started > completed.length) return;
      const index = started++;
      onProgress({ kind: 'step-started', direction, step: stepName(step), index, total });
    },
    onDone: ({ direction, ...step }, durationMs) => {
      const name = stepName(step);
      completed.push({ ...name, durationMs, direction });
      for (const part of step.repeatables ?? [step])
        notices.end({ ...step, direction, name: part.name });
      onProgress({ kind: 'step-done', direction, step: name, durationMs });
    },
  };
}

/** What an error tells of the steps before it. */
export function toldOf(
  { completed }: { completed: MigrationResult['steps'] },
  { told, untold }: Notices,
) {
  return {
    completed,
    ...(told.length > 0 && { notices: told }),
    ...(untold > 0 && { noticesLeftOut: untold }),
  };
}

/** Says what a failure means for the database, and writes it down. Loaded late: most runs have none. */
export async function explainFailure(
  error: unknown,
  at: { step: MigrationStep; context: ApplyContext; seen: SeenBlockers },
): Promise<unknown> {
  const { describeFailure } = await import('./failure.ts');
  return describeFailure(error, at);
}
