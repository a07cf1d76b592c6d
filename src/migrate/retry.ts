import { setTimeout as sleep } from 'node:timers/promises';

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

/** lock_not_available and deadlock_detected: nothing is wrong with the statement. */
const WORTH_A_RETRY = new Set(['55P03', '40P01']);

export interface FailedTry {
  /** From 1. */
  attempt: number;
  attempts: number;
  pauseMs: number;
  cause: unknown;
}

/**
 * Calls `attempt` once a rung until it succeeds; the last failure is thrown. There is no try
 * without a timeout at the end.
 *
 * @param onRetry called before each pause
 */
export async function withLockRetries<T>(
  attempt: (rung: Rung) => Promise<T>,
  options: {
    ladder?: readonly Rung[] | undefined;
    /** Ends the tries early, whatever failed. */
    isHopeless?: (() => boolean) | undefined;
    onRetry?: ((failed: FailedTry) => void) | undefined;
    signal?: AbortSignal | undefined;
  } = {},
): Promise<T> {
  const ladder = options.ladder ?? LADDER;
  for (let index = 0; ; index++) {
    const rung = ladder[index] as Rung;
    try {
      return await attempt(rung);
    } catch (cause) {
      const isLast = index === ladder.length - 1;
      if (isLast || options.isHopeless?.() || !isWorthARetry(cause)) throw cause;
      const pauseMs = Math.round(rung.pauseMs * (0.75 + Math.random() / 2));
      options.onRetry?.({ attempt: index + 1, attempts: ladder.length, pauseMs, cause });
      await sleep(pauseMs, undefined, { signal: options.signal });
    }
  }
}

/** Looks through the errors that wrap the server's. */
export function isWorthARetry(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) {
    if (WORTH_A_RETRY.has((at as { code?: string }).code ?? '')) return true;
  }
  return false;
}
