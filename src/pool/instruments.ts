import type { HistogramSummary } from './histogram.ts';

export type Attributes = Record<string, string>;

/** What the pool knows about itself at this moment. */
export interface PoolGauges {
  /** Open connections that nobody has borrowed. */
  idle: number;
  used: number;
  /** Callers that wait for a connection. */
  pending: number;
  max: number;
  min: number;
  /** Connections that are being opened; neither idle nor used yet. */
  connecting: number;
}

export interface NumberPoint {
  attributes: Attributes;
  value: number;
}

export interface HistogramPoint extends HistogramSummary {
  attributes: Attributes;
}

/** UCUM: seconds, or in braces what is counted. */
type Unit = 's' | `{${string}}`;

/** One metric under its OpenTelemetry name, with a point for each set of attributes. */
export type Instrument = {
  name: string;
  unit: Unit;
  description: string;
} & (
  | { kind: 'counter' | 'gauge'; points: NumberPoint[] }
  | { kind: 'histogram'; points: HistogramPoint[] }
);

/** What a pool has counted since it was made; the maps are keyed by code or reason. */
export interface PoolCounts {
  wait: HistogramSummary;
  use: HistogramSummary;
  create: HistogramSummary;
  succeeded: HistogramSummary;
  failed: ReadonlyMap<string, HistogramSummary>;
  connectFailures: ReadonlyMap<string, number>;
  discards: ReadonlyMap<string, number>;
  retries: ReadonlyMap<string, number>;
  timeouts: number;
  leaks: number;
  slowQueries: number;
  resets: number;
}

/**
 * Every metric of a pool, in a fixed order. `db.client.*` are OpenTelemetry's names for database
 * clients; `evdb.pool.*` are of our own making, in the same style, where OpenTelemetry has none.
 */
export function renderInstruments(
  poolName: string,
  gauges: PoolGauges,
  counts: PoolCounts,
): Instrument[] {
  const pool = { 'db.client.connection.pool.name': poolName };
  return [
    ...connectionGauges(pool, gauges),
    ...durations(pool, counts),
    ...events(pool, counts),
    ...eventsByCode(pool, counts),
  ];
}

function connectionGauges(pool: Attributes, gauges: PoolGauges): Instrument[] {
  const inState = (state: string, value: number): NumberPoint => ({
    attributes: { ...pool, 'db.client.connection.state': state },
    value,
  });
  const one = (name: string, unit: Unit, value: number, description: string): Instrument => ({
    name,
    kind: 'gauge',
    unit,
    description,
    points: [{ attributes: pool, value }],
  });
  const { idle, used, pending, connecting, max, min } = gauges;
  return [
    {
      name: 'db.client.connection.count',
      kind: 'gauge',
      unit: '{connection}',
      description: 'Open connections by their state.',
      points: [inState('idle', idle), inState('used', used)],
    },
    one('db.client.connection.idle.max', '{connection}', max, 'Idle open connections allowed.'),
    one('db.client.connection.idle.min', '{connection}', min, 'Idle open connections kept.'),
    one('db.client.connection.max', '{connection}', max, 'Open connections allowed.'),
    one(
      'db.client.connection.pending_requests',
      '{request}',
      pending,
      'Callers that wait for a connection.',
    ),
    one('evdb.pool.connecting', '{connection}', connecting, 'Connections that are being opened.'),
  ];
}

function durations(pool: Attributes, counts: PoolCounts): Instrument[] {
  const one = (name: string, description: string, points: HistogramPoint[]): Instrument => ({
    name,
    kind: 'histogram',
    unit: 's',
    description,
    points,
  });
  const operation = { ...pool, 'db.system.name': 'postgresql' };
  const failed = Array.from(counts.failed, ([code, summary]) => ({
    attributes: { ...operation, 'error.type': code, ...statusOf(code) },
    ...summary,
  }));
  return [
    one('db.client.connection.create_time', 'The time it took to create a new connection.', [
      { attributes: pool, ...counts.create },
    ]),
    one('db.client.connection.wait_time', 'The time it took to obtain an open connection.', [
      { attributes: pool, ...counts.wait },
    ]),
    one('db.client.connection.use_time', 'The time from borrowing a connection to returning it.', [
      { attributes: pool, ...counts.use },
    ]),
    one('db.client.operation.duration', 'Duration of database client operations.', [
      { attributes: operation, ...counts.succeeded },
      ...failed,
    ]),
  ];
}

/** Five characters with a digit are an SQLSTATE; `EPIPE` and the like are the client's own. */
function statusOf(code: string): Attributes {
  return /^(?=.*\d)[0-9A-Z]{5}$/.test(code) ? { 'db.response.status_code': code } : {};
}

function events(pool: Attributes, counts: PoolCounts): Instrument[] {
  const one = (name: string, unit: Unit, value: number, description: string): Instrument => ({
    name,
    kind: 'counter',
    unit,
    description,
    points: [{ attributes: pool, value }],
  });
  const { timeouts, leaks, slowQueries, resets } = counts;
  return [
    one(
      'db.client.connection.timeouts',
      '{timeout}',
      timeouts,
      'Callers that got no connection in time.',
    ),
    one('evdb.pool.leaks', '{connection}', leaks, 'Connections kept past the leak threshold.'),
    one('evdb.pool.slow_queries', '{query}', slowQueries, 'Queries slower than the threshold.'),
    one(
      'evdb.pool.resets',
      '{connection}',
      resets,
      'Returned connections whose session state was reset.',
    ),
  ];
}

function eventsByCode(pool: Attributes, counts: PoolCounts): Instrument[] {
  const by = (attribute: string, values: ReadonlyMap<string, number>): NumberPoint[] =>
    Array.from(values, ([key, value]) => ({ attributes: { ...pool, [attribute]: key }, value }));
  return [
    {
      name: 'evdb.pool.connect_failures',
      kind: 'counter',
      unit: '{failure}',
      description: 'Failed attempts to open a connection.',
      points: by('error.type', counts.connectFailures),
    },
    {
      name: 'evdb.pool.discards',
      kind: 'counter',
      unit: '{connection}',
      description: 'Connections that the pool closed, by reason.',
      points: by('evdb.pool.discard.reason', counts.discards),
    },
    {
      name: 'evdb.pool.retries',
      kind: 'counter',
      unit: '{retry}',
      description: 'Transactions that were run again after an error.',
      points: by('db.response.status_code', counts.retries),
    },
  ];
}
