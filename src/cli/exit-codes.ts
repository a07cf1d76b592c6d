import { EvdbError, type EvdbErrorCode } from '../errors.ts';
import type { CliContext } from './context.ts';

export const EXIT = {
  done: 0,
  failed: 1,
  usage: 2,
  found: 3,
  temporary: 4,
  interrupted: 130,
} as const;

const CODES: Partial<Record<EvdbErrorCode, number>> = {
  USAGE: EXIT.usage,
  CONFIG_INVALID: EXIT.usage,
  NOT_CONFIGURED: EXIT.usage,
  CONFIRM_REQUIRED: EXIT.usage,
  PROTECTED_ENVIRONMENT: EXIT.usage,
  MIGRATIONS_DIR_MISSING: EXIT.usage,
  MIGRATIONS_DIR_EMPTY: EXIT.usage,
  UNKNOWN_VERSION: EXIT.usage,
  LOCKED: EXIT.temporary,
  LOCK_TIMEOUT: EXIT.temporary,
  OUTCOME_UNKNOWN: EXIT.temporary,
  ACQUIRE_TIMEOUT: EXIT.temporary,
  STATEMENT_TIMEOUT: EXIT.temporary,
  TRANSACTION_TIMEOUT: EXIT.temporary,
  CONNECTION_REFUSED: EXIT.temporary,
  CONNECTION_LOST: EXIT.temporary,
  CONNECT_TIMEOUT: EXIT.temporary,
  UNKNOWN_HOST: EXIT.temporary,
  TOO_MANY_CONNECTIONS: EXIT.temporary,
  SERVER_STARTING: EXIT.temporary,
  INTERRUPTED: EXIT.interrupted,
};

/** What the shell gets for an error; 1 unless it was the call, or trying again makes sense. */
export function exitCodeFor(code: EvdbErrorCode): number {
  return CODES[code] ?? EXIT.failed;
}

/**
 * Runs work that Ctrl-C ends in an orderly way. The work itself tells what was done until then.
 *
 * @param said on stderr at once, such as `rolling back the batch`
 */
export async function withStop<T>(
  context: CliContext,
  said: string,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const stop = context.onInterrupt(() => {
    context.err(`\ninterrupted: ${said} (once more ends evdb at once)\n`);
    controller.abort(new EvdbError('INTERRUPTED', 'interrupted before anything was done'));
  });
  try {
    return await work(controller.signal);
  } finally {
    stop();
  }
}
