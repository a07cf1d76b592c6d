import { openSession, type Session } from '../../connection/session.ts';
import { EvdbError } from '../../errors.ts';
import { quoteIdent, quoteLiteral } from '../../sql/quote.ts';
import { commandLine } from '../../text/command-line.ts';
import { acquireLock, runnerLock } from '../ledger/lock.ts';
import { readServerIdentity } from '../ledger/provenance.ts';
import { fullName } from '../plan/plan.ts';
import type { MigrationStep } from '../plan/prepare.ts';
import type { ApplyContext } from './context.ts';

/** How long to wait for the dead session to let go of the runner's lock. */
const SETTLE_MS = 30_000;

/**
 * What became of a commit. `elsewhere`: the address leads to a server that was promoted since, which
 * does not have it, and cannot get it any more.
 */
type Fate = 'committed' | 'aborted' | 'elsewhere' | 'unknown';

interface Loss {
  cause: unknown;
  /** Undefined where the commit was sent before it was known. */
  transactionId: string | undefined;
}

/** Of which step the error is; those before it are committed, and those behind it are not. */
interface Outcome {
  index: number;
  error: EvdbError;
}

/**
 * Finds out what became of commits whose answers never came. The runner's lock is taken first: while
 * the old session lives it may still be committing. Under it the history tells, whose entries come
 * with the transactions of their migrations and never go.
 *
 * @param steps those that were under way, of one direction, in the order in which they were sent
 * @returns CONNECTION_LOST when it is known what happened, OUTCOME_UNKNOWN when not
 */
export async function resolveOutcome(
  steps: MigrationStep[],
  loss: Loss,
  context: ApplyContext,
): Promise<Outcome> {
  const { committed, rest } = await readFates(steps, loss, context).catch(() => ALL_UNKNOWN);
  const index = Math.max(committed - 1, 0);
  const fate = committed > 0 ? 'committed' : rest;
  if (fate === 'unknown') return { index, error: outcomeUnknown(steps, loss, context) };
  const { direction } = steps[index] as MigrationStep;
  const { yes, no } = STANDING[direction];
  const said = {
    committed: `the server says that the commit succeeded: it is ${yes}`,
    aborted: `the server says that the transaction was rolled back: it is ${no}`,
    elsewhere: `the server that answers now was promoted since, and there it is ${no}`,
  };
  const error = new EvdbError(
    'CONNECTION_LOST',
    `the connection was lost while ${fullName(steps[index] as MigrationStep)} committed; ${said[fate]}`,
    {
      hint: 'Run the command again: it continues from there.',
      cause: loss.cause,
      details: { commit: fate === 'committed' ? 'committed' : 'aborted' },
    },
  );
  return { index, error };
}

/** Where a migration stands when its transaction committed, and when it did not. */
const STANDING = {
  up: { yes: 'applied', no: 'not applied' },
  down: { yes: 'no longer applied', no: 'still applied' },
};

function outcomeUnknown(
  steps: MigrationStep[],
  { cause, transactionId }: Loss,
  { provenance: { runId } }: ApplyContext,
): EvdbError {
  const [first, ...others] = steps as [MigrationStep, ...MigrationStep[]];
  const [names, they] =
    others.length === 0
      ? [fullName(first), 'it is']
      : [`${fullName(first)} and ${others.length} more after it`, 'they are'];
  return new EvdbError(
    'OUTCOME_UNKNOWN',
    `the connection was lost while ${names} committed, and the server cannot be asked whether ${they} ${STANDING[first.direction].yes}`,
    {
      hint: `${others.length === 0 ? 'It is' : 'Each is'} either whole or not there at all. When the server is back, \`${commandLine('migrate status')}\` tells.`,
      cause,
      details: { commit: 'unknown', runId, ...(transactionId !== undefined && { transactionId }) },
    },
  );
}

/** How many of them are committed, and what became of those behind. */
interface Fates {
  committed: number;
  rest: Fate;
}

const ALL_UNKNOWN: Fates = { committed: 0, rest: 'unknown' };

async function readFates(
  steps: MigrationStep[],
  { transactionId }: Loss,
  context: ApplyContext,
): Promise<Fates> {
  let session: Session | undefined;
  try {
    session = await openSession(context.worker.options, { signal: context.signal });
    const isGone = await outliveSession(session, context);
    const [before, now] = [await context.server, await readServerIdentity(session)];
    if (before?.system !== now.system) return ALL_UNKNOWN;
    // What the ledger holds was committed, and has come to a standby too.
    const committed = await countRecorded(session, steps, context);
    const isKnown = before.system !== null && before.timeline !== null && now.timeline !== null;
    if (committed === steps.length || !isKnown) return { committed, rest: 'unknown' };
    // On another timeline the number is that of somebody else's transaction.
    if (before.timeline !== now.timeline) return { committed, rest: 'elsewhere' };
    if (transactionId === undefined) return { committed, rest: isGone ? 'aborted' : 'unknown' };
    return { committed, rest: await readStatus(session, transactionId) };
  } finally {
    await session?.close();
  }
}

/**
 * Waits for the old session to end, and says whether it has: where another runner has the lock by now
 * as well, but not where it has it still.
 */
async function outliveSession(session: Session, { key, worker, signal }: ApplyContext) {
  const { lease } = key;
  if (lease !== undefined) {
    const { outliveLease } = await import('../ledger/hold-lease.ts');
    return outliveLease(session, { ...key, lease }, { waitMs: SETTLE_MS, signal });
  }
  try {
    await acquireLock(session, runnerLock(key), { waitMs: SETTLE_MS, signal });
    return true;
  } catch (error) {
    if (!(error instanceof EvdbError) || error.code !== 'LOCKED') throw error;
    const holders = error.details.holders as { pid: number }[];
    return holders.length > 0 && holders.every(({ pid }) => pid !== worker.facts.pid);
  }
}

async function readStatus(session: Session, transactionId: string): Promise<Fate> {
  const [row] = await session.run(
    `select pg_catalog.pg_xact_status('${transactionId}') as "status"`,
  );
  return row?.status === 'committed' || row?.status === 'aborted' ? row.status : 'unknown';
}

/** Of how many steps the history has the entry that this run wrote in their transactions. */
async function countRecorded(
  session: Session,
  steps: MigrationStep[],
  { key, provenance }: ApplyContext,
): Promise<number> {
  const names = steps.map(({ label, name, repeatables: [first] = [] }) => {
    // Each file has an entry of its own, and they come together.
    return `(${quoteLiteral(label)}, ${quoteLiteral(first?.name ?? name)})`;
  });
  const [row] = await session.run(`select pg_catalog.count(*)::int as "committed"
from ${quoteIdent(key.ledgerSchema)}.history
where target_schema = ${quoteLiteral(key.targetSchema)}
    and (label, name) in (${names.join(', ')})
    and action = ${quoteLiteral(steps[0]?.direction ?? '')}
    and run_id = ${quoteLiteral(provenance.runId)}`);
  return Number(row?.committed);
}
