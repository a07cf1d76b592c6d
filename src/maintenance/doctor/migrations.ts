import { EvdbError } from '../../errors.ts';
import { commandLine } from '../../text/command-line.ts';
import { describeCount } from '../../text/units.ts';
import { renderState } from '../../text/words.ts';
import type { DoctorCheck, DoctorFinding, MigrationCounts } from './check.ts';

type Judgement = [status: 'warning' | 'critical', what: string, fix: () => string];

/** What each state that is not plain means; see `evdb migrate status`. */
const STATES: Record<string, Judgement> = {
  pending: ['warning', 'pending', () => commandLine('migrate up')],
  outOfOrder: [
    'warning',
    'pending although newer ones are applied',
    () => commandLine('migrate up', { 'out-of-order': true }),
  ],
  incomplete: ['critical', 'stopped between their statements', () => commandLine('migrate up')],
  changed: ['critical', 'different from what was applied', () => commandLine('migrate status')],
  missing: ['critical', 'applied although their file is gone', () => commandLine('migrate status')],
  ahead: ['warning', 'applied by a newer build than this one', () => commandLine('migrate status')],
};

/** Whether the database is what the files of the project make it. */
export function judgeMigrations({ counts }: MigrationCounts): DoctorFinding[] {
  return Object.entries(STATES).flatMap(([state, [status, what, fix]]): DoctorFinding[] => {
    const count = counts[state] ?? 0;
    if (count === 0) return [];
    const reason = `${count} ${count === 1 ? 'migration is' : 'migrations are'} ${what}`;
    return [{ status, object: renderState(state), reason, fix: fix() }];
  });
}

function noFiles(error: unknown): undefined {
  const isWithout =
    error instanceof EvdbError &&
    ['MIGRATIONS_DIR_MISSING', 'MIGRATIONS_DIR_EMPTY'].includes(error.code);
  if (!isWithout) throw error;
}

export const MIGRATIONS: DoctorCheck = {
  name: 'migrations',
  group: 'evdb',
  async examine(_session, { readMigrationCounts }) {
    const status = await readMigrationCounts?.().catch(noFiles);
    if (!status) {
      return { findings: [], summary: 'there are no migration files here', isSkipped: true };
    }
    return {
      findings: judgeMigrations(status),
      summary: `${describeCount(status.counts.applied ?? 0, 'migration')} applied, none is pending`,
    };
  },
};
