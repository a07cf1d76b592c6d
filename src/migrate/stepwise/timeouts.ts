import type { Session } from '../../connection/session.ts';
import { limitLocksSql } from '../lock-limit.ts';

/**
 * Runs work with timeouts of our own on a session whose script may have set others, and puts those
 * back afterwards.
 *
 * @param isPatient takes the time limit of statements away too
 */
export async function withTimeouts<T>(
  session: Session,
  { lockTimeoutMs, isPatient }: { lockTimeoutMs: number; isPatient: boolean },
  work: () => Promise<T>,
): Promise<T> {
  const [before] = await session.run(`select
    pg_catalog.current_setting('lock_timeout') as "lock",
    pg_catalog.current_setting('statement_timeout') as "statement",
    ${isPatient ? "pg_catalog.set_config('lock_timeout', '0', false)" : limitLocksSql(lockTimeoutMs, false)};
${isPatient ? 'set statement_timeout = 0;' : ''}`);
  try {
    return await work();
  } finally {
    if (!session.isClosed) {
      await session
        .run(
          `set lock_timeout = '${before?.lock}'; set statement_timeout = '${before?.statement}';`,
        )
        .catch(() => undefined);
    }
  }
}
