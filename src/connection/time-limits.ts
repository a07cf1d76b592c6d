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
