import { describe, expect, it } from 'vitest';
import type { ForeignMigration, ForeignRow } from '../../src/adopt/foreign.ts';
import { dbmate } from '../../src/adopt/marked-files.ts';
import { type AdoptionInput, planAdoption } from '../../src/adopt/plan.ts';
import type { LedgerRow } from '../../src/migrate/ledger/ledger.ts';

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
    ...{ adapter: dbmate, ownTable: null, show: (path) => `db/${path}`, ...defaults },
    ...input,
  });
  const labels = (list: { label: string }[]) => list.map(({ label }) => label);
  return {
    adopted: labels(found.adopted),
    known: labels(found.known),
    pending: labels(found.pending),
    says: found.findings.map(
      ({ severity, location, message }) => `${severity} ${location?.file ?? ''} ${message}`,
    ),
    files: found.adopted.flatMap(({ files }) => files),
  };
}

const THREE = ['1', '2', '3'].map((label) => migration(label));

describe('an adoption is planned', () => {
  it('from what is applied and what is pending, in the order of versions', () => {
    const migrations = [migration('9'), migration('10'), migration('0011')];
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
      expect.stringMatching(/^warning {2}dbmate applied 0, which has no file/),
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

describe("the tool's own order stays", () => {
  const files = (found: ReturnType<typeof plan>) => found.files.map(({ name }) => name);
  const rows = (...keys: string[]) => keys.map((key) => row(key));

  it('by the numbers themselves, where they are in order, from 0 on', () => {
    const migrations = [migration('0'), migration('1'), migration('20240101')];
    const found = plan({ migrations, rows: rows('0', '1', '20240101') });
    expect(files(found)).toEqual(['0_x.sql', '1_x.sql', '20240101_x.sql']);
    expect(found.says).toEqual([]);
  });

  it('by other numbers, where a text comes before a smaller number', () => {
    const migrations = [migration('0001'), migration('10'), migration('9')];
    const found = plan({ migrations, rows: rows('0001', '10', '9') });
    expect(found.files).toMatchObject([
      { name: '0001_x.sql' },
      { name: '10_x.sql' },
      { name: '11_x.sql', text: '-- adopted from dbmate: 9_x.sql\nselect 9;\n' },
    ]);
    expect(found.says).toEqual([
      'info db/9_x.sql it gets version 11, because dbmate runs it after db/10_x.sql',
    ]);
  });

  it('by other numbers, where two are the same, or there is none, or too long a one', () => {
    const migrations = [
      migration('01'),
      migration('1'),
      migration('2'),
      migration('1234567890123456789'),
      migration('', { key: 'init', path: 'init.sql' }),
    ];
    const found = plan({ migrations });
    expect(found.pending).toEqual(['01', '02', '03', '04', '05']);
    expect(found.says).toHaveLength(4);
    expect(found.says[2]).toContain('because its version has more than 18 digits');
    expect(found.says[3]).toContain('because it has no number that evdb can hold');
  });

  const existing = (label: string, upText: string) => ({
    ...{ version: label, label, name: 'x', upText, downText: null },
  });

  it('as the folder has it already, whatever came in between', () => {
    const migrations = ['10', '8', '9'].map((label) => migration(label));
    const found = plan({
      migrations,
      existing: [
        existing('10', 'select 10;'),
        existing('11', '-- adopted from dbmate: 9_x.sql\nselect 9;'),
      ],
    });
    expect(found.pending).toEqual(['10', '11', '12']);
    expect(found.says).toEqual([
      'info db/8_x.sql it gets version 12, because dbmate runs it after db/10_x.sql',
      'warning db/9_x.sql dbmate runs it after db/8_x.sql, and evdb before it: 11 is taken, and 12 too',
    ]);
  });

  it('and a database that was migrated in another one is told', () => {
    const at = (key: string, day: number) => ({
      ...row(key),
      appliedAt: `2026-01-0${day}T00:00:00.000Z`,
    });
    expect(plan({ migrations: THREE, rows: [at('1', 1), at('2', 3), at('3', 2)] }).says).toEqual([
      expect.stringMatching(/^warning db\/3_x.sql it was applied here before db\/2_x.sql/),
    ]);
  });
});

describe('a marker of another tool with statements on both sides', () => {
  const text = 'select 1;\n-- migrate:down\ndrop table a;';
  const migrations = [migration('1', { up: { text, noTransaction: false } })];

  it('keeps what is pending from being taken over', () => {
    expect(plan({ migrations }).says).toEqual([
      expect.stringMatching(/^error db\/1_x.sql it holds "-- migrate:down", a marker of dbmate/),
    ]);
  });

  it('is left out of what has run, and told', () => {
    const { files, says } = plan({ migrations, rows: [row('1')] });
    expect(files).toEqual([{ name: '1_x.sql', text: 'select 1;\ndrop table a;\n' }]);
    expect(says).toEqual([
      expect.stringMatching(
        /^warning db\/1_x.sql "-- migrate:down", a marker of dbmate, is left out/,
      ),
    ]);
  });
});

describe('an adoption is refused', () => {
  it('where the ledger has another migration under a version', () => {
    const ledgerRows = [{ version: '1', label: '01', name: 'other' } as LedgerRow];
    expect(plan({ migrations: THREE, rows: [row('1')], ledgerRows }).says).toEqual([
      'error db/1_x.sql it would be 1_x, and the ledger has 01_other under that version',
    ]);
  });

  it('where two files have one version that the table cannot tell apart', () => {
    const other = migration('1', { path: '1_y.sql' });
    expect(plan({ migrations: [migration('1'), other] }).says).toContain(
      'error db/1_y.sql it has the same version as db/1_x.sql, which dbmate cannot tell apart',
    );
  });

  it('where a checksum does not match, and not where only line ends do', () => {
    const migrations = [migration('1', { checksums: ['raw', 'lf'] })];
    expect(plan({ migrations, rows: [row('1', 'raw')] }).says).toEqual([]);
    expect(plan({ migrations, rows: [row('1', 'lf')] }).says).toEqual([
      'info db/1_x.sql it matches what was applied only with other line ends',
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
    expect(found.says).toEqual(['error db/1_x.sql 001_mine.sql already exists with different SQL']);
  });

  it('stands in for what is no SQL', () => {
    const migrations = [migration('1', { blocker: 'it is code' })];
    expect(plan({ migrations, rows: [row('1')] }).says).toEqual(['error db/1_x.sql it is code']);
    expect(plan({ migrations, rows: [row('1')], existing: existing('select 2;') })).toMatchObject({
      adopted: ['001'],
      says: [expect.stringMatching(/^warning db\/1_x\.sql 001_mine\.sql replaces it/)],
    });
  });
});

it('an empty file that goes up gets a statement, and an empty one back is none', () => {
  const empty = { text: '-- nothing\n', noTransaction: false };
  const migrations = [migration('1', { up: empty, down: empty })];
  expect(plan({ migrations, rows: [row('1')] })).toMatchObject({
    says: ['info db/1_x.sql it holds no statement, so a harmless one is put there'],
    files: [{ name: '1_x.sql', text: '-- dbmate ran no statement here\nselect 1;\n' }],
  });
});
