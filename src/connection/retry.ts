/**
 * What may well succeed when it is tried again: which failures these are, how long to wait before the
 * next try, and the one loop that tries. Whether a connection is lost, which nothing here tries again,
 * says connection-error.ts.
 */

import { setTimeout as sleep } from 'node:timers/promises';

const LOCK_NOT_AVAILABLE = '55P03';
const DEADLOCK_DETECTED = '40P01';
const SERIALIZATION_FAILURE = '40001';

/**
 * A lock could not be acquired, and nothing is wrong with the statement: what a migration tries again.
 * Its transactions are `read committed`; a script that asks for a stricter level means its failures.
 */
const LOCK_FAILURES: ReadonlySet<string> = new Set([LOCK_NOT_AVAILABLE, DEADLOCK_DETECTED]);

/** Others were in the way: what evdb's own calls try again, whatever level a session begins with. */
const CONFLICTS: ReadonlySet<string> = new Set([...LOCK_FAILURES, SERIALIZATION_FAILURE]);

/**
 * What an application's transaction tries again. Not a lock that was not available: that comes only
 * where the application asked for it, by `lock_timeout` or `nowait`.
 */
export const TRANSACTION_CONFLICTS: readonly string[] = [SERIALIZATION_FAILURE, DEADLOCK_DETECTED];

/** Where a prepared statement no longer fits the schema; the driver prepares it anew next time. */
const STALE_PLANS: Readonly<Record<string, string>> = {
  '0A000': 'RevalidateCachedQuery',
  '26000': 'FetchPreparedStatement',
};

/** How deep an application may have wrapped the server's error. */
const MAX_DEPTH = 5;

/** The server's error among an error and its causes, if it is one of these. */
function findState(
  error: unknown,
  isWanted: (state: string, routine: string | undefined) => boolean,
): string | undefined {
  let at = error;
  for (let depth = 0; depth < MAX_DEPTH && at instanceof Error; depth++) {
    const { code = '', routine } = at as { code?: string; routine?: string };
    if (isWanted(code, routine)) return code;
    at = at.cause;
  }
  return undefined;
}

/** Whether an SQLSTATE says that a lock could not be acquired. */
export function isLockState(state: string): boolean {
  return LOCK_FAILURES.has(state);
}

/** Whether a migration that failed so may succeed when it is tried again. */
export function isLockFailure(error: unknown): boolean {
  return findState(error, (state) => LOCK_FAILURES.has(state)) !== undefined;
}

/** Whether the error says that others were in the way, and nothing else was wrong. */
export function isConflict(error: unknown): boolean {
  return findState(error, (state) => CONFLICTS.has(state)) !== undefined;
}

/** The SQLSTATE for which an application's transaction is worth another try. */
export function transactionConflict(error: unknown): string | undefined {
  return findState(
    error,
    (state, routine) =>
      TRANSACTION_CONFLICTS.includes(state) ||
      (routine !== undefined && STALE_PLANS[state] === routine),
  );
}

/** The first pause of a back-off, and the one that it does not exceed, in ms. */
export interface BackOff {
  firstMs: number;
  longestMs: number;
}

/** For connections, and for who waits for others: soon at first, and often enough later on. */
const USUAL_BACK_OFF: BackOff = { firstMs: 100, longestMs: 3_000 };

/**
 * How long to wait before the next try, in ms: doubling with each failure, and a random part of it, so
 * that a thousand clients do not come back to a server at once, and two who collide do not again.
 *
 * Source: Marc Brooker, "Exponential Backoff And Jitter", 2015.
 */
export function backOffMs(
  failures: number,
  backOff: BackOff = USUAL_BACK_OFF,
  random: () => number = Math.random,
): number {
  return doubledMs(failures, backOff) * (0.5 + random() / 2);
}

/** The same without a random part, for who is alone or tells a person how long it takes. */
export function doubledMs(failures: number, { firstMs, longestMs }: BackOff): number {
  return Math.min(firstMs * 2 ** (failures - 1), longestMs);
}

interface Failed {
  /** Which try failed, from 1. */
  attempt: number;
  pauseMs: number;
  cause: unknown;
}

/** Waits for the next try; `early` ends the wait, and that try comes at once. */
export type Pause = (early?: AbortSignal) => Promise<void>;

interface RetryPolicy {
  isWorthARetry: (error: unknown) => boolean;
  /** How long to leave the others alone after so many failures; undefined where that was the last try. */
  pauseAfter: (failures: number) => number | undefined;
  /** Called before each pause. */
  onRetry?: ((failed: Failed) => void) | undefined;
  /** Goes around each pause, told of the try that comes next. */
  rest?: ((nextTry: number, pause: Pause) => Promise<void>) | undefined;
  /** Ends a pause, and there is no try behind it. */
  signal?: AbortSignal | undefined;
}

