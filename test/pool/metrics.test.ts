import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { createPoolMetrics, type PoolMetricsRecorder } from '../../src/pool/metrics.ts';

const gauges = { idle: 2, used: 3, pending: 4, max: 10, min: 1, connecting: 5 };
const POOL = { 'db.client.connection.pool.name': 'events' };
const ADVISED = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10];

function recorder(boundsSeconds?: number[]): PoolMetricsRecorder {
  return createPoolMetrics({ poolName: 'events', boundsSeconds });
}

function points(metrics: PoolMetricsRecorder, name: string) {
  const found = metrics.snapshot(gauges).instruments.filter((one) => one.name === name);
  expect(found, name).toHaveLength(1);
  return found[0]?.points ?? [];
}

/** The values of a counter or gauge by the one attribute that tells its points apart. */
function valuesBy(metrics: PoolMetricsRecorder, name: string, attribute: string) {
  return Object.fromEntries(
    points(metrics, name).map((point) => [
      point.attributes[attribute],
      'value' in point ? point.value : point.count,
    ]),
  );
}

/** Even numbers from 0 to 1 that are the same in every run. */
function* numbers(seed: number) {
  for (let state = seed; ; ) {
    state = (state * 1_664_525 + 1_013_904_223) % 2 ** 32;
    yield state / 2 ** 32;
  }
}

