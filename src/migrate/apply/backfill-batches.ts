import { createSeenBlockers, type SeenBlockers } from '../../connection/blockers.ts';
import { codeOf, isConnectionLoss } from '../../connection/connection-error.ts';
import { isConflict, type Rung, withLockRetries } from '../../connection/retry.ts';
import { openSession } from '../../connection/session.ts';
import { EvdbError } from '../../errors.ts';
import { KEEP_UTF8_SQL } from '../../sql/quote.ts';
import { batchSql } from '../backfill/batch-plan.ts';
import type { Pace } from '../backfill/pace.ts';
import { describeKey, readBatchEnd } from '../backfill/walked-table.ts';
import { ScriptError, statementError } from '../files/script-error.ts';
import {
  type BackfillRange,
  handOutSql,
  type MovedCursor,
  moveCursorSql,
  segmentExists,
} from '../ledger/backfill.ts';
import { holdsLockSql, isLockHeldSql, leaseLost, runnerLock } from '../ledger/lock.ts';
import { fullName } from '../plan/plan.ts';
import type { Walk } from './backfill.ts';
import { createTurns, type Throttle } from './backfill-throttle.ts';
import { type ApplyContext, retryOptions, stepName, withBlockersWatched } from './context.ts';
import { cancelOnAbort } from './runner.ts';
import { backToOwnRole, beginLimited, openForStatements } from './worker-session.ts';

/** One of those that walk a table at a time. */
export interface Worker {
  /** With a session of its own, and a signal that aborts where another worker fails. */
  context: ApplyContext;
  seen: SeenBlockers;
  pace: Pace;
}

/** What one batch did. */
interface Batch {
  upTo: string[];
  rowsWalked: number;
  rowsChanged: number;
  tookMs: number;
  /** What somebody else asks for: `run`, `pause` or `cancel`. */
  wanted: string;
}

/** What a batch was about when it failed. */
interface Asked {
  upTo: string[] | undefined;
  rows: number;
}

/**
 * Opens a session for each worker but the first, which has that of the runner.
 *
 * @throws {EvdbError} TOO_MANY_CONNECTIONS
 */
export async function openWorkers(walk: Walk, pace: () => Pace) {
  const { step, context, workers: count } = walk;
  const workers: Worker[] = [{ context, seen: walk.seen, pace: pace() }];
  const closing: (() => Promise<void>)[] = [];
  const close = async () => {
    await Promise.all(closing.map((one) => one()));
  };
  if (count === 1) return { workers, close };
  const connections = count + 1;
  context.onProgress({
    kind: 'backfill-workers',
    step: stepName(step),
    workers: count,
    connections,
  });
  try {
    while (workers.length < count) {
      const worker = await openSession(context.worker.options, { signal: context.signal });
      const stopCancelling = cancelOnAbort(worker, context.observer, walk.signal);
      closing.push(async () => {
        stopCancelling();
        await worker.close({ force: context.signal?.aborted === true });
      });
      const notices = { ...context.notices, ...context.notices.beside(worker) };
      const own = { ...context, worker, notices };
      await openForStatements(step, { ...own, createTarget: false });
      workers.push({ context: own, seen: createSeenBlockers(), pace: pace() });
    }
  } catch (error) {
    await close();
    throw needsMore(error, count);
  }
  return { workers, close };
}

function needsMore(error: unknown, workers: number): unknown {
  if (!(error instanceof EvdbError)) return error;
  // A pooler lets the last one wait.
  if (!['TOO_MANY_CONNECTIONS', 'CONNECT_TIMEOUT'].includes(error.code)) return error;
  return new EvdbError(
    'TOO_MANY_CONNECTIONS',
    `${workers} workers need ${workers + 1} connections, and evdb got fewer: ${error.message}`,
    {
      hint: 'Use fewer workers: --workers. The batches so far are committed; the next run continues after them.',
      cause: error,
    },
  );
}

/** Has the workers run batches until the end of the round. The first that fails ends the others too. */
export async function walkRound(walk: Walk, workers: Worker[], throttle: Throttle): Promise<void> {
  const failures: unknown[] = [];
  const inTurn = createTurns();
  await Promise.all(
    workers.map(async (worker) => {
      try {
        for (;;) {
          const range = await inTurn(() => nextRange(walk, worker, workers.length));
          if (!range) return;
          await walkRange(walk, worker, { range, throttle });
        }
      } catch (error) {
        if (failures.push(error) > 1) return;
        walk.seen = worker.seen;
        walk.stop.abort(error);
      }
    }),
  );
  if (failures.length > 0) throw failures[0];
}

/** So many batches a segment has, about: few enough that no worker is at its last one for long. */
const SEGMENT_BATCHES = 8;

