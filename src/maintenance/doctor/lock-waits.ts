import { type LockRow, readLocks } from '../../stats/locks.ts';
import { commandLine } from '../../text/command-line.ts';
import { describeAge, describeCount, MINUTE_MS, SECOND_MS } from '../../text/units.ts';
import { type DoctorCheck, type DoctorFinding, unknownsOf } from './check.ts';

const WARNING_MS = 5 * SECOND_MS;
const CRITICAL_MS = MINUTE_MS;
/** So many waiters use up a pool of connections. */
const CRITICAL_WAITERS = 10;

/** One finding for each session that others wait for, and that waits for nobody itself. */
export function judgeLockWaits(rows: LockRow[]): DoctorFinding[] {
  return rows.flatMap((root, index) => {
    if (root.depth > 0) return [];
    const end = rows.findIndex((row, at) => at > index && row.depth === 0);
    const waiters = rows.slice(index + 1, end < 0 ? rows.length : end);
    const longestMs = Math.max(root.waitMs ?? 0, ...waiters.map(({ waitMs }) => waitMs ?? 0));
    const isCritical = longestMs >= CRITICAL_MS || root.blockedCount >= CRITICAL_WAITERS;
    if (longestMs < WARNING_MS && !isCritical) return [];
    const waits = root.blockedCount === 1 ? 'session waits' : 'sessions wait';
    const object = waiters.find((row) => row.object !== null)?.object;
    return [
      {
        status: isCritical ? 'critical' : 'warning',
        object: root.user,
        reason: `${root.blockedCount} ${waits} up to ${describeAge(longestMs)} for ${describeRoot(root)}${object ? `, first for ${object}` : ''}`,
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
      summary:
        count === 0 ? 'nobody waits for a lock' : `${describeCount(count, 'session')} waiting`,
    };
  },
};
