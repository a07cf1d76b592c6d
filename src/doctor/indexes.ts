import { type DuplicateIndexRow, readDuplicateIndexes } from '../stats/duplicates.ts';
import { type InvalidObjectRow, readInvalidObjects, renderFix } from '../stats/invalid.ts';
import {
  type MissingForeignKeyIndexRow,
  readMissingForeignKeyIndexes,
} from '../stats/missing-fk.ts';
import { readUnusedIndexes, type UnusedIndexRow } from '../stats/unused.ts';
import { MIB, renderBytes, renderCount, renderTime } from '../text/units.ts';
import { type DoctorCheck, type DoctorFinding, unknownsOf } from './check.ts';

/** Below it neither an index nor a scan costs much. */
const SMALL_BYTES = 10 * MIB;

const REASONS: Record<InvalidObjectRow['problem'], string> = {
  invalid: 'is invalid: it is written to and never read',
  'not-ready': 'is not ready: its build was interrupted',
  'being-dropped': 'was being dropped when that was interrupted',
  'parts-missing': 'is missing on some partitions',
  'not-validated': 'was never validated: older rows may break it',
  'not-enforced': 'is not enforced: rows may break it',
};

function wayOut(row: InvalidObjectRow): { fix?: string; hint?: string } {
  const fix = renderFix(row);
  if (fix !== null) return { fix };
  return row.problem === 'parts-missing'
    ? {
        hint: 'Create the index on each partition that lacks it, and attach it: alter index … attach partition …',
      }
    : {};
}

/** Indexes that nobody can use and nobody is building. */
export function judgeInvalidIndexes(rows: InvalidObjectRow[]): DoctorFinding[] {
  return rows
    .filter(({ kind, build }) => kind === 'index' && build === null)
    .map((row) => {
      const { schema, table, name, problem } = row;
      return {
        severity: 'warning',
        message: `index ${schema}.${name} of ${table} ${REASONS[problem]}`,
        objects: [`${schema}.${name}`],
        ...wayOut(row),
      };
    });
}

export const INVALID_INDEXES: DoctorCheck = {
  name: 'invalid-indexes',
  group: 'indexes',
  command: 'stats invalid',
  async examine(_session, context) {
    const { rows, notes } = await context.once(readInvalidObjects);
    const building = rows.filter(({ build }) => build !== null).length;
    return {
      findings: [...judgeInvalidIndexes(rows), ...unknownsOf(notes)],
      summary:
        building === 0
          ? 'all indexes are valid'
          : `${renderCount(building, 'index', 'indexes')} under construction`,
    };
  },
};

/** Equal indexes; one on the first columns of another may be wanted, because it is smaller. */
export function judgeDuplicateIndexes(rows: DuplicateIndexRow[]): DoctorFinding[] {
  return rows
    .filter(({ kind }) => kind === 'duplicate')
    .map(({ schema, index, keptIndex, sizeBytes, isSizeEstimated, reason, dropSql }) => ({
      severity: 'warning',
      message: `index ${schema}.${index} (${isSizeEstimated ? 'about ' : ''}${renderBytes(sizeBytes)}) does nothing that ${keptIndex} does not: ${reason}`,
      objects: [`${schema}.${index}`],
      fix: dropSql,
    }));
}

export const DUPLICATE_INDEXES: DoctorCheck = {
  name: 'duplicate-indexes',
  group: 'indexes',
  command: 'stats duplicates',
  async examine(_session, context) {
    const { rows } = await context.once(readDuplicateIndexes);
    const prefixes = rows.filter(({ kind }) => kind === 'prefix').length;
    return {
      findings: judgeDuplicateIndexes(rows),
      summary:
        prefixes === 0
          ? 'no index repeats another'
          : `no two are equal; ${renderCount(prefixes, 'index', 'indexes')} on the first columns of another`,
      isEstimated: rows.some(({ isSizeEstimated }) => isSizeEstimated),
    };
  },
};

