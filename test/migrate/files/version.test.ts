import { describe, expect, it } from 'vitest';
import { compareVersions, isVersion, parseVersion } from '../../../src/migrate/files/version.ts';

describe('a version', () => {
  it.each([
    ['001', '1'],
    ['1', '1'],
    ['0', '0'],
    ['000', '0'],
    ['010', '10'],
    ['20261122140305', '20261122140305'],
  ])('%s is %s', (digits, version) => {
    expect(parseVersion(digits)).toBe(version);
  });

  it('compares as a number, also beyond what one holds exactly', () => {
    const versions = ['900719925474099301', '10', '9', '900719925474099300', '2', '20261122140305'];
    expect(versions.sort(compareVersions)).toEqual([
      '2',
      '9',
      '10',
      '20261122140305',
      '900719925474099300',
      '900719925474099301',
    ]);
    expect(compareVersions('7', '7')).toBe(0);
  });

  it('is nothing but digits that fit bigint', () => {
    expect(['0', '001', '9'.repeat(18), `0000${'9'.repeat(18)}`].every(isVersion)).toBe(true);
    expect(['', '1a', '-1', '1.0', ' 1', '9'.repeat(19), '１'].some(isVersion)).toBe(false);
  });
});
