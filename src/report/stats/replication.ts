import type { ReplicationRow } from '../../maintenance/stats/replication.ts';
import type { ReportView, Tone } from '../columns.ts';

function stateTone({ isActive, isHidden, state }: ReplicationRow): Tone | undefined {
  if (isHidden) return 'muted';
  if (state === 'lost' || state === 'unreserved' || state?.startsWith('invalid')) return 'critical';
  return isActive ? 'good' : 'warning';
}

export const REPLICATION_VIEW: ReportView<ReplicationRow> = {
  title: 'Replication',
  columns: [
    { header: 'kind', value: (row) => row.kind },
    { header: 'name', value: (row) => row.name },
    {
      header: 'state',
      value: (row) => (row.isHidden ? '(hidden)' : row.state),
      tone: stateTone,
    },
    { header: 'type', value: (row) => row.type, priority: 4 },
    { header: 'client', value: (row) => row.client, priority: 5 },
    { header: 'database', value: (row) => row.database, priority: 8 },
    { header: 'retained', unit: 'bytes', value: (row) => row.retainedBytes, priority: 1 },
    { header: 'until lost', unit: 'bytes', value: (row) => row.safeBytes, priority: 7 },
    { header: 'lag', unit: 'bytes', value: (row) => row.lagBytes, priority: 1 },
    { header: 'lag time', unit: 'ms', value: (row) => row.lagMs, priority: 2 },
    { header: 'inactive since', unit: 'time', value: (row) => row.inactiveSince, priority: 3 },
    { header: 'snapshot age', unit: 'count', value: (row) => row.snapshotAge, priority: 6 },
  ],
  empty: ({ notes }) =>
    notes.length > 0
      ? 'no slot, and no server streams from or to this one'
      : 'no replication slot, and no standby streams from this server',
};
