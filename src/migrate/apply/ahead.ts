import { createSeenBlockers } from '../../connection/blockers.ts';
import { isConnectionLoss } from '../../connection/connection-error.ts';
import { classifyStatement } from '../../sql/kind.ts';
import { isMarkedSql, type LedgerEntry, recordUpOrFailSql } from '../ledger/record.ts';
import type { MigrationStep } from '../plan/prepare.ts';
import {
  type ApplyContext,
  explainFailure,
  ladderFor,
  lockTimeouts,
  stepName,
  tellWhoIsInTheWay,
  withBlockersWatched,
} from './context.ts';
import { createQuickCheck } from './messages.ts';
import { resolveOutcome } from './outcome.ts';
import { beginStatements, createLockLimit, makeClean, rollBack } from './worker-session.ts';

/*
 * Sends migrations ahead, each one message with its commit in it, so that the server always has the
 * next one. Behind one that fails nothing runs: its transaction stays failed, where even `begin` is
 * refused, until it is rolled back here, behind the last answer. Where it fails outside of that, at
 * its commit or before its `begin`, the next one finds that it is not recorded, and fails too.
 *
 * Nothing is made of a failure here: whoever failed is rolled back, and runs once more in the way of
 * all others, alone, which tells what is wrong or waits for locks.
 */

/** A step up that can be sent ahead: everything in it is quick. */
export interface QuickStep extends MigrationStep {
  entry: LedgerEntry;
}

/** One runs, one waits at the server, and one is on its way. */
const MOST_UNDER_WAY = 3;

/** So many statements share a message. */
const MOST_STATEMENTS = 64;

/** What is told while they run, in order. */
export interface Listener {
  onStarted(step: MigrationStep): void;
  onDone(step: MigrationStep, durationMs: number): void;
}

/**
 * The steps from `from` on that can be sent ahead of each other, and whether the session is fit for it:
 * where an event trigger may change it, it is not.
 */
export async function quickStepsFrom(
  steps: MigrationStep[],
  from: number,
  { worker, cleanness, previous }: ApplyContext,
): Promise<{ quick: QuickStep[]; isSafe: boolean }> {
  const quick: QuickStep[] = [];
  for (let step = steps[from]; step && isQuick(step); step = steps[from + quick.length]) {
    quick.push(step);
  }
  // A coordinator takes one statement a message, so nothing would be saved.
  if (worker.facts.isCitus) return { quick, isSafe: false };
  // Cleaning it for one of them costs more than it brings.
  if (quick.length < (cleanness.isClean ? 1 : 2)) return { quick, isSafe: false };
  await previous;
  return { quick, isSafe: await makeClean(worker, cleanness) };
}

function isQuick(step: MigrationStep): step is QuickStep {
  const { isTransactional, entry, script, statements } = step;
  const { gates, ensures } = script.directives;
  if (!isTransactional || !entry || script.large || gates || ensures) return false;
  return statements.length <= MOST_STATEMENTS && statements.every(createQuickCheck());
}

/**
 * Applies steps that are quick; comes back when nothing is under way. Nothing else may be.
 *
 * @returns how many are applied: the one behind them, if any, was rolled back and has to run alone
 * @throws {EvdbError} CONNECTION_LOST, OUTCOME_UNKNOWN
 */
export async function applyAhead(
  steps: QuickStep[],
  context: ApplyContext,
  listener: Listener,
): Promise<number> {
  const underWay: Message[] = [];
  let sent = 0;
  let done = 0;
  const sendMore = () => {
    while (sent < steps.length && underWay.length < MOST_UNDER_WAY && !context.signal?.aborted) {
      const step = steps[sent] as QuickStep;
      underWay.push(sendStep(step, steps[sent - 1], underWay, context));
      sent++;
    }
  };
  for (sendMore(); underWay[0]; sendMore()) {
    const { step, answer } = underWay[0];
    const startedAt = performance.now();
    listener.onStarted(step);
    try {
      await watched(step, answer, context);
    } catch (error) {
      done += await settle(error, underWay, context, listener);
      return done;
    }
    underWay.shift();
    tellDone(step, performance.now() - startedAt, context, listener);
    done++;
  }
  return done;
}

