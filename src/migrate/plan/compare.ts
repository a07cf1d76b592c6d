import { commandLine, type PrintedFlags } from '../../text/command-line.ts';
import type { MigrationFile } from '../files/source.ts';
import { compareVersions, type Version } from '../files/version.ts';
import { BACKFILL_MARK } from '../ledger/journal.ts';
import type { LedgerRow } from '../ledger/ledger.ts';

/**
 * The state of a migration:
 * - `applied`, `pending`
 * - `reworded`: applied; the file now differs, but only in comments or white space
 * - `changed`: applied, and the file's SQL now differs
 * - `missing`: applied, its file is gone, and newer files exist
 * - `ahead`: applied, its file is missing because this checkout is older
 * - `outOfOrder`: pending, but a newer one is applied
 * - `incomplete`: a no-transaction script stopped halfway
 */
export type MigrationState =
  | 'applied'
  | 'pending'
  | 'reworded'
  | 'changed'
  | 'missing'
  | 'ahead'
  | 'outOfOrder'
  | 'incomplete';

export interface MigrationStatus {
  version: Version;
  label: string;
  name: string;
  state: MigrationState;
  file?: MigrationFile;
  row?: LedgerRow;
}

/** The checksums of a file that has a row in the ledger. */
export interface FileChecksums {
  checksum: string;
  /** Asked for only when the first one differs. */
  tokenChecksum: () => string;
}

/**
 * Puts files and ledger side by side, in version order. Pure: the checksums come from the caller.
 */
export function compareWithLedger(
  files: MigrationFile[],
  rows: LedgerRow[],
  checksumsOf: (file: MigrationFile) => FileChecksums,
): MigrationStatus[] {
  const rowByVersion = new Map<Version, LedgerRow>();
  for (const row of rows) rowByVersion.set(row.version, row);
  const fileByVersion = new Map<Version, MigrationFile>();
  for (const file of files) fileByVersion.set(file.version, file);
  const newestFile = files.at(-1)?.version ?? '0';
  const newestRow = rows.at(-1)?.version ?? '0';
  const versions = [...new Set([...fileByVersion.keys(), ...rowByVersion.keys()])];
  return versions.sort(compareVersions).map((version) => {
    const file = fileByVersion.get(version);
    const row = rowByVersion.get(version);
    const { label, name } = (file ?? row) as { label: string; name: string };
    const state = stateOf({ version, file, row, newestFile, newestRow, checksumsOf });
    return { version, label, name, state, ...(file && { file }), ...(row && { row }) };
  });
}

function stateOf(at: {
  version: Version;
  file: MigrationFile | undefined;
  row: LedgerRow | undefined;
  newestFile: Version;
  newestRow: Version;
  checksumsOf: (file: MigrationFile) => FileChecksums;
}): MigrationState {
  const { version, file, row } = at;
  if (row && row.state !== 'applied') return 'incomplete';
  if (row && !file) return compareVersions(version, at.newestFile) > 0 ? 'ahead' : 'missing';
  if (row && file) return appliedState(row, at.checksumsOf(file));
  return compareVersions(version, at.newestRow) < 0 ? 'outOfOrder' : 'pending';
}

function appliedState(row: LedgerRow, checksums: FileChecksums): MigrationState {
  if (row.checksum === checksums.checksum) return 'applied';
  return row.tokenChecksum === checksums.tokenChecksum() ? 'reworded' : 'changed';
}

/** Whether the ledger holds this migration as done, whatever became of its file. */
export function isApplied({ state }: MigrationStatus): boolean {
  return state !== 'pending' && state !== 'outOfOrder' && state !== 'incomplete';
}

/** Whether the row is of a backfill that is not done. */
export function isBackfillRow(row: LedgerRow | undefined): boolean {
  return row?.statementChecksums[0]?.startsWith(BACKFILL_MARK) === true;
}

/** The command line for these migrations; for several the one that lists what there is to decide. */
export function repairCommand(
  [first, ...others]: { label: string }[],
  flags: PrintedFlags = {},
): string {
  const isOne = first !== undefined && others.length === 0;
  return commandLine('migrate repair', flags, isOne ? { args: [first.label] } : {});
}

/** The command line that writes the files of these again. */
export function restoreCommand(missing: { label: string }[]): string {
  return commandLine('migrate restore', {}, { args: missing.map(({ label }) => label) });
}
