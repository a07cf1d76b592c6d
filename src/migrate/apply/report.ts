import { renderDiff, type Style } from '../../report/table.ts';
import { commandLine } from '../../text/command-line.ts';
import { renderCount, renderDuration } from '../../text/units.ts';
import type {
  DroppedObjects,
  MigrationDirection,
  MigrationNotice,
  MigrationPlanWarning,
  MigrationProgress,
  MigrationStepName,
} from '../progress.ts';
import type { MigrationResult } from './migrator.ts';

const DONE: Record<MigrationDirection, string> = { up: 'applied', down: 'rolled back' };

/** One finished step: `applied      001_create_users_table  12 ms`. */
export function renderStepDone(
  {
    direction,
    step,
    durationMs,
  }: { direction: MigrationDirection; step: MigrationStepName; durationMs: number },
  style: Style,
): string {
  const verb = direction === 'up' ? style.good('applied    ') : style.warn('rolled back');
  return `${verb}  ${step.label}_${step.name}  ${style.dim(renderDuration(durationMs))}`;
}

/** What `reset` dropped: `dropped      4 tables, 2 functions`. */
export function renderDropped(objects: DroppedObjects[], style: Style): string {
  const parts = objects.map(({ type, count }) => renderCount(count, type));
  return `${style.warn('dropped    ')}  ${parts.join(', ') || 'nothing: the schema was empty'}`;
}

const NOTHING = {
  up: 'nothing to apply: everything is applied',
  down: 'nothing to roll back',
  redo: 'nothing to redo: no migration is applied',
  reset: 'nothing to apply',
};

/**
 * Said where there is nothing to do, and what there would be without `--to`.
 *
 * @param to the version that `up` was to end with, as its file names it
 */
export function renderNothing(
  command: keyof typeof NOTHING,
  { pending, waiting }: Pick<MigrationResult, 'pending' | 'waiting'>,
  to?: string,
): string {
  const [first, ...others] = pending;
  if (!first && command === 'up' && to !== undefined) {
    return `nothing to apply: ${to} is applied already; \`${commandLine('migrate down', { to })}\` rolls back what is newer`;
  }
  if (!first) return NOTHING[command];
  if (waiting) return `nothing to apply ${renderWaiting(waiting)}`;
  const more = others.length === 0 ? ' is' : ` and ${others.length} more are`;
  return `nothing to apply up to that version: ${first.label}_${first.name}${more} pending`;
}

/** Where `--expand` stopped, and what the migration there waits for. */
function renderWaiting({ label, name, gates }: NonNullable<MigrationResult['waiting']>): string {
  const head = `before ${label}_${name}, which contracts the schema`;
  return [head, ...gates.map((gate) => `  it waits for: ${gate}`)].join('\n');
}

/** The last line of a run. */
export function renderSummary(
  result: MigrationResult,
  command: keyof typeof NOTHING,
  to?: string,
): string {
  if (result.steps.length === 0) return renderNothing(command, result, to);
  const parts = (['down', 'up'] as const)
    .map(
      (direction) =>
        [direction, result.steps.filter((step) => step.direction === direction).length] as const,
    )
    .filter(([, count]) => count > 0)
    .map(([direction, count]) => `${DONE[direction]} ${renderCount(count, 'migration')}`);
  const left = result.pending.length === 0 ? '' : `, ${result.pending.length} still pending`;
  const stop = result.waiting ? `\nstopped ${renderWaiting(result.waiting)}` : '';
  return `${parts.join(', ')} in ${renderDuration(result.durationMs)} (schema ${result.schema})${left}${stop}`;
}

export function renderWarning({ message, diff }: MigrationPlanWarning, style: Style): string {
  const head = `${style.warn('warning')}  ${message}`;
  return diff ? `${head}\n${renderDiff(diff, style)}` : head;
}

/** What the server said while a statement ran; its further lines are indented. */
export function renderNotice(
  { location, severity, message, detail, hint }: MigrationNotice,
  style: Style,
): string {
  const { file, line, column } = location;
  const paint = severity === 'WARNING' ? style.warn : style.dim;
  const head = `${paint(severity.toLowerCase())}  ${file}:${line}:${column}  ${indented(message)}`;
  const more = Object.entries({ detail, hint }).filter(([, text]) => text);
  return [head, ...more.map(([name, text]) => `  ${name}: ${indented(text ?? '')}`)].join('\n');
}

function indented(text: string): string {
  return text.trimEnd().replaceAll(/\r\n|[\r\n]/g, '\n  ');
}

/** `004_fill: 99,950 more notices of the server are not shown`. */
export function renderLeftOut({
  step,
  count,
}: Extract<MigrationProgress, { kind: 'notices-left-out' }>): string {
  const what = renderCount(count, 'more notice', 'more notices');
  return `${step.label}_${step.name}: ${what} of the server ${count === 1 ? 'is' : 'are'} not shown`;
}
