import { type InvalidRow, readInvalid } from '../../stats/invalid.ts';
import { describeCount } from '../../text/units.ts';
import { type DoctorCheck, type DoctorFinding, unknownsOf } from './check.ts';

const REASONS: Record<InvalidRow['problem'], string> = {
  invalid: 'is invalid: it is written to and never read',
  'not-ready': 'is not ready: its build was cut off',
  'being-dropped': 'was being dropped when that was cut off',
  'parts-missing': 'is missing on some partitions',
  'not-validated': 'was never validated: older rows may break it',
  'not-enforced': 'is not enforced: rows may break it',
};

/** Indexes that nobody can use and nobody is building. */
export function judgeInvalidIndexes(rows: InvalidRow[]): DoctorFinding[] {
  return rows
    .filter(({ kind, build }) => kind === 'index' && build === null)
    .map(({ schema, table, name, problem, fixSql }) => ({
      status: 'warning',
      object: `${schema}.${name}`,
      reason: `index ${schema}.${name} of ${table} ${REASONS[problem]}`,
      fix: fixSql,
    }));
}

/** Constraints that say nothing about older rows; one that is not enforced was made so on purpose. */
export function judgeUnvalidatedConstraints(rows: InvalidRow[]): DoctorFinding[] {
  return rows
    .filter(({ kind, problem }) => kind === 'constraint' && problem === 'not-validated')
    .map(({ schema, table, name, problem, fixSql }) => ({
      status: 'warning',
      object: `${schema}.${table}.${name}`,
      reason: `constraint ${name} of ${schema}.${table} ${REASONS[problem]}`,
      fix: fixSql,
    }));
}

export const INVALID_INDEXES: DoctorCheck = {
  name: 'invalid-indexes',
  group: 'indexes',
  command: 'stats invalid',
  async examine(_session, context) {
    const { rows, notes } = await context.once(readInvalid);
    const building = rows.filter(({ build }) => build !== null).length;
    return {
      findings: [...judgeInvalidIndexes(rows), ...unknownsOf(notes)],
      summary:
        building === 0
          ? 'all indexes are valid'
          : `${describeCount(building, 'index', 'indexes')} under construction`,
    };
  },
};

export const UNVALIDATED_CONSTRAINTS: DoctorCheck = {
  name: 'unvalidated-constraints',
  group: 'tables',
  async examine(_session, context) {
    const { rows } = await context.once(readInvalid);
    return {
      findings: judgeUnvalidatedConstraints(rows),
      summary: 'all constraints hold for all rows',
    };
  },
};
