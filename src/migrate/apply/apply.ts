import { createSeenBlockers } from '../../connection/blockers.ts';
import { classifyStatement } from '../../sql/kind.ts';
import { quoteIdent } from '../../sql/quote.ts';
import type { Statement } from '../../sql/statements.ts';
import {
  closeJournalSql,
  isWritten,
  openJournalSql,
  statementChecksum,
} from '../ledger/journal.ts';
import {
  deleteMigrationSql,
  insertHistorySql,
  insertMigrationSql,
  notRecorded,
} from '../ledger/record.ts';
import { fullName } from '../plan/plan.ts';
import type { MigrationStep } from '../plan/prepare.ts';
import type { MigrationStepName } from '../progress.ts';
import { type ApplyContext, stepName, tellWhoIsInTheWay } from './context.ts';
import { describeFailure } from './failure.ts';
import { openSessionSql, resetSessionSql, searchPathSql, wrongTarget } from './session-settings.ts';
import { type Running, runAlone } from './stepwise/alone.ts';
import { takeUp } from './stepwise/take-up.ts';
import { runInTransaction, wantsNoTransaction } from './stepwise/transaction.ts';
import { applyInTransaction } from './transaction.ts';

export interface MigrationStepResult extends MigrationStepName {
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
  step: MigrationStep,
  context: ApplyContext,
): Promise<{ done: Promise<MigrationStepResult> }> {
  if (step.isTransactional) {
    const { committed } = await applyInTransaction(step, context);
    return { done: committed.then((durationMs) => ({ ...stepName(step), durationMs })) };
  }
  await context.previous;
  const durationMs = await applyStatements(step, context);
  return { done: Promise.resolve({ ...stepName(step), durationMs }) };
}

/**
 * Applies a no-transaction step: each statement commits on its own, together with its line of the
 * journal where it can run in a transaction, and with one before and one after it where it cannot.
 * So the next run knows where to go on, wherever this one is interrupted.
 */
async function applyStatements(step: MigrationStep, context: ApplyContext): Promise<number> {
  const startedAt = performance.now();
  const seen = createSeenBlockers();
  tellWhoIsInTheWay(step, context);
  try {
    await prepareSession(step, context);
    const from = step.resume
      ? await takeUp(step, step.resume, { context, seen })
      : await start(step, context);
    for (const statement of step.statements.slice(from)) {
      await runStatement(statement, step, { context, seen });
    }
    const durationMs = performance.now() - startedAt;
    await recordEnd(step, durationMs, context);
    return durationMs;
  } catch (error) {
    throw await describeFailure(error, { step, context, seen });
  } finally {
    const { worker } = context;
    if (!worker.isClosed) await worker.run(resetSessionSql(worker.facts)).catch(() => undefined);
  }
}

async function prepareSession(
  step: MigrationStep,
  { worker, key, settings, createTarget }: ApplyContext,
) {
  const timeoutMs = step.script.directives.statementTimeoutMs ?? settings.statementTimeoutMs;
  const [row] = await worker.run(`${openSessionSql(worker.facts)}
set lock_timeout = 0;
${timeoutMs === undefined ? '' : `set statement_timeout = ${timeoutMs};`}
${createTarget ? `create schema if not exists ${quoteIdent(key.targetSchema)};` : ''}
set search_path = ${searchPathSql({ ...settings, targetSchema: key.targetSchema })};
select pg_catalog.current_schema() as "currentSchema"`);
  if (row?.currentSchema !== key.targetSchema)
    throw wrongTarget(key.targetSchema, 'before', worker.facts);
}

/** Opens the journal; the index of the first statement to run. */
async function start(step: MigrationStep, { observer, key }: ApplyContext): Promise<number> {
  const state = step.direction === 'up' ? 'applying' : 'reverting';
  const checksums = step.statements.map((statement) => statementChecksum(step.script, statement));
  const insert = step.entry ? insertMigrationSql(key, step.entry) : '';
  const opened = isWritten.opened(key, step.version);
  const rows = await observer.record(
    `begin; ${insert} ${openJournalSql(key, step.version, { state, checksums })} commit; select 1 where ${opened}`,
    opened,
  );
  if (rows.length === 0) throw notRecorded(key, fullName(step));
  return 0;
}

async function runStatement(
  statement: Statement,
  step: MigrationStep,
  running: Running,
): Promise<void> {
  const { signal, onProgress } = running.context;
  signal?.throwIfAborted();
  const startedAt = performance.now();
  if (needsItsOwnWay(statement)) await runAlone(statement, step, running);
  else await runWhereItCan(statement, step, running);
  const { line, command } = statement;
  const durationMs = performance.now() - startedAt;
  onProgress({ kind: 'statement', step: stepName(step), line, command, durationMs });
}

/** Only the server knows whether a procedure commits; having refused that it rolled back. */
async function runWhereItCan(
  statement: Statement,
  step: MigrationStep,
  running: Running,
): Promise<void> {
  try {
    await runInTransaction(statement, step, running);
  } catch (error) {
    if (!wantsNoTransaction(error)) throw error;
    await runAlone(statement, step, running, error);
  }
}

/** Refused inside a transaction, or meaning something else there than outside. */
function needsItsOwnWay(statement: Statement): boolean {
  if (classifyStatement(statement).needsNoTransaction) return true;
  if (ONLY_IN_TRANSACTIONS.has(statement.command)) return true;
  return (
    statement.command === 'set' && /^set\s+(local|transaction|constraints)\b/i.test(statement.text)
  );
}

const ONLY_IN_TRANSACTIONS = new Set(['lock', 'savepoint', 'release', 'rollback', 'declare']);

async function recordEnd(
  step: MigrationStep,
  durationMs: number,
  context: ApplyContext,
): Promise<void> {
  const { observer, key, provenance } = context;
  const { version, label, name, script, direction } = step;
  const change =
    direction === 'up'
      ? closeJournalSql(key, version, durationMs)
      : deleteMigrationSql(key, version);
  const entry = { action: direction, version, label, name, checksum: script.checksum, durationMs };
  const ended =
    direction === 'up' ? isWritten.closed(key, version) : isWritten.removed(key, version);
  const rows = await observer.record(
    `begin; ${change} ${insertHistorySql(key, entry, provenance)} commit; select 1 where ${ended}`,
    ended,
  );
  if (rows.length === 0) throw notRecorded(key, fullName(step));
}