/**
 * What a worker does next: a segment that was left unfinished, else a new one. One that is alone needs none: it
 * walks all that the backfill's own row has left. Undefined at the end of the round.
 */
async function nextRange(
  walk: Walk,
  { context, pace }: Worker,
  workers: number,
): Promise<BackfillRange | undefined> {
  const { row, place, table } = walk;
  const [unfinished, ...others] = row.unfinished;
  if (unfinished) {
    walk.row = { ...row, unfinished: others };
    return unfinished;
  }
  const { cursor, end, segments } = row;
  if (end === null || isAtEnd({ cursor, end })) return undefined;
  if (workers === 1) return { segment: null, cursor, end };
  context.signal?.throwIfAborted();
  const left = { after: cursor, upTo: end };
  const { upTo } = await readBatchEnd(context.worker, table, left, SEGMENT_BATCHES * pace.rows);
  const segment = segments + 1;
  const isThere = segmentExists(place, segment);
  const rows = await context.observer.record(
    `begin; ${handOutSql(place, row, upTo)} commit; select 1 where ${isThere}`,
    isThere,
  );
  if (rows.length === 0) throw takenOver(walk);
  walk.row = { ...walk.row, cursor: upTo, segments: segment };
  return { segment, cursor, end: upTo };
}

async function walkRange(
  walk: Walk,
  worker: Worker,
  { range, throttle }: { range: BackfillRange; throttle: Throttle },
): Promise<void> {
  const { context, pace } = worker;
  const { pid } = context.worker.facts;
  /** How many rows are left of a batch that failed because of one of them. */
  let suspects = 0;
  while (!isAtEnd(range)) {
    context.signal?.throwIfAborted();
    const asked: Asked = { upTo: undefined, rows: 0 };
    try {
      const batch = await throttle.during(pid, () =>
        runWithRetries(walk, worker, { range, asked }),
      );
      pace.done(batch.rowsWalked, batch.tookMs);
      range.cursor = batch.upTo;
      note(walk, range, batch);
      suspects -= batch.rowsWalked;
      if (suspects <= 0) pace.widen();
      tell(walk, pace);
      if (!isRoundAtEnd(walk, range) || batch.wanted !== 'run') await throttle.after(batch);
    } catch (error) {
      if (context.signal?.aborted || !mayBeOfOneRow(error)) throw error;
      if (pace.rows === 1) throw withKey(error, walk, asked.upTo);
      if (suspects <= 0) suspects = asked.rows;
      pace.narrow();
    }
  }
}

function isAtEnd({ cursor, end }: Pick<BackfillRange, 'cursor' | 'end'>): boolean {
  return cursor !== null && cursor.join('\0') === end.join('\0');
}

/** Whether nothing is left for the worker that has just moved this range. */
function isRoundAtEnd({ row: { cursor, end, unfinished } }: Walk, range: BackfillRange): boolean {
  if (!isAtEnd(range) || unfinished.length > 0) return false;
  return end === null || isAtEnd({ cursor, end });
}

function note(walk: Walk, range: BackfillRange, batch: Batch): void {
  const { row, rate } = walk;
  const { upTo, rowsWalked, rowsChanged, tookMs } = batch;
  rate.done(rowsWalked, tookMs);
  walk.row = {
    ...row,
    ...(range.segment === null && { cursor: upTo }),
    rowsWalked: row.rowsWalked + rowsWalked,
    rowsChanged: row.rowsChanged + rowsChanged,
    batches: row.batches + 1,
  };
}

function tell({ step, context, row, table, rate, workers }: Walk, pace: Pace): void {
  const perSecond = rate.perSecond(performance.now());
  const { rowsTotal, rowsWalked, rowsChanged, round, batches } = row;
  const left = rowsTotal === null ? null : Math.max(0, rowsTotal - rowsWalked);
  context.onProgress({
    kind: 'backfill',
    step: stepName(step),
    table: table.name,
    ...{ round, batches, rowsWalked, rowsTotal, rowsChanged, workers },
    rowsPerSecond: perSecond === undefined ? null : Math.round(perSecond),
    leftMs: left === null || !perSecond ? null : Math.round((1000 * left) / perSecond),
    batchRows: pace.rows,
  });
}

/** Tries a batch again, and smaller, while others are in its way. */
function runWithRetries(
  walk: Walk,
  worker: Worker,
  about: { range: BackfillRange; asked: Asked },
): Promise<Batch> {
  const { context, seen, pace } = worker;
  const options = retryOptions(walk.step, context, seen);
  return withLockRetries((rung) => runBatch(walk, worker, { ...about, rung }), {
    ...options,
    isWorthARetry: isConflict,
    onRetry: (failed) => {
      pace.hindered();
      options.onRetry(failed);
    },
  });
}

