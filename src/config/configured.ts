import { EvdbError } from '../errors.ts';
import type { Variables } from './environment.ts';
import type { Config } from './resolve.ts';

function isSwitchedOn(value: string | undefined): boolean {
  return !['', '0', 'false', 'no', 'off'].includes(value?.trim().toLowerCase() ?? '');
}

/**
 * Refuses the implicit embedded PostgreSQL where a forgotten connection string would look like
 * success: in a pipeline (`CI`) and in production (`NODE_ENV=production`). Commands that need a
 * database call it first; `CI=false` counts as not set.
 *
 * @param env default `process.env`
 * @throws EvdbError `NOT_CONFIGURED`
 */
export function assertConnectionConfigured(
  config: Pick<Config, 'connection'>,
  env: Variables = process.env,
): void {
  if (config.connection.kind !== 'embedded' || !config.connection.implicit) return;
  const isProduction = env.NODE_ENV === 'production';
  if (!isProduction && !isSwitchedOn(env.CI)) return;
  const reason = isProduction ? 'NODE_ENV is production' : 'CI is set';
  throw new EvdbError('NOT_CONFIGURED', `no database is configured, and ${reason}`, {
    hint:
      'Set EVDB_URL, DATABASE_URL or DB_HOST, or pass --url postgres://user@host/database. ' +
      'To use the embedded PostgreSQL here, pass --embedded or set EVDB_URL=embedded:.',
  });
}
