import { describe, expect, it } from 'vitest';
import type { EvdbError } from '../../../src/errors.ts';
import type { LedgerRow } from '../../../src/migrate/ledger/ledger.ts';
import type { MigrationState, MigrationStatus } from '../../../src/migrate/plan/compare.ts';
import {
  fullName,
  listNames,
  planBackfills,
  planDown,
  planUp,
  wayBackFromChange,
} from '../../../src/migrate/plan/plan.ts';
import { fileOf, rowOf, saidBy } from './plan-kit.ts';

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

describe('a script that stopped half way', () => {
  const incomplete = (row: Partial<LedgerRow>, isFileThere = true): MigrationStatus => ({
    ...{ version: '2', label: '002', name: 'm', state: 'incomplete' },
    ...(isFileThere && { file: fileOf('2') }),
    row: rowOf('2', { state: 'applying', statementsDone: 1, statementsTotal: 3, ...row }),
  });
  const [first] = statuses('1 applied');
  const at = (row: Partial<LedgerRow>, isFileThere = true) => [
    first as MigrationStatus,
    incomplete(row, isFileThere),
  ];

  it('goes on with up where it was being applied and its file is there', () => {
    expect(labels(planUp(at({})))).toEqual(['2']);
    expect(labels(planUp(at({}), { to: '2' }))).toEqual(['2']);
    expect(codeOf(() => planUp(at({}), { to: '1' }))).toBe('INCOMPLETE_MIGRATION');
    expect(codeOf(() => planUp(at({}, false)))).toBe('INCOMPLETE_MIGRATION');
    expect(codeOf(() => planUp(at({ state: 'reverting' })))).toBe('INCOMPLETE_MIGRATION');
  });

  it('says where it stopped and how it goes on', () => {
    expect(saidBy(() => planUp(at({}), { to: '1' }))).toEqual({
      code: 'INCOMPLETE_MIGRATION',
      text: 'applying 002_m stopped at statement 2 of 3; the 1 before it is committed; `evdb migrate up` continues it, `evdb migrate down` rolls it back. The history table of the ledger holds the error.',
      details: { version: '2', state: 'applying', statementsDone: 1, statementsTotal: 3 },
    });
    expect(saidBy(() => planUp(at({ state: 'reverting', statementsDone: 3 })))).toEqual({
      code: 'INCOMPLETE_MIGRATION',
      text: 'rolling back 002_m stopped at statement 3 of 3; the 3 before it are committed; `evdb migrate down` continues it; after that `evdb migrate up` applies it again.',
      details: { version: '2', state: 'reverting', statementsDone: 3, statementsTotal: 3 },
    });
    expect(saidBy(() => planUp(at({}, false))).text).toContain(
      'Its file is not here: restore it and run `evdb migrate up`, which continues it, or roll it back with `evdb migrate down --from-ledger`.',
    );
    expect(saidBy(() => planUp(statuses('1 incomplete')))).toEqual({
      code: 'INCOMPLETE_MIGRATION',
      text: 'applying 001_m stopped at statement 0 of 0; the 0 before it are committed; Its file is not here: restore it and run `evdb migrate up`, which continues it, or roll it back with `evdb migrate down --from-ledger`.',
      details: { version: '1', state: 'applying', statementsDone: 0, statementsTotal: 0 },
    });
    const backfill = { statementChecksums: ['backfill:abc'] };
    expect(saidBy(() => planUp(at(backfill), { to: '1' })).text).toContain(
      'applying 002_m stopped between two of its batches; those before are committed;',
    );
  });

  it('is one of the backfills to run where it is one', () => {
    const backfill = { statementChecksums: ['backfill:abc'] };
    expect(planBackfills(at(backfill))).toMatchObject({ direction: 'up', warnings: [] });
    expect(labels(planBackfills(at(backfill)))).toEqual(['2']);
    expect(labels(planBackfills(at(backfill), '002'))).toEqual(['2']);
    expect(labels(planBackfills(at({})))).toEqual([]);
    expect(labels(planBackfills(at({ ...backfill, state: 'reverting' })))).toEqual([]);
    expect(labels(planBackfills([{ ...incomplete(backfill), state: 'applied' }]))).toEqual([]);
    expect(labels(planBackfills(statuses('1 incomplete')))).toEqual([]);
    expect(saidBy(() => planBackfills(at(backfill), '3'))).toEqual({
      code: 'UNKNOWN_VERSION',
      text: 'no backfill with version 3 is half way; `evdb backfill status` shows which ones are.',
      details: { version: '3' },
    });
    expect(codeOf(() => planBackfills(at(backfill), 'x'))).toBe('USAGE');
    expect(codeOf(() => planBackfills(at(backfill, false)))).toBe('INCOMPLETE_MIGRATION');
  });
});

