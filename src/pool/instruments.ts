import type { HistogramSummary } from './histogram.ts';
import type { PoolMetrics } from './metrics.ts';

export type Attributes = Record<string, string>;

/** What the pool knows about itself at this moment. */
export interface PoolGauges {
  /** Open connections that nobody uses. */
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
export type MetricInstrument = {
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
): MetricInstrument[] {
  const pool = { 'db.client.connection.pool.name': poolName };
  return [
    ...connectionGauges(pool, gauges),
    ...durations(pool, counts),
    ...events(pool, counts),
    ...eventsByCode(pool, counts),
  ];
}

function connectionGauges(pool: Attributes, gauges: PoolGauges): MetricInstrument[] {
  const inState = (state: string, value: number): NumberPoint => ({
    attributes: { ...pool, 'db.client.connection.state': state },
    value,
  });
  const one = (name: string, unit: Unit, value: number, description: string): MetricInstrument => ({
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

function durations(pool: Attributes, counts: PoolCounts): MetricInstrument[] {
  const one = (name: string, description: string, points: HistogramPoint[]): MetricInstrument => ({
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
    one('db.client.connection.use_time', 'The time from getting a connection to returning it.', [
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

function events(pool: Attributes, counts: PoolCounts): MetricInstrument[] {
  const one = (name: string, unit: Unit, value: number, description: string): MetricInstrument => ({
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

function eventsByCode(pool: Attributes, counts: PoolCounts): MetricInstrument[] {
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

interface Family {
  type: MetricInstrument['kind'];
  help: string;
  lines: string[];
}

/**
 * Renders the metrics of one pool, or of all pools of a process, in Prometheus' text format 0.0.4:
 * serve it as `text/plain; version=0.0.4; charset=utf-8`. Names follow OpenTelemetry's rules, so
 * `db.client.connection.wait_time` in seconds is `db_client_connection_wait_time_seconds`. The
 * order is always the same: metrics by name, pools as they are given, labels by value. If two pools
 * have the same name, the second is shown as `name#2`, because Prometheus rejects a page with the
 * same series twice.
 *
 * @example
 * response.setHeader('content-type', 'text/plain; version=0.0.4; charset=utf-8');
 * response.end(renderPrometheus(pool.metrics()));
 */
export function renderPrometheus(metrics: PoolMetrics | readonly PoolMetrics[]): string {
  const families = new Map<string, Family>();
  const taken = new Set<string>();
  for (const one of [metrics].flat()) {
    const pool = distinctName(one.pool, taken);
    for (const instrument of one.instruments) addSamples(families, instrument, pool);
  }
  return [...families]
    .filter(([, { lines }]) => lines.length > 0)
    .sort(([one], [other]) => compare(one, other))
    .map(([name, { type, help, lines }]) =>
      [`# HELP ${name} ${escapeHelp(help)}`, `# TYPE ${name} ${type}`, ...lines, ''].join('\n'),
    )
    .join('');
}

const POOL_NAME = 'db.client.connection.pool.name';

function distinctName(name: string, taken: Set<string>): string {
  let distinct = name;
  for (let number = 2; taken.has(distinct); number++) distinct = `${name}#${number}`;
  taken.add(distinct);
  return distinct;
}

function addSamples(
  families: Map<string, Family>,
  instrument: MetricInstrument,
  pool: string,
): void {
  const name = renderName(instrument);
  const { kind, description } = instrument;
  const family = families.get(name) ?? { type: kind, help: description, lines: [] };
  families.set(name, family);
  const labelled = <T extends { attributes: Attributes }>(points: T[]) =>
    points
      .map((point) => ({ point, labels: renderLabels({ ...point.attributes, [POOL_NAME]: pool }) }))
      .sort((one, other) => compare(one.labels, other.labels));
  if (instrument.kind === 'histogram') {
    for (const { point, labels } of labelled(instrument.points)) {
      family.lines.push(...renderHistogram(name, labels, point));
    }
  } else {
    for (const { point, labels } of labelled(instrument.points)) {
      family.lines.push(`${name}{${labels}} ${renderNumber(point.value)}`);
    }
  }
}

function renderHistogram(name: string, labels: string, point: HistogramPoint): string[] {
  let below = 0;
  const buckets = point.bounds.map((bound, index) => {
    below += point.buckets[index] ?? 0;
    return `${name}_bucket{${labels},le="${renderNumber(bound)}"} ${below}`;
  });
  return [
    ...buckets,
    `${name}_bucket{${labels},le="+Inf"} ${point.count}`,
    `${name}_sum{${labels}} ${renderNumber(point.sum)}`,
    `${name}_count{${labels}} ${point.count}`,
  ];
}

/** The unit comes before `_total`; what is counted, in braces, is no unit to Prometheus. */
function renderName({ name, unit, kind }: MetricInstrument): string {
  const suffix = unit === 's' ? '_seconds' : '';
  return sanitize(`${name}${suffix}${kind === 'counter' ? '_total' : ''}`);
}

function renderLabels(attributes: Attributes): string {
  return Object.entries(attributes)
    .map(([key, value]) => `${sanitize(key)}="${escapeLabel(value)}"`)
    .sort(compare)
    .join(',');
}

function sanitize(name: string): string {
  return name.replace(/[^a-zA-Z0-9_]/g, '_').replace(/_+/g, '_');
}

function escapeHelp(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}

function escapeLabel(text: string): string {
  return escapeHelp(text).replaceAll('"', '\\"');
}

function renderNumber(value: number): string {
  if (Number.isFinite(value) || Number.isNaN(value)) return String(value);
  return value > 0 ? '+Inf' : '-Inf';
}

/** By code unit: the order of `localeCompare` depends on the machine. */
function compare(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}
