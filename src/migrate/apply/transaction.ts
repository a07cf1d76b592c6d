import { keepFromWorkers } from '../../citus/timeouts.ts';
import { createSeenBlockers, nameTrySql, type SeenBlockers } from '../../connection/blockers.ts';
import { codeOf, isConnectionLoss } from '../../connection/connection-error.ts';
import { type Rung, withLockRetries } from '../../connection/retry.ts';
import { EvdbError } from '../../errors.ts';
import { classifyStatement } from '../../sql/kind.ts';
import { KEEP_UTF8_SQL } from '../../sql/quote.ts';
import type { Statement } from '../../sql/statements.ts';
import { batchesOf, unlessChanged } from '../files/batches.ts';
import { statementError } from '../files/script-error.ts';
import { leaseLost } from '../ledger/lock.ts';
import { NOT_RECORDED, notRecorded, recordDownStatements, recordUpSql } from '../ledger/record.ts';
import { recordSeedStatements } from '../ledger/seeds.ts';
import { fullName } from '../plan/plan.ts';
import type { MigrationStep } from '../plan/prepare.ts';
import {
  END_READ_ONLY_SQL,
  readTransactionModes,
  type TransactionModes,
} from '../plan/transaction-modes.ts';
import {
  type ApplyContext,
  explainFailure,
  lockTimeouts,
  retryOptions,
  stepName,
  tellWhoIsInTheWay,
  withBlockersWatched,
} from './context.ts';
import { createOutbox, createQuickCheck, type Part } from './messages.ts';
import { resolveOutcome } from './outcome.ts';
import {
  beginStatements,
  createLockLimit,
  NOT_THE_TARGET,
  rollBack,
  sendStatement,
  wrongTarget,
} from './worker-session.ts';

/** A step whose commit is on its way; the next step may be sent behind it. */
interface Committing {
  /** Gives the duration in ms once the server has answered. */
  committed: Promise<number>;
}

/**
 * Applies a step in one transaction together with its ledger row. It comes back as soon as the
 * commit is sent, so that the next step travels along; that one waits for this answer before it
 * commits itself (`context.previous`), and is rolled back where this one failed.
 *
 * @param run what is done in the transaction; gives its id
 */
export async function applyInTransaction(
  step: MigrationStep,
  context: ApplyContext,
  run: typeof runStatements = runStatements,
): Promise<Committing> {
  const seen = createSeenBlockers();
  tellWhoIsInTheWay(step, context);
  let isPreviousLost = false;
  context.previous.catch(() => {
    isPreviousLost = true;
  });
  try {
    return await withLockRetries(
      (rung, count) =>
        attempt(() => run(step, { ...rung, count }, context), { step, context, seen, rung }),
      {
        ...retryOptions(step, context, seen),
        isHopeless: () => isPreviousLost,
      },
    );
  } catch (error) {
    // Where the step before did not commit, that is what happened.
    await context.previous;
    const cause = context.signal?.aborted ? error : unlessChanged(error, step);
    throw await explainFailure(cause, { step, context, seen });
  }
}

/** A rung, and which try it is. */
export type Try = Rung & { count: number };

async function attempt(
  run: () => Promise<string>,
  about: { step: MigrationStep; context: ApplyContext; seen: SeenBlockers; rung: Rung },
): Promise<Committing> {
  const { step, context, seen, rung } = about;
  const { previous } = context;
  let startedAt = performance.now();
  const setClock = () => {
    startedAt = performance.now();
  };
  previous.then(setClock, setClock);
  try {
    const transactionId = await withBlockersWatched(run, {
      step,
      context,
      lockTimeoutMs: rung.lockTimeoutMs,
      seen,
    });
    await previous;
    context.signal?.throwIfAborted();
    return { committed: commit(step, transactionId, context, startedAt) };
  } catch (error) {
    await rollBack(context);
    throw error;
  }
}

