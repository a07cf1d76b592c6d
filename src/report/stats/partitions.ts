import type { PartitionsRow } from '../../maintenance/stats/partitions.ts';
import type { ReportView, Tone } from '../columns.ts';

const CRITICAL_DAYS = 7;
const WARNING_DAYS = 30;

export const PARTITIONS_VIEW: ReportView<PartitionsRow> = {
  title: 'Partitioned tables',
  columns: [
    { header: 'table', value: (row) => `${row.schema}.${row.table}` },
    { header: 'key', value: (row) => row.key ?? row.strategy, priority: 3 },
    { header: 'partitions', value: (row) => row.partitions, unit: 'count', priority: 2 },
    { header: 'rows (estimate)', value: (row) => row.rows, unit: 'count', priority: 5 },
    { header: 'covered until', value: coverOf, unit: 'time', tone: toneOf },
    {
      header: 'days left',
      value: (row) => (row.daysLeft === null ? null : Math.floor(row.daysLeft)),
      unit: 'count',
      priority: 1,
      tone: toneOf,
    },
    {
      header: 'gap from',
      value: (row) => row.gapFrom,
      unit: 'time',
      priority: 6,
      tone: () => 'warning',
    },
    { header: 'default partition', value: (row) => row.defaultPartition, priority: 7 },
    { header: 'rows in it', value: (row) => row.defaultRows, unit: 'count', priority: 4 },
  ],
  empty: () => 'there are no partitioned tables',
};

function coverOf({ isByTime, isOpenEnded, coveredUntil }: PartitionsRow): Date | string | null {
  if (!isByTime) return null;
  if (isOpenEnded) return 'no end';
  return coveredUntil ?? 'not even now';
}

function toneOf({ daysLeft, defaultPartition }: PartitionsRow): Tone | undefined {
  if (daysLeft === null || daysLeft >= WARNING_DAYS) return undefined;
  // A default partition takes what no other does, so nothing fails.
  return daysLeft < CRITICAL_DAYS && defaultPartition === null ? 'critical' : 'warning';
}
