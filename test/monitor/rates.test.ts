import { describe, expect, it } from 'vitest';
import { frameOf } from '../../src/monitor/frame.ts';
import {
  rateRows,
  rateStatements,
  registrationRate,
  saleRows,
  sparkline,
  waitShares,
} from '../../src/monitor/rates.ts';
import { lookAt, saleOf } from './monitor-kit.ts';

describe('rates', () => {
  it('are what counters rose by in a second, whatever time lies between two looks', () => {
    const looks = [
      lookAt(0, { counters: { commits: 1000, walBytes: 0 } }),
      lookAt(2, { counters: { commits: 1500, walBytes: 4096 } }),
      lookAt(3, { counters: { commits: 2500, walBytes: 4096 } }),
    ];
    const [commits] = rateRows(looks);
    expect(commits).toEqual({
      ...{ name: 'commits', now: '1,000', mean: '625', most: '1,000' },
      history: '▃█',
    });
    expect(rateRows(looks).find(({ name }) => name === 'WAL')).toMatchObject({
      now: '0 B',
      most: '2.0 kB',
    });
    expect(frameOf(looks).rates.commits).toBe(1000);
  });

  it('are unknown where counters were reset or there is one look', () => {
    const reset = [lookAt(0, { counters: { commits: 50 } }), lookAt(1)];
    expect(rateRows(reset)[0]).toMatchObject({ name: 'commits', now: '-', history: '' });
    expect(rateRows([lookAt(0)])).toEqual([]);
    expect(frameOf([lookAt(0)])).toMatchObject({ rates: { commits: null }, activity: null });
  });

  it('are drawn against the highest of the last minute', () => {
    expect(sparkline([0, 50, 100])).toBe('▁▅█');
    expect(sparkline([0, 0])).toBe('▁▁');
    expect(sparkline(Array.from({ length: 90 }, () => 1))).toHaveLength(60);
  });
});

describe('statements', () => {
  const statement = (id: string, calls: number, totalMs: number, query = `select ${id}`) => ({
    ...{ id, calls, totalMs, rows: calls, query },
  });

  it('are those that ran in the last half minute, without those on the catalog', () => {
    const old = lookAt(0, { statements: [statement('1', 0, 0)] });
    const before = lookAt(40, {
      statements: [statement('1', 100, 1000), statement('2', 5, 5), statement('9', 5, 5)],
    });
    const after = lookAt(50, {
      statements: [
        statement('1', 200, 1900),
        statement('2', 5, 5),
        statement('3', 10, 100),
        statement('9', 3, 0),
        statement('7', 10, 900, 'select from pg_catalog.pg_class'),
      ],
    });
    expect(rateStatements([old, before, after])).toEqual([
      { query: 'select 1', shareOfTime: 0.9, callsPerSecond: 10, rowsPerSecond: 10, meanMs: 9 },
      { query: 'select 3', shareOfTime: 0.1, callsPerSecond: 1, rowsPerSecond: 1, meanMs: 10 },
      // Its counters were reset.
      { query: 'select 9', shareOfTime: 0, callsPerSecond: 0.3, rowsPerSecond: 0.3, meanMs: 0 },
    ]);
    expect(rateStatements([after])).toEqual([]);
  });
});

describe('waits', () => {
  it('are summed up over the looks', () => {
    const waiting = (at: number, waits: { event: string; sessions: number }[]) => {
      const look = lookAt(at);
      return { ...look, pulse: { ...look.pulse, waits } };
    };
    const looks = [
      waiting(0, [{ event: 'Lock: tuple', sessions: 3 }]),
      waiting(1, [{ event: 'CPU', sessions: 1 }]),
    ];
    expect(waitShares(looks)).toEqual([
      { event: 'Lock: tuple', now: 0, sessions: 1.5, share: 0.75 },
      { event: 'CPU', now: 1, sessions: 0.5, share: 0.25 },
    ]);
  });
});

describe('a sale', () => {
  const looks = [
    lookAt(0, { sale: saleOf({ 1: [100, 10], 2: [5, 5], 1030: [50, 3] }, { registered: 10 }) }),
    lookAt(10, {
      sale: saleOf(
        { 1: [100, 60], 2: [5, 5], 1030: [50, 1] },
        {
          registered: 70,
          queues: [
            {
              ...{ slot: 1, waiting: 2, longestMs: 40 },
              sessions: [
                { pid: 7, application: 'api', waitMs: 40 },
                { pid: 8, application: null, waitMs: 1 },
              ],
            },
          ],
        },
      ),
    }),
  ];

  it('tells the seats a second, what is left, and when it is sold out', () => {
    const [sells, isSold, frees] = saleRows(looks);
    expect(sells).toMatchObject({ left: 40, seatsPerSecond: 5, soldOutInMs: 8000 });
    expect(isSold).toMatchObject({ left: 0, seatsPerSecond: 0, soldOutInMs: null });
    expect(frees).toMatchObject({ left: 49, seatsPerSecond: -0.2, soldOutInMs: null });
    expect(registrationRate(looks)).toBe(6);
  });

  it('tells who waits in the queue of an event', () => {
    const [first, ...others] = saleRows(looks);
    expect(first).toMatchObject({ waiting: 2, longestWaitMs: 40, waiters: '7 api, 8' });
    expect(others.map(({ waiting }) => waiting)).toEqual([0, 0]);
  });

  it('has no speed in its first look', () => {
    expect(saleRows(looks.slice(0, 1))[0]).toMatchObject({ seatsPerSecond: 0, soldOutInMs: null });
    expect(registrationRate(looks.slice(0, 1))).toBeNull();
  });
});
