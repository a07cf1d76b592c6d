import type { UnusedIndexRow } from '../../maintenance/stats/unused.ts';
import type { ReportView } from '../columns.ts';
import { countedFor } from './counted-for.ts';

export const UNUSED_VIEW: ReportView<UnusedIndexRow> = {
  title: 'Unused indexes',
  columns: [
    { header: 'index', value: (row) => `${row.schema}.${row.index}` },
    { header: 'table', value: (row) => row.table, priority: 3 },
    { header: 'size', value: (row) => row.sizeBytes, unit: 'bytes' },
    { header: 'table scans', value: (row) => row.tableScans, unit: 'count', priority: 4 },
    { header: 'table writes', value: (row) => row.tableWrites, unit: 'count', priority: 2 },
    { header: 'caveat', value: (row) => row.caveat, priority: 5, tone: () => 'warning' },
    { header: 'to drop it', value: (row) => row.dropSql, priority: 1 },
    { header: 'to make it again', value: (row) => row.revertSql, priority: 6 },
  ],
  empty: (report) =>
    report.notes.some(({ level }) => level === 'unknown')
      ? 'not known yet'
      : `no unused indexes${countedFor(report)}`,
};
