import { codeOf } from '../connection/connection-error.ts';
import type { Session } from '../connection/session.ts';
import { quoteLiteral } from '../sql/quote.ts';

/** A session of another client, as it was seen. */
export interface SessionTarget {
  pid: number;
  user: string | null;
  application: string | null;
}

/** `cancel` ends what the session runs, `end` the session itself. */
export type SessionAction = 'cancel' | 'end';

/**
 * Cancels the statement of a session, or ends the session. A session that has the same number by now
 * but belongs to another user or application is left alone.
 *
 * @returns what was done, as a sentence
 * @throws {EvdbError} QueryError if the server refuses a statement for another reason than privileges
 * @example
 * const target = { pid: 4711, user: 'app', application: 'api' };
 * await withInspection(connection, (session) => endSession(session, target, 'cancel'));
 */
export async function endSession(
  session: Session,
  { pid, user, application }: SessionTarget,
  action: SessionAction,
): Promise<string> {
  const call = action === 'end' ? 'pg_terminate_backend' : 'pg_cancel_backend';
  const same = (column: string, value: string | null) =>
    `coalesce(a.${column}::text, '') = ${quoteLiteral(value ?? '')}`;
  try {
    const [row] = await session.run(`
select pg_catalog.${call}(a.pid) as "isSent"
from pg_catalog.pg_stat_activity a
where a.pid = ${Math.trunc(pid)} and ${same('usename', user)} and ${same('application_name', application)}`);
    if (row?.isSent !== true) return `session ${pid} is gone`;
    return action === 'end' ? `session ${pid} was ended` : `session ${pid} was told to cancel`;
  } catch (error) {
    if (codeOf(error) !== '42501') throw error;
    return `${session.facts.user} may not ${action === 'end' ? 'end' : 'cancel'} session ${pid}: that needs pg_signal_backend, for superusers a superuser`;
  }
}
