import type { SeenBlockers } from '../../../connection/blockers.ts';
import { isConnectionLoss } from '../../../connection/connection-error.ts';
import { synchronousSql } from '../../../connection/options.ts';
import { type Rung, withLockRetries } from '../../../connection/retry.ts';
import { EvdbError } from '../../../errors.ts';
import { classifyStatement } from '../../../sql/kind.ts';
import { KEEP_UTF8_SQL } from '../../../sql/quote.ts';
import type { Statement } from '../../../sql/statements.ts';
import { ScriptError, statementError } from '../../files/script-error.ts';
import { finishStatementSql } from '../../ledger/journal.ts';
import { retakeLockSql, runnerLock } from '../../ledger/lock.ts';
import { fullName } from '../../plan/plan.ts';
import type { MigrationStep } from '../../plan/prepare.ts';
import { type ApplyContext, lockTimeouts, retryOptions, withBlockersWatched } from '../context.ts';
import { limitLocksSql, sendStatement } from '../session-settings.ts';

/**
 * Runs one statement in a transaction of its own together with its line of the journal, so that it
 * can never be done without being written down, nor the other way round.
 */
export async function runInTransaction(
  statement: Statement,
  step: MigrationStep,
  { context, seen }: { context: ApplyContext; seen: SeenBlockers },
): Promise<void> {
  await withLockRetries((rung) => attempt(statement, step, { rung, context, seen }), {
    ...retryOptions(step, context, seen),
  });
}

/** Whether the server refused a statement only because it was inside a transaction. */
export function wantsNoTransaction(error: unknown): boolean {
  // active_sql_transaction; and a procedure or block that commits: invalid_transaction_termination
  return ['25001', '2D000'].includes(sqlstateOf(error) ?? '');
}

export function sqlstateOf(error: unknown): string | undefined {
  return error instanceof ScriptError ? error.server?.sqlstate : undefined;
}

async function attempt(
  statement: Statement,
  step: MigrationStep,
  at: { rung: Rung; context: ApplyContext; seen: SeenBlockers },
): Promise<void> {
  const { worker, settings, signal, notices } = at.context;
  const lockTimeoutMs = lockTimeouts(at.rung, settings)[classifyStatement(statement).lockClass];
  // Its answer comes before the statement is sent, which must never run without it.
  await worker.run(`begin isolation level read committed, read write;
select ${limitLocksSql(lockTimeoutMs, true)};
set local idle_in_transaction_session_timeout = '30s';`);
  try {
    const work = () => sendStatement(statement, step, { worker, signal, notices });
    await withBlockersWatched(work, { step, ...at, lockTimeoutMs });
    // What is deferred counts as part of the statement, and runs as whoever ran that.
    await worker.run(`set constraints all immediate; ${KEEP_UTF8_SQL}`);
  } catch (error) {
    if (!worker.isClosed) await worker.run('rollback').catch(() => undefined);
    throw isConnectionLoss(error) ? error : statementError(error, step.script, statement);
  }
  try {
    await recordStatement(statement, step, at.context);
    signal?.throwIfAborted();
    await worker.run('commit');
  } catch (error) {
    if (!worker.isClosed) await worker.run('rollback').catch(() => undefined);
    throw error;
  }
}

/** The script may have become another role: `local` gives way to that again at the commit. */
async function recordStatement(
  statement: Statement,
  step: MigrationStep,
  { worker, key }: ApplyContext,
): Promise<void> {
  const holdsLock = `${retakeLockSql(runnerLock(key))} as "holdsLock"`;
  const [row] = await worker.run(`set local session authorization default;
set local role none;
select ${synchronousSql(true)};
${finishStatementSql(key, step.version, statement, holdsLock)}`);
  if (row?.holdsLock !== true) throw takenOver(step);
}

/** Somebody else has gone on with the script: this runner had lost its lock. */
export function takenOver(step: MigrationStep): EvdbError {
  return new EvdbError(
    'LOCKED',
    `${fullName(step)} released the runner's lock, and another runner has taken it`,
    {
      hint: 'The statement was rolled back where it had a transaction. Take pg_advisory_unlock_all() or `discard all` out of the script.',
    },
  );
}
