import { describe, expect, it } from 'vitest';
import { EvdbError } from '../../src/errors.ts';
import { parseDuration, renderDurationSetting } from '../../src/text/units.ts';

describe('parseDuration', () => {
  it.each([
    ['500ms', 500],
    ['2s', 2000],
    ['10min', 600_000],
    ['1h', 3_600_000],
    ['1d', 86_400_000],
    ['1.5s', 1500],
    [' 2 S ', 2000],
    [250, 250],
    ['0', 0],
    ['2147483647ms', 2_147_483_647],
  ])('reads %o as %i milliseconds', (value, durationMs) => {
    expect(parseDuration(value)).toBe(durationMs);
  });

  it.each(['', 's', '-1s', '2 weeks', '1s 2s', 'NaN', '1e3', '0x10', '1,5s', '25d'])(
    'refuses %o and names the setting',
    (value) => {
      expect(() => parseDuration(value, 'lockWait')).toThrow(
        expect.objectContaining({
          code: 'CONFIG_INVALID',
          message: expect.stringContaining(`lockWait: "${value}"`),
        }),
      );
    },
  );

  it.each([Number.NaN, Number.POSITIVE_INFINITY, -5])('refuses the number %d', (value) => {
    expect(() => parseDuration(value)).toThrow(EvdbError);
  });

  it('refuses text without a unit, and says how either is written', () => {
    expect(() => parseDuration('30', 'lockWait')).toThrow(
      expect.objectContaining({
        message: 'lockWait: "30" has no unit',
        hint: 'Write 30ms or 30s.',
      }),
    );
  });

  it('says what is wrong, and how a duration is written', () => {
    const said = (value: string) => {
      try {
        parseDuration(value);
        return 'parsed';
      } catch (error) {
        const { code, message, hint } = error as EvdbError;
        return `${code} ${message}; ${hint}`;
      }
    };
    expect(said(' 30 ')).toBe(
      'CONFIG_INVALID the duration: " 30 " has no unit; Write 30ms or 30s.',
    );
    expect(said('2 weeks')).toBe(
      'CONFIG_INVALID the duration: "2 weeks" is not a duration; Write a number with ms, s, min, h or d, for example 500ms, 2s or 10min.',
    );
    expect(said('25d')).toBe(
      'CONFIG_INVALID the duration: "25d" is too long; The longest possible duration is 2147483647 ms, about 24 days.',
    );
    expect(parseDuration('1.25s')).toBe(1250);
  });

  it('says how minutes are written when someone writes "5m"', () => {
    expect(() => parseDuration('5m')).toThrow(
      expect.objectContaining({ hint: expect.stringContaining('Minutes are written "min"') }),
    );
  });
});

describe('renderDuration', () => {
  it.each([
    [0, '0ms'],
    [500, '500ms'],
    [1500, '1500ms'],
    [60_000, '1min'],
    [90_000, '90s'],
    [86_400_000, '1d'],
  ])('writes %i milliseconds as %s, which reads back', (durationMs, text) => {
    expect(renderDurationSetting(durationMs)).toBe(text);
    expect(parseDuration(text)).toBe(durationMs);
  });
});
