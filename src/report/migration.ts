import type { MigrationPlan, MigrationResult } from '../migrate/migrator.ts';
import type { Direction, PlanWarning } from '../migrate/plan.ts';
import type { Step } from '../migrate/prepare.ts';
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

/** A dry run: what would run, in order, with every statement when asked. */
export function renderPlan(
  plan: MigrationPlan,
  { nothing, verbose, style }: { nothing: string; verbose: boolean; style: Style },
): string {
  if (plan.steps.length === 0) return nothing;
  const count = renderCount(plan.steps.length, 'migration');
  return [
    `Would run ${count} in schema ${plan.schema}, each ${describeAtomicity(plan.steps)}:`,
    ...plan.steps.map((step) => renderPlanStep(step, verbose, style)),
    'Nothing was changed (--dry-run).',
  ].join('\n');
}

function describeAtomicity(steps: Step[]): string {
  return steps.every(({ isTransactional }) => isTransactional)
    ? 'in a transaction of its own'
    : 'in a transaction of its own unless it says otherwise';
}

function renderPlanStep(step: Step, verbose: boolean, style: Style): string {
  const arrow = step.direction === 'up' ? style.good('up  ') : style.warn('down');
  const note = step.isTransactional ? '' : ', without a transaction';
  const head = `  ${arrow}  ${step.label}_${step.name}  ${style.dim(`${renderCount(step.statements.length, 'statement')}${note}`)}`;
  if (!verbose) return head;
  const lines = step.statements.map(
    ({ line, text }) => `        ${style.dim(`${step.script.path}:${line}`)}  ${firstLine(text)}`,
  );
  return [head, ...lines].join('\n');
}

function firstLine(text: string): string {
  const [line = ''] = text.split('\n');
  return line.length < text.length ? `${line.trimEnd()} …` : line;
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
