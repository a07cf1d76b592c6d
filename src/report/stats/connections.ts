import type { ConnectionRow } from '../../maintenance/stats/connections.ts';
import type { ReportView } from '../columns.ts';

export const CONNECTIONS_VIEW: ReportView<ConnectionRow> = {
  title: 'Connections',
  columns: [
    { header: 'connections', unit: 'count', value: (row) => row.connections },
    {
      header: 'state',
      value: (row) => row.state ?? '(hidden)',
      tone: (row) => {
        if (row.state === null) return 'muted';
        return row.state.startsWith('idle in transaction') ? 'warning' : undefined;
      },
    },
    { header: 'user', value: (row) => row.user },
    { header: 'application', value: (row) => row.application, priority: 1 },
    { header: 'database', value: (row) => row.database, priority: 2 },
    { header: 'in this state', unit: 'ms', value: (row) => row.oldestStateMs, priority: 3 },
    { header: 'transaction', unit: 'ms', value: (row) => row.oldestTransactionMs, priority: 4 },
  ],
  empty: () => 'nobody else is connected',
};