/** The loop below all of them; throws the last failure, or the signal's reason. */
async function retry<T>(attempt: (count: number) => Promise<T>, policy: RetryPolicy): Promise<T> {
  const { signal } = policy;
  for (let count = 1; ; count++) {
    try {
      return await attempt(count);
    } catch (cause) {
      if (!policy.isWorthARetry(cause)) throw cause;
      const pauseMs = policy.pauseAfter(count);
      if (pauseMs === undefined) throw cause;
      policy.onRetry?.({ attempt: count, pauseMs, cause });
      const pause: Pause = (early) =>
        sleep(pauseMs, undefined, {
          signal: AbortSignal.any([signal, early].filter((one) => one !== undefined)),
        }).catch(() => signal?.throwIfAborted());
      await (policy.rest ? policy.rest(count + 1, pause) : pause());
    }
  }
}

export interface ConflictRetryOptions {
  /** How often it is tried, the first time included. */
  attempts: number;
  /** The failures after which it is tried again; default `isConflict`. */
  isWorthARetry?: ((error: unknown) => boolean) | undefined;
  backOff?: BackOff | undefined;
  signal?: AbortSignal | undefined;
  /** Called before each pause. */
  onRetry?: ((retry: { attempt: number; attempts: number; cause: unknown }) => void) | undefined;
}

/**
 * Calls `attempt` until it succeeds or has failed so often because of others; the last failure is
 * thrown. Pauses double.
 *
 * @throws the signal's reason where it aborts in a pause
 */
export function withConflictRetries<T>(
  attempt: () => Promise<T>,
  { attempts, isWorthARetry = isConflict, backOff, signal, onRetry }: ConflictRetryOptions,
): Promise<T> {
  return retry(attempt, {
    isWorthARetry: (error) => !signal?.aborted && isWorthARetry(error),
    pauseAfter: (failures) => (failures < attempts ? backOffMs(failures, backOff) : undefined),
    onRetry: (failed) => onRetry?.({ ...failed, attempts }),
    signal,
  });
}

/** One try of a migration: how long to wait for locks, and how long to leave the others alone after that. */
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

export interface FailedTry extends Failed {
  /** Null if a budget says when the tries end. */
  attempts: number | null;
  /** What went into waiting for locks and into pauses so far. */
  waitedMs: number;
}

export interface RetryOptions extends Pick<RetryPolicy, 'rest' | 'signal'> {
  ladder?: readonly Rung[] | undefined;
  /**
   * How long to go on, in ms of waiting for locks and of pauses: the ladder is climbed again and
   * again, or not to its end. Default: once.
   */
  budgetMs?: number | undefined;
  /** The failures after which it is tried again; default `isLockFailure`. */
  isWorthARetry?: ((error: unknown) => boolean) | undefined;
  /** Ends the tries early, whatever failed. */
  isHopeless?: (() => boolean) | undefined;
  onRetry?: ((failed: FailedTry) => void) | undefined;
}

/**
 * Calls `attempt` once a rung until it succeeds; the last failure is thrown. There is no try
 * without a timeout at the end. Tries are counted from 1.
 *
 * @param onRetry called before each pause
 * @throws the signal's reason where it aborts in a pause
 */
export function withLockRetries<T>(
  attempt: (rung: Rung, count: number) => Promise<T>,
  options: RetryOptions = {},
): Promise<T> {
  const { ladder = LADDER, budgetMs, isHopeless, onRetry, rest, signal } = options;
  const { isWorthARetry = isLockFailure } = options;
  const rungOf = (count: number) => ladder[(count - 1) % ladder.length] as Rung;
  let waitedMs = 0;
  let pauseMs = 0;
  return retry((count) => attempt(rungOf(count), count), {
    isWorthARetry: (error) => !isHopeless?.() && isWorthARetry(error),
    pauseAfter: (failures) => {
      waitedMs += rungOf(failures).lockTimeoutMs;
      const isEnd = failures % ladder.length === 0;
      if (budgetMs === undefined) return isEnd ? undefined : jittered(rungOf(failures).pauseMs);
      const leftMs = budgetMs - waitedMs;
      if (leftMs <= 0) return undefined;
      const nextMs = isEnd ? PAUSE_BETWEEN_LADDERS_MS : rungOf(failures).pauseMs;
      // the last try comes at the end of the budget
      return Math.min(jittered(nextMs), leftMs);
    },
    onRetry: (failed) => {
      onRetry?.({ ...failed, attempts: budgetMs === undefined ? ladder.length : null, waitedMs });
      pauseMs = failed.pauseMs;
    },
    rest: async (nextTry, pause) => {
      const startedAt = performance.now();
      await (rest ? rest(nextTry, pause) : pause());
      waitedMs += Math.min(pauseMs, Math.ceil(performance.now() - startedAt));
    },
    signal,
  });
}

/** Around the pause on both sides: the ladder says how long it is in all. */
function jittered(pauseMs: number): number {
  return Math.round(pauseMs * (0.75 + Math.random() / 2));
}
