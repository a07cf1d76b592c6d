import type { BackfillDirective } from '../files/directives.ts';

/*
 * How many rows a batch takes, so that it takes about as long as is wanted: long enough that its commit
 * costs little beside it, and short enough that its locks do not disturb others.
 */

/** How long a batch is to take, in ms, and how many rows it passes at most. */
export function limitsOf({ batchTimeMs, batchRows }: BackfillDirective) {
  return { batchTimeMs: batchTimeMs ?? 200, batchRows: batchRows ?? 50_000 };
}

/** Little is known at first. */
const FIRST_ROWS = 1000;

/** One slow batch says little of the next. */
const MOST_GROWTH = 2;
const MOST_SHRINKING = 4;

/** How old a batch may be to count for the rate, in ms. */
const RATE_WINDOW_MS = 15_000;

/** The size of a worker's next batch. Pure: whoever works tells of it. */
export interface Pace {
  readonly rows: number;
  /** A batch is committed. */
  done(rows: number, tookMs: number): void;
  /** A batch failed because of others: they are left alone for longer with smaller ones. */
  hindered(): void;
  /** A batch failed because of one of its rows: smaller ones find it, and none grows until it is found. */
  narrow(): void;
  /** The row that failed is found, or passed: batches may grow again. */
  widen(): void;
}

export function createPace(limits: { batchTimeMs: number; batchRows: number }): Pace {
  const { batchTimeMs, batchRows } = limits;
  let rows = Math.min(FIRST_ROWS, batchRows);
  let isNarrow = false;
  return {
    get rows() {
      return rows;
    },
    done: (passed, tookMs) => {
      if (isNarrow) return;
      // What is left at the end of the table says nothing of the time that a whole batch takes.
      if (passed < rows && tookMs < batchTimeMs) return;
      rows = nextRows(rows, tookMs, limits);
    },
    hindered: () => {
      rows = Math.max(1, Math.floor(rows / 2));
    },
    narrow: () => {
      isNarrow = true;
      rows = Math.max(1, Math.floor(rows / 2));
    },
    widen: () => {
      isNarrow = false;
    },
  };

  function nextRows(
    now: number,
    tookMs: number,
    { batchTimeMs: wantedMs }: { batchTimeMs: number },
  ): number {
    const factor = wantedMs / Math.max(1, tookMs);
    const limited = Math.min(MOST_GROWTH, Math.max(1 / MOST_SHRINKING, factor));
    return Math.max(1, Math.min(batchRows, Math.round(now * limited)));
  }
}

/** How fast all workers are together. */
export interface Rate {
  /** A batch is committed. */
  done(rows: number, tookMs: number): void;
  /** Rows a second, of late; undefined before the first batch. */
  perSecond(nowMs: number): number | undefined;
}

export function createRate(): Rate {
  let recent: { atMs: number; rows: number; tookMs: number }[] = [];
  return {
    done: (rows, tookMs) => {
      recent.push({ atMs: performance.now(), rows, tookMs });
    },
    perSecond: (nowMs) => {
      recent = recent.filter(({ atMs }) => nowMs - atMs < RATE_WINDOW_MS);
      const [first] = recent;
      if (!first) return undefined;
      const sinceMs = nowMs - first.atMs + first.tookMs;
      return (1000 * recent.reduce((sum, one) => sum + one.rows, 0)) / Math.max(1, sinceMs);
    },
  };
}
