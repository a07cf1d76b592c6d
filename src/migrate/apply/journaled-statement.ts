import { type SeenBlockers, tryUnderName } from '../../connection/blockers.ts';
import { isConnectionLoss } from '../../connection/connection-error.ts';
import { synchronousSql } from '../../connection/options.ts';
import { LADDER, type Rung, withLockRetries } from '../../connection/retry.ts';
import type { Session } from '../../connection/session.ts';
import { EvdbError } from '../../errors.ts';
import { classifyStatement } from '../../sql/kind.ts';
import { loadSqlParser } from '../../sql/parser.ts';
import { KEEP_UTF8_SQL, quoteIdent } from '../../sql/quote.ts';
import type { Statement } from '../../sql/statements.ts';
import type { WrittenName } from '../../sql/tree.ts';
import { ScriptError, statementError } from '../files/script-error.ts';
import {
  closeJournalSql,
  finishStatementSql,
  forgetStartedSql,
  isWritten,
  startStatementSql,
} from '../ledger/journal.ts';
import type { LedgerKey } from '../ledger/ledger.ts';
import { holdsLockSql, leaseLost } from '../ledger/lock.ts';
import { deleteMigrationSql, insertHistorySql, notRecorded } from '../ledger/record.ts';
import { fullName } from '../plan/plan.ts';
import type { MigrationStep } from '../plan/prepare.ts';
import {
  type ApplyContext,
  lockTimeouts,
  retryOptions,
  stepName,
  withBlockersWatched,
} from './context.ts';
import { probeStatement, withIndexCare } from './leftovers.ts';
import { type LoneStatement, readLoneStatement } from './lone-statement.ts';
import { watchBuild } from './observations.ts';
import { backToOwnRole, beginLimited, limitLocksSql, sendStatement } from './worker-session.ts';

/** What runs a statement needs to know beside it. */
export interface Running {
  context: ApplyContext;
  /** The last seen blockers. */
  seen: SeenBlockers;
}

/** Where a wait has no end: short ones stay unmentioned. */
const LOOK_AFTER_MS = 5000;

/** How long a statement may wait that must not be tried twice. */
const LONGEST_RUNG: Rung = { lockTimeoutMs: 3000, pauseMs: 0 };

/**
 * Runs one statement in a transaction of its own together with its line of the journal, so that it
 * can never be done without being written down, nor the other way round.
 */
export async function runInTransaction(
  statement: Statement,
  step: MigrationStep,
  { context, seen }: { context: ApplyContext; seen: SeenBlockers },
): Promise<void> {
  const retrying = { worker: context.worker, work: fullName(step) };
  await withLockRetries(
    (rung, count) =>
      tryUnderName(retrying, count, () =>
        attemptInTransaction(statement, step, { rung, context, seen }),
      ),
    retryOptions(step, context, seen),
  );
}

const END_STATEMENT_SQL = `set constraints all immediate; ${KEEP_UTF8_SQL}`;

