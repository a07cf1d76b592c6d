import { expect, it } from 'vitest';
import { createPace, createRate } from '../../../src/migrate/backfill/pace.ts';

const LIMITS = { batchTimeMs: 200, batchRows: 10_000 };

it('batches grow to the time that is wanted, at most twofold at once', () => {
  const pace = createPace(LIMITS);
  expect(pace.rows).toBe(1000);
  pace.done(1000, 10);
  expect(pace.rows).toBe(2000);
  pace.done(2000, 160);
  expect(pace.rows).toBe(2500);
});

it('batches have at most the rows that the file allows, and at least one', () => {
  const few = createPace({ ...LIMITS, batchRows: 10 });
  expect(few.rows).toBe(10);
  few.done(10, 1);
  expect(few.rows).toBe(10);
  for (let i = 0; i < 5; i++) few.done(few.rows, 60_000);
  expect(few.rows).toBe(1);
});

it('a batch that is smaller because the table ends says nothing of the next', () => {
  const pace = createPace(LIMITS);
  pace.done(3, 1);
  expect(pace.rows).toBe(1000);
});

it('batches halve where others are in the way, and grow again', () => {
  const pace = createPace(LIMITS);
  pace.hindered();
  expect(pace.rows).toBe(500);
  pace.done(500, 100);
  expect(pace.rows).toBe(1000);
});

it('batches halve down to the row that fails, and do not grow before it is found', () => {
  const pace = createPace(LIMITS);
  pace.narrow();
  pace.done(500, 1);
  expect(pace.rows).toBe(500);
  for (let i = 0; i < 12; i++) pace.narrow();
  expect(pace.rows).toBe(1);
  pace.widen();
  pace.done(1, 1);
  expect(pace.rows).toBe(2);
});

it('the rate counts the rows of the last seconds', () => {
  const rate = createRate();
  expect(rate.perSecond(performance.now())).toBeUndefined();
  rate.done(1000, 1000);
  expect(rate.perSecond(performance.now() + 1000)).toBeGreaterThan(400);
  expect(rate.perSecond(performance.now() + 60_000)).toBeUndefined();
});
