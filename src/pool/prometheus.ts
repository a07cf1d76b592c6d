import type { Attributes, HistogramPoint, Instrument } from './instruments.ts';
import type { PoolMetrics } from './metrics.ts';

interface Family {
  type: Instrument['kind'];
  help: string;
  lines: string[];
}

/**
 * Renders the metrics of one pool, or of all pools of a process, in Prometheus' text format 0.0.4:
 * serve it as `text/plain; version=0.0.4; charset=utf-8`. Names follow OpenTelemetry's rules, so
 * `db.client.connection.wait_time` in seconds is `db_client_connection_wait_time_seconds`. The
 * order is always the same: metrics by name, pools as they are given, labels by value. Where two
 * pools have the same name, the second is shown as `name#2`, because Prometheus rejects a page that
 * holds the same series twice.
 *
 * @example
 * response.setHeader('content-type', 'text/plain; version=0.0.4; charset=utf-8');
 * response.end(renderPrometheus([ordersPool.metrics(), eventsPool.metrics()]));
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

function addSamples(families: Map<string, Family>, instrument: Instrument, pool: string): void {
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
function renderName({ name, unit, kind }: Instrument): string {
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
