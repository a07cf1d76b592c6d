import { type ActivityRow, readActivity } from '../stats/activity.ts';
import { listPreparedTransactions, type PreparedTransaction } from '../stats/lock-waits.ts';
import { type LockRow, readLocks } from '../stats/locks.ts';
import { commandLine } from '../text/command-line.ts';
import { HOUR_MS, MINUTE_MS, renderAge, renderCount, SECOND_MS } from '../text/units.ts';
import { type DoctorCheck, type DoctorFinding, unknownsOf } from './check.ts';

/** An application thinks for milliseconds; after a minute it has forgotten the transaction. */
const IDLE_WARNING_MS = MINUTE_MS;
const IDLE_CRITICAL_MS = 15 * MINUTE_MS;

const isIdle = ({ state }: ActivityRow) => state?.startsWith('idle in transaction') === true;

/** Sessions that keep a transaction open, with its locks and its snapshot, and do nothing. */
export function judgeIdleInTransaction(rows: ActivityRow[]): DoctorFinding[] {
  return rows
    .filter((row) => isIdle(row) && (row.stateMs ?? 0) >= IDLE_WARNING_MS)
    .map((row) => {
      const idleMs = row.stateMs ?? 0;
      const who = [row.application ?? 'a session', row.user && `of ${row.user}`].filter(Boolean);
      return {
        status: idleMs >= IDLE_CRITICAL_MS ? 'critical' : 'warning',
        object: row.user,
        reason: `${who.join(' ')} (pid ${row.pid}) has been idle in a transaction for ${renderAge(idleMs)}`,
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
      summary: `${renderCount(rows.filter(isIdle).length, 'session')} idle in a transaction`,
    };
  },
};

const LOCK_WAIT_WARNING_MS = 5 * SECOND_MS;
const LOCK_WAIT_CRITICAL_MS = MINUTE_MS;
/** So many waiters use up a pool of connections. */
const CRITICAL_WAITERS = 10;

/** One finding for each session that others wait for, and that waits for nobody itself. */
export function judgeLockWaits(rows: LockRow[]): DoctorFinding[] {
  return rows.flatMap((root, index) => {
    if (root.depth > 0) return [];
    const end = rows.findIndex((row, at) => at > index && row.depth === 0);
    const waiters = rows.slice(index + 1, end < 0 ? rows.length : end);
    const longestMs = Math.max(root.waitMs ?? 0, ...waiters.map(({ waitMs }) => waitMs ?? 0));
    const isCritical = longestMs >= LOCK_WAIT_CRITICAL_MS || root.blockedCount >= CRITICAL_WAITERS;
    if (longestMs < LOCK_WAIT_WARNING_MS && !isCritical) return [];
    const waits = renderCount(root.blockedCount, 'session waits', 'sessions wait');
    const object = waiters.find((row) => row.object !== null)?.object;
    return [
      {
        status: isCritical ? 'critical' : 'warning',
        object: root.user,
        reason: `${waits} up to ${renderAge(longestMs)} for ${describeRoot(root)}${object ? `, first for ${object}` : ''}`,
        fix:
          root.gid === null
            ? `select pg_terminate_backend(${root.pid}); -- \`${commandLine('stats locks')}\` shows the tree`
            : `rollback prepared '${root.gid.replaceAll("'", "''")}';`,
      },
    ];
  });
}

function describeRoot({ pid, gid, user, application, state }: LockRow): string {
  if (pid === 0) return `the prepared transaction ${gid ?? 'of nobody'}`;
  const facts = [application, user, state].filter(Boolean).join(', ');
  return facts === '' ? `pid ${pid}` : `pid ${pid} (${facts})`;
}

export const LOCK_WAITS: DoctorCheck = {
  name: 'lock-waits',
  group: 'locks',
  command: 'stats locks',
  async examine(_session, context) {
    const { rows, notes } = await context.once(readLocks);
    const waiting = rows.filter(({ wantedMode, isRepeated }) => wantedMode !== null && !isRepeated);
    const count = waiting.length;
    return {
      findings: [...judgeLockWaits(rows), ...unknownsOf(notes)],
      summary: count === 0 ? 'nobody waits for a lock' : `${renderCount(count, 'session')} waiting`,
    };
  },
};

/** Meanwhile vacuum removes nothing that died since; backups and reports take that long rightly. */
const TRANSACTION_WARNING_MS = 10 * MINUTE_MS;
const TRANSACTION_CRITICAL_MS = 12 * HOUR_MS;

/** Transactions at work for long; those that are idle have a check of their own. */
export function judgeLongTransactions(rows: ActivityRow[]): DoctorFinding[] {
  return rows
    .filter(isJudged)
    .filter((row) => (row.transactionMs ?? 0) >= TRANSACTION_WARNING_MS)
    .map((row) => {
      const ageMs = row.transactionMs ?? 0;
      const { pid, user, application } = row;
      return {
        status: ageMs >= TRANSACTION_CRITICAL_MS ? 'critical' : 'warning',
        object: user,
        reason: `a transaction of ${[application, user].filter(Boolean).join(', ')} (pid ${pid}) has been running for ${renderAge(ageMs)}`,
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
        oldest === 0 ? 'no transaction is at work' : `the oldest is ${renderAge(oldest)} old`,
    };
  },
};

/** The second phase follows in milliseconds; what is left behind survives even a restart. */
const PREPARED_WARNING_MS = 5 * MINUTE_MS;
const PREPARED_CRITICAL_MS = HOUR_MS;

/** Transactions that were prepared and then forgotten, with their locks. */
export function judgePreparedTransactions(rows: PreparedTransaction[]): DoctorFinding[] {
  return rows
    .filter(({ ageMs }) => ageMs >= PREPARED_WARNING_MS)
    .map(({ gid, owner, database, ageMs }) => ({
      status: ageMs >= PREPARED_CRITICAL_MS ? 'critical' : 'warning',
      object: gid,
      reason: `the transaction "${gid}" of ${owner} in ${database} has been prepared for ${renderAge(ageMs)}`,
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
      summary: renderCount(rows.length, 'prepared transaction'),
    };
  },
};
