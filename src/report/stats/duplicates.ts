import type { DuplicateIndexRow } from '../../maintenance/stats/duplicates.ts';
import type { ReportView } from '../columns.ts';

export const DUPLICATES_VIEW: ReportView<DuplicateIndexRow> = {
  title: 'Needless indexes',
  columns: [
    { header: 'index', value: (row) => `${row.schema}.${row.index}` },
    { header: 'table', value: (row) => row.table, priority: 4 },
    { header: 'size', value: (row) => row.sizeBytes, unit: 'bytes' },
    { header: 'scans', value: (row) => row.scans, unit: 'count', priority: 5 },
    { header: 'kind', value: (row) => row.kind, priority: 3 },
    { header: 'why', value: (row) => row.reason, priority: 2 },
    { header: 'to drop it', value: (row) => row.dropSql, priority: 1 },
    { header: 'to make it again', value: (row) => row.revertSql, priority: 6 },
  ],
  empty: () => 'no index does what another one does',
};
