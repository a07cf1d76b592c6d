import type { SessionFacts } from './session.ts';

/**
 * Takes away the time limits that a role or a database sets on idle sessions and on transactions: a
 * session that waits for another one, or works for an hour, must not be ended for it. `reset all`
 * brings them back.
 */
export function liftTimeLimitsSql({ serverVersion }: Pick<SessionFacts, 'serverVersion'>): string {
  const names = ['idle_session_timeout', 'idle_in_transaction_session_timeout'];
  if (serverVersion >= 170000) names.push('transaction_timeout');
  return names.map((name) => `set ${name} = 0;`).join(' ');
}

/** An expression that makes commits of the transaction, or of the session, wait for the disk. */
export function synchronousSql(isLocal: boolean): string {
  return `case when pg_catalog.current_setting('synchronous_commit') = 'off'
    then pg_catalog.set_config('synchronous_commit', 'on', ${isLocal}) end`;
}

/** What tells one start of a server from another, and from its standby; everybody may ask for it. */
export const SERVER_START_SQL = 'pg_catalog.pg_postmaster_start_time()::text';
