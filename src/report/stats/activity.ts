import type { ActivityRow } from '../../maintenance/stats/activity.ts';
import type { ReportView, Tone } from '../columns.ts';

function renderState({ state, isHidden, backendType }: ActivityRow): string | null {
  return isHidden ? '(hidden)' : (state ?? backendType);
}

function stateTone({ state, isHidden }: ActivityRow): Tone | undefined {
  if (isHidden) return 'muted';
  if (state?.startsWith('idle in transaction')) return 'warning';
  return undefined;
}

export const ACTIVITY_VIEW: ReportView<ActivityRow> = {
  title: 'Sessions at work',
  columns: [
    {
      header: 'pid',
      value: (row) => (row.leaderPid === null ? `${row.pid}` : `${row.pid} (of ${row.leaderPid})`),
    },
    { header: 'user', value: (row) => row.user, priority: 4 },
    { header: 'database', value: (row) => row.database, priority: 6 },
    { header: 'application', value: (row) => row.application, priority: 5 },
    { header: 'client', value: (row) => row.client, priority: 8 },
    { header: 'state', value: renderState, tone: stateTone },
    { header: 'transaction', unit: 'ms', value: (row) => row.transactionMs },
    { header: 'running', unit: 'ms', value: (row) => row.statementMs, priority: 1 },
    { header: 'waits for', value: (row) => row.waitsFor, priority: 3 },
    { header: 'snapshot age', unit: 'count', value: (row) => row.snapshotAge, priority: 7 },
    {
      header: 'statement',
      value: (row) => (row.isHidden ? '(hidden)' : row.statement),
      priority: 1,
      tone: (row) => (row.isHidden ? 'muted' : undefined),
    },
  ],
  empty: () => 'no other session runs anything or has a transaction open',
};