describe('a baseline', () => {
  const rows = [rowOf('1'), rowOf('3')];
  const standIn: MigrationStatus = {
    ...{ version: '3', label: '003', name: 'baseline', state: 'applied' },
    ...{ file: fileOf('3', 'baseline'), row: rowOf('3') },
    replaced: { text: '001-003', rows, lacking: [] },
  };

  it('counts as applied where what it replaces is, and up says so', () => {
    const file = standIn.file?.upPath ?? '';
    expect(planUp([standIn])).toMatchObject({
      migrations: [],
      counted: [{ version: '3', label: '003', name: 'baseline', replaces: '001-003' }],
      warnings: [
        {
          code: 'REPLACED',
          version: '3',
          message:
            '003_baseline counts as applied, because 001-003 are, which it replaces; nothing of it runs',
        },
      ],
    });
    expect(file).toContain(planUp([standIn]).counted?.[0]?.file.replaceAll('../', ''));
    const counted = (more: Partial<MigrationStatus>) => planUp([{ ...standIn, ...more }]).counted;
    expect(counted({ row: rowOf('3', { name: 'baseline' }) })).toEqual([]);
    expect(counted({ row: rowOf('3', { origin: 'baseline' }) })).toEqual([]);
  });

  it('of which only some is there is refused in both directions', () => {
    const replaced = { text: '001-003', rows, lacking: ['2'] };
    const partial: MigrationStatus[] = [{ ...standIn, state: 'partial', replaced }];
    expect(saidBy(() => planUp(partial)).text).toMatch(
      /^003_baseline replaces 001-003, and this database has only 001, 003 of that; Apply the others/,
    );
    expect(saidBy(() => planDown(partial)).text).toContain('Roll them back with the old files');
  });

  it('that was there before evdb is rolled back with a warning', () => {
    const before: MigrationStatus = {
      ...{ version: '1', label: '001', name: 'm', state: 'applied' },
      row: rowOf('1', { origin: 'baseline' }),
    };
    expect(planDown([before]).warnings).toEqual([
      {
        code: 'BASELINE',
        version: '1',
        message:
          '001_m was there before evdb (baseline): its down script would act on what others made',
      },
    ]);
    const stands = { ...standIn, row: rowOf('3', { origin: 'baseline' }) };
    expect(planDown([stands]).warnings).toEqual([]);
    expect(planDown([{ ...before, row: rowOf('1') }]).warnings).toEqual([]);
  });
});

