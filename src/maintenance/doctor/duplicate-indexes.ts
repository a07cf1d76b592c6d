import { type DuplicateIndexRow, readDuplicates } from '../../stats/duplicates.ts';
import { describeBytes, describeCount } from '../../text/units.ts';
import type { DoctorCheck, DoctorFinding } from './check.ts';

/** Equal indexes; one on the first columns of another may be wanted, because it is smaller. */
export function judgeDuplicateIndexes(rows: DuplicateIndexRow[]): DoctorFinding[] {
  return rows
    .filter(({ kind }) => kind === 'duplicate')
    .map(({ schema, index, keptIndex, sizeBytes, isSizeEstimated, reason, dropSql }) => ({
      status: 'warning',
      object: `${schema}.${index}`,
      reason: `index ${schema}.${index} (${isSizeEstimated ? 'about ' : ''}${describeBytes(sizeBytes)}) does nothing that ${keptIndex} does not: ${reason}`,
      fix: dropSql,
    }));
}

export const DUPLICATE_INDEXES: DoctorCheck = {
  name: 'duplicate-indexes',
  group: 'indexes',
  command: 'stats duplicates',
  async examine(session) {
    const { rows } = await readDuplicates(session);
    const prefixes = rows.filter(({ kind }) => kind === 'prefix').length;
    return {
      findings: judgeDuplicateIndexes(rows),
      summary:
        prefixes === 0
          ? 'no index repeats another'
          : `no two are equal; ${describeCount(prefixes, 'index', 'indexes')} on the first columns of another`,
      isEstimated: rows.some(({ isSizeEstimated }) => isSizeEstimated),
    };
  },
};