/** Large indexes that nobody scans, of tables that somebody reads. */
export function judgeUnusedIndexes(rows: UnusedIndexRow[]): DoctorFinding[] {
  return rows
    .filter(({ sizeBytes, caveat }) => sizeBytes >= SMALL_BYTES && caveat === null)
    .map(
      ({ schema, index, table, sizeBytes, isSizeEstimated, idleSince, tableWrites, dropSql }) => ({
        severity: 'warning',
        message: `index ${schema}.${index} of ${table} (${isSizeEstimated ? 'about ' : ''}${renderBytes(sizeBytes)}) was ${idleSince ? `not scanned since ${renderTime(idleSince.toISOString())}` : 'never scanned'}, and updated by ${renderCount(tableWrites, 'write')}`,
        objects: [`${schema}.${index}`],
        fix: `${dropSql} -- after looking at the standbys too`,
      }),
    );
}

export const UNUSED_INDEXES: DoctorCheck = {
  name: 'unused-indexes',
  group: 'indexes',
  command: 'stats unused',
  async examine(_session, context) {
    const trends = await context.readTrends();
    const { rows, notes } = await context.once(
      (session) => readUnusedIndexes(session, { trends }),
      readUnusedIndexes,
    );
    return {
      findings: [...judgeUnusedIndexes(rows), ...unknownsOf(notes)],
      summary:
        rows.length === 0
          ? 'every index was used or is needed'
          : `${renderCount(rows.length, 'unused index', 'unused indexes')}, none of them large`,
      isEstimated: rows.some(({ isSizeEstimated }) => isSizeEstimated),
    };
  },
};

/** Foreign keys for which each delete reads a table that is not small. */
export function judgeMissingFk(rows: MissingForeignKeyIndexRow[]): DoctorFinding[] {
  return rows
    .filter(({ tableBytes }) => tableBytes >= SMALL_BYTES)
    .map((row) => {
      const { schema, table, constraint, referencedTable, referencedDeletes } = row;
      const size = `${row.isSizeEstimated ? 'about ' : ''}${renderBytes(row.tableBytes)}`;
      return {
        severity: 'warning',
        message: `no index supports ${constraint}: each delete in ${referencedTable} (${referencedDeletes} so far) reads all of ${schema}.${table}, ${size}`,
        objects: [`${schema}.${table}.${constraint}`],
        fix: row.fixSql,
      };
    });
}

export const MISSING_FK_INDEXES: DoctorCheck = {
  name: 'missing-fk-indexes',
  group: 'indexes',
  command: 'stats missing-fk',
  async examine(session) {
    const { rows } = await readMissingForeignKeyIndexes(session);
    return {
      findings: judgeMissingFk(rows),
      summary:
        rows.length === 0
          ? 'an index supports every foreign key'
          : `${renderCount(rows.length, 'foreign key')} without index, all of small tables`,
      isEstimated: rows.some(({ isSizeEstimated }) => isSizeEstimated),
    };
  },
};

/** Constraints that say nothing about older rows; one that is not enforced was made so on purpose. */
export function judgeUnvalidatedConstraints(rows: InvalidObjectRow[]): DoctorFinding[] {
  return rows
    .filter(({ kind, problem }) => kind === 'constraint' && problem === 'not-validated')
    .map((row) => {
      const { schema, table, name, problem } = row;
      return {
        severity: 'warning',
        message: `constraint ${name} of ${schema}.${table} ${REASONS[problem]}`,
        objects: [`${schema}.${table}.${name}`],
        ...wayOut(row),
      };
    });
}

export const UNVALIDATED_CONSTRAINTS: DoctorCheck = {
  name: 'unvalidated-constraints',
  group: 'tables',
  async examine(_session, context) {
    const { rows } = await context.once(readInvalidObjects);
    return {
      findings: judgeUnvalidatedConstraints(rows),
      summary: 'all constraints hold for all rows',
    };
  },
};