describe('what is refused', () => {
  it('is named, with a way on', () => {
    expect(saidBy(() => planUp(statuses('1 changed', '2 changed')))).toEqual({
      code: 'CHANGED_MIGRATION',
      text: '001_m, 002_m changed after being applied; Put the old text back and write a new migration for the change. Where the database may lose it: `evdb migrate down`, then `evdb migrate up`. Where it is as the new text would make it: `evdb migrate repair`.',
      details: { versions: ['1', '2'] },
    });
    expect(wayBackFromChange(statuses('1 changed'))).toContain('`evdb migrate repair 001`');
    expect(saidBy(() => planUp(statuses('1 missing')))).toEqual({
      code: 'MISSING_MIGRATION',
      text: '001_m is applied, but the file is gone; Restore the file from version control, or from the ledger: `evdb migrate restore 001`. To roll the migration back without it: `evdb migrate down --from-ledger`. To forget it: `evdb migrate repair 001`.',
      details: { versions: ['1'] },
    });
    expect(saidBy(() => planUp(statuses('1 missing', '2 missing'))).text).toMatch(
      /^001_m, 002_m are applied, but the file is gone/,
    );
    expect(saidBy(() => planUp(statuses('1 outOfOrder', '2 applied', '3 pending')))).toEqual({
      code: 'OUT_OF_ORDER',
      text: '001_m is pending, but the newer 002_m is applied already; Rename it to a version above the newest one. Where the order makes no difference, --out-of-order applies it as it is.',
      details: { versions: ['1'], newest: '2' },
    });
    expect(
      saidBy(() => planUp(statuses('1 outOfOrder', '2 outOfOrder', '3 applied', '4 applied'))).text,
    ).toMatch(/^001_m, 002_m are pending, but the newer 004_m is applied already/);
    expect(saidBy(() => planUp(statuses('1 outOfOrder'))).text).toContain('the newer ones is');
  });

  it('is a ledger that is ahead, with strict, and else warned of with the same words', () => {
    const said = saidBy(() => planUp(statuses('1 ahead'), { strict: true }));
    expect(said).toEqual({
      code: 'LEDGER_AHEAD',
      text: 'the database is ahead of these files: 001_m is applied and not here; This is an older checkout. Update it, or leave out --strict if that is intended.',
      details: { versions: ['1'] },
    });
    expect(planUp(statuses('1 ahead', '2 ahead')).warnings).toEqual([
      {
        code: 'LEDGER_AHEAD',
        message: 'the database is ahead of these files: 001_m, 002_m are applied and not here',
      },
    ]);
    expect(codeOf(() => planUp(statuses('1 applied'), { strict: true }))).toBe('planned');
  });

  it('is a target that cannot be meant', () => {
    const three = statuses('1 applied', '2 pending', '10 pending');
    const textOf = (options: Parameters<typeof planUp>[1]) =>
      saidBy(() => planUp(three, options)).text;
    expect(textOf({ to: '2', steps: 1 })).toBe(
      '--to and --steps cannot be used together; Give one of them.',
    );
    expect(textOf({ steps: 0 })).toBe(
      'steps must be a positive whole number, not 0; For example: --steps 2',
    );
    expect(textOf({ steps: 1.5 })).toContain('not 1.5');
    expect(textOf({ to: 'x' })).toBe(
      '"x" is not a version; A version is the digits that a file name starts with, for example: --to 003',
    );
    expect(saidBy(() => planUp(three, { to: '3' }))).toEqual({
      code: 'UNKNOWN_VERSION',
      text: 'version 3 does not exist; Known are: 001, 002, 010.',
      details: { version: '3' },
    });
    expect(saidBy(() => planDown(statuses('1 applied', '2 applied'), { to: '9' })).text).toBe(
      'version 9 is not applied; Known are: 001, 002.',
    );
    expect(saidBy(() => planUp([], { to: '3' })).text).toBe(
      'version 3 does not exist; There are none.',
    );
    const many = (count: number) =>
      statuses(...Array.from({ length: count }, (_, n) => `${n + 1} applied`));
    expect(saidBy(() => planUp(many(12), { to: '99' })).text).toMatch(/Known are: 001, .*, 012\.$/);
    expect(saidBy(() => planUp(many(13), { to: '99' })).text).toMatch(
      /The newest of 13 are: 002, .*, 013\.$/,
    );
  });
});

it('warns of what was only reworded, and of a down script that may not fit', () => {
  expect(planUp(statuses('1 reworded', '2 ahead')).warnings).toMatchObject([
    { code: 'LEDGER_AHEAD' },
    {
      code: 'REWORDED',
      version: '1',
      message: '001_m differs from what was applied, but only in comments or white space',
    },
  ]);
  expect(planDown(statuses('1 changed', '2 applied'), { to: '0' })).toMatchObject({
    direction: 'down',
    warnings: [
      {
        code: 'CHANGED_MIGRATION',
        version: '1',
        message:
          '001_m was changed after it was applied; the down script may belong to the newer text',
      },
    ],
  });
});

it('says what is left, and what else was asked for', () => {
  const three = statuses('1 applied', '2 pending', '3 pending', '4 pending');
  const versionsLeft = (options: Parameters<typeof planUp>[1]) =>
    planUp(three, options).left?.map(({ version }) => version);
  expect(versionsLeft({})).toEqual([]);
  expect(versionsLeft({ steps: 1 })).toEqual(['3', '4']);
  expect(versionsLeft({ to: '3' })).toEqual(['4']);
  expect(planUp(three)).toMatchObject({ isExpandOnly: false, isWithoutBackfills: false });
  expect(planUp(three, { expand: true, wait: false })).toMatchObject({
    ...{ isExpandOnly: true, isWithoutBackfills: true },
  });
  expect(planUp(three, { wait: true })).toMatchObject({ isWithoutBackfills: false });
});

it('names a migration as people know it from the folder', () => {
  expect(fullName({ label: '001', name: 'users' })).toBe('001_users');
  expect(fullName({ label: 'repeatable', name: 'view' })).toBe('repeatable/view');
  expect(fullName({ label: 'seed', name: 'people' })).toBe('people');
  expect(listNames(['a', 'b'])).toBe('a, b');
  expect(listNames(['a', 'b', 'c'], 2)).toBe('a, b and 1 more');
  expect(listNames(['a', 'b', 'c', 'd', 'e'])).toBe('a, b, c, d, e');
});
