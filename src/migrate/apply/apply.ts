import type { Node } from '@pgsql/types';
import { createSeenBlockers } from '../../connection/blockers.ts';
import { isConnectionLoss } from '../../connection/connection-error.ts';
import { EvdbError } from '../../errors.ts';
import { classifyStatement } from '../../sql/kind.ts';
import { loadSqlParser, type SqlParser } from '../../sql/parser.ts';
import type { Statement } from '../../sql/statements.ts';
import { asKind, stringsOf, walkTree } from '../../sql/tree.ts';
import { commandLine } from '../../text/command-line.ts';
import { ScriptError, statementError } from '../files/script-error.ts';
import {
  isWritten,
  openJournalSql,
  reopenJournalSql,
  replaceScriptSql,
  statementChecksum,
} from '../ledger/journal.ts';
import { insertHistorySql, insertMigrationSql, notRecorded } from '../ledger/record.ts';
import { fullName } from '../plan/plan.ts';
import type { MigrationStep } from '../plan/prepare.ts';
import type { ResumePoint } from '../plan/resume-point.ts';
import type { MigrationStepName } from '../progress.ts';
import type { BackfillStep } from './backfill.ts';
import { type ApplyContext, explainFailure, stepName, tellWhoIsInTheWay } from './context.ts';
import {
  type Running,
  recordEnd,
  runAlone,
  runInTransaction,
  settleStarted,
  wantsNoTransaction,
} from './journaled-statement.ts';
import { applyInTransaction } from './transaction.ts';
import { openForStatements, resetSessionSql } from './worker-session.ts';

/** One migration that ran, and for how long. */
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
    const run = step.repeatables && (await import('./repeatables.ts')).runRepeatables;
    const { committed } = await applyInTransaction(step, context, run);
    return { done: committed.then((durationMs) => ({ ...stepName(step), durationMs })) };
  }
  await context.previous;
  context.cleanness.isClean = false;
  const durationMs = await (step.backfill
    ? applyBatches({ ...step, backfill: step.backfill }, context)
    : applyStatements(step, context));
  return { done: Promise.resolve({ ...stepName(step), durationMs }) };
}

/** Loaded late: most runs have none. */
async function applyBatches(step: BackfillStep, context: ApplyContext): Promise<number> {
  const { applyBackfill } = await import('./backfill.ts');
  return applyBackfill(step, context);
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
    await openForStatements(step, context);
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
    throw await explainFailure(error, { step, context, seen });
  } finally {
    const { worker } = context;
    if (!worker.isClosed) await worker.run(resetSessionSql(worker.facts)).catch(() => undefined);
  }
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

/**
 * Takes a script up again that stopped half way: makes the settings of its session again, finds
 * out what became of the statement that was under way, and writes down that it goes on.
 *
 * @returns the index of the first statement to run
 * @throws {ScriptError} INCOMPLETE_MIGRATION where it cannot be known what became of that statement
 */
async function takeUp(step: MigrationStep, resume: ResumePoint, running: Running): Promise<number> {
  const { statementsDone, isNextStarted } = resume;
  const parser = await loadSqlParser();
  const done = step.statements.slice(0, statementsDone);
  refuseTemporaryObjects(step, done, parser);
  for (const statement of settingsOf(done, parser)) await makeAgain(statement, step, running);
  const next = step.statements[statementsDone];
  const wasDone = isNextStarted && next ? await settle(next, step, running) : undefined;
  const from = wasDone ? statementsDone + 1 : statementsDone;
  await recordResumption(step, from, running.context);
  running.context.onProgress({
    kind: 'resumed',
    step: stepName(step),
    statementsDone: from,
    statementsTotal: step.statements.length,
  });
  return from;
}

async function makeAgain(
  statement: Statement,
  step: MigrationStep,
  { context }: Running,
): Promise<void> {
  try {
    await context.worker.run(statement.text);
  } catch (error) {
    throw isConnectionLoss(error) ? error : statementError(error, step.script, statement);
  }
}

async function settle(
  statement: Statement,
  step: MigrationStep,
  running: Running,
): Promise<boolean> {
  const isDone = await settleStarted(statement, step, running);
  if (isDone === undefined) throw undecided(statement, step);
  return isDone;
}

function undecided(statement: Statement, step: MigrationStep): ScriptError {
  const { index, line, column, command } = statement;
  const { label } = classifyStatement(statement);
  const repair = (as: string) => commandLine('migrate repair', { as }, { args: [step.label] });
  const total = step.statements.length;
  const error = new ScriptError(
    'INCOMPLETE_MIGRATION',
    `${fullName(step)} stopped in its statement ${index + 1} of ${total} (${label}), and whether that was done cannot be known`,
    { script: step.script, line, column },
    {
      hint: `${whyUndecided(command)} Look at the database. Where it is done: \`${repair('done')}\`; where it has to run again: \`${repair('not-done')}\`; or roll the migration back: \`${commandLine('migrate down')}\`.`,
    },
  );
  const { version } = step;
  const where = { statement: index + 1, statementsDone: index, statementsTotal: total };
  Object.assign(error.details, { version, ...where });
  return error;
}