interface Message {
  step: QuickStep;
  answer: Promise<unknown>;
  /** Also before anybody has heard: several answers may come at once. */
  isAnswered: boolean;
}

function sendStep(
  step: QuickStep,
  previous: QuickStep | undefined,
  underWay: Message[],
  context: ApplyContext,
): Message {
  const texts = textsOf(step, previous, context);
  if (underWay.every(({ isAnswered }) => isAnswered)) expectNotices(step, context);
  const message: Message = {
    step,
    isAnswered: false,
    answer: context.worker.runEach(texts, (index) => {
      if (index < texts.length - 1) return;
      message.isAnswered = true;
      // What the server says from now on is of the next one.
      const next = underWay[underWay.indexOf(message) + 1];
      if (next) expectNotices(next.step, context);
    }),
  };
  // It is heard when its turn comes.
  message.answer.catch(() => undefined);
  return message;
}

function expectNotices(step: QuickStep, { notices }: ApplyContext): void {
  notices.startTry(step);
  for (const statement of step.statements) notices.expect(statement);
}

function textsOf(
  step: QuickStep,
  previous: QuickStep | undefined,
  { worker, key, settings, provenance }: ApplyContext,
): string[] {
  const [rung] = ladderFor(step, settings);
  const lockTimeoutMs = rung?.lockTimeoutMs ?? 0;
  const timeouts = lockTimeouts({ lockTimeoutMs, pauseMs: 0 }, settings);
  const limit = createLockLimit(lockTimeoutMs);
  const texts = beginStatements({
    facts: worker.facts,
    targetSchema: key.targetSchema,
    searchPath: settings.searchPath,
    createTarget: false,
    lockTimeoutMs,
    statementTimeoutMs: step.script.directives.statementTimeoutMs ?? settings.statementTimeoutMs,
    isClean: true,
    condition: previous && isMarkedSql(previous.entry, provenance),
  });
  for (const statement of step.statements) {
    for (const { text } of limit.before(timeouts[classifyStatement(statement).lockClass])) {
      texts.push(text);
    }
    texts.push(statement.text);
  }
  texts.push(recordUpOrFailSql(key, step.entry, provenance), 'commit');
  return texts;
}

function watched(step: QuickStep, answer: Promise<unknown>, context: ApplyContext) {
  tellWhoIsInTheWay(step, context);
  const [rung] = ladderFor(step, context.settings);
  return withBlockersWatched(() => answer, {
    step,
    context,
    lockTimeoutMs: rung?.lockTimeoutMs ?? 0,
    seen: createSeenBlockers(),
  });
}

function tellDone(
  step: QuickStep,
  durationMs: number,
  { onProgress }: ApplyContext,
  listener: Listener,
): void {
  for (const { line, command } of step.statements) {
    onProgress({ kind: 'statement', step: stepName(step), line, command, durationMs });
  }
  listener.onDone(step, durationMs);
}

/**
 * The first one under way has failed: waits for the others, which fail too, and rolls back.
 *
 * @returns how many of them are committed
 */
async function settle(
  error: unknown,
  underWay: Message[],
  context: ApplyContext,
  listener: Listener,
): Promise<number> {
  const { signal } = context;
  const seen = createSeenBlockers();
  await Promise.allSettled(underWay.map(({ answer }) => answer));
  const steps = underWay.map(({ step }) => step);
  if (isConnectionLoss(error)) {
    const loss = { cause: error, transactionId: undefined };
    const { index, error: outcome } = await resolveOutcome(steps, loss, context);
    for (const step of steps.slice(0, index)) {
      listener.onStarted(step);
      tellDone(step, 0, context, listener);
    }
    throw await explainFailure(outcome, { step: steps[index] as QuickStep, context, seen });
  }
  await rollBack(context);
  if (signal?.aborted) {
    throw await explainFailure(error, { step: steps[0] as QuickStep, context, seen });
  }
  return 0;
}
