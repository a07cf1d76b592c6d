import { EvdbError } from '../errors.ts';
import { quoteIdent } from '../sql/quote.ts';

/**
 * Takes back what a migration may have left in the session. Not `discard all`: that would drop
 * the runner's lock. The last setting makes the server notice within seconds that a killed runner
 * is gone, instead of finishing its statement and keeping its locks until then.
 */
export const RESET_SESSION = `reset session authorization;
reset role;
reset all;
discard temp;
unlisten *;
set client_connection_check_interval = '2s';`;

/** A runner that hangs inside a transaction must not hold its locks for longer. */
const IDLE_IN_TRANSACTION_TIMEOUT = '30s';

export interface TransactionSettings {
  targetSchema: string;
  searchPath: string[];
  createTarget: boolean;
  lockTimeoutMs: number;
  statementTimeoutMs: number | undefined;
}

/** One message: a clean session, a transaction, its settings, and a row with `currentSchema`. */
export function beginSql(settings: TransactionSettings): string {
  return `${RESET_SESSION}
begin isolation level read committed;
set local lock_timeout = ${settings.lockTimeoutMs};
set local idle_in_transaction_session_timeout = '${IDLE_IN_TRANSACTION_TIMEOUT}';
${settings.statementTimeoutMs === undefined ? '' : `set local statement_timeout = ${settings.statementTimeoutMs};`}
${settings.createTarget ? `create schema if not exists ${quoteIdent(settings.targetSchema)};` : ''}
set local search_path = ${searchPathSql(settings)};
select pg_catalog.current_schema() as "currentSchema"`;
}

/** The target first, so that everything unqualified lands there; pg_temp last, so that nothing is shadowed. */
export function searchPathSql(settings: { targetSchema: string; searchPath: string[] }): string {
  return [settings.targetSchema, ...settings.searchPath, 'pg_temp'].map(quoteIdent).join(', ');
}

export function wrongTarget(targetSchema: string, when: 'before' | 'after'): EvdbError {
  return when === 'before'
    ? new EvdbError('TARGET_SCHEMA', `the target schema "${targetSchema}" cannot be used`, {
        hint: `It does not exist, or this user lacks the privilege: grant usage, create on schema ${quoteIdent(targetSchema)} to <user>;`,
      })
    : new EvdbError(
        'TARGET_SCHEMA',
        `the migration removed its own target schema "${targetSchema}"; it was rolled back`,
        { hint: 'Drop what lives in the schema instead of the schema.' },
      );
}
