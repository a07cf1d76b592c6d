import { listPreparedTransactions, type PreparedTransaction } from '../../stats/lock-waits.ts';
import { describeAge, describeCount, HOUR_MS, MINUTE_MS } from '../../text/units.ts';
import type { DoctorCheck, DoctorFinding } from './check.ts';

/** The second phase follows in milliseconds; what is left behind survives even a restart. */
const WARNING_MS = 5 * MINUTE_MS;
const CRITICAL_MS = HOUR_MS;

/** Transactions that were prepared and then forgotten, with their locks. */
export function judgePreparedTransactions(rows: PreparedTransaction[]): DoctorFinding[] {
  return rows
    .filter(({ ageMs }) => ageMs >= WARNING_MS)
    .map(({ gid, owner, database, ageMs }) => ({
      status: ageMs >= CRITICAL_MS ? 'critical' : 'warning',
      object: gid,
      reason: `the transaction "${gid}" of ${owner} in ${database} has been prepared for ${describeAge(ageMs)}`,
      fix: `rollback prepared '${gid.replaceAll("'", "''")}'; -- in database ${database}`,
    }));
}

export const PREPARED_TRANSACTIONS: DoctorCheck = {
  name: 'prepared-transactions',
  group: 'locks',
  async examine(session) {
    const rows = await listPreparedTransactions(session);
    return {
      findings: judgePreparedTransactions(rows),
      summary: describeCount(rows.length, 'prepared transaction'),
    };
  },
};
