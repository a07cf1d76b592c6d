import type { SizeRow } from '../maintenance/database-sizes.ts';
import type { ReportView } from './columns.ts';

export const SIZES_VIEW: ReportView<SizeRow> = {
  title: 'Sizes',
  columns: [
    { header: 'what', value: (row) => row.kind, priority: 4, tone: () => 'muted' },
    {
      header: 'name',
      value: ({ schema, name }) => [schema, name].filter((part) => part !== null).join('.'),
    },
    { header: 'size', unit: 'bytes', value: (row) => row.totalBytes },
    { header: 'of all', unit: 'ratio', value: (row) => row.share, priority: 3 },
    { header: 'rows', unit: 'bytes', value: (row) => row.tableBytes, priority: 1 },
    { header: 'indexes', unit: 'bytes', value: (row) => row.indexBytes, priority: 2 },
  ],
  empty: () => 'the database has no size',
};
