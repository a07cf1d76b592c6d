import type { SeenBlockers } from '../../../connection/blockers.ts';
import { isConnectionLoss } from '../../../connection/connection-error.ts';
import { LADDER, type Rung, withLockRetries } from '../../../connection/retry.ts';
import type { Session } from '../../../connection/session.ts';
import { EvdbError } from '../../../errors.ts';
import { classifyStatement } from '../../../sql/kind.ts';
import { loadSqlParser } from '../../../sql/parser.ts';
import { quoteIdent } from '../../../sql/quote.ts';
import type { Statement } from '../../../sql/statements.ts';
import type { WrittenName } from '../../../sql/tree.ts';
import { statementError } from '../../files/script-error.ts';
import {
  finishStatementSql,
  forgetStartedSql,
  isWritten,
  startStatementSql,
} from '../../ledger/journal.ts';
import type { MigrationStep } from '../../plan/prepare.ts';
import {
  type ApplyContext,
  lockTimeouts,
  retryOptions,
  stepName,
  withBlockersWatched,
} from '../context.ts';
import { limitLocksSql, sendStatement } from '../session-settings.ts';
import { type LoneStatement, readLoneStatement, watchBuild } from './lone-statement.ts';
import {
  dropInvalidIndex,
  findIndex,
  type IndexState,
  listInvalidIndexes,
  listReindexLeftovers,
  probeStatement,
} from './probe.ts';
import { sqlstateOf, takenOver, wantsNoTransaction } from './transaction.ts';

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
  try {
    await withLockRetries((rung) => attempt(statement, step, { rung, lone, left, ...running }), {
      ...retryOptions(step, context, seen),
      ...(hasOneTry && { ladder: [LONGEST_RUNG], budgetMs: undefined }),
    });
  } catch (error) {
    await forgetIfNotDone(error, { statement, lone, left, step, context, refused });
    throw error;
  }
  await write('finished', statement, step, context);
}

async function attempt(
  statement: Statement,
  step: MigrationStep,
  running: Running & { rung: Rung; lone: LoneStatement; left: { behind: boolean } },
): Promise<void> {
  const { context, rung, lone, left } = running;
  const { worker, settings } = context;
  const { isConcurrently, lockClass } = classifyStatement(statement);
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
  if (rows.length === 0) throw takenOver(step);
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

/** How long clearing away may take when somebody wants the runner to stop. */
const HASTE = '2s';

interface Care {
  worker: Session;
  /** Whether the runner was asked to stop. */
  isAborted: () => boolean;
  /** Called where an invalid index could not be dropped. */
  onLeftBehind: () => void;
}

/**
 * Runs a statement that builds indexes without blocking anybody, so that none stays invalid: `if
 * not exists` would accept one of a build that failed, which is dropped first; and what a failure
 * leaves is dropped afterwards.
 */
async function withIndexCare<T>(
  lone: LoneStatement,
  care: Care,
  run: () => Promise<T>,
): Promise<T> {
  if (lone.kind !== 'create-index' && lone.kind !== 'reindex') return run();
  const { worker } = care;
  if (lone.kind === 'create-index') await dropMasked(lone, worker);
  const before = await listInvalid(lone, worker);
  try {
    const result = await run();
    await refuseInvalid(lone, worker);
    return result;
  } catch (error) {
    if (!worker.isClosed) await dropNew(lone, before, care).catch(care.onLeftBehind);
    throw error;
  }
}

type IndexBuild = Extract<LoneStatement, { kind: 'create-index' | 'reindex' }>;
type IndexCreation = Extract<LoneStatement, { kind: 'create-index' }>;

async function dropMasked(
  { table, name, ifNotExists }: IndexCreation,
  worker: Session,
): Promise<void> {
  if (!ifNotExists || name === undefined) return;
  const found = await findIndex(worker, table, name);
  if (found?.isValid === false) await dropInvalidIndex(worker, found);
}

function listInvalid(lone: IndexBuild, worker: Session): Promise<IndexState[]> {
  return lone.kind === 'reindex'
    ? listReindexLeftovers(worker, lone.scope)
    : listInvalidIndexes(worker, lone.table);
}

/** The server has said that it is done, so this would be a surprise; it must not pass unseen. */
async function refuseInvalid(lone: IndexBuild, worker: Session): Promise<void> {
  if (lone.kind !== 'create-index' || lone.name === undefined) return;
  const found = await findIndex(worker, lone.table, lone.name);
  if (found?.isValid !== false) return;
  throw new EvdbError('MIGRATION_FAILED', `the index ${found.name} is not valid`, {
    hint: `It is not used by queries. Drop it (drop index concurrently ${found.name};) and run the command again.`,
  });
}

async function dropNew(lone: IndexBuild, before: IndexState[], care: Care): Promise<void> {
  const known = new Set(before.map(({ oid }) => oid));
  if (care.isAborted()) await care.worker.run(`set lock_timeout = '${HASTE}'`);
  for (const index of await listInvalid(lone, care.worker)) {
    if (!known.has(index.oid)) await dropInvalidIndex(care.worker, index);
  }
}
