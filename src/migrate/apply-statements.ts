import { isConnectionLoss } from '../connection/query-error.ts';
import { classifyStatement } from '../sql/kind.ts';
import { quoteIdent } from '../sql/quote.ts';
import type { Statement } from '../sql/statements.ts';
import {
  type ApplyContext,
  lockTimeouts,
  retryOptions,
  stepName,
  withBlockersWatched,
} from './apply-context.ts';
import type { Blocker } from './blockers.ts';
import { describeFailure } from './failure.ts';
import type { Step } from './prepare.ts';
import {
  deleteMigrationSql,
  insertHistorySql,
  insertMigrationSql,
  updateStateSql,
} from './record.ts';
import { type Rung, withLockRetries } from './retry.ts';
import { statementError } from './script-error.ts';
import { openSessionSql, resetSessionSql, searchPathSql, wrongTarget } from './session-settings.ts';

const ONE_TRY: Rung = { lockTimeoutMs: 0, pauseMs: 0 };

/**
 * Applies a no-transaction step: each statement commits on its own, and the ledger is told before
 * the first and after each. The observer keeps these books, because the script may change role,
 * and because it lives on when the worker's connection dies.
 */
export async function applyStatements(step: Step, context: ApplyContext): Promise<number> {
  const startedAt = performance.now();
  const seen: { blockers: Blocker[] } = { blockers: [] };
  try {
    await prepareSession(step, context);
    await recordStart(step, context);
    for (const statement of step.statements) {
      await runStatement(statement, step, context, seen);
      await recordStatement(statement, step, context);
    }
    const durationMs = performance.now() - startedAt;
    await recordEnd(step, durationMs, context);
    return durationMs;
  } catch (error) {
    throw await describeFailure(error, { step, context, blockers: seen.blockers });
  } finally {
    const { worker } = context;
    if (!worker.isClosed) await worker.run(resetSessionSql(worker.facts)).catch(() => undefined);
  }
}

async function prepareSession(step: Step, { worker, key, settings, createTarget }: ApplyContext) {
  const timeoutMs = step.script.directives.statementTimeoutMs ?? settings.statementTimeoutMs;
  const [row] = await worker.run(`${openSessionSql(worker.facts)}
${timeoutMs === undefined ? '' : `set statement_timeout = ${timeoutMs};`}
${createTarget ? `create schema if not exists ${quoteIdent(key.targetSchema)};` : ''}
set search_path = ${searchPathSql({ ...settings, targetSchema: key.targetSchema })};
select pg_catalog.current_schema() as "currentSchema"`);
  if (row?.currentSchema !== key.targetSchema)
    throw wrongTarget(key.targetSchema, 'before', worker.facts);
}

async function recordStart(step: Step, { observer, key }: ApplyContext): Promise<void> {
  const sql = step.entry
    ? insertMigrationSql(key, step.entry)
    : updateStateSql(key, step.version, {
        state: 'reverting',
        statementsDone: 0,
        statementsTotal: step.statements.length,
      });
  await observer.run(sql);
}

async function runStatement(
  statement: Statement,
  step: Step,
  context: ApplyContext,
  seen: { blockers: Blocker[] },
): Promise<void> {
  context.signal?.throwIfAborted();
  const startedAt = performance.now();
  await withLockRetries((rung) => attempt(statement, step, { rung, context, seen }), {
    ...retryOptions(step, context, seen),
    // A failed concurrent build leaves an invalid index behind: trying again would trip over it.
    ...(classifyStatement(statement).isConcurrently && { ladder: [ONE_TRY] }),
  });
  context.onProgress({
    kind: 'statement',
    step: stepName(step),
    line: statement.line,
    command: statement.command,
    durationMs: performance.now() - startedAt,
  });
}

async function attempt(
  statement: Statement,
  step: Step,
  { rung, context, seen }: { rung: Rung; context: ApplyContext; seen: { blockers: Blocker[] } },
): Promise<void> {
  const { worker, settings } = context;
  // A concurrent build waits for old transactions on purpose and blocks nobody while it does.
  const { isConcurrently, lockClass } = classifyStatement(statement);
  const lockTimeoutMs = isConcurrently ? 0 : lockTimeouts(rung, settings)[lockClass];
  await worker.run(`set lock_timeout = ${lockTimeoutMs}`);
  try {
    await withBlockersWatched(() => worker.run(statement.text), {
      step,
      context,
      lockTimeoutMs: lockTimeoutMs || 5000,
      seen,
    });
  } catch (error) {
    throw isConnectionLoss(error) ? error : statementError(error, step.script, statement);
  }
}

async function recordStatement(
  { index }: Statement,
  step: Step,
  { observer, key }: ApplyContext,
): Promise<void> {
  const state = step.direction === 'up' ? 'applying' : 'reverting';
  await observer.run(updateStateSql(key, step.version, { state, statementsDone: index + 1 }));
}

async function recordEnd(step: Step, durationMs: number, context: ApplyContext): Promise<void> {
  const { observer, key, provenance } = context;
  const { version, label, name, script, direction } = step;
  const change =
    direction === 'up'
      ? updateStateSql(key, version, { state: 'applied', durationMs })
      : deleteMigrationSql(key, version);
  const entry = { action: direction, version, label, name, checksum: script.checksum, durationMs };
  await observer.run(`begin; ${change} ${insertHistorySql(key, entry, provenance)} commit;`);
}