describe('the metrics of a pool', () => {
  it('have the names, kinds and units of OpenTelemetry, and evdb.pool where it has none', () => {
    const { instruments } = recorder().snapshot(gauges);
    expect(instruments.map(({ name, kind, unit }) => `${name} ${kind} ${unit}`).sort()).toEqual([
      'db.client.connection.count gauge {connection}',
      'db.client.connection.create_time histogram s',
      'db.client.connection.idle.max gauge {connection}',
      'db.client.connection.idle.min gauge {connection}',
      'db.client.connection.max gauge {connection}',
      'db.client.connection.pending_requests gauge {request}',
      'db.client.connection.timeouts counter {timeout}',
      'db.client.connection.use_time histogram s',
      'db.client.connection.wait_time histogram s',
      'db.client.operation.duration histogram s',
      'evdb.pool.connect_failures counter {failure}',
      'evdb.pool.connecting gauge {connection}',
      'evdb.pool.discards counter {connection}',
      'evdb.pool.leaks counter {connection}',
      'evdb.pool.resets counter {connection}',
      'evdb.pool.retries counter {retry}',
      'evdb.pool.slow_queries counter {query}',
    ]);
  });

  it('are all in the guide, with their kind and unit', () => {
    const guide = readFileSync('docs/pool-metrics.md', 'utf8');
    const rows = [...guide.matchAll(/^\| `([a-z._]+)` +\| (\w+) +\| `(.+?)`/gm)].map((row) =>
      row.slice(1).join(' '),
    );
    const { instruments } = recorder().snapshot(gauges);
    const made = instruments.map(({ name, kind, unit }) => `${name} ${kind} ${unit}`);
    expect(rows.sort()).toEqual(made.sort());
  });

  it('show what the pool counts itself', () => {
    const metrics = recorder();
    expect(metrics.snapshot(gauges)).toMatchObject({
      pool: 'events',
      total: 5,
      idle: 2,
      used: 3,
      connecting: 5,
      waiting: 4,
      max: 10,
      min: 1,
    });
    expect(
      valuesBy(metrics, 'db.client.connection.count', 'db.client.connection.state'),
    ).toStrictEqual({ idle: 2, used: 3 });
    const single = (name: string) => points(metrics, name);
    expect(single('db.client.connection.pending_requests')).toEqual([
      { attributes: POOL, value: 4 },
    ]);
    expect(single('db.client.connection.max')).toEqual([{ attributes: POOL, value: 10 }]);
    expect(single('db.client.connection.idle.max')).toEqual([{ attributes: POOL, value: 10 }]);
    expect(single('db.client.connection.idle.min')).toEqual([{ attributes: POOL, value: 1 }]);
    expect(single('evdb.pool.connecting')).toEqual([{ attributes: POOL, value: 5 }]);
  });

  it('count each event under its own name, on top and as an instrument', () => {
    const metrics = recorder();
    const times = (count: number, work: () => void) => Array.from({ length: count }, work);
    times(1, () => metrics.recordAcquire(1));
    times(2, () => metrics.recordRelease(1));
    times(3, () => metrics.recordCreate(1));
    times(4, () => metrics.recordTimeout());
    times(5, () => metrics.recordLeak());
    times(6, () => metrics.recordSlowQuery());
    times(7, () => metrics.recordReset());
    times(8, () => metrics.recordConnectFailure('CONNECTION_REFUSED'));
    times(9, () => metrics.recordDiscard('lifetime'));
    times(10, () => metrics.recordRetry('40P01'));
    times(11, () => metrics.recordOperation(1, true));
    expect(metrics.snapshot(gauges)).toMatchObject({
      acquired: 1,
      use: { count: 2 },
      connectionsCreated: 3,
      acquireTimeouts: 4,
      leaks: 5,
      slowQueries: 6,
      connectionsReset: 7,
      connectFailures: 8,
      connectionsDiscarded: 9,
      transactionRetries: 10,
      totalQueries: 11,
      failedQueries: 0,
    });
    const total = (name: string) =>
      points(metrics, name).reduce((sum, one) => sum + ('value' in one ? one.value : one.count), 0);
    expect(
      [
        'db.client.connection.wait_time',
        'db.client.connection.use_time',
        'db.client.connection.create_time',
        'db.client.connection.timeouts',
        'evdb.pool.leaks',
        'evdb.pool.slow_queries',
        'evdb.pool.resets',
        'evdb.pool.connect_failures',
        'evdb.pool.discards',
        'evdb.pool.retries',
        'db.client.operation.duration',
      ].map(total),
    ).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
  });

  it('start the usual series at 0, so that a first increment is seen', () => {
    const metrics = recorder();
    expect(valuesBy(metrics, 'evdb.pool.retries', 'db.response.status_code')).toStrictEqual({
      '40001': 0,
      '40P01': 0,
    });
    expect(valuesBy(metrics, 'evdb.pool.connect_failures', 'error.type')).toMatchObject({
      CONNECTION_REFUSED: 0,
      TOO_MANY_CONNECTIONS: 0,
    });
    expect(valuesBy(metrics, 'evdb.pool.discards', 'evdb.pool.discard.reason')).toMatchObject({
      lost: 0,
      idle: 0,
    });
    expect(points(metrics, 'db.client.operation.duration')).toHaveLength(1);
  });

  it('survive JSON unchanged, full or empty', () => {
    const metrics = recorder();
    const empty = metrics.snapshot(gauges);
    expect(JSON.parse(JSON.stringify(empty))).toStrictEqual(empty);
    metrics.recordOperation(3, '23505');
    metrics.recordAcquire(0.2);
    const full = metrics.snapshot(gauges);
    expect(JSON.parse(JSON.stringify(full))).toStrictEqual(full);
  });

  it('give snapshots that later records do not change', () => {
    const metrics = recorder();
    metrics.recordOperation(3, true);
    metrics.recordDiscard('idle');
    const before = metrics.snapshot(gauges);
    const copy = structuredClone(before);
    metrics.recordOperation(9, true);
    metrics.recordOperation(9, '23505');
    metrics.recordDiscard('idle');
    expect(before).toStrictEqual(copy);
    expect(metrics.snapshot(gauges)).toMatchObject({ totalQueries: 3, connectionsDiscarded: 2 });
  });
});

