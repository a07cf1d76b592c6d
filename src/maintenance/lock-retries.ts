import { setTimeout as sleep } from 'node:timers/promises';
import { codeOf } from '../connection/query-error.ts';

/** lock_not_available, deadlock_detected, serialization_failure: another time it may well work. */
const WORTH_A_RETRY = new Set(['55P03', '40P01', '40001']);

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
  return WORTH_A_RETRY.has(codeOf(error) ?? '');
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
