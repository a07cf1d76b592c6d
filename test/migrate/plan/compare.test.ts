import { describe, expect, it } from 'vitest';
import type { MigrationFile } from '../../../src/migrate/files/source.ts';
import type { LedgerRow, LedgerState } from '../../../src/migrate/ledger/ledger.ts';
import { compareWithLedger, isApplied } from '../../../src/migrate/plan/compare.ts';

function file(version: string): MigrationFile {
  return { version, label: version, name: 'm', upPath: `/${version}_m.sql` };
}

function row(version: string, state: LedgerState = 'applied'): LedgerRow {
  return {
    version,
    label: version,
    name: 'm',
    checksum: 'same',
    tokenChecksum: 'same tokens',
    state,
    statementsDone: 1,
    statementsTotal: 2,
    appliedAt: '2026-01-01T00:00:00Z',
    durationMs: 1,
    statementStarted: null,
    statementChecksums: [],
    origin: 'applied',
  };
}

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