describe('failed operations', () => {
  it('are told apart by code, with a status code where the server sent one', () => {
    const metrics = recorder();
    metrics.recordOperation(1, true);
    metrics.recordOperation(2, '23505');
    metrics.recordOperation(3, '23505');
    metrics.recordOperation(4, 'EPIPE');
    metrics.recordOperation(5, 'CONNECTION_LOST');
    metrics.recordOperation(6, false);
    expect(metrics.snapshot(gauges)).toMatchObject({ totalQueries: 6, failedQueries: 5 });
    const seen = points(metrics, 'db.client.operation.duration').map((point) => ({
      ...point.attributes,
      count: 'count' in point ? point.count : undefined,
    }));
    const all = { ...POOL, 'db.system.name': 'postgresql' };
    expect(seen).toStrictEqual([
      { ...all, count: 1 },
      { ...all, 'error.type': '23505', 'db.response.status_code': '23505', count: 2 },
      { ...all, 'error.type': 'EPIPE', count: 1 },
      { ...all, 'error.type': 'CONNECTION_LOST', count: 1 },
      { ...all, 'error.type': '_OTHER', count: 1 },
    ]);
  });

  it('never turn a message into a label', () => {
    const metrics = recorder();
    metrics.recordOperation(1, 'duplicate key value "secret"');
    metrics.recordOperation(1, '');
    metrics.recordConnectFailure('password "hunter2" was refused');
    metrics.recordRetry('x'.repeat(65));
    expect(valuesBy(metrics, 'db.client.operation.duration', 'error.type')._OTHER).toBe(2);
    expect(valuesBy(metrics, 'evdb.pool.connect_failures', 'error.type')._OTHER).toBe(1);
    expect(valuesBy(metrics, 'evdb.pool.retries', 'db.response.status_code')._OTHER).toBe(1);
    expect(JSON.stringify(metrics.snapshot(gauges))).not.toMatch(/secret|hunter2|xxx/);
  });

  it('make a bounded number of series however many codes there are', () => {
    const metrics = recorder();
    for (let code = 0; code < 1000; code++) {
      metrics.recordOperation(1, `C${code}`);
      metrics.recordConnectFailure(`C${code}`);
    }
    metrics.recordOperation(1, 'C0');
    const byCode = valuesBy(metrics, 'db.client.operation.duration', 'error.type');
    expect(Object.keys(byCode).length).toBeLessThan(50);
    expect(byCode.C0).toBe(2);
    expect(points(metrics, 'evdb.pool.connect_failures').length).toBeLessThan(50);
    expect(metrics.snapshot(gauges)).toMatchObject({ failedQueries: 1001, connectFailures: 1000 });
  });
});

