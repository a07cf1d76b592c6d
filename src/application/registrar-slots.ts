/** Turns at something scarce, first come, first served. */
export interface Slots {
  readonly taken: number;
  /** Resolves when it is the caller's turn; `release` must follow. */
  acquire(): Promise<void>;
  release(): void;
}

export function createSlots(max: number): Slots {
  let taken = 0;
  const line = new Set<() => void>();
  return {
    get taken() {
      return taken;
    },
    acquire() {
      if (taken < max) {
        taken += 1;
        return Promise.resolve();
      }
      return new Promise((resolve) => {
        line.add(resolve);
      });
    },
    release() {
      const [next] = line;
      if (next === undefined) {
        taken -= 1;
        return;
      }
      // Handed on without being given back, so that nobody can slip in between.
      line.delete(next);
      next();
    },
  };
}