function whyUndecided(command: string): string {
  if (command === 'call' || command === 'do')
    return 'It commits on its own, so a part of it may be there.';
  if (command === 'create index')
    return 'The index is there, but the server did not say whether it is the same one.';
  return 'It ran outside of any transaction, and leaves nothing in the catalog that would tell.';
}

async function recordResumption(
  step: MigrationStep,
  from: number,
  context: ApplyContext,
): Promise<void> {
  const { observer, key, provenance } = context;
  const { version, label, name, script, entry, statements, direction } = step;
  const checksums = statements.map((statement) => statementChecksum(script, statement));
  const next = statements[from];
  const where = next
    ? `at statement ${from + 1} of ${statements.length}: ${classifyStatement(next).label}`
    : 'behind its last statement';
  const history = insertHistorySql(
    key,
    {
      action: 'resumed',
      ...{ version, label, name, checksum: script.checksum },
      detail: `${direction}, ${where}`,
    },
    provenance,
  );
  // Written twice it says the same.
  await observer.record(
    `begin; ${entry ? replaceScriptSql(key, entry) : ''} ${reopenJournalSql(key, version, checksums)} ${history} commit;`,
    'false',
  );
}

/**
 * The statements that only made settings of the session. They went with the session that was
 * interrupted, so a new one has to make them again before it goes on.
 */
function settingsOf(statements: Statement[], parser: SqlParser): Statement[] {
  return statements.filter((statement) => {
    if (SETTINGS.has(statement.command)) return true;
    return statement.command === 'select' && isSetConfig(parser.parse(statement.text));
  });
}

const SETTINGS = new Set(['set', 'reset', 'load', 'prepare', 'deallocate']);

/** As pg_dump begins its scripts: `select pg_catalog.set_config('search_path', '', false)`. */
function isSetConfig(tree: Node | null): boolean {
  const { targetList = [], fromClause } = asKind(tree ?? undefined, 'SelectStmt') ?? {};
  const call = asKind(asKind(targetList[0], 'ResTarget')?.val, 'FuncCall');
  if (targetList.length !== 1 || fromClause || !call) return false;
  const isConstant = (call.args ?? []).every((arg) => asKind(arg, 'A_Const') !== undefined);
  return stringsOf(call.funcname).at(-1) === 'set_config' && isConstant;
}

/**
 * What the statements ahead may read from temporary tables cannot be brought back.
 *
 * @throws {EvdbError} INCOMPLETE_MIGRATION
 */
function refuseTemporaryObjects(step: MigrationStep, done: Statement[], parser: SqlParser): void {
  const made = done.find(({ text }) => TEMPORARY.test(text) && makesTemporary(parser.parse(text)));
  if (made === undefined) return;
  throw new EvdbError(
    'INCOMPLETE_MIGRATION',
    `${fullName(step)} stopped half way, and what its statement ${made.index + 1} made was temporary and is gone`,
    {
      hint: `Roll it back with \`${commandLine('migrate down')}\`, which runs its down script, and apply it again with \`${commandLine('migrate up')}\`.`,
      details: { version: step.version, file: step.script.path, line: made.line },
    },
  );
}

const TEMPORARY = /\b(?:temp|temporary|pg_temp)\b/i;
const CREATING = new Set(['CreateStmt', 'CreateTableAsStmt', 'ViewStmt', 'CreateSeqStmt']);

function makesTemporary(tree: Node | null): boolean {
  if (tree === null) return false;
  const [kind = ''] = Object.keys(tree);
  const makes = CREATING.has(kind) || asKind(tree, 'SelectStmt')?.intoClause !== undefined;
  if (!makes) return false;
  let isTemporary = false;
  walkTree(tree, (_, fields) => {
    isTemporary ||= isTemporaryName(fields.relation) || isTemporaryName(fields.view);
    isTemporary ||= isTemporaryName(fields.sequence) || isTemporaryName(relationOf(fields.into));
    isTemporary ||= isTemporaryName(relationOf(fields.intoClause));
    return false;
  });
  return isTemporary;
}

function relationOf(into: unknown): unknown {
  return (into as { rel?: unknown } | undefined)?.rel;
}

function isTemporaryName(relation: unknown): boolean {
  const { relpersistence, schemaname } = (relation ?? {}) as Record<string, unknown>;
  return relpersistence === 't' || schemaname === 'pg_temp';
}
