import { liftTimeLimitsSql } from '../connection/options.ts';
import type { SessionFacts } from '../connection/session.ts';
import { EvdbError } from '../errors.ts';
import { quoteIdent, quoteLiteral } from '../sql/quote.ts';
import { BEGIN_READ_ONLY_SQL, type TransactionModes } from './transaction-modes.ts';

type ResetFacts = Pick<SessionFacts, 'canCheckClient' | 'serverVersion'>;

/**
 * Takes back what a migration may have left in the session. Not `discard all`: that would drop
 * the runner's lock. Outside a transaction that says otherwise the session only reads: a cancel
 * can hit the message of `beginSql` before it begins, and what was sent along with that would
 * commit statement by statement. The last setting makes the server notice within seconds that a killed runner
 * is gone, instead of finishing its statement and keeping its locks until then.
 */
function resetSql(facts: ResetFacts): string {
  return `reset session authorization;
reset role;
reset all;
close all;
deallocate all;
discard sequences;
discard temp;
unlisten *;
${liftTimeLimitsSql(facts)}
set default_transaction_read_only = on;
${facts.canCheckClient ? "set client_connection_check_interval = '2s';" : ''}`;
}

/** The same as a transaction of its own, so that no later rollback brings the old settings back. */
export function resetSessionSql(facts: ResetFacts): string {
  return `begin;\n${resetSql(facts)}\ncommit;`;
}

/** The same for a script without a transaction, whose statements have to write on their own. */
export function openSessionSql(facts: ResetFacts): string {
  return `begin;\n${resetSql(facts)}\nset default_transaction_read_only = off;\ncommit;`;
}

/** A runner that hangs inside a transaction must not hold its locks for longer. */
const IDLE_IN_TRANSACTION_TIMEOUT = '30s';

export interface TransactionSettings {
  facts: SessionFacts;
  targetSchema: string;
  searchPath: string[];
  createTarget: boolean;
  /** What the script asks for in its first statement; default: none. */
  modes?: TransactionModes | undefined;
  lockTimeoutMs: number;
  statementTimeoutMs: number | undefined;
}

/**
 * One message that opens a transaction, cleans the session and makes the settings. `begin` comes
 * first and says all that the session's own defaults could change: whatever fails behind it leaves
 * an aborted transaction, so that statements sent along with this message cannot run without one.
 * Where the target is not the current schema the cast at the end fails (22P02).
 */
export function beginSql(settings: TransactionSettings): string {
  const { modes } = settings;
  return `begin isolation level ${modes?.isolation ?? 'read committed'}, read write${modes?.isDeferrable ? ', deferrable' : ''};
${resetSql(settings.facts)}
set local lock_timeout = ${settings.lockTimeoutMs};
set local idle_in_transaction_session_timeout = '${IDLE_IN_TRANSACTION_TIMEOUT}';
${settings.statementTimeoutMs === undefined ? '' : `set local statement_timeout = ${settings.statementTimeoutMs};`}
${settings.createTarget ? `create schema if not exists ${quoteIdent(settings.targetSchema)};` : ''}
set local search_path = ${searchPathSql(settings)};
select (case when pg_catalog.current_schema() = ${quoteLiteral(settings.targetSchema)} then 'true' else 'the target is not the current schema' end)::boolean${modes?.isReadOnly ? `; ${BEGIN_READ_ONLY_SQL}` : ''}`;
}

/** What the cast at the end of `beginSql` fails with. */
export const NOT_THE_TARGET = '22P02';

/** The target first, so that everything unqualified lands there; pg_temp last, so that nothing is shadowed. */
export function searchPathSql(settings: { targetSchema: string; searchPath: string[] }): string {
  return [settings.targetSchema, ...settings.searchPath, 'pg_temp'].map(quoteIdent).join(', ');
}

export function wrongTarget(
  targetSchema: string,
  when: 'before' | 'after',
  { user }: Pick<SessionFacts, 'user'>,
): EvdbError {
  return when === 'before'
    ? new EvdbError('TARGET_SCHEMA', `the target schema "${targetSchema}" cannot be used`, {
        hint: `It does not exist, or this user lacks the privilege: grant usage, create on schema ${quoteIdent(targetSchema)} to ${quoteIdent(user)};`,
      })
    : new EvdbError(
        'TARGET_SCHEMA',
        `the migration removed its own target schema "${targetSchema}"; it was rolled back`,
        { hint: 'Drop what lives in the schema instead of the schema.' },
      );
}
