import type { StatsReport } from '../columns.ts';

const DAY_MS = 86_400_000;

/** ` in 34 days of statistics`, for sentences about what was not found. */
export function countedFor({ countedSince }: StatsReport<unknown>): string {
  if (countedSince === null) return '';
  const days = Math.floor((Date.now() - countedSince.getTime()) / DAY_MS);
  if (days < 1) return ' in less than a day of statistics';
  return ` in ${days} ${days === 1 ? 'day' : 'days'} of statistics`;
}
