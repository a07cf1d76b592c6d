import { setTimeout as sleep } from 'node:timers/promises';
import { codeOf } from './connection-error.ts';

/** One try: how long to wait for locks, and how long to leave the others alone after that. */
export interface Rung {
  lockTimeoutMs: number;
  pauseMs: number;
}

/**
 * Short tries, so that the readers who queue behind a waiting ALTER wait little; three longer ones
 * among them, because autovacuum gives way only after deadlock_timeout (1 s by default).
 * About 100 seconds in all.
 */
export const LADDER: readonly Rung[] = [
  { lockTimeoutMs: 200, pauseMs: 500 },
  { lockTimeoutMs: 200, pauseMs: 1000 },
  { lockTimeoutMs: 500, pauseMs: 2000 },
  { lockTimeoutMs: 500, pauseMs: 4000 },
  { lockTimeoutMs: 1500, pauseMs: 8000 },
  { lockTimeoutMs: 500, pauseMs: 15_000 },
  { lockTimeoutMs: 500, pauseMs: 15_000 },
  { lockTimeoutMs: 2000, pauseMs: 30_000 },
  { lockTimeoutMs: 500, pauseMs: 15_000 },
  { lockTimeoutMs: 3000, pauseMs: 0 },
];

/** Where a budget lets the tries go on, the ladder starts again after this. */
const PAUSE_BETWEEN_LADDERS_MS = 30_000;

/** lock_not_available and deadlock_detected: nothing is wrong with the statement. */
const WORTH_A_RETRY = new Set(['55P03', '40P01']);

export interface FailedTry {
  /** From 1. */
  attempt: number;
  /** Null where a budget says when the tries end. */
  attempts: number | null;
  pauseMs: number;
  /** What went into waiting for locks and into pauses so far. */
  waitedMs: number;
  cause: unknown;
}

export interface RetryOptions {
  ladder?: readonly Rung[] | undefined;
  /**
   * How long to go on, in ms of waiting for locks and of pauses: the ladder is climbed again and
   * again, or not to its end. Default: once.
   */
  budgetMs?: number | undefined;
  /** Ends the tries early, whatever failed. */
  isHopeless?: (() => boolean) | undefined;
  onRetry?: ((failed: FailedTry) => void) | undefined;
  /** Goes around each pause, told of the try that comes next. */
  rest?: ((nextTry: number, pause: () => Promise<void>) => Promise<void>) | undefined;
  signal?: AbortSignal | undefined;
}

/**
 * Calls `attempt` once a rung until it succeeds; the last failure is thrown. There is no try
 * without a timeout at the end.
 *
 * @param onRetry called before each pause
 */
export async function withLockRetries<T>(
  attempt: (rung: Rung) => Promise<T>,
  options: RetryOptions = {},
): Promise<T> {
  const { ladder = LADDER, budgetMs } = options;
  let waitedMs = 0;
  for (let index = 0; ; index++) {
    const rung = ladder[index % ladder.length] as Rung;
    try {
      return await attempt(rung);
    } catch (cause) {
      if (options.isHopeless?.() || !isWorthARetry(cause)) throw cause;
      waitedMs += rung.lockTimeoutMs;
      const pauseMs = pauseAfter(index, { ladder, budgetMs, waitedMs });
      if (pauseMs === undefined) throw cause;
      const attempts = budgetMs === undefined ? ladder.length : null;
      options.onRetry?.({ attempt: index + 1, attempts, pauseMs, waitedMs, cause });
      const pause = () => sleep(pauseMs, undefined, { signal: options.signal });
      await (options.rest ? options.rest(index + 2, pause) : pause());
      waitedMs += pauseMs;
    }
  }
}

/** How long to leave the others alone; undefined where that was the last try. */
function pauseAfter(
  index: number,
  at: { ladder: readonly Rung[]; budgetMs: number | undefined; waitedMs: number },
): number | undefined {
  const { ladder, budgetMs, waitedMs } = at;
  const { pauseMs } = ladder[index % ladder.length] as Rung;
  const isEnd = index % ladder.length === ladder.length - 1;
  const jittered = Math.round(
    (isEnd && budgetMs !== undefined ? PAUSE_BETWEEN_LADDERS_MS : pauseMs) *
      (0.75 + Math.random() / 2),
  );
  if (budgetMs === undefined) return isEnd ? undefined : jittered;
  const leftMs = budgetMs - waitedMs;
  // the last try comes at the end of the budget
  return leftMs > 0 ? Math.min(jittered, leftMs) : undefined;
}

/** Looks through the errors that wrap the server's. */
export function isWorthARetry(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) {
    if (WORTH_A_RETRY.has((at as { code?: string }).code ?? '')) return true;
  }
  return false;
}

/** lock_not_available, deadlock_detected, serialization_failure: another time it may well work. */
const LOCK_FAILURES = new Set(['55P03', '40P01', '40001']);

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 3_000;

export interface LockRetryOptions {
  /** How often it is tried, the first time included. */
  attempts: number;
  signal?: AbortSignal | undefined;
  /** Called before each pause. */
  onRetry?: ((retry: { attempt: number; attempts: number; cause: unknown }) => void) | undefined;
}

/** Whether the error says that others were in the way, and nothing else was wrong. */
export function isLockFailure(error: unknown): boolean {
  return LOCK_FAILURES.has(codeOf(error) ?? '');
}

/**
 * Calls `attempt` until it succeeds or has failed so often because of others; the last failure is
 * thrown. Pauses double, and are random, so that two who collide do not collide again.
 */
export async function withLockAttempts<T>(
  attempt: () => Promise<T>,
  { attempts, signal, onRetry }: LockRetryOptions,
): Promise<T> {
  for (let count = 1; ; count++) {
    try {
      return await attempt();
    } catch (cause) {
      if (count >= attempts || !isLockFailure(cause) || signal?.aborted) throw cause;
      onRetry?.({ attempt: count, attempts, cause });
      const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** (count - 1), LONGEST_PAUSE_MS);
      await sleep(pauseMs * (0.5 + Math.random()), undefined, { signal });
    }
  }
}

/** How deep an application may have wrapped the server's error. */
const MAX_DEPTH = 5;

/** Errors by which the server itself says: the same transaction can succeed when tried again. */
const RETRYABLE = new Set(['40001', '40P01']);

/** Where a prepared statement no longer fits the schema; the driver prepares it anew next time. */
const STALE_PLAN: Record<string, string> = {
  '0A000': 'RevalidateCachedQuery',
  '26000': 'FetchPreparedStatement',
};

/** The SQLSTATE for which a transaction is worth another try, looked for among the causes too. */
export function retryableState(error: unknown): string | undefined {
  let current = error;
  for (let depth = 0; depth < MAX_DEPTH && current instanceof Error; depth++) {
    const code = codeOf(current) ?? '';
    if (RETRYABLE.has(code)) return code;
    const { routine } = current as { routine?: string };
    if (routine !== undefined && STALE_PLAN[code] === routine) return code;
    current = current.cause;
  }
  return undefined;
}

const FIRST_DELAY_MILLIS = 100;
const LONGEST_DELAY_MILLIS = 3_000;

/**
 * How long to wait before the next attempt, in ms: doubling with each failure, and a random part of
 * it, so that a thousand clients do not come back to a server at once.
 *
 * Source: Marc Brooker, "Exponential Backoff And Jitter", 2015.
 */
export function backOffMillis(failures: number, random: () => number = Math.random): number {
  const longest = Math.min(FIRST_DELAY_MILLIS * 2 ** (failures - 1), LONGEST_DELAY_MILLIS);
  return longest * (0.5 + random() / 2);
}