async function attemptInTransaction(
  statement: Statement,
  step: MigrationStep,
  at: { rung: Rung; context: ApplyContext; seen: SeenBlockers },
): Promise<void> {
  const { worker, settings, signal, notices } = at.context;
  const lockTimeoutMs = lockTimeouts(at.rung, settings)[classifyStatement(statement).lockClass];
  notices.startTry(step);
  await beginLimited(worker, lockTimeoutMs);
  try {
    const work = () => sendStatement(statement, step, { worker, signal, notices });
    await withBlockersWatched(work, { step, ...at, lockTimeoutMs });
    // What is deferred counts as part of the statement, and runs as whoever ran that.
    notices.expectDeferred(END_STATEMENT_SQL);
    await worker.run(END_STATEMENT_SQL);
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
  const holdsLock = `${holdsLockSql(key)} as "holdsLock"`;
  const [row] = await worker.run(`${backToOwnRole(worker)}
select ${synchronousSql(true)};
${finishStatementSql(key, step.version, statement, holdsLock)}`);
  if (row?.holdsLock !== true) throw takenOver(step, key);
}

/** Whether the server refused a statement only because it was inside a transaction. */
export function wantsNoTransaction(error: unknown): boolean {
  // active_sql_transaction; and a procedure or block that commits: invalid_transaction_termination
  return ['25001', '2D000'].includes(sqlstateOf(error) ?? '');
}

function sqlstateOf(error: unknown): string | undefined {
  return error instanceof ScriptError ? error.server?.sqlstate : undefined;
}

/**
 * Runs a statement that PostgreSQL refuses inside a transaction. The journal is told before and
 * after it, by the session that looks on; what became of it when it is interrupted in between is
 * for `probeStatement` to find out.
 *
 * @param refused what the server said inside a transaction, where that was tried
 */
export async function runAlone(
  statement: Statement,
  step: MigrationStep,
  running: Running,
  refused?: unknown,
): Promise<void> {
  const { context, seen } = running;
  const lone = readLoneStatement((await loadSqlParser()).parse(statement.text));
  await write('started', statement, step, context);
  // Of a procedure that commits nobody knows how far it came, and a detachment that failed half way
  // has to be finalized: they have one try.
  const hasOneTry = lone.kind === 'unknown' || lone.kind === 'detach';
  const left = { behind: false };
  const retrying = { worker: context.worker, work: fullName(step) };
  try {
    await withLockRetries(
      (rung, count) =>
        tryUnderName(retrying, count, () =>
          attemptAlone(statement, step, { rung, lone, left, ...running }),
        ),
      {
        ...retryOptions(step, context, seen),
        ...(hasOneTry && { ladder: [LONGEST_RUNG], budgetMs: undefined }),
      },
    );
  } catch (error) {
    await forgetIfNotDone(error, { statement, lone, left, step, context, refused });
    throw error;
  }
  await write('finished', statement, step, context);
}

async function attemptAlone(
  statement: Statement,
  step: MigrationStep,
  running: Running & { rung: Rung; lone: LoneStatement; left: { behind: boolean } },
): Promise<void> {
  const { context, rung, lone, left } = running;
  const { worker, settings } = context;
  const { isConcurrently, lockClass } = classifyStatement(statement);
  context.notices.startTry(step);
  // A concurrent build waits for old transactions on purpose and blocks nobody while it does.
  const lockTimeoutMs = isConcurrently ? 0 : lockTimeouts(rung, settings)[lockClass];
  const send = () => sendStatement(statement, step, context);
  const run = () => (buildsIndex(lone) ? withBuildTold(send, step, context) : send());
  const care = {
    worker,
    isAborted: () => context.signal?.aborted === true,
    onLeftBehind: () => {
      left.behind = true;
    },
  };
  try {
    await withTimeouts(worker, { lockTimeoutMs, isPatient: isConcurrently }, () =>
      withBlockersWatched(() => withIndexCare(lone, care, run), {
        step,
        ...running,
        lockTimeoutMs: lockTimeoutMs || LOOK_AFTER_MS,
      }),
    );
  } catch (error) {
    const isOurs = isConnectionLoss(error) || error instanceof EvdbError;
    throw isOurs ? error : statementError(error, step.script, statement);
  }
}

function buildsIndex({ kind }: LoneStatement): boolean {
  return kind === 'create-index' || kind === 'reindex';
}

function withBuildTold<T>(
  work: () => Promise<T>,
  step: MigrationStep,
  { observer, worker, onProgress }: ApplyContext,
): Promise<T> {
  return watchBuild(work, {
    observer,
    pid: worker.facts.pid,
    onProgress: (progress) =>
      onProgress({ kind: 'index-build', step: stepName(step), ...progress }),
  });
}

/**
 * Finds out what became of a statement that was begun by a runner which is gone, and goes on from
 * there.
 *
 * @returns whether it is done; undefined where that cannot be known
 */
export async function settleStarted(
  statement: Statement,
  step: MigrationStep,
  running: Running,
): Promise<boolean | undefined> {
  const { worker } = running.context;
  const lone = readLoneStatement((await loadSqlParser()).parse(statement.text));
  const patience = { lockTimeoutMs: 0, isPatient: true };
  const probe = () => probeStatement(worker, lone, statement.text);
  const fate = await withTimeouts(worker, patience, () =>
    withBlockersWatched(probe, { step, ...running, lockTimeoutMs: LOOK_AFTER_MS }),
  );
  if (fate === 'unknown') return undefined;
  if (fate === 'half-done' && lone.kind === 'detach') await finalizeDetach(lone, step, running);
  const isDone = fate !== 'not-done';
  await write(isDone ? 'finished' : 'forgotten', statement, step, running.context);
  return isDone;
}

/** The second half of `detach partition concurrently`, which takes the partition's lock. */
async function finalizeDetach(
  { parent, partition }: Extract<LoneStatement, { kind: 'detach' }>,
  step: MigrationStep,
  { context, seen }: Running,
): Promise<void> {
  const sql = `alter table ${written(parent)} detach partition ${written(partition)} finalize`;
  await withLockRetries(
    ({ lockTimeoutMs }) =>
      withTimeouts(context.worker, { lockTimeoutMs, isPatient: false }, () =>
        withBlockersWatched(() => context.worker.run(sql), { step, context, seen, lockTimeoutMs }),
      ),
    { ...retryOptions(step, context, seen), ladder: LADDER },
  );
}

function written({ schema, name }: WrittenName): string {
  return [...(schema === undefined ? [] : [schema]), name].map(quoteIdent).join('.');
}

/**
 * Where the server answered with an error, what it refused is not done, and may be edited before
 * the next run. Where that is not certain the journal stays as it is, and the next run looks.
 */
async function forgetIfNotDone(
  error: unknown,
  at: {
    statement: Statement;
    lone: LoneStatement;
    left: { behind: boolean };
    step: MigrationStep;
    context: ApplyContext;
    refused: unknown;
  },
): Promise<void> {
  const { statement, lone, left, step, context, refused } = at;
  // Refused for the same reason as before, it came no further than then, when nothing was committed.
  const isRefusal = wantsNoTransaction(error) && sqlstateOf(error) === sqlstateOf(refused);
  const isUnknown = lone.kind === 'unknown' && !isRefusal;
  if (isUnknown && error instanceof ScriptError) Object.assign(error.details, { isInDoubt: true });
  const isUncertain = isUnknown || lone.kind === 'detach' || left.behind;
  if (isUncertain || isConnectionLoss(error) || context.worker.isClosed) return;
  await write('forgotten', statement, step, context).catch(() => undefined);
}

const WRITES = {
  started: startStatementSql,
  finished: finishStatementSql,
  forgotten: forgetStartedSql,
};

async function write(
  what: keyof typeof WRITES,
  statement: Statement,
  step: MigrationStep,
  { observer, key }: ApplyContext,
): Promise<void> {
  const sql = WRITES[what](key, step.version, statement);
  const rows = await observer.record(sql, isWritten[what](key, step.version, statement));
  if (rows.length === 0) throw takenOver(step, key);
}

/**
 * Runs work with timeouts of our own on a session whose script may have set others, and puts those
 * back afterwards.
 *
 * @param isPatient takes the time limit of statements away too
 */
async function withTimeouts<T>(
  session: Session,
  { lockTimeoutMs, isPatient }: { lockTimeoutMs: number; isPatient: boolean },
  work: () => Promise<T>,
): Promise<T> {
  const [before] = await session.run(`select
    pg_catalog.current_setting('lock_timeout') as "lock",
    pg_catalog.current_setting('statement_timeout') as "statement",
    ${isPatient ? "pg_catalog.set_config('lock_timeout', '0', false)" : limitLocksSql(lockTimeoutMs, false)};
${isPatient ? 'set statement_timeout = 0;' : ''}`);
  try {
    return await work();
  } finally {
    if (!session.isClosed) {
      await session
        .run(
          `set lock_timeout = '${before?.lock}'; set statement_timeout = '${before?.statement}';`,
        )
        .catch(() => undefined);
    }
  }
}

/** Somebody else has gone on with the script: this runner had lost its lock. */
function takenOver(step: MigrationStep, { lease }: LedgerKey): EvdbError {
  if (lease !== undefined) return leaseLost();
  return new EvdbError(
    'LOCKED',
    `${fullName(step)} released the runner's lock, and another runner has taken it`,
    {
      hint: 'The statement was rolled back where it had a transaction. Remove pg_advisory_unlock_all() or `discard all` from the script.',
    },
  );
}

/**
 * Records that a step whose statements committed on their own is done.
 *
 * @param more what its history says beside, and what is written with it
 */
export async function recordEnd(
  step: MigrationStep,
  durationMs: number,
  { observer, key, provenance }: ApplyContext,
  more: { detail?: string; sql?: string } = {},
): Promise<void> {
  const { version, label, name, script, direction } = step;
  const { detail, sql = '' } = more;
  const [change, ended] =
    direction === 'up'
      ? [closeJournalSql(key, version, durationMs), isWritten.closed(key, version)]
      : [deleteMigrationSql(key, version, step.replaced), isWritten.removed(key, version)];
  const entry = { action: direction, version, label, name, checksum: script.checksum, durationMs };
  const history = insertHistorySql(
    key,
    { ...entry, ...(detail !== undefined && { detail }) },
    provenance,
  );
  const rows = await observer.record(
    `begin; ${change} ${sql} ${history} commit; select 1 where ${ended}`,
    ended,
  );
  if (rows.length === 0) throw notRecorded(key, fullName(step));
}
