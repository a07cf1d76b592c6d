import type { Blocker } from './blockers.ts';

/** Somebody who stood in the way, and how often. */
export interface SeenBlocker extends Blocker {
  /** In how many tries it was seen. */
  tries: number;
  /** ISO 8601 in UTC. */
  firstSeenAt: string;
}

/** Who stood in the way of a step so far. */
export interface SeenBlockers {
  /** Those of the last look. */
  readonly last: Blocker[];
  /** All of them, the most stubborn first. */
  list(): SeenBlocker[];
  /** Another try begins. */
  startTry(): void;
  note(blockers: Blocker[]): void;
}

export function createSeenBlockers(): SeenBlockers {
  const byPid = new Map<number, SeenBlocker & { lastTry: number }>();
  let currentTry = 0;
  let last: Blocker[] = [];
  return {
    get last() {
      return last;
    },
    list: () =>
      [...byPid.values()]
        .sort((a, b) => b.tries - a.tries)
        .map(({ lastTry: _, ...blocker }) => blocker),
    startTry: () => {
      currentTry += 1;
    },
    note: (blockers) => {
      last = blockers;
      for (const blocker of blockers) {
        const known = byPid.get(blocker.pid);
        byPid.set(blocker.pid, {
          ...blocker,
          tries: (known?.tries ?? 0) + (known?.lastTry === currentTry ? 0 : 1),
          firstSeenAt: known?.firstSeenAt ?? new Date().toISOString(),
          lastTry: currentTry,
        });
      }
    },
  };
}
