import { commandLine, type PrintedFlags } from '../../text/command-line.ts';
import type { MigrationFile } from '../files/source.ts';
import { compareVersions, type Version } from '../files/version.ts';
import { BACKFILL_MARK } from '../ledger/journal.ts';
import type { LedgerRow } from '../ledger/ledger.ts';
import { findReplacements, type Replacement, type ReplacesOf } from './replaced.ts';

/**
 * The state of a migration:
 * - `applied`, `pending`
 * - `reworded`: applied; the file now differs, but only in comments or white space
 * - `changed`: applied, and the file's SQL now differs
 * - `missing`: applied, its file is gone, and newer files exist
 * - `ahead`: applied, its file is missing because this checkout is older
 * - `outOfOrder`: pending, but a newer one is applied
 * - `incomplete`: a no-transaction script stopped halfway
 * - `partial`: a baseline, and the database has only some of the migrations that it replaces
 */
export type MigrationState =
  | 'applied'
  | 'pending'
  | 'reworded'
  | 'changed'
  | 'missing'
  | 'ahead'
  | 'outOfOrder'
  | 'incomplete'
  | 'partial';

export interface MigrationStatus {
  version: Version;
  label: string;
  name: string;
  state: MigrationState;
  file?: MigrationFile;
  row?: LedgerRow;
  /** For a baseline: what the database has of the migrations that it replaces; absent if nothing. */
  replaced?: Replacement;
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
  replacesOf: ReplacesOf = () => [],
): MigrationStatus[] {
  const rowByVersion = new Map<Version, LedgerRow>();
  for (const row of rows) rowByVersion.set(row.version, row);
  const fileByVersion = new Map<Version, MigrationFile>();
  for (const file of files) fileByVersion.set(file.version, file);
  const newestFile = files.at(-1)?.version ?? '0';
  const newestRow = rows.at(-1)?.version ?? '0';
  const replacements = findReplacements(files, rows, replacesOf);
  const folded = new Set(
    [...replacements.values()].flatMap((one) => one.rows.filter(isWhole).map(versionOf)),
  );
  const versions = [...new Set([...fileByVersion.keys(), ...rowByVersion.keys()])];
  return versions
    .filter((version) => fileByVersion.has(version) || !folded.has(version))
    .sort(compareVersions)
    .map((version) => {
      const file = fileByVersion.get(version);
      const row = rowByVersion.get(version);
      const replaced = replacements.get(version);
      const { label, name } = (file ?? row) as { label: string; name: string };
      const state =
        replaced && row?.name !== name
          ? replacedState(replaced)
          : stateOf({ version, file, row, newestFile, newestRow, checksumsOf });
      return {
        ...{ version, label, name, state },
        ...(file && { file }),
        ...(row && { row }),
        ...(replaced && { replaced }),
      };
    });
}

function replacedState({ lacking }: Replacement): MigrationState {
  return lacking.length === 0 ? 'applied' : 'partial';
}

const isWhole = ({ state }: LedgerRow) => state === 'applied';
const versionOf = ({ version }: LedgerRow) => version;

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
  return !NOT_APPLIED.has(state);
}

const NOT_APPLIED: ReadonlySet<MigrationState> = new Set([
  ...(['pending', 'outOfOrder', 'incomplete', 'partial'] as const),
]);

/** Whether a baseline was never run here, and counts as applied because what it replaces is. */
export function isStandIn({ name, row, replaced }: MigrationStatus): boolean {
  return replaced !== undefined && row?.name !== name;
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
