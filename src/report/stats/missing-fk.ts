import type { MissingFkRow } from '../../maintenance/stats/missing-fk.ts';
import type { ReportView } from '../columns.ts';

export const MISSING_FK_VIEW: ReportView<MissingFkRow> = {
  title: 'Foreign keys without an index',
  columns: [
    { header: 'table', value: (row) => `${row.schema}.${row.table}` },
    { header: 'columns', value: (row) => row.columns.join(', ') },
    { header: 'constraint', value: (row) => row.constraint, priority: 5 },
    { header: 'size', value: (row) => row.tableBytes, unit: 'bytes' },
    { header: 'rows', value: (row) => row.tableRows, unit: 'count', priority: 4 },
    { header: 'writes', value: (row) => row.tableWrites, unit: 'count', priority: 6 },
    {
      header: 'refers to',
      value: (row) => `${row.referencedSchema}.${row.referencedTable}`,
      priority: 2,
    },
    { header: 'deletes there', value: (row) => row.referencedDeletes, unit: 'count', priority: 3 },
    { header: 'updates there', value: (row) => row.referencedUpdates, unit: 'count', priority: 7 },
    { header: 'to mend it', value: (row) => row.fixSql, priority: 1 },
  ],
  empty: () => 'every foreign key has a fitting index',
};
