import type { MigrationResult } from '../migrate/migrator.ts';
import type { Direction, PlanWarning } from '../migrate/plan.ts';
import type { StepName } from '../migrate/progress.ts';
import type { Style } from './style.ts';
import { renderCount, renderDuration } from './units.ts';

const DONE: Record<Direction, string> = { up: 'applied', down: 'took back' };

/** One finished step: `applied    001_create_users_table  12 ms`. */
export function renderStepDone(
  { direction, step, durationMs }: { direction: Direction; step: StepName; durationMs: number },
  style: Style,
): string {
  const verb = direction === 'up' ? style.good('applied  ') : style.warn('took back');
  return `${verb}  ${step.label}_${step.name}  ${style.dim(renderDuration(durationMs))}`;
}

/** The last line of a run. */
export function renderSummary(result: MigrationResult, nothing: string): string {
  if (result.steps.length === 0) return nothing;
  const parts = (['down', 'up'] as const)
    .map(
      (direction) =>
        [direction, result.steps.filter((step) => step.direction === direction).length] as const,
    )
    .filter(([, count]) => count > 0)
    .map(([direction, count]) => `${DONE[direction]} ${renderCount(count, 'migration')}`);
  return `${parts.join(', ')} in ${renderDuration(result.durationMs)} (schema ${result.schema})`;
}

export function renderWarning({ message, diff }: PlanWarning, style: Style): string {
  const head = `${style.warn('warning')}  ${message}`;
  return diff ? `${head}\n${renderDiff(diff, style)}` : head;
}

/** A unified diff, indented. */
export function renderDiff(diff: string, style: Style): string {
  return diff
    .trimEnd()
    .split('\n')
    .filter((line) => !line.startsWith('====') && !line.startsWith('\\ No newline'))
    .map((line) => {
      const colour = line.startsWith('+')
        ? style.good
        : line.startsWith('-')
          ? style.bad
          : style.dim;
      return `    ${colour(line)}`;
    })
    .join('\n');
}
