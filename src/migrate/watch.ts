import type { Session } from '../connection/session.ts';
import { type Blocker, listBlockers } from './blockers.ts';

const LOOK_AGAIN_MS = 5000;

/** Runs work, and asks the observer from `afterMs` on who blocks the backend that does it. */
export async function watchBlockers<T>(
  work: () => Promise<T>,
  options: {
    observer: Session;
    pid: number;
    afterMs: number;
    onBlocked: (blockers: Blocker[]) => void;
  },
): Promise<T> {
  let isDone = false;
  let looking: Promise<void> | undefined;
  const look = async () => {
    // Whoever watches must not fail the one who works.
    const blockers = await listBlockers(options.observer, options.pid).catch(() => []);
    if (isDone) return;
    if (blockers.length > 0) options.onBlocked(blockers);
    timer = setTimeout(start, LOOK_AGAIN_MS);
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
