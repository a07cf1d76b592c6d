import { describe, expect, it } from 'vitest';
import {
  DEFAULT_THROTTLE,
  listHidden,
  listReasons,
  parseThrottle,
  parseWindow,
  restForShare,
  type ServerFigures,
  untilOpen,
} from '../../../src/migrate/backfill/throttle.ts';

const QUIET: ServerFigures = {
  standbys: [],
  slots: [],
  archiveFiles: 0,
  activeSessions: 0,
  deadRows: 0,
};
const MB = 1024 * 1024;

describe('a backfill rests', () => {
  it.each<[string, Partial<ServerFigures>, string]>([
    [
      'for a standby that replays late',
      { standbys: [{ name: 'b', lagMs: 14_000, bytes: 0 }] },
      'standby b replays 14.0 s late (limit 10.0 s)',
    ],
    [
      'for a standby that does not say how late it is',
      { standbys: [{ name: 'b', lagMs: null, bytes: 300 * MB }] },
      'standby b has 300 MB to replay (limit 256 MB)',
    ],
    [
      'for a logical slot',
      { slots: [{ name: 's', lagMs: null, bytes: 2048 * MB }] },
      'slot s has 2.0 GB to read (limit 1.0 GB)',
    ],
    ['for the archive', { archiveFiles: 33 }, '33 files of WAL wait to be archived (limit 32)'],
    ['for other sessions', { activeSessions: 51 }, '51 other sessions active (limit 50)'],
    [
      'for autovacuum',
      { deadRows: 6_000_000 },
      '6,000,000 dead rows of the table wait for autovacuum (limit 5,000,000 rows)',
    ],
  ])('%s', (_, figures, message) => {
    const reasons = listReasons({ ...QUIET, ...figures }, DEFAULT_THROTTLE);
    expect(reasons.map((reason) => reason.message)).toEqual([message]);
  });

  it('not at its limits, and not for what is not looked at or hidden', () => {
    const atLimit = { ...QUIET, archiveFiles: 32, activeSessions: 50 };
    expect(listReasons(atLimit, DEFAULT_THROTTLE)).toEqual([]);
    const late = { ...QUIET, standbys: [{ name: 'b', lagMs: 1e9, bytes: 1e12 }] };
    expect(listReasons(late, parseThrottle('off'))).toEqual([]);
    const hidden = { ...QUIET, standbys: null, activeSessions: null };
    expect(listReasons(hidden, DEFAULT_THROTTLE)).toEqual([]);
    expect(listHidden(hidden, DEFAULT_THROTTLE)).toEqual([
      'the lag of standbys',
      'the active sessions',
    ]);
    expect(listHidden(hidden, parseThrottle('off'))).toEqual([]);
  });

  it('for its share only while others are active', () => {
    expect(restForShare(200, { activeSessions: 0 }, { sharePercent: 50 })).toBe(0);
    expect(restForShare(200, { activeSessions: null }, { sharePercent: 50 })).toBe(0);
    expect(restForShare(200, { activeSessions: 3 }, { sharePercent: 50 })).toBe(200);
    expect(restForShare(200, { activeSessions: 3 }, { sharePercent: 25 })).toBe(600);
    expect(restForShare(200, { activeSessions: 3 }, { sharePercent: null })).toBe(0);
  });
});

describe('limits', () => {
  it('keep their defaults where they are not named', () => {
    expect(parseThrottle('lag=500ms, slots=2GB,archive=off,dead-rows=2M,share=25%')).toEqual({
      ...DEFAULT_THROTTLE,
      ...{ lagMs: 500, slotBytes: 2048 * MB, archiveFiles: null },
      ...{ deadRows: 2_000_000, sharePercent: 25 },
    });
  });

  it.each([
    '',
    'lag',
    'lag=',
    'lag=5',
    'lag=5MB',
    'nothing=5s',
    'share=0%',
    'share=200%',
    'slots=-1GB',
  ])('are refused: %s', (text) => {
    expect(() => parseThrottle(text)).toThrow(expect.objectContaining({ code: 'USAGE' }));
  });
});

describe('a window', () => {
  const at = (time: string) => new Date(`2026-11-22T${time}:00`);

  it.each([
    ['22:00-06:00', '23:30', 0],
    ['22:00-06:00', '05:59', 0],
    ['22:00-06:00', '06:00', 16 * 60],
    ['22:00-06:00', '21:15', 45],
    ['09:00-17:00', '12:00', 0],
    ['09:00-17:00', '17:00', 16 * 60],
    ['00:00-24:00', '23:59', 0],
  ])('%s is open at %s in %i minutes', (window, time, minutes) => {
    expect(untilOpen(parseWindow(window), at(time)) / 60_000).toBe(minutes);
  });

  it.each(['', '22:00', '22-06', '25:00-06:00', '22:60-06:00', '08:00-08:00', '10:00-24:01'])(
    'is refused: %s',
    (text) => {
      expect(() => parseWindow(text)).toThrow(expect.objectContaining({ code: 'USAGE' }));
    },
  );
});
