import type { RepeatableFile } from '../files/repeatables.ts';
import type { RepeatableRow } from '../ledger/repeatables.ts';
import type { FileChecksums } from './compare.ts';

/**
 * The state of a repeatable:
 * - `applied`: its file is as it was applied, or differs only in comments and white space
 * - `pending`: it was never applied
 * - `changed`: its SQL has changed since, so the next `up` applies it again
 * - `missing`: it is applied, and its file is gone; what it made stays
 */
export type RepeatableState = 'applied' | 'pending' | 'changed' | 'missing';

/** A repeatable in files and ledger. */
export interface RepeatableStatus {
  name: string;
  state: RepeatableState;
  file?: RepeatableFile;
  row?: RepeatableRow;
}

/** Puts files and ledger side by side, by name. Pure: the checksums come from the caller. */
export function compareRepeatables(
  files: readonly RepeatableFile[],
  rows: readonly RepeatableRow[],
  checksumsOf: (file: RepeatableFile) => FileChecksums,
): RepeatableStatus[] {
  const rowOf = new Map(rows.map((row) => [row.name, row]));
  const names = new Set(files.map(({ name }) => name));
  const statuses = files.map((file): RepeatableStatus => {
    const row = rowOf.get(file.name);
    if (row === undefined) return { name: file.name, state: 'pending', file };
    return {
      name: file.name,
      state: isSame(row, checksumsOf(file)) ? 'applied' : 'changed',
      file,
      row,
    };
  });
  const gone = rows
    .filter(({ name }) => !names.has(name))
    .map((row): RepeatableStatus => ({ name: row.name, state: 'missing', row }));
  return [...statuses, ...gone].sort((a, b) => (a.name < b.name ? -1 : 1));
}

function isSame(row: RepeatableRow, checksums: FileChecksums): boolean {
  return row.checksum === checksums.checksum || row.tokenChecksum === checksums.tokenChecksum();
}

/** Why repeatables that have changed are not applied by a run. */
export type RepeatablesHeld =
  /** Migrations that they may need are left out by `--to` or `--steps`. */
  | 'pending'
  /** The database is ahead of these files, so these texts are older too. */
  | 'ahead';

/** Whether the next `up` applies it. */
export function isToApply({ state }: Pick<RepeatableStatus, 'state'>): boolean {
  return state === 'pending' || state === 'changed';
}
