import { InvalidArgumentError } from 'commander';
import { describe, expect, it } from 'vitest';
import { parseMoment, parseWithin } from '../../src/cli/options.ts';

describe('a moment on the command line', () => {
  it.each([
    ['2026-11-22T14:00Z', '2026-11-22T14:00:00.000Z'],
    ['2026-11-22 14:00+02', '2026-11-22T12:00:00.000Z'],
    ['2026-11-22T14:00:05.25+0530', '2026-11-22T08:30:05.250Z'],
    ['2028-02-29T00:00Z', '2028-02-29T00:00:00.000Z'],
  ])('%s is %s', (text, iso) => {
    expect(parseMoment(text).toISOString()).toBe(iso);
  });

  it('is in the zone of whoever types it, where none is given', () => {
    expect(parseMoment('2026-11-22')).toEqual(new Date(2026, 10, 22));
    expect(parseMoment('2026-07-01 14:30')).toEqual(new Date(2026, 6, 1, 14, 30));
  });

  it.each([
    ['90min', 90],
    ['12h', 720],
    ['7d', 10_080],
  ])('%s was %d minutes ago', (text, minutes) => {
    const ago = Date.now() - minutes * 60_000;
    expect(Math.abs(parseMoment(text).getTime() - ago)).toBeLessThan(60_000);
  });

  it.each([
    ...['', 'now', 'yesterday', '2026', '2026-13-01', '2026-02-30', '2026-11-22 25:00'],
    ...['2026-11-22T14:00+99', '7 days', '-1d', '99999999d', '2026-11-22Z14:00', '1e3h'],
  ])('is not "%s"', (text) => {
    expect(() => parseMoment(text)).toThrow(InvalidArgumentError);
  });
});

describe('a whole number between two bounds', () => {
  const parse = parseWithin(1, 1_000_000);

  it.each(['1', '90', '1000000'])('is %s', (text) => {
    expect(parse(text)).toBe(Number(text));
  });

  it.each(['0', '-1', '1.5', 'ninety', '1000001', '1000000000000', '', ' 1', '0x1', '1e2', '٣'])(
    'is not "%s"',
    (text) => {
      expect(() => parse(text)).toThrow(InvalidArgumentError);
    },
  );
});
