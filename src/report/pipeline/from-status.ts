import type { MigrationState } from '../../migrate/plan/compare.ts';
import type { MigrationsStatus } from '../../migrate/plan/status.ts';
import { renderCount } from '../../text/units.ts';
import { renderState } from '../../text/words.ts';
import type { PipelineProblem, PipelineReport } from './pipeline-report.ts';

const SAYS: Partial<Record<MigrationState, string>> = {
  pending: 'is not applied yet',
  reworded: 'differs from what was applied, but only in comments or white space',
  changed: 'changed after it was applied',
  missing: 'is applied, but its file is gone',
  ahead: 'is applied and not here: this checkout is older than the database',
  outOfOrder: 'is pending, but a newer migration is applied',
  incomplete: 'stopped half way',
};

/** What is to be said of a migration in this state; undefined where nothing is. */
export function saysOfState(state: MigrationState): string | undefined {
  return SAYS[state];
}

/**
 * Where the migrations stand, for a pipeline.
 *
 * @param isChecked whether what is not applied as it stands here is an error, as with `--check`
 * @param drift what was changed by hand, each object in the lines of `describeDifferences`
 */
export function pipelineOfStatus(
  status: MigrationsStatus,
  isChecked: boolean,
  drift?: readonly (readonly string[])[],
): PipelineReport {
  const { migrations, counts, schema } = status;
  const parts = Object.entries(counts)
    .filter(([, count]) => count > 0)
    .map(([state, count]) => `${count} ${renderState(state)}`);
  return {
    command: 'migrate status',
    checks: [
      ...migrations.map(({ label, name }) => ({ name: `${label}_${name}` })),
      ...(drift ? [{ name: DRIFT }] : []),
    ],
    problems: [
      ...migrations.flatMap(({ label, name, state, file }): PipelineProblem[] => {
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
      ...(drift ?? []).map(problemOfDrift),
    ],
    summary: `${renderCount(migrations.length, 'migration')} in schema ${schema}: ${parts.join(', ')}`,
  };
}

const DRIFT = 'drift';

function problemOfDrift([head = '', ...parts]: readonly string[]): PipelineProblem {
  const says = { '+': 'was added', '-': 'was removed' }[head[0] ?? ''] ?? 'was changed';
  return {
    check: DRIFT,
    rule: DRIFT,
    severity: 'error',
    message: `${head.slice(2)}: ${says} by hand`,
    ...(parts.length > 0 && { excerpt: parts.join('\n') }),
  };
}
