import { openSession, type Session } from '../connection/session.ts';
import { EvdbError } from '../errors.ts';
import { commandLine } from '../text/command-line.ts';
import type { ApplyContext } from './apply-context.ts';
import { acquireLock, runnerLock } from './lock.ts';
import { fullName } from './plan.ts';
import type { Step } from './prepare.ts';

/** How long to wait for the dead session to let go of the runner's lock. */
const SETTLE_MS = 30_000;

/**
 * Finds out what became of a commit whose answer never came. The runner's lock is taken first:
 * while the old session lives it may still be committing.
 *
 * @returns CONNECTION_LOST when it is known what happened, OUTCOME_UNKNOWN when not
 */
export async function resolveOutcome(
  step: Step,
  transactionId: string,
  context: ApplyContext,
  cause: unknown,
): Promise<EvdbError> {
  const status = await readOutcome(transactionId, context).catch(() => undefined);
  const name = fullName(step);
  const verb = step.direction === 'up' ? 'applied' : 'taken back';
  if (status === 'committed' || status === 'aborted') {
    const outcome =
      status === 'committed' ? `it was ${verb}` : `it was rolled back, nothing was ${verb}`;
    return new EvdbError(
      'CONNECTION_LOST',
      `the connection was lost while ${name} committed; the server says that ${outcome}`,
      { hint: 'Run the command again: it goes on from there.', cause, details: { commit: status } },
    );
  }
  return new EvdbError(
    'OUTCOME_UNKNOWN',
    `the connection was lost while ${name} committed, and the server cannot be asked whether it was ${verb}`,
    {
      hint: `It is either whole or not there at all. When the server is back, \`${commandLine('migrate status')}\` tells.`,
      cause,
      details: { commit: 'unknown', transactionId },
    },
  );
}

/** Where another runner has the lock by now, the old session is gone as well. */
function refuseUnlessLocked(error: unknown): void {
  if (!(error instanceof EvdbError) || error.code !== 'LOCKED') throw error;
}

async function readOutcome(transactionId: string, context: ApplyContext): Promise<unknown> {
  let session: Session | undefined;
  try {
    session = await openSession(context.worker.options, { signal: context.signal });
    await acquireLock(session, runnerLock(context.key), {
      waitMs: SETTLE_MS,
      signal: context.signal,
    }).catch(refuseUnlessLocked);
    const [row] = await session.run(
      `select pg_catalog.pg_xact_status('${transactionId}') as "status"`,
    );
    return row?.status;
  } finally {
    await session?.close();
  }
}
