import { describe, expect, it } from 'vitest';
import type { EvdbError } from '../../../src/errors.ts';
import type { MigrationState, MigrationStatus } from '../../../src/migrate/plan/compare.ts';
import { planDown, planUp } from '../../../src/migrate/plan/plan.ts';

/** Statuses such as `1 applied`, in their order. */
function statuses(...lines: string[]): MigrationStatus[] {
  return lines.map((line) => {
    const [version = '', state] = line.split(' ');
    return { version, label: version.padStart(3, '0'), name: 'm', state: state as MigrationState };
  });
}

const labels = ({ migrations }: { migrations: MigrationStatus[] }) =>
  migrations.map(({ version }) => version);

function codeOf(plan: () => unknown): string {
  try {
    plan();
    return 'planned';
  } catch (error) {
    return (error as EvdbError).code;
  }
}

describe('planUp', () => {
  const three = statuses('1 applied', '2 pending', '10 pending');

  it('selects what is pending', () => {
    expect(labels(planUp(three))).toEqual(['2', '10']);
    expect(planUp(three)).toMatchObject({ direction: 'up', warnings: [] });
    expect(labels(planUp([]))).toEqual([]);
  });

  it.each([
    [{ to: '2' }, ['2']],
    [{ to: '0010' }, ['2', '10']],
    [{ to: '1' }, []],
    [{ steps: 1 }, ['2']],
    [{ steps: 5 }, ['2', '10']],
  ])('with %o selects %o', (options, selected) => {
    expect(labels(planUp(three, options))).toEqual(selected);
  });

  it.each([
    [{ to: '3' }, 'UNKNOWN_VERSION'],
    [{ to: 'x' }, 'USAGE'],
    [{ to: '' }, 'USAGE'],
    [{ to: '9'.repeat(19) }, 'USAGE'],
    [{ to: '2', steps: 1 }, 'USAGE'],
    [{ steps: 0 }, 'USAGE'],
    [{ steps: -1 }, 'USAGE'],
    [{ steps: Number.NaN }, 'USAGE'],
  ])('refuses %o as %s', (options, code) => {
    expect(codeOf(() => planUp(three, options))).toBe(code);
  });

  it.each([
    ['changed', 'CHANGED_MIGRATION'],
    ['missing', 'MISSING_MIGRATION'],
    ['incomplete', 'INCOMPLETE_MIGRATION'],
    ['outOfOrder', 'OUT_OF_ORDER'],
    ['reworded', 'planned'],
    ['ahead', 'planned'],
  ])('answers a migration that is %s with %s', (state, code) => {
    expect(codeOf(() => planUp(statuses(`1 ${state}`, '2 applied', '3 pending')))).toBe(code);
  });

  it('leaves out-of-order ones alone where they are not asked for', () => {
    const late = statuses('1 applied', '2 outOfOrder', '3 applied', '4 pending');
    expect(labels(planUp(late, { to: '1' }))).toEqual([]);
    expect(codeOf(() => planUp(late, { to: '2' }))).toBe('OUT_OF_ORDER');
    expect(labels(planUp(late, { outOfOrder: true }))).toEqual(['2', '4']);
  });

  it('names five of many and counts the rest', () => {
    const changed = statuses(...Array.from({ length: 7 }, (_, n) => `${n + 1} changed`));
    expect(() => planUp(changed)).toThrow(
      '001_m, 002_m, 003_m, 004_m, 005_m and 2 more changed after being applied',
    );
  });

  it('warns of a ledger that is ahead, and refuses it with strict', () => {
    const ahead = statuses('1 applied', '2 ahead');
    expect(planUp(ahead).warnings).toMatchObject([{ code: 'LEDGER_AHEAD' }]);
    expect(codeOf(() => planUp(ahead, { strict: true }))).toBe('LEDGER_AHEAD');
    expect(codeOf(() => planUp(ahead, { to: '2' }))).toBe('planned');
  });
});

describe('planDown', () => {
  const applied = statuses('1 applied', '2 reworded', '3 changed', '4 pending');

  it.each([
    [{}, ['3']],
    [{ steps: 2 }, ['3', '2']],
    [{ steps: 9 }, ['3', '2', '1']],
    [{ to: '1' }, ['3', '2']],
    [{ to: '000' }, ['3', '2', '1']],
    [{ to: '3' }, []],
  ])('with %o selects %o', (options, selected) => {
    expect(labels(planDown(applied, options))).toEqual(selected);
  });

  it('refuses to leave a version that is not applied', () => {
    expect(codeOf(() => planDown(applied, { to: '4' }))).toBe('UNKNOWN_VERSION');
    expect(codeOf(() => planDown([], { to: '1' }))).toBe('UNKNOWN_VERSION');
  });

  it('rolls back what has no file, what is ahead, and what stopped half way', () => {
    const odd = statuses('1 missing', '2 incomplete', '3 ahead');
    expect(labels(planDown(odd, { to: '0' }))).toEqual(['3', '2', '1']);
  });

  it('warns of a changed file', () => {
    expect(planDown(applied).warnings).toMatchObject([{ code: 'CHANGED_MIGRATION', version: '3' }]);
    expect(planDown(applied, { to: '3' }).warnings).toEqual([]);
  });
});
