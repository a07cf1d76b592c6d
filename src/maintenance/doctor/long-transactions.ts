import { type ActivityRow, readActivity } from '../../stats/activity.ts';
import { describeAge, HOUR_MS, MINUTE_MS } from '../../text/units.ts';
import { type DoctorCheck, type DoctorFinding, unknownsOf } from './check.ts';

/** Meanwhile vacuum removes nothing that died since; backups and reports take that long rightly. */
const WARNING_MS = 10 * MINUTE_MS;
const CRITICAL_MS = 12 * HOUR_MS;

/** Transactions at work for long; those that are idle have a check of their own. */
export function judgeLongTransactions(rows: ActivityRow[]): DoctorFinding[] {
  return rows
    .filter(isJudged)
    .filter((row) => (row.transactionMs ?? 0) >= WARNING_MS)
    .map((row) => {
      const ageMs = row.transactionMs ?? 0;
      const { pid, user, application } = row;
      return {
        status: ageMs >= CRITICAL_MS ? 'critical' : 'warning',
        object: user,
        reason: `a transaction of ${[application, user].filter(Boolean).join(', ')} (pid ${pid}) has been running for ${describeAge(ageMs)}`,
        fix: `select pg_cancel_backend(${pid});`,
      };
    });
}

/** Vacuum takes long on large tables, and keeps no snapshot. */
function isJudged({ state, backendType, leaderPid }: ActivityRow): boolean {
  return (
    backendType === 'client backend' &&
    leaderPid === null &&
    !state?.startsWith('idle in transaction')
  );
}

export const LONG_TRANSACTIONS: DoctorCheck = {
  name: 'long-transactions',
  group: 'connections',
  async examine(_session, context) {
    const { rows, notes } = await context.once(readActivity);
    const oldest = Math.max(0, ...rows.filter(isJudged).map((row) => row.transactionMs ?? 0));
    return {
      findings: [...judgeLongTransactions(rows), ...unknownsOf(notes)],
      summary:
        oldest === 0 ? 'no transaction is at work' : `the oldest is ${describeAge(oldest)} old`,
    };
  },
};
