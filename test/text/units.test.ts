import { describe, expect, it } from 'vitest';
import {
  renderAge,
  renderBytes,
  renderCount,
  renderDuration,
  renderNumber,
  renderPercent,
} from '../../src/text/units.ts';

describe('a number for people', () => {
  it.each([
    [0, '0'],
    [999, '999'],
    [1000, '1,000'],
    [1_234_567, '1,234,567'],
    [-1234, '-1,234'],
    [1.5, '1.50'],
    [1234.567, '1,234.57'],
    ['9007199254740993', '9,007,199,254,740,993'],
    ['1234.5', '1,234.5'],
    ['0.12345', '0.12345'],
  ])('%j is written %s', (value, text) => {
    expect(renderNumber(value)).toBe(text);
  });

  it.each([
    [0, '0 rows'],
    [1, '1 row'],
    [1200, '1,200 rows'],
  ])('a count of %i says what of', (count, text) => {
    expect(renderCount(count, 'row')).toBe(text);
  });

  it('a count takes the plural that it is given', () => {
    expect(renderCount(2, 'index', 'indexes')).toBe('2 indexes');
    expect(renderCount(1, 'index', 'indexes')).toBe('1 index');
  });

  it.each([
    [0, '0 B'],
    [-5, '-5 B'],
    [1023, '1023 B'],
    [1023.5, '1.0 kB'],
    [1024, '1.0 kB'],
    [-2048, '-2.0 kB'],
    [10_188, '9.9 kB'],
    [9.95 * 1024, '10 kB'],
    [1_048_575, '1.0 MB'],
    [5 * 1024 ** 3, '5.0 GB'],
    [7 * 1024 ** 4, '7.0 TB'],
    [2 ** 60, '1024 PB'],
    [2 ** 61, '2048 PB'],
  ])('%f bytes are %s', (bytes, text) => {
    expect(renderBytes(bytes)).toBe(text);
  });

  it.each([
    [0, '0.0 %'],
    [0.05, '<0.1 %'],
    [0.1, '0.1 %'],
    [98.54, '98.5 %'],
    [99.9, '99.9 %'],
    [99.95, '>99.9 %'],
    [100, '100.0 %'],
    [150, '150.0 %'],
    [-3, '-3.0 %'],
  ])('a share of %f is %s', (percent, text) => {
    expect(renderPercent(percent)).toBe(text);
  });

  it.each([
    [0, '0 ms'],
    [-5000, '-5.0 s'],
    [0.0004, '<1 µs'],
    [0.0005, '1 µs'],
    [0.85, '850 µs'],
    [0.9994, '999 µs'],
    [0.9995, '1 ms'],
    [12, '12 ms'],
    [999.4, '999 ms'],
    [999.5, '1.0 s'],
    [1000, '1.0 s'],
    [59_949, '59.9 s'],
    [59_950, '1 min 0 s'],
    [125_000, '2 min 5 s'],
    [3_599_499, '59 min 59 s'],
    [3_599_500, '1 h 0 min'],
    [12_000_000, '3 h 20 min'],
    [86_369_999, '23 h 59 min'],
    [86_370_000, '1 d 0 h'],
    [2_944_800_000, '34 d 2 h'],
  ])('a duration of %f ms is %s', (durationMs, text) => {
    expect(renderDuration(durationMs)).toBe(text);
  });

  it.each([
    [0, '0 ms'],
    [850.4, '850 ms'],
    [1000, '1 s'],
    [45_000, '45 s'],
    [119_000, '119 s'],
    [120_000, '2 min'],
    [7_140_000, '119 min'],
    [7_200_000, '2.0 h'],
    [12_600_000, '3.5 h'],
    [172_799_999, '48.0 h'],
    [172_800_000, '2 days'],
    [777_600_000, '9 days'],
  ])('an age of %f ms is about %s', (ms, text) => {
    expect(renderAge(ms)).toBe(text);
  });
});