export function beginParts(
  step: MigrationStep,
  modes: TransactionModes,
  { lockTimeoutMs, count }: Try,
  context: ApplyContext,
): Part[] {
  const { key, settings, createTarget, worker, cleanness } = context;
  return beginStatements({
    facts: worker.facts,
    targetSchema: key.targetSchema,
    searchPath: settings.searchPath,
    createTarget,
    modes,
    lockTimeoutMs,
    statementTimeoutMs: step.script.directives.statementTimeoutMs ?? settings.statementTimeoutMs,
    isClean: cleanness.isClean,
    nameSql: count > 1 ? nameTrySql(count, fullName(step)) : undefined,
  }).map((text) => ({ text }));
}

/**
 * Opens the transaction, runs the statements and writes the ledger row behind them, all sent in
 * one go where they are few; gives the transaction's id.
 */
async function runStatements(
  step: MigrationStep,
  rung: Try,
  context: ApplyContext,
): Promise<string> {
  const { worker, cleanness } = context;
  context.notices.startTry(step);
  const timeouts = lockTimeouts(rung, context.settings);
  const limit = createLockLimit(rung.lockTimeoutMs);
  const modes = await readTransactionModes(step);
  const isQuick = createQuickCheck();
  const outbox = createOutbox(worker, outcomeOf(step, context));
  let isPlain = modes.count === 0;
  outbox.add(...beginParts(step, modes, rung, context));
  let sent: Promise<unknown>[] = [];
  // While the server works on one batch the next one is read.
  let before: Sent = Promise.resolve([]);
  for (const { statements, rows, isLast } of batchesOf(step)) {
    context.signal?.throwIfAborted();
    for (const statement of statements) {
      if (statement.index < modes.count) continue;
      outbox.add(...limit.before(timeouts[classifyStatement(statement).lockClass]));
      if (rows === undefined && isQuick(statement)) {
        context.notices.expect(statement);
        outbox.add({ text: statement.text, statement });
      } else {
        isPlain = false;
        cleanness.isClean = false;
        sent.push(...outbox.send());
        sent.push(runStatement(statement, { ...step, rows }, context));
      }
      outbox.add(...limit.after(statement));
    }
    if (isLast) break;
    sent.push(...outbox.send());
    const batch = Promise.allSettled(sent);
    sent = [];
    // Behind a copy nothing may be sent, not even a rollback.
    if (rows !== undefined) await batch;
    await firstFailure(before);
    if (rows !== undefined) await firstFailure(batch);
    before = batch;
  }
  if (!isPlain) sent.push(...outbox.send(), ...endScript(modes, context));
  if (step.script.directives.ensures) {
    sent = await ensured(step, context, [before, Promise.allSettled([...sent, ...outbox.send()])]);
  }
  outbox.add(...recordParts(step, context));
  const recorded = outbox.send();
  const last = Promise.allSettled([...sent, ...recorded]);
  await firstFailure(before);
  await firstFailure(last);
  return recordedId((await recorded[0])?.[0]?.recorded, step, context);
}

/** Asks what the step ensures once its statements are done; nothing is under way then. */
async function ensured(step: MigrationStep, context: ApplyContext, sent: Sent[]): Promise<[]> {
  for (const batch of sent) await firstFailure(batch);
  const { requireEnsured } = await import('./gates.ts');
  await requireEnsured(step, context);
  return [];
}

/** How the parts of the messages that hold several are told of. */
export function outcomeOf(step: MigrationStep, context: ApplyContext) {
  const startedAt = performance.now();
  return {
    onDone: (statement: Statement) => tellDone(statement, step, context, startedAt),
    onError: (error: Error, { statement }: Partial<Part> = {}) => {
      if (statement && !isConnectionLoss(error))
        return statementError(error, step.script, statement);
      return codeOf(error) === NOT_THE_TARGET
        ? wrongTarget(context.key.targetSchema, 'before', context.worker.facts)
        : error;
    },
  };
}

