import type { TableRow } from '../../maintenance/stats/tables.ts';
import type { ReportView } from '../columns.ts';

export const TABLES_VIEW: ReportView<TableRow> = {
  title: 'Tables',
  columns: [
    { header: 'table', value: nameOf },
    { header: 'rows (estimate)', value: (row) => row.rows, unit: 'count', priority: 1 },
    { header: 'size', value: (row) => row.totalBytes, unit: 'bytes' },
    { header: 'toast', value: (row) => row.toastBytes, unit: 'bytes', priority: 8 },
    { header: 'indexes', value: (row) => row.indexBytes, unit: 'bytes', priority: 5 },
    { header: 'bloat (estimate)', value: (row) => row.bloatBytes, unit: 'bytes', priority: 2 },
    { header: 'bloat %', value: (row) => row.bloatPercent, unit: 'percent', priority: 7 },
    { header: 'dead rows', value: (row) => row.deadRows, unit: 'count', priority: 3 },
    { header: 'last vacuum', value: (row) => row.lastVacuum, unit: 'time', priority: 6 },
    { header: 'last analyze', value: (row) => row.lastAnalyze, unit: 'time', priority: 4 },
    { header: 'age', value: (row) => row.transactionAge, unit: 'count', priority: 9 },
  ],
  empty: () => 'there are no tables',
};

function nameOf({ schema, table, kind, partitions }: TableRow): string {
  return `${schema}.${table}${kind === 'partitioned' ? ` (${partitions} partitions)` : ''}`;
}
