import { describe, expect, it } from 'vitest';
import type { LedgerRow, LedgerState } from '../../../src/migrate/ledger/ledger.ts';
import {
  compareWithLedger,
  isApplied,
  isBackfillRow,
  isStandIn,
  repairCommand,
  restoreCommand,
} from '../../../src/migrate/plan/compare.ts';
import { fileOf, rowOf } from './plan-kit.ts';

const file = (version: string) => fileOf(version);
const row = (version: string, state: LedgerState = 'applied') => rowOf(version, { state });

function states(
  files: string[],
  rows: (string | LedgerRow)[],
  checksums: [checksum: string, tokens: string] = ['same', 'same tokens'],
): string[] {
  const [checksum, tokens] = checksums;
  const compared = compareWithLedger(
    files.map(file),
    rows.map((one) => (typeof one === 'string' ? row(one) : one)),
    () => ({ checksum, tokenChecksum: () => tokens }),
  );
  return compared.map(({ version, state }) => `${version} ${state}`);
}

describe('compareWithLedger', () => {
  it('puts files and rows into the order of the numbers', () => {
    expect(states(['2', '10', '100'], ['2'])).toEqual(['2 applied', '10 pending', '100 pending']);
    expect(states(['100'], ['20', '3'])).toEqual(['3 missing', '20 missing', '100 pending']);
  });

  it('tells a reworded file from a changed one', () => {
    expect(states(['1'], ['1'], ['other', 'same tokens'])).toEqual(['1 reworded']);
    expect(states(['1'], ['1'], ['other', 'other tokens'])).toEqual(['1 changed']);
  });

  it('does not ask for the second checksum where the first is the same', () => {
    const asked: string[] = [];
    compareWithLedger([file('1')], [row('1')], () => ({
      checksum: 'same',
      tokenChecksum: () => {
        asked.push('asked');
        return '';
      },
    }));
    expect(asked).toEqual([]);
  });

  it('tells a missing file from a checkout that is older', () => {
    expect(states(['1', '3'], ['1', '2', '3'])).toEqual(['1 applied', '2 missing', '3 applied']);
    expect(states(['1'], ['1', '2', '3'])).toEqual(['1 applied', '2 ahead', '3 ahead']);
    expect(states([], ['1'])).toEqual(['1 ahead']);
  });

  it('tells a late migration from a new one', () => {
    expect(states(['1', '2', '3', '4'], ['1', '3'])).toEqual([
      '1 applied',
      '2 outOfOrder',
      '3 applied',
      '4 pending',
    ]);
  });

  it('tells it by the newest row, however many there are', () => {
    expect(states(['5'], ['1', '2', '9'])).toContain('5 outOfOrder');
    expect(states(['5'], ['1', '2', '3'])).toContain('5 pending');
  });

  it('shows what stopped half way, with or without its file', () => {
    expect(states(['1'], [row('1', 'applying')])).toEqual(['1 incomplete']);
    expect(states([], [row('1', 'reverting')])).toEqual(['1 incomplete']);
  });

  it('counts as applied whatever is done, whatever became of its file', () => {
    const applied = ['applied', 'reworded', 'changed', 'missing', 'ahead'] as const;
    const others = ['pending', 'outOfOrder', 'incomplete'] as const;
    const status = { version: '1', label: '1', name: 'm' };
    expect(applied.every((state) => isApplied({ ...status, state }))).toBe(true);
    expect(others.some((state) => isApplied({ ...status, state }))).toBe(false);
  });
});

it('gives what it put side by side, and nothing that is not there', () => {
  const [applied, pending, ahead] = compareWithLedger(
    [file('1'), file('5')],
    [row('1'), row('9')],
    () => ({
      checksum: 'same',
      tokenChecksum: () => '',
    }),
  );
  expect(applied).toStrictEqual({
    ...{ version: '1', label: '001', name: 'm', state: 'applied' },
    ...{ file: file('1'), row: row('1') },
  });
  expect(pending).toStrictEqual({
    ...{ version: '5', label: '005', name: 'm', state: 'outOfOrder', file: file('5') },
  });
  expect(ahead).toStrictEqual({
    ...{ version: '9', label: '009', name: 'm', state: 'ahead', row: row('9') },
  });
});

