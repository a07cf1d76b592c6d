import type { QueryRow } from '../../maintenance/stats/queries.ts';
import type { ReportView } from '../columns.ts';

export const QUERIES_VIEW: ReportView<QueryRow> = {
  title: 'Statements by total time',
  columns: [
    {
      header: 'time',
      unit: 'ratio',
      value: (row) => row.shareOfTime,
      tone: (row) => (row.shareOfTime >= 1 / 3 ? 'warning' : undefined),
    },
    { header: 'total', unit: 'ms', value: (row) => row.totalMs, priority: 2 },
    { header: 'calls', unit: 'count', value: (row) => row.calls },
    { header: 'mean', unit: 'ms', value: (row) => row.meanMs },
    { header: 'max', unit: 'ms', value: (row) => row.maxMs, priority: 4 },
    { header: 'rows', unit: 'count', value: (row) => row.rows, priority: 5 },
    { header: 'cache hits', unit: 'ratio', value: (row) => row.hitRatio, priority: 6 },
    { header: 'temp', unit: 'bytes', value: (row) => row.tempBytes, priority: 8 },
    { header: 'WAL', unit: 'bytes', value: (row) => row.walBytes, priority: 9 },
    { header: 'user', value: (row) => row.user, priority: 7 },
    {
      header: 'statement',
      value: (row) => row.query ?? '(hidden)',
      tone: (row) => (row.isHidden ? 'muted' : undefined),
    },
  ],
  empty: ({ notes }) =>
    notes.some(({ level }) => level === 'unknown')
      ? 'no statements can be shown'
      : 'no statement was counted in this database yet',
};
