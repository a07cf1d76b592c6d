import { AsyncLocalStorage } from 'node:async_hooks';
import { EvdbError, type EvdbErrorCode } from '../errors.ts';
import { commandLine } from '../text/command-line.ts';
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
  DRIFT_FOUND: EXIT.found,
  VARIABLE_UNSET: EXIT.usage,
  SEEDS_MISSING: EXIT.usage,
  LOCKED: EXIT.temporary,
  LOCK_TIMEOUT: EXIT.temporary,
  GATE_CLOSED: EXIT.temporary,
  OUTCOME_UNKNOWN: EXIT.temporary,
  ACQUIRE_TIMEOUT: EXIT.temporary,
  STATEMENT_TIMEOUT: EXIT.temporary,
  TRANSACTION_TIMEOUT: EXIT.temporary,
  MEMBER_TIMEOUT: EXIT.temporary,
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

/** What a signal to end means for the work that runs. */
interface Stopping {
  /** On stderr at once, such as `rolling back the batch`; left out, nothing is said. */
  said?: string;
  /** What the work is told; it tells itself what was done until then. */
  reason?: () => EvdbError;
  /** Whether it also ends, without that reason, where nobody reads its results any more. */
  endsUnread?: boolean;
}

/** For what applies migrations: they are rolled back, or the ledger tells how far they got. */
export const ROLLING_BACK_MIGRATIONS: Stopping = {
  said: 'rolling back',
  reason: () =>
    new EvdbError('INTERRUPTED', 'interrupted: what ran in a transaction was rolled back', {
      hint: `\`${commandLine('migrate status')}\` shows what is applied.`,
    }),
};

const nothingDone = () => new EvdbError('INTERRUPTED', 'interrupted before anything was done');

/** Runs work that Ctrl-C ends in an orderly way: its signal aborts, and it winds up by itself. */
export async function withStop<T>(
  context: CliContext,
  { said, reason = nothingDone, endsUnread = false }: Stopping,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  // A signal comes from outside of what knows how evdb was called.
  const reasonHere = AsyncLocalStorage.bind(reason);
  const stops = [
    context.onInterrupt(() => {
      if (said) context.note(`\ninterrupted: ${said} (interrupt again to end evdb at once)\n`);
      controller.abort(reasonHere());
    }),
    ...(endsUnread ? [context.onOutClosed(() => controller.abort())] : []),
  ];
  try {
    return await work(controller.signal);
  } finally {
    for (const stop of stops) stop();
  }
}

/** Whether it was a person or the system that ended the work, and not the end of its reader. */
export function isInterrupted({ reason }: AbortSignal): boolean {
  return reason instanceof EvdbError && reason.code === 'INTERRUPTED';
}