describe('a row', () => {
  it('is of a backfill where its journal begins with its mark', () => {
    expect(isBackfillRow(rowOf('1', { statementChecksums: ['backfill:abc', 'x'] }))).toBe(true);
    expect(isBackfillRow(rowOf('1', { statementChecksums: ['abcbackfill:', 'backfill:x'] }))).toBe(
      false,
    );
    expect(isBackfillRow(rowOf('1'))).toBe(false);
    expect(isBackfillRow(undefined)).toBe(false);
  });

  it('of another name lets a baseline stand in for what it replaces', () => {
    const replaced = { text: '1-3', rows: [], lacking: [] };
    const status = { version: '3', label: '003', name: 'baseline', state: 'applied' as const };
    expect(isStandIn({ ...status, replaced })).toBe(true);
    expect(isStandIn({ ...status, replaced, row: rowOf('3') })).toBe(true);
    expect(isStandIn({ ...status, replaced, row: rowOf('3', { name: 'baseline' }) })).toBe(false);
    expect(isStandIn({ ...status, row: rowOf('3') })).toBe(false);
  });
});

it('names one migration to repair, and lets the command list several', () => {
  expect(repairCommand([{ label: '001' }])).toBe('evdb migrate repair 001');
  expect(repairCommand([{ label: '001' }, { label: '002' }], { as: 'done' })).toBe(
    'evdb migrate repair --as done',
  );
  expect(repairCommand([])).toBe('evdb migrate repair');
  expect(restoreCommand([{ label: '001' }, { label: '002' }])).toBe('evdb migrate restore 001 002');
});

describe('a baseline', () => {
  const SETS: Record<string, string[]> = { '3': ['1', '2', '3'] };
  const asked: string[] = [];
  const compare = (files: string[], rows: (string | LedgerRow)[]) => {
    asked.length = 0;
    return compareWithLedger(
      files.map((version) => ({
        ...file(version),
        ...(SETS[version] && { name: 'baseline' }),
      })),
      rows.map((one) => (typeof one === 'string' ? row(one) : one)),
      () => ({ checksum: 'same', tokenChecksum: () => 'same tokens' }),
      ({ version }) => {
        asked.push(version);
        const versions = SETS[version];
        return versions ? [{ text: versions.join(), line: 1, versions }] : [];
      },
    ).map(({ version, state, replaced }) =>
      [version, state, ...(replaced ? [replaced.lacking.join()] : [])].join(' ').trim(),
    );
  };
  const ran = (version: string) => ({ ...row(version), name: 'baseline' });

  it('is applied where everything that it replaces is, whose rows are then its own', () => {
    expect(compare(['3', '4'], ['1', '2', '3'])).toEqual(['3 applied', '4 pending']);
    expect(compare(['3', '4'], ['1', '2', '3', '4'])).toEqual(['3 applied', '4 applied']);
  });

  it('is partial where only some of it is applied, and names the others', () => {
    expect(compare(['3', '4'], ['1'])).toEqual(['3 partial 2,3', '4 pending']);
    expect(compare(['3'], ['2', '3'])).toEqual(['3 partial 1']);
    const stopped = row('2', 'applying');
    expect(compare(['3'], ['1', stopped, '3'])).toEqual(['2 incomplete', '3 partial 2']);
  });

  it('is a migration as any other where a database began with it', () => {
    expect(compare(['3', '4'], [])).toEqual(['3 pending', '4 pending']);
    expect(compare(['3', '4'], [ran('3')])).toEqual(['3 applied', '4 pending']);
  });

  it('is looked for only where rows have no file, and no further than needed', () => {
    compare(['3', '4', '5'], [ran('3'), '4', '5']);
    expect(asked).toEqual([]);
    compare(['3', '4', '5'], ['1', '2', '3', '4', '5']);
    expect(asked).toEqual(['3']);
  });
});
