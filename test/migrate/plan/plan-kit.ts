import type { EvdbError } from '../../../src/errors.ts';
import type { MigrationFile } from '../../../src/migrate/files/source.ts';
import type { LedgerRow } from '../../../src/migrate/ledger/ledger.ts';

export function fileOf(version: string, name = 'm'): MigrationFile {
  return { version, label: version.padStart(3, '0'), name, upPath: `/db/${version}_${name}.sql` };
}

export function rowOf(version: string, more: Partial<LedgerRow> = {}): LedgerRow {
  return {
    version,
    label: version.padStart(3, '0'),
    name: 'm',
    checksum: 'same',
    tokenChecksum: 'same tokens',
    state: 'applied',
    statementsDone: 1,
    statementsTotal: 2,
    appliedAt: '2026-01-01T00:00:00Z',
    durationMs: 1,
    statementStarted: null,
    statementChecksums: [],
    origin: 'applied',
    ...more,
  };
}

/** What a person reads of the error that is thrown, in one piece. */
export function saidBy(plan: () => unknown): { code: string; text: string; details: unknown } {
  try {
    plan();
  } catch (error) {
    const { code, message, hint, details } = error as EvdbError;
    return { code, text: `${message}; ${hint}`, details };
  }
  return { code: 'planned', text: '', details: undefined };
}
