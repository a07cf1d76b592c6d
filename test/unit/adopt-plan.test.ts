import { describe, expect, it } from 'vitest';
import { dbmate } from '../../src/adopt/dbmate.ts';
import type { ForeignMigration, ForeignRow } from '../../src/adopt/foreign.ts';
import { type AdoptionInput, planAdoption } from '../../src/adopt/plan.ts';
import type { LedgerRow } from '../../src/migrate/ledger.ts';

function migration(label: string, more: Partial<ForeignMigration> = {}): ForeignMigration {
  return {
    key: label,
    label,
    name: 'x',
    path: `${label}_x.sql`,
    up: { text: `select ${Number(label)};`, noTransaction: false },
    down: null,
    ...more,
  };
}

function row(key: string, checksum: string | null = null): ForeignRow {
  return { key, appliedAt: null, durationMs: null, checksum };
}

function plan(input: Partial<AdoptionInput>) {
  const defaults = { migrations: [], rows: [], ledgerRows: [], existing: [] };
  const found = planAdoption({
    ...{ adapter: dbmate, show: (path) => `db/${path}`, ...defaults },
    ...input,
  });
  const labels = (list: { label: string }[]) => list.map(({ label }) => label);
  return {
    adopted: labels(found.adopted),
    known: labels(found.known),
    pending: labels(found.pending),
    says: found.findings.map(
      ({ severity, file = '', message }) => `${severity} ${file} ${message}`,
    ),
    files: found.adopted.flatMap(({ files }) => files),
  };
}

const THREE = ['1', '2', '3'].map((label) => migration(label));

describe('an adoption is planned', () => {
  it('from what is applied and what is pending, in the order of versions', () => {
    const migrations = [migration('10'), migration('9'), migration('0011')];
    expect(plan({ migrations, rows: [row('10'), row('9')] })).toMatchObject({
      adopted: ['9', '10'],
      pending: ['0011'],
      says: [],
    });
  });

  it('with a word about what is out of order', () => {
    expect(plan({ migrations: THREE, rows: [row('1'), row('3')] })).toMatchObject({
      adopted: ['1', '3'],
      pending: ['2'],
      says: ['warning db/2_x.sql it is pending, although the newer db/3_x.sql is applied'],
    });
  });

  it('with a word about what has no file', () => {
    const { adopted, says } = plan({ migrations: THREE, rows: [row('1'), row('0')] });
    expect(adopted).toEqual(['1']);
    expect(says).toEqual([
      expect.stringMatching(/^warning {2}dbmate applied 0, and there is no file/),
    ]);
  });

  it('without what the ledger has', () => {
    const ledgerRows = [{ version: '1', label: '1', name: 'x' } as LedgerRow];
    expect(plan({ migrations: THREE, rows: [row('1'), row('2')], ledgerRows })).toMatchObject({
      adopted: ['2'],
      known: ['1'],
      pending: ['3'],
    });
  });
});

describe('an adoption is refused', () => {
  it('where the ledger has another migration under a version', () => {
    const ledgerRows = [{ version: '1', label: '01', name: 'other' } as LedgerRow];
    expect(plan({ migrations: THREE, rows: [row('1')], ledgerRows }).says).toEqual([
      'error db/1_x.sql it would be 1_x, and the ledger has 01_other under that version',
    ]);
  });

  it('where two files have one version', () => {
    const { says } = plan({ migrations: [migration('01'), migration('1')] });
    expect(says).toContain('error db/1_x.sql it has the same version as db/01_x.sql');
  });

  it('where a version is 0 and 1 is taken, or has too many digits', () => {
    const migrations = [migration('0'), migration('1'), migration('1234567890123456789')];
    expect(plan({ migrations }).says).toEqual([
      'error db/0_x.sql its version is 0, evdb begins at 1, and there is a version 1 too',
      'error db/1234567890123456789_x.sql its version has more than 18 digits',
    ]);
    expect(plan({ migrations: [migration('000')] })).toMatchObject({ pending: ['001'], says: [] });
  });

  it('where a checksum does not match, and not where only line ends do', () => {
    const migrations = [migration('1', { checksums: ['raw', 'lf'] })];
    expect(plan({ migrations, rows: [row('1', 'raw')] }).says).toEqual([]);
    expect(plan({ migrations, rows: [row('1', 'lf')] }).says).toEqual([
      'note db/1_x.sql it matches what was applied only with other line ends',
    ]);
    expect(plan({ migrations, rows: [row('1', 'other')] }).says).toEqual([
      'error db/1_x.sql it is not what dbmate applied: its checksum is raw, and the table has other',
    ]);
  });
});

describe('a file that is there already', () => {
  const existing = (upText: string) => [
    { version: '1', label: '001', name: 'mine', upText, downText: null },
  ];

  it('is taken where its SQL is the same, with its own name', () => {
    const found = plan({
      migrations: [migration('1')],
      rows: [row('1')],
      existing: existing('select 1'),
    });
    expect(found).toMatchObject({ adopted: ['001'], says: [], files: [] });
  });

  it('is in the way where its SQL is another', () => {
    const found = plan({
      migrations: [migration('1')],
      rows: [row('1')],
      existing: existing('select 2;'),
    });
    expect(found.says).toEqual([
      'error db/1_x.sql 001_mine.sql is there already, and its SQL is another',
    ]);
  });

  it('stands in for what is no SQL', () => {
    const migrations = [migration('1', { blocker: 'it is code' })];
    expect(plan({ migrations, rows: [row('1')] }).says).toEqual(['error db/1_x.sql it is code']);
    expect(plan({ migrations, rows: [row('1')], existing: existing('select 2;') })).toMatchObject({
      adopted: ['001'],
      says: [expect.stringMatching(/^warning db\/1_x\.sql 001_mine\.sql stands in for it/)],
    });
  });
});

it('an empty file that goes up gets a statement, and an empty one back is none', () => {
  const empty = { text: '-- nothing\n', noTransaction: false };
  const migrations = [migration('1', { up: empty, down: empty })];
  expect(plan({ migrations, rows: [row('1')] })).toMatchObject({
    says: ['note db/1_x.sql it holds no statement, so a harmless one is put there'],
    files: [{ name: '1_x.sql', text: '-- dbmate ran no statement here\nselect 1;\n' }],
  });
});
