import { type Blocker, listBlockers, readVictims, type Victims } from '../connection/blockers.ts';
import type { Asked } from '../connection/session.ts';

/** Doubles up to the longest: a build can wait for hours. */
const LOOK_AGAIN_MS = 5000;
const LONGEST_LOOK_AGAIN_MS = 60_000;

/**
 * Runs work, and asks the observer from `afterMs` on who blocks the backend that does it, and who
 * waits for that one in turn.
 */
export async function watchBlockers<T>(
  work: () => Promise<T>,
  options: {
    observer: Asked;
    pid: number;
    afterMs: number;
    onBlocked: (blockers: Blocker[], victims: Victims | null) => void;
  },
): Promise<T> {
  let isDone = false;
  let againMs = LOOK_AGAIN_MS;
  let looking: Promise<void> | undefined;
  const look = async () => {
    // Whoever watches must not fail the one who works.
    const { observer, pid } = options;
    const [blockers, victims] = await Promise.all([
      listBlockers(observer, pid),
      readVictims(observer, pid),
    ]).catch(() => [[], null] as const);
    // Also where the wait has just ended: it was so when the server looked.
    if (blockers.length > 0) options.onBlocked([...blockers], victims);
    if (isDone) return;
    timer = setTimeout(start, againMs);
    againMs = Math.min(againMs * 2, LONGEST_LOOK_AGAIN_MS);
  };
  const start = () => {
    looking = look();
  };
  let timer = setTimeout(start, options.afterMs);
  try {
    return await work();
  } finally {
    isDone = true;
    clearTimeout(timer);
    await looking;
  }
}
