import { TRANSACTION_CONFLICTS } from '../connection/retry.ts';
import type { EvdbErrorCode } from '../errors.ts';
import type { ConnectionSetReports } from './connection-set.ts';
import type { PoolHealth } from './health.ts';
import {
  createHistogram,
  type DurationStats,
  describeDurations,
  type Histogram,
  mergeHistograms,
  parseBounds,
} from './histogram.ts';
import {
  type MetricInstrument,
  type PoolCounts,
  type PoolGauges,
  renderInstruments,
} from './instruments.ts';

/** Why the pool closed a connection. */
export type DiscardReason =
  | 'idle'
  | 'lifetime'
  | 'lost'
  | 'validation'
  | 'reset'
  | 'abandoned'
  | 'closed';

interface PoolMetricsOptions {
  /** Unique among the pools of the process: it tells their series apart. */
  poolName: string;
  /** Upper limits of all histograms' buckets; default OpenTelemetry's, from 1 ms to 10 s. */
  boundsSeconds?: readonly number[] | undefined;
}

/** A snapshot for people (the fields on top) and for machines (`instruments`). Plain JSON. */
export interface PoolMetrics {
  pool: string;
  /** Open connections, idle and used. */
  total: number;
  idle: number;
  used: number;
  connecting: number;
  /** Callers that wait for a connection. */
  waiting: number;
  max: number;
  min: number;
  totalQueries: number;
  failedQueries: number;
  slowQueries: number;
  acquired: number;
  acquireTimeouts: number;
  connectionsCreated: number;
  connectFailures: number;
  connectionsDiscarded: number;
  connectionsReset: number;
  transactionRetries: number;
  leaks: number;
  /** From requesting a connection to having one; callers that gave up are not included. */
  wait: DurationStats;
  /** From getting a connection to returning it. */
  use: DurationStats;
  /** Statements, failed ones too. */
  query: DurationStats;
  instruments: MetricInstrument[];
}

export interface PoolMetricsRecorder {
  recordAcquire(waitMs: number): void;
  recordRelease(useMs: number): void;
  recordCreate(createMs: number): void;
  /** A caller got no connection within the acquire timeout. */
  recordTimeout(): void;
  /** @param outcome true, or the failure's SQLSTATE or code; false where it has none. */
  recordOperation(durationMs: number, outcome: boolean | string): void;
  recordConnectFailure(code: string): void;
  recordDiscard(reason: DiscardReason): void;
  recordRetry(sqlstate: string): void;
  recordLeak(): void;
  recordSlowQuery(): void;
  /** The session state of a returned connection was reset. */
  recordReset(): void;
  /** @param gauges what the pool counts itself at this moment. */
  snapshot(gauges: PoolGauges): PoolMetrics;
}

/** OpenTelemetry's word for an error without a class of its own. */
const OTHER = '_OTHER';

/** No more series than this for each labelled metric: a series costs memory for good. */
const MAX_SERIES = 40;

// A series that starts at 0 lets a monitoring system see its first increment.
const COMMON_CONNECT_FAILURES: readonly EvdbErrorCode[] = [
  'CONNECTION_REFUSED',
  'CONNECTION_LOST',
  'CONNECT_TIMEOUT',
  'UNKNOWN_HOST',
  'AUTHENTICATION_FAILED',
  'TOO_MANY_CONNECTIONS',
  'SERVER_STARTING',
];
const DISCARD_REASONS: Record<DiscardReason, true> = {
  idle: true,
  lifetime: true,
  lost: true,
  validation: true,
  reset: true,
  abandoned: true,
  closed: true,
};

/**
 * Counts what a pool does, cheaply enough for every query: the durations go to typed arrays and
 * allocate nothing; only the first failure with a new code makes a new series. A code that is not
 * made of letters, digits, `_`, `-`, `.` and `:`, and codes beyond the first 40, count as `_OTHER`,
 * so neither a message nor a flood of codes becomes labels.
 *
 * @throws EvdbError `CONFIG_INVALID` where `boundsSeconds` are not ascending positive numbers.
 * @example
 * const metrics = createPoolMetrics({ poolName: 'events' });
 * metrics.recordOperation(1.4, true);
 * metrics.recordOperation(2.1, '23505');
 * metrics.snapshot({ idle: 1, used: 0, pending: 0, max: 10, min: 0, connecting: 0 }).failedQueries; // 1
 */
