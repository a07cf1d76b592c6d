import { describe, expect, it } from 'vitest';
import { backOffMs } from '../../src/connection/retry.ts';
import { EvdbError } from '../../src/errors.ts';
import { planStatement } from '../../src/pool/handle.ts';
import { type PoolOptions, resolvePoolSettings } from '../../src/pool/options.ts';
import { DatabasePool } from '../../src/pool/pool.ts';
import { planBegin, type TransactionOptions } from '../../src/pool/transaction.ts';

function failureOf(work: () => unknown): EvdbError {
  try {
    work();
  } catch (error) {
    if (error instanceof EvdbError) return error;
    throw error;
  }
  throw new Error('it did not fail');
}

const TIMES = [
  'idleTimeoutMillis',
  'connectionTimeoutMillis',
  'acquireTimeoutMillis',
  'maxLifetimeMillis',
  'statementTimeoutMillis',
  'idleInTransactionTimeoutMillis',
  'leakThresholdMillis',
  'slowQueryMillis',
  'validateAfterIdleMillis',
  'keepaliveIntervalMillis',
  'healthCheckIntervalMillis',
];
const NO_NUMBERS = [
  -1,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  2 ** 31,
  '10',
  '10s',
  true,
  {},
  [5],
  5n,
];

describe('the options of a pool', () => {
  it('have defaults', () => {
    expect(resolvePoolSettings({})).toEqual({
      max: 10,
      min: 0,
      idleTimeoutMillis: 30_000,
      connectionTimeoutMillis: 10_000,
      acquireTimeoutMillis: 30_000,
      maxLifetimeMillis: 1_800_000,
      statementTimeoutMillis: 60_000,
      idleInTransactionTimeoutMillis: 60_000,
      leakThresholdMillis: 0,
      slowQueryMillis: 1_000,
      validateAfterIdleMillis: 5_000,
      keepaliveIntervalMillis: 30_000,
      healthCheckIntervalMillis: 0,
      prepare: 'auto',
      name: 'evdb',
      allowExitOnIdle: false,
    });
    const given = Object.fromEntries(
      [...TIMES, 'max', 'min', 'prepare', 'name'].map((key) => [key, undefined]),
    );
    expect(resolvePoolSettings(given)).toEqual(resolvePoolSettings({}));
  });

  it.each([...TIMES, 'max', 'min'])('refuse a %s that is no fitting number, by its name', (key) => {
    for (const value of NO_NUMBERS) {
      const options = { [key]: value } as PoolOptions;
      const error = failureOf(() => new DatabasePool(options));
      expect(error).toMatchObject({ code: 'CONFIG_INVALID', hint: expect.any(String) });
      expect(error.message).toContain(key);
    }
  });

  it('say that a number is a text, as those of the environment are', () => {
    const max = '5' as unknown as number;
    expect(failureOf(() => resolvePoolSettings({ max })).message).toBe(
      `the pool's option max is the text "5"`,
    );
    expect(failureOf(() => planBegin({ retries: max }, resolvePoolSettings({}))).message).toBe(
      'the option retries is the text "5"',
    );
  });

  it.each(['max', 'connectionTimeoutMillis', 'acquireTimeoutMillis'])('refuse 0 as %s', (key) => {
    expect(failureOf(() => resolvePoolSettings({ [key]: 0 })).message).toContain(key);
  });

  it('refuse parts of connections, and a min above max', () => {
    expect(failureOf(() => resolvePoolSettings({ max: 1.5 })).message).toContain('max');
    expect(failureOf(() => resolvePoolSettings({ min: 0.5 })).message).toContain('min');
    const error = failureOf(() => resolvePoolSettings({ min: 5, max: 4 }));
    expect(error.message).toContain('min');
    expect(error.message).toContain('max');
    expect(failureOf(() => resolvePoolSettings({ min: 11 })).message).toContain('10');
    expect(resolvePoolSettings({ min: 4, max: 4 })).toMatchObject({ min: 4, max: 4 });
  });

  it('refuse a prepare that is neither auto nor a boolean', () => {
    for (const prepare of ['yes', 'true', 1, null]) {
      const options = { prepare } as unknown as PoolOptions;
      expect(failureOf(() => new DatabasePool(options)).message).toContain('prepare');
    }
    for (const prepare of [true, false, 'auto'] as const) {
      expect(resolvePoolSettings({ prepare })).toMatchObject({ prepare });
    }
  });
});

