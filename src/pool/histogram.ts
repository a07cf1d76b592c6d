import { EvdbError } from '../errors.ts';

/** What OpenTelemetry advises for database durations, in seconds. */
const ADVISED_BOUNDS_SECONDS: readonly number[] = Object.freeze([
  0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10,
]);

/** All numbers but the counts are seconds. */
export interface HistogramSummary {
  count: number;
  sum: number;
  /** Null while nothing is recorded. */
  min: number | null;
  max: number | null;
  /** Values of each bucket alone, one entry more than `bounds`: the last is above all of them. */
  buckets: number[];
  /** Upper limits, ascending; a value equal to a limit is below it. */
  bounds: readonly number[];
}

export interface Histogram {
  /** Takes milliseconds. What is negative or not finite counts as 0. */
  record(durationMs: number): void;
  summarize(): HistogramSummary;
}

/**
 * Counts durations in buckets. Recording allocates nothing: all state is in two typed arrays.
 *
 * @param bounds upper limits of the buckets in seconds, as `parseBounds` returns them.
 */
export function createHistogram(bounds: readonly number[]): Histogram {
  const limits = Float64Array.from(bounds);
  // Doubles count exactly up to 2^53, where 32-bit integers would wrap within weeks.
  const buckets = new Float64Array(bounds.length + 1);
  const totals = Float64Array.of(0, 0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY);
  return {
    record(durationMs) {
      // Dividing hits the decimal limits exactly; multiplying by 0.001 would not.
      const seconds = durationMs > 0 && durationMs < Infinity ? durationMs / 1000 : 0;
      let index = 0;
      while (index < limits.length && seconds > (limits[index] ?? 0)) index++;
      buckets[index] = (buckets[index] ?? 0) + 1;
      totals[0] = (totals[0] ?? 0) + 1;
      totals[1] = (totals[1] ?? 0) + seconds;
      if (seconds < (totals[2] ?? 0)) totals[2] = seconds;
      if (seconds > (totals[3] ?? 0)) totals[3] = seconds;
    },
    summarize() {
      const [count = 0, sum = 0, min = 0, max = 0] = totals;
      const range = count === 0 ? { min: null, max: null } : { min, max };
      return { count, sum, ...range, buckets: [...buckets], bounds };
    },
  };
}

/**
 * The bounds to use: a frozen copy, or OpenTelemetry's advised ones where none are given.
 *
 * @throws EvdbError `CONFIG_INVALID` unless they are positive, finite and ascending.
 */
export function parseBounds(boundsSeconds?: readonly number[]): readonly number[] {
  if (boundsSeconds === undefined) return ADVISED_BOUNDS_SECONDS;
  const isAscending = boundsSeconds.every(
    (bound, index) => Number.isFinite(bound) && bound > (boundsSeconds[index - 1] ?? 0),
  );
  if (!isAscending || boundsSeconds.length === 0) {
    throw new EvdbError(
      'CONFIG_INVALID',
      `the histogram bounds [${boundsSeconds.join(', ')}] are not ascending positive numbers`,
      { hint: 'Give seconds, such as [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10].' },
    );
  }
  return Object.freeze([...boundsSeconds]);
}

/** Adds up histograms that have the same bounds. */
export function mergeHistograms(
  first: HistogramSummary,
  rest: readonly HistogramSummary[],
): HistogramSummary {
  return rest.reduce(
    (merged, one) => ({
      count: merged.count + one.count,
      sum: merged.sum + one.sum,
      min: pick(Math.min, merged.min, one.min),
      max: pick(Math.max, merged.max, one.max),
      buckets: merged.buckets.map((count, index) => count + (one.buckets[index] ?? 0)),
      bounds: merged.bounds,
    }),
    first,
  );
}

function pick(choose: typeof Math.min, one: number | null, other: number | null): number | null {
  return one === null || other === null ? (one ?? other) : choose(one, other);
}

/** In milliseconds; null while nothing is recorded. */
export interface DurationStats {
  count: number;
  meanMs: number | null;
  minMs: number | null;
  maxMs: number | null;
  /** Estimated: in the right bucket of the histogram, not exact within it. */
  p50Ms: number | null;
  p95Ms: number | null;
  p99Ms: number | null;
}

/** The figures that people read, with estimates of the 50th, 95th and 99th percentile. */
export function describeDurations(summary: HistogramSummary): DurationStats {
  // To the nanosecond: 0.0023 s is 2.3 ms and not 2.3000000000000003.
  const ms = (seconds: number | null) =>
    seconds === null ? null : Math.round(seconds * 1e9) / 1e6;
  return {
    count: summary.count,
    meanMs: summary.count === 0 ? null : ms(summary.sum / summary.count),
    minMs: ms(summary.min),
    maxMs: ms(summary.max),
    p50Ms: ms(estimatePercentile(summary, 50)),
    p95Ms: ms(estimatePercentile(summary, 95)),
    p99Ms: ms(estimatePercentile(summary, 99)),
  };
}

/**
 * Estimates a percentile in seconds, or null while nothing is recorded.
 *
 * The bucket that holds the value of this rank is found exactly; within the bucket the values are
 * taken as spread evenly, between its limits or the least and greatest value ever seen where these
 * are narrower. So the estimate is in the right bucket and off by less than its width: with the
 * advised bounds a result of 30 ms means "between 10 and 50 ms". It is exact where all values are
 * the same. Nothing is forgotten, so it describes the time since the pool was made; for the last
 * minutes let the monitoring system compute it from the buckets.
 *
 * @param percent from 0 to 100.
 */
function estimatePercentile(summary: HistogramSummary, percent: number): number | null {
  const { count, min, max, buckets, bounds } = summary;
  if (min === null || max === null) return null;
  const rank = (percent * count) / 100;
  let below = 0;
  for (const [index, inBucket] of buckets.entries()) {
    if (inBucket > 0 && below + inBucket >= rank) {
      const lower = Math.max(bounds[index - 1] ?? 0, min);
      const upper = Math.min(bounds[index] ?? max, max);
      return lower + (upper - lower) * ((rank - below) / inBucket);
    }
    below += inBucket;
  }
  return max;
}