async function runStatement(
  statement: Statement,
  step: MigrationStep & { rows: Iterable<Buffer> | undefined },
  context: ApplyContext,
): Promise<void> {
  const startedAt = performance.now();
  try {
    await sendStatement(statement, step, context);
  } catch (error) {
    throw isConnectionLoss(error) ? error : statementError(error, step.script, statement);
  }
  tellDone(statement, step, context, startedAt);
}

function tellDone(
  { line, command }: Statement,
  step: MigrationStep,
  { onProgress }: ApplyContext,
  startedAt: number,
): void {
  const durationMs = performance.now() - startedAt;
  onProgress({ kind: 'statement', step: stepName(step), line, command, durationMs });
}

/** What was sent and is waited for later; a failure of it is nobody's until then. */
type Sent = Promise<PromiseSettledResult<unknown>[]>;

/** Waits for all: those behind a failed statement fail too, because the transaction is aborted. */
async function firstFailure(sent: Sent): Promise<void> {
  for (const result of await sent) {
    if (result.status === 'rejected') throw result.reason;
  }
}

// These count from the commit on, so the next transaction would be too late for them. The encoding
// counts from the next message on.
const END_SCRIPT_SQL = `
set constraints all immediate;
unlisten *;
set default_transaction_read_only = on;
reset session authorization;
reset role;
${KEEP_UTF8_SQL}`;

/** Resets what the statements of a script may have left in force. */
export function endScript(
  { isReadOnly }: TransactionModes,
  { worker, notices }: ApplyContext,
): Promise<unknown>[] {
  const end = `${keepFromWorkers(worker.facts)}${END_SCRIPT_SQL}`;
  notices.expectDeferred(end);
  const ended = worker.run(end);
  return isReadOnly ? [worker.run(END_READ_ONLY_SQL), ended] : [ended];
}

/** Writes the ledger in the same transaction and gives the transaction's id. */
function recordParts({ entry, ...step }: MigrationStep, { key, provenance }: ApplyContext): Part[] {
  if (entry) return [{ text: recordUpSql(key, entry, provenance) }];
  const { version, label, name, script } = step;
  const { checksum } = script;
  if (step.isSeed) {
    const seed = { action: 'up', label, name, checksum } as const;
    return recordSeedStatements(key, seed, provenance).map((text) => ({ text }));
  }
  const history = { action: 'down', version, label, name, checksum } as const;
  return recordDownStatements(key, history, provenance, step.replaced).map((text) => ({ text }));
}

/** @throws {EvdbError} TARGET_SCHEMA, LOCKED, LEDGER_DAMAGED where it must not be committed */
export function recordedId(
  recorded: unknown,
  step: MigrationStep,
  { key, worker }: ApplyContext,
): string {
  if (recorded === NOT_RECORDED.target) throw wrongTarget(key.targetSchema, 'after', worker.facts);
  if (recorded === NOT_RECORDED.lock) throw key.lease ? leaseLost() : lockLost(step);
  if (typeof recorded !== 'string' || recorded === NOT_RECORDED.ledger)
    throw notRecorded(key, fullName(step));
  return recorded;
}

function lockLost(step: MigrationStep): EvdbError {
  return new EvdbError(
    'LOCKED',
    `${fullName(step)} released the runner's lock, and another runner has taken it`,
    {
      hint: 'It was rolled back. Remove pg_advisory_unlock_all() from the script, or name the locks to release.',
    },
  );
}

async function commit(
  step: MigrationStep,
  transactionId: string,
  context: ApplyContext,
  startedAt: number,
): Promise<number> {
  try {
    await context.worker.run('commit');
    return performance.now() - startedAt;
  } catch (error) {
    const outcome = isConnectionLoss(error)
      ? (await resolveOutcome([step], { cause: error, transactionId }, context)).error
      : error;
    throw await explainFailure(outcome, { step, context, seen: createSeenBlockers() });
  }
}
