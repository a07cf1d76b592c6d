import type { Session } from '../../connection/session.ts';
import type { ReportNote, StatsReport } from '../../report/columns.ts';
import { hiddenNote } from './hidden.ts';
import { buildLockTree, type LockRow } from './lock-tree.ts';
import { listLockSessions, listLockWaits, listPreparedTransactions } from './lock-waits.ts';

/**
 * Reads who blocks whom on the whole server, as the rows of a tree, each below what it waits for.
 * No rows: nobody waits for a lock.
 *
 * @param session one of `withInspection`
 */
export async function readLocks(session: Session): Promise<StatsReport<LockRow>> {
  const waits = await listLockWaits(session);
  if (waits.length === 0) return { rows: [], countedSince: null, notes: [] };
  const holders = waits.flatMap((wait) => wait.holders);
  const pids = new Set(
    [
      ...waits.flatMap(({ pid, blockerPids }) => [pid, ...blockerPids]),
      ...holders.map(({ pid }) => pid ?? 0),
    ].filter((pid) => pid > 0),
  );
  const sessions = await listLockSessions(session, [...pids]);
  // A worker's leader need not wait or hold anything here itself.
  const leaders = sessions
    .map(({ leaderPid }) => leaderPid ?? 0)
    .filter((pid) => pid > 0 && !pids.has(pid));
  sessions.push(...(await listLockSessions(session, [...new Set(leaders)])));
  const hasPrepared = waits.some(({ blockerPids }) => blockerPids.includes(0));
  const prepared = hasPrepared ? await listPreparedTransactions(session) : [];
  const rows = buildLockTree({ waits, sessions, prepared });
  return { rows, countedSince: null, notes: notesOn(rows, session.facts.user) };
}

function notesOn(rows: LockRow[], user: string): ReportNote[] {
  const notes: ReportNote[] = [];
  if (rows.some(({ isHidden }) => isHidden)) {
    notes.push(hiddenNote("states and statements of other users' sessions are", user));
  }
  if (rows.some((row) => row.depth === 0 && row.blockedBy.length > 0)) {
    notes.push({
      level: 'warning',
      text: 'some sessions wait for each other in a circle',
      hint: 'PostgreSQL ends one of them after deadlock_timeout.',
    });
  }
  for (const { gid } of rows.filter((row) => row.gid !== null)) {
    notes.push({
      level: 'warning',
      text: `the prepared transaction ${gid} holds locks, and no session will end it`,
      hint: `Commit or roll it back: rollback prepared '${(gid ?? '').replaceAll("'", "''")}';`,
    });
  }
  return notes;
}
