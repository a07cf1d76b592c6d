import type { SequenceRow } from '../../maintenance/stats/sequences.ts';
import type { ReportView, Tone } from '../columns.ts';

const CRITICAL_PERCENT = 90;
const WARNING_PERCENT = 70;

export const SEQUENCES_VIEW: ReportView<SequenceRow> = {
  title: 'Sequences',
  columns: [
    { header: 'sequence', value: (row) => `${row.schema}.${row.sequence}` },
    { header: 'used', value: (row) => row.usedPercent, unit: 'percent', tone: toneOf },
    { header: 'last value', value: (row) => row.lastValue, priority: 3 },
    { header: 'limit', value: (row) => row.limit, priority: 2 },
    { header: 'limited by', value: (row) => row.limitedBy, priority: 4 },
    { header: 'fills', value: fillsOf, priority: 5 },
    { header: 'a day', value: (row) => row.perDay, unit: 'count', priority: 6 },
    {
      header: 'days left (estimate)',
      value: (row) => (row.daysLeft === null ? null : Math.floor(row.daysLeft)),
      unit: 'count',
      priority: 1,
    },
  ],
  empty: () => 'there are no sequences',
};

function fillsOf({ columns }: SequenceRow): string {
  return columns
    .filter(({ role }) => role === 'owner')
    .map(({ table, column }) => `${table}.${column}`)
    .join(', ');
}

function toneOf({ usedPercent, isCycling, limitedBy }: SequenceRow): Tone | undefined {
  if (usedPercent === null) return 'muted';
  if (isCycling && limitedBy === 'sequence') return undefined;
  if (usedPercent >= CRITICAL_PERCENT) return 'critical';
  return usedPercent >= WARNING_PERCENT ? 'warning' : undefined;
}
