import type { IndexRow } from '../../maintenance/stats/indexes.ts';
import type { ReportView } from '../columns.ts';

export const INDEXES_VIEW: ReportView<IndexRow> = {
  title: 'Indexes',
  columns: [
    { header: 'index', value: nameOf },
    { header: 'table', value: (row) => row.table, priority: 3 },
    { header: 'size', value: (row) => row.sizeBytes, unit: 'bytes' },
    {
      header: 'scans',
      value: (row) => row.scans,
      unit: 'count',
      tone: (row) => (row.scans === 0 ? 'muted' : undefined),
    },
    { header: 'share of scans', value: (row) => row.usageRatio, unit: 'ratio', priority: 4 },
    { header: 'last scan', value: (row) => row.lastScan, unit: 'time', priority: 5 },
    { header: 'purpose', value: purposeOf, priority: 2 },
    {
      header: 'valid',
      value: (row) => row.isValid,
      unit: 'flag',
      priority: 6,
      tone: (row) => (row.isValid ? undefined : 'critical'),
    },
    { header: 'definition', value: (row) => row.definition, priority: 7 },
  ],
  empty: () => 'there are no indexes',
};

function nameOf({ schema, index, partitions }: IndexRow): string {
  return `${schema}.${index}${partitions > 0 ? ` (${partitions} partitions)` : ''}`;
}

function purposeOf(row: IndexRow): string {
  return [
    ...(row.isPrimary ? ['primary key'] : row.isUnique ? ['unique'] : []),
    ...(row.constraint !== null && !row.isUnique ? ['constraint'] : []),
    ...(row.supportsForeignKeys.length > 0 ? ['foreign key'] : []),
    ...(row.isReplicaIdentity ? ['replica identity'] : []),
    ...(row.isClustered ? ['clustered'] : []),
  ].join(', ');
}
