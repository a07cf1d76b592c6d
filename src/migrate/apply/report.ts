import { describeBlocker } from '../../connection/blockers.ts';
import { renderDiff, type Style } from '../../report/table.ts';
import { commandLine } from '../../text/command-line.ts';
import { renderCount, renderDuration } from '../../text/units.ts';
import { fullName, listNames } from '../plan/plan.ts';
import type {
  DroppedObjects,
  LockHolder,
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
  return `${verb}  ${renderStepName(step)}  ${style.dim(renderDuration(durationMs))}`;
}

/** `a lock on public.events of pid 4711 (checkout, app@10.0.0.3, idle in transaction for 3 min)`. */
export function renderHolder({ tables, ...blocker }: LockHolder): string {
  return `a lock on ${tables.join(', ')} of ${describeBlocker(blocker)}`;
}

/** `001_create_users_table`, or the file of a seed. */
export function renderStepName(step: MigrationStepName): string {
  return fullName(step);
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
  backfill: 'no backfill is half way',
};

/**
 * Said where there is nothing to do, and what there would be without `--to`.
 *
 * @param to the version that `up` was to end with, as its file names it
 */
export function renderNothing(
  command: keyof typeof NOTHING,
  { pending, postponed, waiting, held }: Left & Pick<MigrationResult, 'pending'>,
  to?: string,
): string {
  return [renderNoStep(command, { pending, postponed, waiting }, to), ...renderHeld(held)].join(
    '\n',
  );
}

function renderNoStep(
  command: keyof typeof NOTHING,
  { pending, postponed, waiting }: Left & Pick<MigrationResult, 'pending'>,
  to?: string,
): string {
  if (postponed)
    return ['nothing else to apply', ...renderLater({ postponed, waiting })].join('\n');
  const [first, ...others] = pending;
  if (!first && command === 'up' && to !== undefined) {
    return `nothing to apply: ${to} is applied already; \`${commandLine('migrate down', { to })}\` rolls back what is newer`;
  }
  if (!first) return NOTHING[command];
  if (waiting) return `nothing to apply ${renderWaiting(waiting)}`;
  const more = others.length === 0 ? ' is' : ` and ${others.length} more are`;
  return `nothing to apply up to that version: ${first.label}_${first.name}${more} pending`;
}

/** What a run left, and why. */
interface Left {
  postponed?: MigrationResult['postponed'] | undefined;
  waiting?: MigrationResult['waiting'] | undefined;
  held?: MigrationResult['held'] | undefined;
}

/** What `--no-wait` left, and where it stopped. */
function renderLater({ postponed, waiting }: Left): string[] {
  const stop = waiting ? [`stopped ${renderWaiting(waiting)}`] : [];
  if (!postponed) return stop;
  const names = postponed.map(({ label, name }) => `${label}_${name}`).join(', ');
  const left = `left for later: ${names}; \`${commandLine('backfill run')}\` runs ${postponed.length === 1 ? 'it' : 'them'}`;
  return [left, ...stop];
}

/** Which repeatables are left for a later run. */
export function renderHeld(held: MigrationResult['held']): string[] {
  if (held === undefined) return [];
  const names = listNames(held.names.map((name) => `repeatable/${name}`));
  const why = {
    pending: 'they are applied once no migration is pending',
    ahead: 'the database is ahead of these files, so they may be older than what is applied',
  }[held.cause];
  return [`left for later: ${names}; ${why}`];
}

/** Where a run stopped, and what the migration there waits for. */
function renderWaiting({
  label,
  name,
  cause,
  gates,
}: NonNullable<MigrationResult['waiting']>): string {
  const why =
    cause === 'contract'
      ? 'which contracts the schema: --expand leaves that out'
      : 'which may need a backfill';
  const head = `before ${label}_${name}, ${why}`;
  return [head, ...gates.map((gate) => `  it waits for: ${gate}`)].join('\n');
}

/** The last line of a run. */
export function renderSummary(
  result: MigrationResult,
  command: keyof typeof NOTHING,
  to?: string,
): string {
  const { steps, repeatables = [] } = result;
  if (steps.length + repeatables.length === 0) return renderNothing(command, result, to);
  const parts = (['down', 'up'] as const).flatMap((direction) => {
    const count = (all: readonly { direction: MigrationDirection }[]) =>
      all.filter((one) => one.direction === direction).length;
    const counts = [
      count(steps) > 0 && renderCount(count(steps), 'migration'),
      count(repeatables) > 0 && renderCount(count(repeatables), 'repeatable'),
    ].filter(Boolean);
    return counts.length === 0 ? [] : [`${DONE[direction]} ${counts.join(' and ')}`];
  });
  const left = result.pending.length === 0 ? '' : `, ${result.pending.length} still pending`;
  const head = `${parts.join(', ')} in ${renderDuration(result.durationMs)} (schema ${result.schema})${left}`;
  return [head, ...renderLater(result), ...renderHeld(result.held)].join('\n');
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
  return `${renderStepName(step)}: ${what} of the server ${count === 1 ? 'is' : 'are'} not shown`;
}
