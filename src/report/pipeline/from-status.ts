import type { MigrationState } from '../../migrate/compare.ts';
import type { MigrationsStatus } from '../../migrate/status.ts';
import { renderCount } from '../units.ts';
import type { PipelineReport } from './pipeline-report.ts';

const SAYS: Partial<Record<MigrationState, string>> = {
  pending: 'is not applied yet',
  reworded: 'differs from what was applied, but only in comments or white space',
  changed: 'changed after it was applied',
  missing: 'is applied, but its file is gone',
  ahead: 'is applied and not here: this checkout is older than the database',
  'out-of-order': 'is pending, but a newer migration is applied',
  incomplete: 'stopped half way',
};

/**
 * Where the migrations stand, for a pipeline.
 *
 * @param isChecked whether what is not applied as it stands here is an error, as with `--check`
 */
export function pipelineOfStatus(status: MigrationsStatus, isChecked: boolean): PipelineReport {
  const { migrations, counts, schema } = status;
  const parts = Object.entries(counts)
    .filter(([, count]) => count > 0)
    .map(([state, count]) => `${count} ${state}`);
  return {
    command: 'migrate status',
    checks: migrations.map(({ label, name }) => ({ name: `${label}_${name}` })),
    problems: migrations.flatMap(({ label, name, state, file }) => {
      const says = SAYS[state];
      if (says === undefined) return [];
      return [
        {
          check: `${label}_${name}`,
          rule: state,
          severity: state === 'reworded' ? 'note' : isChecked ? 'error' : 'warning',
          message: `${label}_${name} ${says}`,
          ...(file !== undefined && { file, line: 1 }),
        },
      ];
    }),
    summary: `${renderCount(migrations.length, 'migration')} in schema ${schema}: ${parts.join(', ')}`,
  };
}
