import { openSession, type Session } from '../connection/session.ts';
import { EvdbError } from '../errors.ts';
import { quoteIdent, quoteLiteral } from '../sql/quote.ts';
import { commandLine } from '../text/command-line.ts';
import type { ApplyContext } from './apply-context.ts';
import type { LedgerKey } from './ledger.ts';
import { acquireLock, runnerLock } from './lock.ts';
import { fullName } from './plan.ts';
import type { Step } from './prepare.ts';
import { readServerIdentity } from './server-identity.ts';

/** How long to wait for the dead session to let go of the runner's lock. */
const SETTLE_MS = 30_000;

/**
 * What became of a commit. `elsewhere`: the address leads to a server that was promoted since, which
 * does not have it, and cannot get it any more.
 */
type Fate = 'committed' | 'aborted' | 'elsewhere' | 'unknown';

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
  const fate = await readFate(step, transactionId, context).catch(() => 'unknown' as const);
  const name = fullName(step);
  const verb = step.direction === 'up' ? 'applied' : 'taken back';
  if (fate === 'unknown') return outcomeUnknown(name, verb, { cause, transactionId });
  const said = {
    committed: `the server says that it was ${verb}`,
    aborted: `the server says that it was rolled back, nothing was ${verb}`,
    elsewhere: `the server that answers now was promoted since, and there nothing was ${verb}`,
  };
  return new EvdbError(
    'CONNECTION_LOST',
    `the connection was lost while ${name} committed; ${said[fate]}`,
    {
      hint: 'Run the command again: it goes on from there.',
      cause,
      details: { commit: fate === 'committed' ? 'committed' : 'aborted' },
    },
  );
}

function outcomeUnknown(
  name: string,
  verb: string,
  { cause, transactionId }: { cause: unknown; transactionId: string },
): EvdbError {
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

async function readFate(step: Step, transactionId: string, context: ApplyContext): Promise<Fate> {
  let session: Session | undefined;
  try {
    session = await openSession(context.worker.options, { signal: context.signal });
    await acquireLock(session, runnerLock(context.key), {
      waitMs: SETTLE_MS,
      signal: context.signal,
    }).catch(refuseUnlessLocked);
    const [before, now] = [await context.server, await readServerIdentity(session)];
    if (before?.system !== now.system) return 'unknown';
    // What the ledger holds was committed, and has come to a standby too.
    if (await isRecorded(session, step, transactionId, context.key)) return 'committed';
    const isKnown = before.system !== null && before.timeline !== null && now.timeline !== null;
    if (!isKnown) return 'unknown';
    // On another timeline the number is that of somebody else's transaction.
    if (before.timeline !== now.timeline) return 'elsewhere';
    const [row] = await session.run(
      `select pg_catalog.pg_xact_status('${transactionId}') as "status"`,
    );
    return row?.status === 'committed' || row?.status === 'aborted' ? row.status : 'unknown';
  } finally {
    await session?.close();
  }
}

/** Whether the row is there that the transaction wrote of the step. */
async function isRecorded(
  session: Session,
  { direction, version }: Step,
  transactionId: string,
  { ledgerSchema, targetSchema }: LedgerKey,
): Promise<boolean> {
  const isUp = direction === 'up';
  const [row] = await session.run(`select exists (
    select from ${quoteIdent(ledgerSchema)}.${isUp ? 'migration' : 'history'}
    where target_schema = ${quoteLiteral(targetSchema)} and version = ${version}
        and transaction_id = '${transactionId}' ${isUp ? '' : "and action = 'down'"}
) as "isThere"`);
  return row?.isThere === true;
}
