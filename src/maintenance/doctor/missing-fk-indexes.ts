import { type MissingFkRow, readMissingFk } from '../../stats/missing-fk.ts';
import { describeBytes, describeCount, SMALL_BYTES } from '../../text/units.ts';
import type { DoctorCheck, DoctorFinding } from './check.ts';

/** Foreign keys for which each delete reads a table that is not small. */
export function judgeMissingFk(rows: MissingFkRow[]): DoctorFinding[] {
  return rows
    .filter(({ tableBytes }) => tableBytes >= SMALL_BYTES)
    .map((row) => {
      const { schema, table, constraint, referencedTable, referencedDeletes } = row;
      const size = `${row.isSizeEstimated ? 'about ' : ''}${describeBytes(row.tableBytes)}`;
      return {
        status: 'warning',
        object: `${schema}.${table}.${constraint}`,
        reason: `no index supports ${constraint}: each delete in ${referencedTable} (${referencedDeletes} so far) reads all of ${schema}.${table}, ${size}`,
        fix: row.fixSql,
      };
    });
}

export const MISSING_FK_INDEXES: DoctorCheck = {
  name: 'missing-fk-indexes',
  group: 'indexes',
  command: 'stats missing-fk',
  async examine(session) {
    const { rows } = await readMissingFk(session);
    return {
      findings: judgeMissingFk(rows),
      summary:
        rows.length === 0
          ? 'an index supports every foreign key'
          : `${describeCount(rows.length, 'foreign key')} without index, all of small tables`,
      isEstimated: rows.some(({ isSizeEstimated }) => isSizeEstimated),
    };
  },
};
