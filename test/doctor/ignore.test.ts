import { describe, expect, it } from 'vitest';
import { CHECK_GROUPS } from '../../src/doctor/check.ts';
import { DOCTOR_CHECKS } from '../../src/doctor/doctor.ts';
import { covers, isExpired, requireIgnores, selectChecks } from '../../src/doctor/ignore.ts';

const finding = (code: string, object: string | null) => ({
  code,
  objects: object === null ? [] : [object],
});

describe('the checks of doctor', () => {
  it('have names of their own, none that of a group, and every group has one', () => {
    const names = DOCTOR_CHECKS.map(({ name }) => name);
    expect(new Set([...names, ...CHECK_GROUPS]).size).toBe(names.length + CHECK_GROUPS.length);
    expect(new Set(DOCTOR_CHECKS.map(({ group }) => group))).toEqual(new Set(CHECK_GROUPS));
  });

  it('stand together by group, in the order of the groups', () => {
    const places = DOCTOR_CHECKS.map(({ group }) => CHECK_GROUPS.indexOf(group));
    expect(places).toEqual([...places].sort((a, b) => a - b));
  });
});

describe('an ignore', () => {
  it.each([
    [undefined, 'public.a', true],
    [undefined, null, true],
    ['public.a', 'public.a', true],
    ['public.a', 'public.ab', false],
    ['public.a', null, false],
    ['public.*', 'public.a', true],
    ['public.*', 'other.a', false],
    ['*_old', 'public.a_old', true],
    ['*_old', 'public.a_older', false],
    ['public.*_p*_idx', 'public.log_p12_idx', true],
    ['public.*_p*_idx', 'public.log_idx', false],
    ['a*a', 'a', false],
    ['a*a', 'aa', true],
    ['*', 'anything', true],
    ['*', null, false],
    ['public.a+', 'public.aa', false],
  ])('of %o covers %o: %o', (object, of, expected) => {
    const entry = { check: 'unused-indexes', reason: 'r', ...(object && { object }) };
    expect(covers(entry, finding('unused-indexes', of))).toBe(expected);
    expect(covers(entry, finding('other-check', of))).toBe(false);
  });

  it('does not take for ever for a name with many stars', () => {
    const entry = { check: 'a', reason: 'r', object: `${'*a'.repeat(60)}b` };
    expect(covers(entry, finding('a', 'a'.repeat(5000)))).toBe(false);
  });

  it('holds until the end of its last day', () => {
    const entry = { check: 'a', reason: 'r', until: '2027-03-31' };
    expect(isExpired(entry, new Date('2027-03-31T23:59:59Z'))).toBe(false);
    expect(isExpired(entry, new Date('2027-04-01T00:00:00Z'))).toBe(true);
    expect(isExpired({ check: 'a', reason: 'r' }, new Date('2999-01-01'))).toBe(false);
  });

  it.each([
    [{ check: 'unused-index', reason: 'r' }, 'doctor has no check "unused-index"'],
    [{ check: 'indexes', reason: 'r' }, 'doctor has no check "indexes"'],
    [{ check: 'durability', reason: ' ' }, 'has no reason'],
    [{ check: 'durability', reason: 'r', until: '31.3.2027' }, '"31.3.2027" is not a day'],
    [{ check: 'durability', reason: 'r', until: '2027-02-29' }, '"2027-02-29" is not a day'],
  ])('is refused as %j', (entry, message) => {
    expect(() => requireIgnores(DOCTOR_CHECKS, [entry])).toThrow(message);
  });
});

describe('--only', () => {
  const names = (only: string[] | undefined) =>
    selectChecks(DOCTOR_CHECKS, only).map(({ name }) => name);

  it('takes checks and groups, in the order of the report', () => {
    expect(names(['locks', 'connection-limit'])).toEqual([
      'connection-limit',
      'lock-waits',
      'prepared-transactions',
    ]);
    expect(names(undefined)).toHaveLength(DOCTOR_CHECKS.length);
    expect(names([])).toHaveLength(DOCTOR_CHECKS.length);
  });

  it('refuses a name that there is not', () => {
    expect(() => names(['lock'])).toThrow('doctor has no check or group "lock"');
  });
});