describe('the options of a transaction', () => {
  const settings = resolvePoolSettings({
    statementTimeoutMillis: 1_500.2,
    idleInTransactionTimeoutMillis: 0,
  });
  const begin = (options: TransactionOptions, isPooled = false) =>
    planBegin(options, settings)(isPooled);

  it('become what begins it', () => {
    expect(begin({}).trim()).toBe('begin');
    expect(begin({ isolation: 'serializable', readOnly: true, deferrable: true })).toBe(
      'begin isolation level serializable, read only, deferrable',
    );
    expect(begin({ isolation: 'repeatable read', readOnly: false, deferrable: false })).toBe(
      'begin isolation level repeatable read, read write',
    );
    expect(begin({ isolation: 'read committed' }, true)).toBe(
      'begin isolation level read committed; set local statement_timeout = 1501',
    );
  });

  it('quote the actor, whoever it is', () => {
    const actors: [actor: string, literal: string][] = [
      [`o'neil`, `E'o''neil'`],
      ['', `E''`],
      ['a\\', `E'a\\\\'`],
      [`\\'; drop table users; --`, `E'\\\\''; drop table users; --'`],
    ];
    for (const [actor, literal] of actors) {
      expect(begin({ actor })).toContain(`set_config('evdb.actor', ${literal}, true)`);
    }
  });

  it('take null for an option that was left out', () => {
    const none = {
      actor: null,
      isolation: null,
      readOnly: null,
      retries: null,
      timeoutMillis: null,
    };
    expect(begin(none as unknown as TransactionOptions).trim()).toBe('begin');
  });

  it.each([
    ['isolation', 'read uncommitted; drop table users'],
    ['isolation', 'SERIALIZABLE'],
    ['isolation', ''],
    ['isolation', ['serializable']],
    ['retries', -1],
    ['retries', 1.5],
    ['retries', Number.NaN],
    ['retries', '3'],
    ['retries', Number.POSITIVE_INFINITY],
    ['timeoutMillis', -1],
    ['timeoutMillis', Number.NaN],
    ['timeoutMillis', 2 ** 31],
  ])('refuse %s %j by its name', (name, value) => {
    const error = failureOf(() => begin({ [name]: value }));
    expect(error).toMatchObject({ code: 'USAGE', hint: expect.any(String) });
    expect(error.message).toContain(name);
  });
});

describe('the time between attempts to connect', () => {
  it('doubles up to three seconds, at least half of it being certain', () => {
    const longest = [1, 2, 3, 4, 5, 6, 7, 50, 5_000].map((n) => backOffMs(n, undefined, () => 1));
    expect(longest).toEqual([100, 200, 400, 800, 1_600, 3_000, 3_000, 3_000, 3_000]);
    const shortest = [1, 2, 6, 5_000].map((n) => backOffMs(n, undefined, () => 0));
    expect(shortest).toEqual([50, 100, 1_500, 1_500]);
    const drawn = new Set(Array.from({ length: 20 }, () => backOffMs(3)));
    expect(drawn.size).toBeGreaterThan(1);
  });
});

describe('a tagged template', () => {
  it('becomes a statement whose values are parameters', () => {
    expect(planStatement`select 1`).toEqual({ text: 'select 1', params: [] });
    expect(planStatement`select ${1}, ${'$1'}::text, ${[2]} -- ${null}`).toEqual({
      text: 'select $1, $2::text, $3 -- $4',
      params: [1, '$1', [2], null],
    });
    expect(planStatement`${1}${2}`.text).toBe('$1$2');
  });

  it('gives the same text each time, with the values of this time', () => {
    const plan = (n: number) => planStatement`select ${n} as n`;
    expect([plan(1), plan(2)]).toEqual([
      { text: 'select $1 as n', params: [1] },
      { text: 'select $1 as n', params: [2] },
    ]);
  });

  it('keeps backslashes as they are read by JavaScript', () => {
    expect(planStatement`select '\\d' || ${1}`.text).toBe(`select '\\d' || $1`);
  });
});