describe('the histograms', () => {
  it('use the advised bounds in seconds, and a value on a bound is below it', () => {
    const metrics = recorder();
    for (const bound of ADVISED) metrics.recordAcquire(bound * 1000);
    metrics.recordAcquire(10_001);
    expect(points(metrics, 'db.client.connection.wait_time')).toEqual([
      {
        attributes: POOL,
        count: 10,
        sum: expect.closeTo(26.667, 9),
        min: 0.001,
        max: 10.001,
        bounds: ADVISED,
        buckets: [1, 1, 1, 1, 1, 1, 1, 1, 1, 1],
      },
    ]);
  });

  it('put a whole number of milliseconds below the decimal bound of the same size', () => {
    for (let durationMs = 1; durationMs <= 2000; durationMs++) {
      const metrics = recorder([Number(`${durationMs}e-3`)]);
      metrics.recordAcquire(durationMs);
      expect(points(metrics, 'db.client.connection.wait_time')).toMatchObject([
        { buckets: [1, 0] },
      ]);
    }
  });

  it('take a value just above a bound into the next bucket', () => {
    const metrics = recorder();
    for (const bound of ADVISED) metrics.recordRelease(bound * 1000 * (1 + 1e-9));
    expect(points(metrics, 'db.client.connection.use_time')).toMatchObject([
      { buckets: [0, 1, 1, 1, 1, 1, 1, 1, 1, 1] },
    ]);
  });

  it('use the bounds that are given, for all durations', () => {
    const metrics = recorder([0.002, 0.2]);
    metrics.recordCreate(2);
    metrics.recordCreate(150);
    metrics.recordOperation(3000, '57014');
    expect(points(metrics, 'db.client.connection.create_time')).toMatchObject([
      { bounds: [0.002, 0.2], buckets: [1, 1, 0] },
    ]);
    expect(points(metrics, 'db.client.operation.duration')).toMatchObject([
      { buckets: [0, 0, 0] },
      { buckets: [0, 0, 1] },
    ]);
  });

  it.each([
    ['none', []],
    ['a zero', [0, 1]],
    ['a negative one', [-1, 1]],
    ['equal ones', [1, 1]],
    ['descending ones', [2, 1]],
    ['infinity', [1, Infinity]],
    ['no number', [Number.NaN]],
  ])('refuse bounds with %s', (_, bounds) => {
    expect(() => recorder(bounds)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
  });

  it('keep the bounds when the caller changes the array', () => {
    const bounds = [1, 2];
    const metrics = recorder(bounds);
    bounds[0] = 50;
    expect(points(metrics, 'db.client.connection.wait_time')).toMatchObject([{ bounds: [1, 2] }]);
  });

  it('count what no clock can mean as 0', () => {
    const metrics = recorder();
    for (const value of [-5, Number.NaN, Infinity, -Infinity]) metrics.recordAcquire(value);
    expect(points(metrics, 'db.client.connection.wait_time')).toMatchObject([
      { count: 4, sum: 0, min: 0, max: 0 },
    ]);
  });
});

describe('the statistics of durations', () => {
  it('are null while nothing is recorded', () => {
    const nothing = { meanMs: null, minMs: null, maxMs: null, p50Ms: null, p95Ms: null };
    expect(recorder().snapshot(gauges).wait).toStrictEqual({ count: 0, ...nothing, p99Ms: null });
  });

  it('are exact where all values are the same', () => {
    const metrics = recorder();
    for (let index = 0; index < 7; index++) metrics.recordAcquire(30);
    const same = { minMs: 30, maxMs: 30, p50Ms: 30, p95Ms: 30, p99Ms: 30 };
    expect(metrics.snapshot(gauges).wait).toStrictEqual({ count: 7, meanMs: 30, ...same });
  });

  it('spread the values of a bucket evenly', () => {
    const metrics = recorder([0.01, 0.02]);
    for (const value of [1, 12, 14, 16, 18, 25]) metrics.recordRelease(value);
    // Half of six values are the first bucket's one and two of the four between 10 and 20 ms.
    expect(metrics.snapshot(gauges).use.p50Ms).toBeCloseTo(15, 9);
  });

  it('do not jump over a gap where the rank is the last of a bucket', () => {
    for (const count of [2, 100, 200, 600]) {
      const metrics = recorder();
      const quick = count === 2 ? 1 : count * 0.95;
      for (let index = 0; index < count; index++) metrics.recordAcquire(index < quick ? 1 : 3000);
      const { p50Ms, p95Ms, p99Ms } = metrics.snapshot(gauges).wait;
      expect(count === 2 ? p50Ms : p95Ms).toBe(1);
      expect(p99Ms).toBeGreaterThan(1000);
    }
  });

  it('reach above the last bound, up to the greatest value', () => {
    const metrics = recorder([0.01]);
    for (let index = 0; index < 100; index++) metrics.recordRelease(40 + index);
    const { p50Ms, p99Ms, maxMs } = metrics.snapshot(gauges).use;
    expect(maxMs).toBe(139);
    expect(p50Ms).toBeCloseTo(89.5, 9);
    expect(p99Ms).toBeCloseTo(138.01, 9);
  });

  it('take failed operations in', () => {
    const metrics = recorder();
    metrics.recordOperation(3, true);
    metrics.recordOperation(1, '23505');
    metrics.recordOperation(600, '57014');
    metrics.recordOperation(4, '57014');
    expect(metrics.snapshot(gauges).query).toMatchObject({
      count: 4,
      meanMs: 152,
      minMs: 1,
      maxMs: 600,
    });
  });

  it.each([
    ['even', (x: number) => x * 200],
    ['skewed', (x: number) => 0.1 / (1.0001 - x)],
    ['in two groups', (x: number) => (x < 0.9 ? 1 + x : 4000 + x)],
  ])('find the bucket of the true quantile where the values are %s', (_, spread) => {
    for (const [seed, count] of [1, 2, 3, 10, 19, 100, 101, 5000].entries()) {
      const metrics = recorder();
      const source = numbers(seed + 1);
      const values = Array.from({ length: count }, () => spread(source.next().value ?? 0));
      for (const value of values) metrics.recordAcquire(value);
      const sorted = values.toSorted((one, other) => one - other);
      const bucketOf = (ms: number) => ADVISED.findIndex((bound) => ms / 1000 <= bound);
      const { p50Ms, p95Ms, p99Ms, minMs, maxMs } = metrics.snapshot(gauges).wait;
      const estimates = [p50Ms, p95Ms, p99Ms].map((one) => one ?? Number.NaN);
      const exact = [0.5, 0.95, 0.99].map((q) => sorted[Math.ceil(q * count) - 1] ?? Number.NaN);
      expect(estimates.map(bucketOf)).toEqual(exact.map(bucketOf));
      expect(estimates).toEqual(estimates.toSorted((one, other) => one - other));
      expect(estimates[0]).toBeGreaterThanOrEqual(minMs ?? Number.NaN);
      expect(estimates[2]).toBeLessThanOrEqual(maxMs ?? Number.NaN);
    }
  });
});