export function createPoolMetrics(options: PoolMetricsOptions): PoolMetricsRecorder {
  const { poolName } = options;
  const bounds = parseBounds(options.boundsSeconds);
  const newHistogram = () => createHistogram(bounds);
  const wait = newHistogram();
  const use = newHistogram();
  const create = newHistogram();
  const succeeded = newHistogram();
  const failed = new Map<string, Histogram>();
  const connectFailures = startAtZero(COMMON_CONNECT_FAILURES);
  const discards = startAtZero(Object.keys(DISCARD_REASONS));
  const retries = startAtZero(TRANSACTION_CONFLICTS);
  const plain = { timeouts: 0, leaks: 0, slowQueries: 0, resets: 0 };
  return {
    recordAcquire: wait.record,
    recordRelease: use.record,
    recordCreate: create.record,
    recordOperation(durationMs, outcome) {
      if (outcome === true) succeeded.record(durationMs);
      else seriesOf(failed, outcome || OTHER, newHistogram).record(durationMs);
    },
    recordTimeout: () => void plain.timeouts++,
    recordConnectFailure: (code) => increment(connectFailures, code),
    recordDiscard: (reason) => increment(discards, reason),
    recordRetry: (sqlstate) => increment(retries, sqlstate),
    recordLeak: () => void plain.leaks++,
    recordSlowQuery: () => void plain.slowQueries++,
    recordReset: () => void plain.resets++,
    snapshot: (gauges) =>
      renderMetrics(poolName, gauges, {
        wait: wait.summarize(),
        use: use.summarize(),
        create: create.summarize(),
        succeeded: succeeded.summarize(),
        failed: new Map(Array.from(failed, ([code, one]) => [code, one.summarize()])),
        connectFailures,
        discards,
        retries,
        ...plain,
      }),
  };
}

function startAtZero(keys: readonly string[]): Map<string, number> {
  return new Map(keys.map((key) => [key, 0]));
}

function seriesOf<T>(series: Map<string, T>, code: string, create: () => T): T {
  const key = series.has(code) ? code : newKey(series, code);
  const known = series.get(key);
  if (known !== undefined) return known;
  const made = create();
  series.set(key, made);
  return made;
}

function increment(series: Map<string, number>, code: string): void {
  const key = series.has(code) ? code : newKey(series, code);
  series.set(key, (series.get(key) ?? 0) + 1);
}

function newKey(series: ReadonlyMap<string, unknown>, code: string): string {
  return series.size < MAX_SERIES && /^[\w.:-]{1,64}$/.test(code) ? code : OTHER;
}

function renderMetrics(poolName: string, gauges: PoolGauges, counts: PoolCounts): PoolMetrics {
  const { idle, used, connecting, pending, max, min } = gauges;
  const all = mergeHistograms(counts.succeeded, [...counts.failed.values()]);
  return {
    pool: poolName,
    total: idle + used,
    idle,
    used,
    connecting,
    waiting: pending,
    max,
    min,
    totalQueries: all.count,
    failedQueries: all.count - counts.succeeded.count,
    slowQueries: counts.slowQueries,
    acquired: counts.wait.count,
    acquireTimeouts: counts.timeouts,
    connectionsCreated: counts.create.count,
    connectFailures: sum(counts.connectFailures),
    connectionsDiscarded: sum(counts.discards),
    connectionsReset: counts.resets,
    transactionRetries: sum(counts.retries),
    leaks: counts.leaks,
    wait: describeDurations(counts.wait),
    use: describeDurations(counts.use),
    query: describeDurations(all),
    instruments: renderInstruments(poolName, gauges, counts),
  };
}

function sum(series: ReadonlyMap<string, number>): number {
  return [...series.values()].reduce((total, one) => total + one, 0);
}

/** The events of a pool, as `pool.on(name, listener)`. No event contains a parameter. */
export interface PoolEvents {
  connect: [{ pid: number; durationMs: number }];
  disconnect: [{ pid: number; reason: DiscardReason }];
  acquire: [{ pid: number; waitMs: number }];
  release: [{ pid: number; useMs: number }];
  slowQuery: [{ pid: number; text: string; durationMs: number }];
  health: [PoolHealth];
  /** `stack` is that of the caller that requested the connection. */
  leak: [{ pid: number; heldMs: number; stack: string }];
}

/** Tells an event; what it holds is made only where somebody listens. */
export type Tell = <K extends keyof PoolEvents>(name: K, make: () => PoolEvents[K][0]) => void;

/** Counts and tells what the connections does. */
export function reportTo(metrics: PoolMetricsRecorder, tell: Tell): ConnectionSetReports {
  return {
    connected: (connection, durationMs) => {
      metrics.recordCreate(durationMs);
      tell('connect', () => ({ pid: connection.session.facts.pid, durationMs }));
    },
    connectFailed: (error) => metrics.recordConnectFailure(error.code),
    disconnected: (connection, reason) => {
      metrics.recordDiscard(reason);
      tell('disconnect', () => ({ pid: connection.session.facts.pid, reason }));
    },
    reset: metrics.recordReset,
  };
}
