import { renderTable, type Style, type TableRenderer } from '../../report/table.ts';
import { commandLine } from '../../text/command-line.ts';
import { renderCount, renderDuration, renderNumber, renderTime } from '../../text/units.ts';
import type { RestReason } from '../backfill/throttle.ts';
import type { BackfillProgress } from '../progress.ts';
import type { BackfillStatus } from './backfill-control.ts';

type Passed = Pick<BackfillProgress, 'rowsWalked' | 'rowsTotal'>;

/** `1,200,000 of about 10,000,000 rows`; the estimate may be too small. */
export function renderPassed({ rowsWalked, rowsTotal }: Passed): string {
  return rowsTotal === null || rowsTotal < rowsWalked
    ? renderCount(rowsWalked, 'row')
    : `${renderNumber(rowsWalked)} of about ${renderCount(rowsTotal, 'row')}`;
}

/** `1,200,000 of about 10,000,000 rows, 98,000 rows/s, 1 min 30 s left`. */
export function renderBackfillProgress(progress: BackfillProgress): string {
  const { round, workers, rowsPerSecond, leftMs } = progress;
  return [
    renderPassed(progress),
    ...(round > 1 ? [`round ${round}`] : []),
    ...(workers > 1 ? [`${workers} workers`] : []),
    ...(rowsPerSecond === null ? [] : [`${renderNumber(rowsPerSecond)} rows/s`]),
    ...(leftMs === null ? [] : [`${renderDuration(leftMs)} left`]),
  ].join(', ');
}

/** `rests: standby b replays 14.0 s late (limit 10.0 s)`. */
export function renderRest(reasons: readonly RestReason[]): string {
  return `rests: ${reasons.map(({ message }) => message).join('; ')}`;
}

const COLOURS = { working: 'good', resting: 'warn', paused: 'warn', stopped: 'bad' } as const;

/** The backfills that are not done, as a table, and under it why each rests. */
export function renderBackfills(
  backfills: readonly BackfillStatus[],
  { style, table = renderTable }: { style: Style; table?: TableRenderer | undefined },
): string {
  if (backfills.length === 0) return 'no backfill is half way';
  const columns = ['version', 'name', 'state', 'table', 'done', 'changed', 'last batch'];
  const rows = backfills.map((one) => [
    { text: one.label },
    { text: one.direction === 'up' ? one.name : `${one.name} (rolling back)` },
    {
      text: one.workers > 1 ? `${one.state}, ${one.workers} workers` : one.state,
      colour: COLOURS[one.state],
    },
    { text: one.table },
    { text: renderPassed(one) },
    { text: renderCount(one.rowsChanged, 'row') },
    { text: one.batches === 0 ? '-' : renderTime(one.updatedAt) },
  ]);
  const rests = backfills.flatMap(({ label, restsFor }) =>
    restsFor === null ? [] : [style.dim(`${label} rests: ${restsFor}`)],
  );
  const waits = backfills
    .filter(({ isPaused, state }) => isPaused && state === 'stopped')
    .map(({ label }) => {
      const resume = commandLine('backfill resume', {}, { args: [label] });
      return `${label} is paused too: the next run waits until \`${resume}\``;
    });
  return [
    table(
      columns.map((title) => ({ title })),
      rows,
      style,
    ),
    ...rests,
    ...waits,
  ].join('\n');
}

/** What becomes of what was asked. */
export function renderAsked(
  { label, name, state }: BackfillStatus,
  wanted: 'run' | 'pause' | 'cancel',
): string {
  return `${label}_${name} ${ASKED[state === 'stopped' ? 'stopped' : 'held'][wanted]}`;
}

const ASKED = {
  held: {
    pause: 'pauses after the current batch',
    run: 'continues',
    cancel: 'ends after the current batch',
  },
  stopped: {
    pause: 'is paused; no runner is at work, so the next one waits until it is resumed',
    run: 'is not paused; no runner is at work, so the next one continues it',
    cancel: 'is not at work',
  },
};
