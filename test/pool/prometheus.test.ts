import { describe, expect, it } from 'vitest';
import { renderPrometheus } from '../../src/pool/instruments.ts';
import { createPoolMetrics } from '../../src/pool/metrics.ts';

const gauges = { idle: 2, used: 3, pending: 4, max: 10, min: 1, connecting: 0 };

function busyPool(poolName: string) {
  const metrics = createPoolMetrics({ poolName, boundsSeconds: [0.005, 1, 2.5] });
  for (const duration of [1, 5, 6, 1000, 2600]) metrics.recordOperation(duration, true);
  metrics.recordOperation(7, '23505');
  metrics.recordOperation(8, 'CONNECTION_LOST');
  metrics.recordAcquire(0.25);
  metrics.recordTimeout();
  metrics.recordRetry('40001');
  return metrics;
}

interface Sample {
  name: string;
  labels: Record<string, string>;
  value: number;
}

interface Family {
  type: string;
  help: string;
  samples: Sample[];
}

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*';
const LABEL = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^\\"\n]|\\[\\"n])*)"(?:,|$)/;
const NUMBER = /^(NaN|[+-]Inf|[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?)$/i;
const SUFFIXES: Record<string, string[]> = {
  counter: [''],
  gauge: [''],
  histogram: ['_bucket', '_sum', '_count'],
};

/** Reads text format 0.0.4 and throws at whatever the format or its conventions do not allow. */
function parse(text: string): Map<string, Family> {
  if (!text.endsWith('\n')) throw new Error('the last line does not end');
  const families = new Map<string, Family>();
  let current: [name: string, family: Family] | undefined;
  const samplesSeen = new Set<string>();
  const lines = text.slice(0, -1).split('\n');
  for (let index = 0; index < lines.length; index++) {
    const line = lines[index] ?? '';
    const help = new RegExp(`^# HELP (${NAME}) ((?:[^\\\\]|\\\\[\\\\n])*)$`).exec(line);
    if (help) {
      const [, name = '', escaped = ''] = help;
      if (families.has(name)) throw new Error(`${name} comes twice`);
      const type = new RegExp(`^# TYPE ${name} (counter|gauge|histogram)$`).exec(
        lines[++index] ?? '',
      );
      if (!type) throw new Error(`${name} has no type`);
      current = [name, { type: type[1] ?? '', help: unescapeText(escaped), samples: [] }];
      families.set(...current);
      continue;
    }
    const sample = parseSample(line);
    if (!current) throw new Error(`no family yet: ${line}`);
    const [name, family] = current;
    if (!SUFFIXES[family.type]?.some((suffix) => sample.name === `${name}${suffix}`)) {
      throw new Error(`not of ${name}: ${line}`);
    }
    const identity = JSON.stringify([sample.name, Object.entries(sample.labels).sort()]);
    if (samplesSeen.has(identity)) throw new Error(`the same series twice: ${line}`);
    samplesSeen.add(identity);
    family.samples.push(sample);
  }
  for (const [name, family] of families) checkFamily(name, family);
  return families;
}

function parseSample(line: string): Sample {
  const [, name = '', inner = '', value = ''] =
    new RegExp(`^(${NAME})(?:\\{(.*)\\})? (\\S+)$`).exec(line) ?? [];
  if (name === '') throw new Error(`neither comment nor sample: ${line}`);
  if (!NUMBER.test(value)) throw new Error(`not a number: ${line}`);
  const labels: Record<string, string> = {};
  for (let rest = inner; rest !== ''; ) {
    const [all, key = '', escaped = ''] = LABEL.exec(rest) ?? [];
    if (all === undefined || key in labels) throw new Error(`labels: ${line}`);
    labels[key] = unescapeText(escaped);
    rest = rest.slice(all.length);
  }
  return { name, labels, value: parseNumber(value) };
}

function unescapeText(text: string): string {
  return text.replace(/\\(.)/g, (_, one: string) => (one === 'n' ? '\n' : one));
}

function parseNumber(text: string): number {
  return text.endsWith('Inf') ? Number(`${text}inity`) : Number(text);
}

function checkFamily(name: string, { type, samples }: Family): void {
  if (samples.length === 0) throw new Error(`${name} has no samples`);
  if ((type === 'counter') !== name.endsWith('_total')) throw new Error(`${name} as a ${type}`);
  if (type !== 'gauge' && samples.some(({ value }) => !(value >= 0))) {
    throw new Error(`${name} is negative`);
  }
  if (type === 'histogram') for (const group of groupSamples(samples)) checkHistogram(name, group);
}

function groupSamples(samples: Sample[]): Sample[][] {
  const key = ({ labels: { le, ...others } }: Sample) => JSON.stringify(others);
  const keys = [...new Set(samples.map(key))];
  return keys.map((one) => samples.filter((sample) => key(sample) === one));
}

function checkHistogram(name: string, samples: Sample[]): void {
  const buckets = samples.filter((sample) => sample.name === `${name}_bucket`);
  const [sum, count, ...more] = samples.slice(buckets.length);
  if (sum?.name !== `${name}_sum` || count?.name !== `${name}_count` || more.length > 0) {
    throw new Error(`${name} has no sum and count behind its buckets`);
  }
  const limits = buckets.map(({ labels }) => parseNumber(labels.le ?? ''));
  for (let index = 1; index < buckets.length; index++) {
    const isRising =
      (limits[index] ?? 0) > (limits[index - 1] ?? 0) &&
      (buckets[index]?.value ?? 0) >= (buckets[index - 1]?.value ?? 0);
    if (!isRising) throw new Error(`${name} falls at bucket ${index}`);
  }
  if (limits.at(-1) !== Infinity || buckets.at(-1)?.value !== count.value) {
    throw new Error(`${name} does not end with all values in +Inf`);
  }
}

describe('the parser of these tests', () => {
  const start = '# HELP a b\n# TYPE a gauge\n';
  it.each([
    ['a missing line end', `${start}a 1`],
    ['an empty text', '\n'],
    ['a sample without a type', '# HELP a b\na 1\n'],
    ['a family twice', `${start}a 1\n${start}a{x="1"} 1\n`],
    ['a family without samples', start],
    ['a foreign sample', `${start}c 1\n`],
    ['a series twice', `${start}a{x="1",y="2"} 1\na{y="2",x="1"} 2\n`],
    ['a label twice', `${start}a{x="1",x="2"} 1\n`],
    ['a naked quote', `${start}a{x="1"2"} 1\n`],
    ['a naked backslash', `${start}a{x="1\\2"} 1\n`],
    ['a naked line feed', `${start}a{x="1\n2"} 1\n`],
    ['a label with a dot', `${start}a{x.y="1"} 1\n`],
    ['a name with a dot', '# HELP a.b c\n# TYPE a.b gauge\na.b 1\n'],
    ['a value of JavaScript', `${start}a Infinity\n`],
    ['a counter without _total', '# HELP a b\n# TYPE a counter\na 1\n'],
    ['a gauge with _total', '# HELP a_total b\n# TYPE a_total gauge\na_total 1\n'],
    ['no +Inf', histogram('a_bucket{le="1"} 1', 'a_sum 1', 'a_count 1')],
    ['+Inf and another count', histogram('a_bucket{le="+Inf"} 1', 'a_sum 1', 'a_count 2')],
    ['no sum', histogram('a_bucket{le="+Inf"} 1', 'a_count 1')],
    [
      'falling buckets',
      histogram('a_bucket{le="1"} 2', 'a_bucket{le="+Inf"} 1', 'a_sum 1', 'a_count 1'),
    ],
    [
      'falling limits',
      histogram(
        ...['a_bucket{le="2"} 1', 'a_bucket{le="1"} 1', 'a_bucket{le="+Inf"} 1'],
        ...['a_sum 1', 'a_count 1'],
      ),
    ],
  ])('refuses %s', (_, text) => {
    expect(() => parse(text)).toThrow();
  });

  it('reads what the format allows', () => {
    const text = `${start}a{x="1\\\\2\\"3\\n4"} -1.5e-3\na +Inf\n`;
    expect(parse(text).get('a')?.samples).toEqual([
      { name: 'a', labels: { x: '1\\2"3\n4' }, value: -0.0015 },
      { name: 'a', labels: {}, value: Infinity },
    ]);
    const lines = ['a_bucket{le="1"} 1', 'a_bucket{le="+Inf"} 1', 'a_sum 1', 'a_count 1'];
    expect(parse(histogram(...lines)).get('a')?.samples).toHaveLength(4);
  });

  function histogram(...lines: string[]): string {
    return ['# HELP a b', '# TYPE a histogram', ...lines, ''].join('\n');
  }
});

describe('renderPrometheus', () => {
  it('translates the names by the rules of OpenTelemetry, in one order', () => {
    const families = parse(renderPrometheus(busyPool('a').snapshot(gauges)));
    expect([...families].map(([name, { type }]) => `${name} ${type}`)).toEqual([
      'db_client_connection_count gauge',
      'db_client_connection_create_time_seconds histogram',
      'db_client_connection_idle_max gauge',
      'db_client_connection_idle_min gauge',
      'db_client_connection_max gauge',
      'db_client_connection_pending_requests gauge',
      'db_client_connection_timeouts_total counter',
      'db_client_connection_use_time_seconds histogram',
      'db_client_connection_wait_time_seconds histogram',
      'db_client_operation_duration_seconds histogram',
      'evdb_pool_connect_failures_total counter',
      'evdb_pool_connecting gauge',
      'evdb_pool_discards_total counter',
      'evdb_pool_leaks_total counter',
      'evdb_pool_resets_total counter',
      'evdb_pool_retries_total counter',
      'evdb_pool_slow_queries_total counter',
    ]);
  });

  it('writes gauges, counters and histograms the way Prometheus reads them', () => {
    const text = renderPrometheus(busyPool('a').snapshot(gauges));
    const of = (name: string) =>
      text.split('\n').filter((line) => line.includes(name) && !line.includes('error_type'));
    expect(of('db_client_connection_count')).toEqual([
      '# HELP db_client_connection_count Open connections by their state.',
      '# TYPE db_client_connection_count gauge',
      'db_client_connection_count{db_client_connection_pool_name="a",db_client_connection_state="idle"} 2',
      'db_client_connection_count{db_client_connection_pool_name="a",db_client_connection_state="used"} 3',
    ]);
    expect(of('timeouts_total').at(-1)).toBe(
      'db_client_connection_timeouts_total{db_client_connection_pool_name="a"} 1',
    );
    expect(of('operation_duration_seconds').slice(2)).toEqual([
      'db_client_operation_duration_seconds_bucket{db_client_connection_pool_name="a",db_system_name="postgresql",le="0.005"} 2',
      'db_client_operation_duration_seconds_bucket{db_client_connection_pool_name="a",db_system_name="postgresql",le="1"} 4',
      'db_client_operation_duration_seconds_bucket{db_client_connection_pool_name="a",db_system_name="postgresql",le="2.5"} 4',
      'db_client_operation_duration_seconds_bucket{db_client_connection_pool_name="a",db_system_name="postgresql",le="+Inf"} 5',
      'db_client_operation_duration_seconds_sum{db_client_connection_pool_name="a",db_system_name="postgresql"} 3.612',
      'db_client_operation_duration_seconds_count{db_client_connection_pool_name="a",db_system_name="postgresql"} 5',
    ]);
  });

  it('loses no point of the snapshot', () => {
    const snapshot = busyPool('a').snapshot(gauges);
    const families = parse(renderPrometheus(snapshot));
    const rendered = [...families.values()].flatMap(({ samples }) => samples);
    for (const { name, points, description } of snapshot.instruments) {
      const prefix = name.replaceAll('.', '_');
      const family = [...families].find(([one]) =>
        new RegExp(`^${prefix}(_seconds)?(_total)?$`).test(one),
      );
      expect(family?.[1].help).toBe(description);
      for (const point of points) {
        const labels = Object.fromEntries(
          Object.entries(point.attributes).map(([key, value]) => [key.replaceAll('.', '_'), value]),
        );
        const [suffix, value] = 'value' in point ? ['', point.value] : ['_count', point.count];
        expect(rendered).toContainEqual({ name: `${family?.[0]}${suffix}`, labels, value });
      }
    }
  });

  it('writes each metric once for several pools, with the samples of all', () => {
    const one = busyPool('one').snapshot(gauges);
    const other = createPoolMetrics({ poolName: 'other' }).snapshot({ ...gauges, used: 7 });
    const families = parse(renderPrometheus([one, other]));
    expect([...families.keys()]).toEqual([...parse(renderPrometheus(one)).keys()]);
    const used = families
      .get('db_client_connection_count')
      ?.samples.filter(({ labels }) => labels.db_client_connection_state === 'used')
      .map(({ labels, value }) => [labels.db_client_connection_pool_name, value]);
    expect(used).toEqual([
      ['one', 3],
      ['other', 7],
    ]);
  });

  it('tells pools of the same name apart', () => {
    const same = (used: number) =>
      createPoolMetrics({ poolName: 'a' }).snapshot({ ...gauges, used });
    const families = parse(renderPrometheus([same(1), same(2), same(3)]));
    const names = families
      .get('db_client_connection_max')
      ?.samples.map(({ labels }) => labels.db_client_connection_pool_name);
    expect(names).toEqual(['a', 'a#2', 'a#3']);
  });

  it.each(['a\\b', 'say "a"', 'two\nlines', '\\n', '\\"', 'ende\\', 'ünï ☃ 🐘', '{a="b"} 1', ''])(
    'keeps the pool name %j whole',
    (poolName) => {
      const text = renderPrometheus(createPoolMetrics({ poolName }).snapshot(gauges));
      const samples = [...parse(text).values()].flatMap((family) => family.samples);
      const names = samples.map(({ labels }) => labels.db_client_connection_pool_name);
      expect(new Set(names)).toEqual(new Set([poolName]));
    },
  );

  it('escapes what a description may hold, and nothing more', () => {
    const snapshot = createPoolMetrics({ poolName: 'a' }).snapshot(gauges);
    const [first] = snapshot.instruments;
    const description = 'a \\ and "b"\nin two lines';
    const text = renderPrometheus({
      ...snapshot,
      instruments: first ? [{ ...first, description }] : [],
    });
    expect(text).toContain('# HELP db_client_connection_count a \\\\ and "b"\\nin two lines\n');
    expect(parse(text).get('db_client_connection_count')?.help).toBe(description);
  });

  it('gives the same text whatever the order of events was', () => {
    const codes = ['23505', '40001', 'CONNECTION_LOST'];
    const [one, other] = [codes, codes.toReversed()].map((order) => {
      const metrics = createPoolMetrics({ poolName: 'a' });
      for (const code of order) metrics.recordOperation(1, code);
      for (const code of order) metrics.recordConnectFailure(code);
      return renderPrometheus(metrics.snapshot(gauges));
    });
    expect(one).toBe(other);
  });

  it('reads a snapshot that came over the wire as JSON', () => {
    const snapshot = busyPool('a').snapshot(gauges);
    expect(renderPrometheus(JSON.parse(JSON.stringify(snapshot)))).toBe(renderPrometheus(snapshot));
  });

  it('leaves out a metric without samples, and gives nothing for no pools', () => {
    const snapshot = createPoolMetrics({ poolName: 'a' }).snapshot(gauges);
    const [first] = snapshot.instruments;
    const instruments = first ? [{ ...first, points: [] }] : [];
    expect(renderPrometheus({ ...snapshot, instruments })).toBe('');
    expect(renderPrometheus([])).toBe('');
  });
});
