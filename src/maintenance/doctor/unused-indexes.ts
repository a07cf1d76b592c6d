import { readUnused, type UnusedIndexRow } from '../../stats/unused.ts';
import { describeBytes, describeCount, SMALL_BYTES } from '../../text/units.ts';
import { type DoctorCheck, type DoctorFinding, unknownsOf } from './check.ts';

/** Large indexes that nobody scans, of tables that somebody reads. */
export function judgeUnusedIndexes(rows: UnusedIndexRow[]): DoctorFinding[] {
  return rows
    .filter(({ sizeBytes, caveat }) => sizeBytes >= SMALL_BYTES && caveat === null)
    .map(({ schema, index, table, sizeBytes, isSizeEstimated, tableWrites, dropSql }) => ({
      status: 'warning',
      object: `${schema}.${index}`,
      reason: `index ${schema}.${index} of ${table} (${isSizeEstimated ? 'about ' : ''}${describeBytes(sizeBytes)}) was never scanned, and kept up for ${tableWrites} writes`,
      fix: `${dropSql} -- after looking at the standbys too`,
    }));
}

export const UNUSED_INDEXES: DoctorCheck = {
  name: 'unused-indexes',
  group: 'indexes',
  command: 'stats unused',
  async examine(session) {
    const { rows, notes } = await readUnused(session);
    return {
      findings: [...judgeUnusedIndexes(rows), ...unknownsOf(notes)],
      summary:
        rows.length === 0
          ? 'every index was used or is needed'
          : `${describeCount(rows.length, 'unused index', 'unused indexes')}, none of them large`,
      isEstimated: rows.some(({ isSizeEstimated }) => isSizeEstimated),
    };
  },
};
