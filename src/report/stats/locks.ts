import type { LockRow } from '../../maintenance/stats/lock-tree.ts';
import type { ReportView } from '../columns.ts';

/** `4711`, `└── 4712`, `└──── 4713 (queued)`: without blanks in front, which tables take away. */
function renderPlace({ depth, pid, gid, isQueued, isRepeated }: LockRow): string {
  const branch = depth === 0 ? '' : `└${'──'.repeat(depth)} `;
  const name = pid === 0 ? `prepared ${gid ?? ''}`.trim() : String(pid);
  return `${branch}${name}${isQueued ? ' (queued)' : ''}${isRepeated ? ' (again)' : ''}`;
}

export const LOCKS_VIEW: ReportView<LockRow> = {
  title: 'Who blocks whom',
  columns: [
    {
      header: 'session',
      value: renderPlace,
      tone: (row) => (row.depth === 0 ? 'critical' : row.isRepeated ? 'muted' : undefined),
    },
    { header: 'waits', unit: 'ms', value: (row) => row.waitMs },
    {
      header: 'blocks',
      unit: 'count',
      value: (row) => (row.blockedCount > 0 ? row.blockedCount : null),
      priority: 3,
    },
    { header: 'user', value: (row) => row.user, priority: 5 },
    { header: 'application', value: (row) => row.application, priority: 6 },
    { header: 'state', value: (row) => row.state, priority: 4 },
    { header: 'transaction', unit: 'ms', value: (row) => row.transactionMs, priority: 2 },
    {
      header: 'wants',
      value: (row) => row.wantedMode,
      priority: 1,
    },
    { header: 'on', value: (row) => row.object },
    {
      header: 'statement',
      value: (row) => (row.isHidden ? '(hidden)' : row.statement),
      priority: 1,
      tone: (row) => (row.isHidden ? 'muted' : undefined),
    },
  ],
  empty: () => 'nobody waits for a lock',
};
