import { type ActivityRow, readActivity } from '../../stats/activity.ts';
import { describeAge, describeCount, MINUTE_MS } from '../../text/units.ts';
import { type DoctorCheck, type DoctorFinding, unknownsOf } from './check.ts';

/** An application thinks for milliseconds; after a minute it has forgotten the transaction. */
const WARNING_MS = MINUTE_MS;
const CRITICAL_MS = 15 * MINUTE_MS;

const isIdle = ({ state }: ActivityRow) => state?.startsWith('idle in transaction') === true;

/** Sessions that keep a transaction open, with its locks and its snapshot, and do nothing. */
export function judgeIdleInTransaction(rows: ActivityRow[]): DoctorFinding[] {
  return rows
    .filter((row) => isIdle(row) && (row.stateMs ?? 0) >= WARNING_MS)
    .map((row) => {
      const idleMs = row.stateMs ?? 0;
      const who = [row.application ?? 'a session', row.user && `of ${row.user}`].filter(Boolean);
      return {
        status: idleMs >= CRITICAL_MS ? 'critical' : 'warning',
        object: row.user,
        reason: `${who.join(' ')} (pid ${row.pid}) has been idle in a transaction for ${describeAge(idleMs)}`,
        fix: `select pg_terminate_backend(${row.pid}); -- idle_in_transaction_session_timeout prevents it`,
      };
    });
}

export const IDLE_IN_TRANSACTION: DoctorCheck = {
  name: 'idle-in-transaction',
  group: 'connections',
  async examine(_session, context) {
    const { rows, notes } = await context.once(readActivity);
    return {
      findings: [...judgeIdleInTransaction(rows), ...unknownsOf(notes)],
      summary: `${describeCount(rows.filter(isIdle).length, 'session')} idle in a transaction`,
    };
  },
};
