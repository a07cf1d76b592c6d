import { type ActivityRow, readActivity } from '../stats/activity.ts';
import { listPreparedTransactions, type PreparedTransaction } from '../stats/lock-waits.ts';
import { type LockRow, readLocks } from '../stats/locks.ts';
import { commandLine } from '../text/command-line.ts';
import { HOUR_MS, MINUTE_MS, renderAge, renderCount, SECOND_MS } from '../text/units.ts';
import { type DoctorCheck, type DoctorFinding, known, severityOf, unknownsOf } from './check.ts';

/** An application thinks for milliseconds; after a minute it has forgotten the transaction. */
const IDLE_MS = { warning: MINUTE_MS, error: 15 * MINUTE_MS };

const isIdle = ({ state }: ActivityRow) => state?.startsWith('idle in transaction') === true;

/** Sessions that keep a transaction open, with its locks and its snapshot, and do nothing. */
export function judgeIdleInTransaction(rows: ActivityRow[]): DoctorFinding[] {
  return rows.filter(isIdle).flatMap(({ pid, user, application, stateMs }): DoctorFinding[] => {
    const idleMs = stateMs ?? 0;
    const severity = severityOf(idleMs, IDLE_MS);
    if (severity === undefined) return [];
    const who = [application ?? 'a session', user && `of ${user}`].filter(Boolean).join(' ');
    return [
      {
        severity,
        message: `${who} (pid ${pid}) has been idle in a transaction for ${renderAge(idleMs)}`,
        objects: known(user),
        fix: `select pg_terminate_backend(${pid}); -- idle_in_transaction_session_timeout prevents it`,
      },
    ];
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

/** Meanwhile vacuum removes nothing that died since; backups and reports take that long rightly. */
const TRANSACTION_MS = { warning: 10 * MINUTE_MS, error: 12 * HOUR_MS };

/** Transactions at work for long; those that are idle have a check of their own. */
export function judgeLongTransactions(rows: ActivityRow[]): DoctorFinding[] {
  return rows.filter(isAtWork).flatMap((row): DoctorFinding[] => {
    const { pid, user, application } = row;
    const ageMs = row.transactionMs ?? 0;
    const severity = severityOf(ageMs, TRANSACTION_MS);
    if (severity === undefined) return [];
    const who = [application, user].filter(Boolean).join(', ');
    return [
      {
        severity,
        message: `a transaction of ${who} (pid ${pid}) has been running for ${renderAge(ageMs)}`,
        objects: known(user),
        fix: `select pg_cancel_backend(${pid});`,
      },
    ];
  });
}

/** Vacuum takes long on large tables, and keeps no snapshot. */
function isAtWork(row: ActivityRow): boolean {
  return row.backendType === 'client backend' && row.leaderPid === null && !isIdle(row);
}

export const LONG_TRANSACTIONS: DoctorCheck = {
  name: 'long-transactions',
  group: 'connections',
  async examine(_session, context) {
    const { rows, notes } = await context.once(readActivity);
    const oldest = Math.max(0, ...rows.filter(isAtWork).map((row) => row.transactionMs ?? 0));
    return {
      findings: [...judgeLongTransactions(rows), ...unknownsOf(notes)],
      summary:
        oldest === 0 ? 'no transaction is running' : `the oldest is ${renderAge(oldest)} old`,
    };
  },
};

const LOCK_WAIT_MS = { warning: 5 * SECOND_MS, error: MINUTE_MS };
/** So many waiters use up a pool of connections. */
const MANY_WAITERS = 10;

/** One finding for each session that others wait for, and that waits for nobody itself. */
export function judgeLockWaits(rows: LockRow[]): DoctorFinding[] {
  return rows.flatMap((root, index): DoctorFinding[] => {
    if (root.depth > 0) return [];
    const end = rows.findIndex((row, at) => at > index && row.depth === 0);
    const waiters = rows.slice(index + 1, end < 0 ? rows.length : end);
    const longestMs = Math.max(root.waitMs ?? 0, ...waiters.map(({ waitMs }) => waitMs ?? 0));
    const severity =
      root.blockedCount >= MANY_WAITERS ? 'error' : severityOf(longestMs, LOCK_WAIT_MS);
    if (severity === undefined) return [];
    const waits = renderCount(root.blockedCount, 'session waits', 'sessions wait');
    const object = waiters.find((row) => row.object !== null)?.object;
    return [
      {
        severity,
        message: `${waits} up to ${renderAge(longestMs)} for ${describeRoot(root)}${object ? `, first for ${object}` : ''}`,
        objects: known(root.user),
        fix:
          root.gid === null
            ? `select pg_terminate_backend(${root.pid}); -- \`${commandLine('stats locks')}\` shows the tree`
            : rollBackPrepared(root.gid),
      },
    ];
  });
}

function describeRoot({ pid, gid, user, application, state }: LockRow): string {
  if (pid === 0) return `the prepared transaction ${gid ?? '(unknown)'}`;
  const facts = [application, user, state].filter(Boolean).join(', ');
  return facts === '' ? `pid ${pid}` : `pid ${pid} (${facts})`;
}

function rollBackPrepared(gid: string): string {
  return `rollback prepared '${gid.replaceAll("'", "''")}';`;
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
      summary:
        count === 0 ? 'no session waits for a lock' : `${renderCount(count, 'session')} waiting`,
    };
  },
};

/** The second phase follows in milliseconds; what is left behind survives even a restart. */
const PREPARED_MS = { warning: 5 * MINUTE_MS, error: HOUR_MS };

/** Transactions that were prepared and then forgotten, with their locks. */
export function judgePreparedTransactions(rows: PreparedTransaction[]): DoctorFinding[] {
  return rows.flatMap(({ gid, owner, database, ageMs }): DoctorFinding[] => {
    const severity = severityOf(ageMs, PREPARED_MS);
    if (severity === undefined) return [];
    return [
      {
        severity,
        message: `the transaction "${gid}" of ${owner} in ${database} has been prepared for ${renderAge(ageMs)}`,
        objects: [gid],
        fix: `${rollBackPrepared(gid)} -- in database ${database}`,
      },
    ];
  });
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
