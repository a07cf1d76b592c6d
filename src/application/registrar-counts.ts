/** How many batches were of which size. */
export interface BatchSizes {
  count: number;
  /** Calls in all of them. */
  sum: number;
  /** Ascending; each counts the sizes above the bucket before it. */
  buckets: { upTo: number; count: number }[];
}

export interface RegistrarMetrics {
  /** Calls that were accepted, since the registrar was made. */
  calls: number;
  /** Calls that ended with a registration, with a refusal, with an error. */
  registered: number;
  refused: number;
  failed: number;
  /** Calls turned away because of `maxPending`. */
  turnedAway: number;
  /** Statements sent, of whatever size. */
  batches: number;
  batchSizes: BatchSizes;
  /** Times that a call was put back to be tried again. */
  retries: number;
  /** Calls that are accepted and not answered yet. */
  pending: number;
  /** Calls that wait to be accepted, with `whenFull: 'wait'`. */
  waiting: number;
  /** Statements under way. */
  inFlight: number;
  /** Events with calls that are not answered yet. */
  events: number;
}

export type RegistrarGauges = Pick<RegistrarMetrics, 'pending' | 'waiting' | 'inFlight' | 'events'>;

export interface RegistrarCounts {
  calls: number;
  registered: number;
  refused: number;
  failed: number;
  turnedAway: number;
  retries: number;
  recordBatch(size: number): void;
  /** A snapshot: plain JSON that does not change any more. */
  summarize(gauges: RegistrarGauges): RegistrarMetrics;
}

/** @param maxBatchSize the limit of the last bucket; those before it are the powers of two */
export function createCounts(maxBatchSize: number): RegistrarCounts {
  const limits: number[] = [];
  for (let limit = 1; limit < maxBatchSize; limit *= 2) limits.push(limit);
  limits.push(maxBatchSize);
  const buckets = limits.map((upTo) => ({ upTo, count: 0 }));
  let count = 0;
  let sum = 0;
  return {
    calls: 0,
    registered: 0,
    refused: 0,
    failed: 0,
    turnedAway: 0,
    retries: 0,
    recordBatch(size) {
      count += 1;
      sum += size;
      const bucket = buckets.find(({ upTo }) => size <= upTo);
      if (bucket !== undefined) bucket.count += 1;
    },
    summarize(gauges) {
      const { calls, registered, refused, failed, turnedAway, retries } = this;
      const batchSizes = { count, sum, buckets: buckets.map((bucket) => ({ ...bucket })) };
      const totals = { calls, registered, refused, failed, turnedAway, batches: count };
      return { ...totals, batchSizes, retries, ...gauges };
    },
  };
}