/** One batch: its rows, and with them the cursor, or neither. */
async function runBatch(
  walk: Walk,
  { context, seen, pace }: Worker,
  { range, asked, rung }: { range: BackfillRange; asked: Asked; rung: Rung },
): Promise<Batch> {
  const { step, table } = walk;
  const { worker, signal } = context;
  const { lockTimeoutMs } = rung;
  const { cursor: after } = range;
  const left = { after, upTo: range.end };
  const { rows: rowsWalked, upTo } = await readBatchEnd(worker, table, left, pace.rows);
  Object.assign(asked, { upTo, rows: rowsWalked });
  const startedAt = performance.now();
  await beginLimited(worker, lockTimeoutMs);
  try {
    const sql = batchSql(step.backfill, table, { after, upTo });
    const work = () => sendBatch(walk, context, sql);
    const rowsChanged = await withBlockersWatched(work, { step, context, lockTimeoutMs, seen });
    const wanted = await recordBatch(walk, context, {
      range,
      to: { cursor: upTo, rowsWalked, rowsChanged },
    });
    signal?.throwIfAborted();
    await worker.run('commit');
    const tookMs = performance.now() - startedAt;
    return { upTo, rowsWalked, rowsChanged, tookMs, wanted };
  } catch (error) {
    if (!worker.isClosed) await worker.run('rollback').catch(() => undefined);
    throw error;
  }
}

const END_BATCH_SQL = `set constraints all immediate; ${KEEP_UTF8_SQL}`;

async function sendBatch({ step }: Walk, context: ApplyContext, sql: string): Promise<number> {
  const { worker, notices } = context;
  const { script, backfill } = step;
  const { statement } = backfill;
  notices.expect({ ...statement, text: sql });
  try {
    const { count } = await worker.query(sql, [], false);
    // What is deferred counts as part of the statement.
    notices.expectDeferred(END_BATCH_SQL);
    await worker.run(END_BATCH_SQL);
    return count ?? 0;
  } catch (error) {
    if (isConnectionLoss(error)) throw error;
    throw statementError(withPlace(error, backfill.template.before), script, statement);
  }
}

/** A position after the condition that evdb added is not one in the file. */
function withPlace(error: unknown, before: string): unknown {
  const { position } = error as { position?: string };
  if (position !== undefined && Number(position) > [...before].length) {
    return Object.assign(error as Error, { position: undefined });
  }
  return error;
}

/**
 * A function that the statement calls may have become another role. The commit does not wait for the disk:
 * a server that crashes loses the rows of the last batches and their cursor together, so none is done
 * twice or left out.
 */
async function recordBatch(
  walk: Walk,
  { worker, key }: ApplyContext,
  { range, to }: { range: BackfillRange; to: MovedCursor },
): Promise<string> {
  const { place, row, context } = walk;
  const { round, tableOid } = row;
  // A lease is the run's. Only one session can have the other: what the statement calls may have released
  // it there.
  const holdsLock =
    worker === context.worker || key.lease !== undefined
      ? holdsLockSql(key)
      : isLockHeldSql(runnerLock(key), context.worker.facts.pid);
  const [moved] = await worker.run(`${backToOwnRole(worker)}
set local synchronous_commit = off;
${moveCursorSql(place, { round, tableOid, range, holdsLock }, to)}`);
  if (moved?.holdsLock === true) return String(moved.wanted);
  throw moved && key.lease !== undefined ? leaseLost() : takenOver(walk);
}

function takenOver({ step }: Walk): EvdbError {
  return new EvdbError(
    'LOCKED',
    `another runner has taken over ${fullName(step)}, or its table was dropped`,
    { hint: 'The last batch was rolled back. Look at what is at work, and run the command again.' },
  );
}

/**
 * Whether smaller batches may get through: what is wrong with a value, a constraint, what a trigger
 * raises, or too much for the time that a statement may take.
 */
function mayBeOfOneRow(error: unknown): boolean {
  const sqlstate = error instanceof ScriptError ? error.server?.sqlstate : codeOf(error);
  return sqlstate !== undefined && OF_ROWS.test(sqlstate);
}

const OF_ROWS = /^(?:22|23|27|44|P0)...$|^57014$/;

function withKey(error: unknown, { step, table }: Walk, upTo: string[] | undefined): unknown {
  if (!(error instanceof ScriptError) || upTo === undefined) return error;
  const { code, message, location, excerpt, cause, server } = error;
  const key = describeKey(table, upTo);
  const failed = new ScriptError(
    code,
    `${message} (the row of ${table.name} with ${key})`,
    { script: step.script, ...location, excerpt },
    { cause, ...(server && { server }) },
  );
  const names = table.columns.map(({ name }, index) => [name, upTo[index]]);
  Object.assign(failed.details, { key: Object.fromEntries(names) });
  return failed;
}
