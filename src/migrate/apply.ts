import { type ApplyContext, stepName } from './apply-context.ts';
import { applyStatements } from './apply-statements.ts';
import { applyInTransaction } from './apply-transaction.ts';
import type { Step } from './prepare.ts';
import type { StepName } from './progress.ts';

export interface StepResult extends StepName {
  durationMs: number;
}

/**
 * Runs one step whole or not at all; a no-transaction step statement by statement. Comes back when
 * the next step may be sent; `done` tells when this one is committed.
 *
 * @throws {ScriptError} MIGRATION_FAILED, LOCK_TIMEOUT at a place of the script
 * @throws {EvdbError} TARGET_SCHEMA, CONNECTION_LOST, OUTCOME_UNKNOWN
 */
export async function applyStep(
  step: Step,
  context: ApplyContext,
): Promise<{ done: Promise<StepResult> }> {
  if (step.isTransactional) {
    const { committed } = await applyInTransaction(step, context);
    return { done: committed.then((durationMs) => ({ ...stepName(step), durationMs })) };
  }
  await context.previous;
  const durationMs = await applyStatements(step, context);
  return { done: Promise.resolve({ ...stepName(step), durationMs }) };
}
