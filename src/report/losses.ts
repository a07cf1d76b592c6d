import type { Loss } from '../migrate/losses.ts';
import type { Style } from './style.ts';

/** What would be lost, one line each; empty where nothing would. */
export function renderLosses(
  losses: readonly Loss[],
  { style, isDryRun }: { style: Style; isDryRun: boolean },
): string {
  if (losses.length === 0) return '';
  return [
    style.warn(isDryRun ? 'It would lose for good:' : 'This loses for good:'),
    ...losses.map((loss) => `  ${renderLoss(loss, style)}`),
  ].join('\n');
}

const NOUNS = { table: 'row', rows: 'row', column: 'value', unknown: '' };

function renderLoss(loss: Loss, style: Style): string {
  const { kind, object, place } = loss;
  if (kind === 'unknown') return `${style.warn('unknown')}  ${object} ${style.dim(`(${place})`)}`;
  const title = kind === 'rows' ? 'rows of' : kind;
  const isNothing = loss.isExact && loss.count === 0;
  const colour = isNothing ? style.dim : style.bad;
  return `${title.padEnd(7)}  ${object}  ${colour(renderCount(loss))}`;
}

function renderCount({ kind, count, isExact }: Loss): string {
  const noun = NOUNS[kind];
  if (count === null) return `an unknown number of ${noun}s`;
  const number = count.toLocaleString('en-US');
  return `${isExact ? '' : 'about '}${number} ${noun}${count === 1 ? '' : 's'}`;
}
