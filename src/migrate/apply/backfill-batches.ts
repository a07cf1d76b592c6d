import { codeOf, isConnectionLoss } from '../../connection/connection-error.ts';
import { synchronousSql } from '../../connection/options.ts';
import { isConflict, type Rung, withLockRetries } from '../../connection/retry.ts';
import { EvdbError } from '../../errors.ts';
import { KEEP_UTF8_SQL } from '../../sql/quote.ts';
import { batchSql } from '../backfill/batch-plan.ts';
import type { Pace } from '../backfill/pace.ts';
import { describeKey, readBatchEnd } from '../backfill/walked-table.ts';
import { ScriptError, statementError } from '../files/script-error.ts';
import { moveCursorSql } from '../ledger/backfill.ts';
import { fullName } from '../plan/plan.ts';
import type { Walk } from './backfill.ts';
import type { Throttle } from './backfill-throttle.ts';
import { retryOptions, stepName, withBlockersWatched } from './context.ts';
import { limitLocksSql } from './worker-session.ts';

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

/** Runs batches until the end of the round. */
export async function walkRound(walk: Walk, pace: Pace, throttle: Throttle): Promise<void> {
  const { context } = walk;
  /** How many rows are left of a batch that failed because of one of them. */
  let suspects = 0;
  while (!isAtEnd(walk)) {
    context.signal?.throwIfAborted();
    const asked: Asked = { upTo: undefined, rows: 0 };
    try {
      const batch = await throttle.during(() => runWithRetries(walk, pace, asked));
      pace.done(batch.rowsWalked, batch.tookMs);
      note(walk, batch);
      suspects -= batch.rowsWalked;
      if (suspects <= 0) pace.widen();
      tell(walk, pace);
      if (!isAtEnd(walk) || batch.wanted !== 'run') await throttle.after(batch);
    } catch (error) {
      if (context.signal?.aborted || !mayBeOfOneRow(error)) throw error;
      if (pace.rows === 1) throw withKey(error, walk, asked.upTo);
      if (suspects <= 0) suspects = asked.rows;
      pace.narrow();
    }
  }
}

function isAtEnd({ row: { cursor, end } }: Walk): boolean {
  return end === null || (cursor !== null && cursor.join('\0') === end.join('\0'));
}

function note(walk: Walk, { upTo, rowsWalked, rowsChanged }: Batch): void {
  const { row } = walk;
  walk.row = {
    ...row,
    cursor: upTo,
    rowsWalked: row.rowsWalked + rowsWalked,
    rowsChanged: row.rowsChanged + rowsChanged,
    batches: row.batches + 1,
  };
}

function tell({ step, context, row, table }: Walk, pace: Pace): void {
  const rate = pace.rate(performance.now());
  const { rowsTotal, rowsWalked, rowsChanged, round, batches } = row;
  const left = rowsTotal === null ? null : Math.max(0, rowsTotal - rowsWalked);
  context.onProgress({
    kind: 'backfill',
    step: stepName(step),
    table: table.name,
    ...{ round, batches, rowsWalked, rowsTotal, rowsChanged },
    rowsPerSecond: rate === undefined ? null : Math.round(rate),
    leftMs: left === null || !rate ? null : Math.round((1000 * left) / rate),
    batchRows: pace.rows,
  });
}

/** Tries a batch again, and smaller, while others are in its way. */
function runWithRetries(walk: Walk, pace: Pace, asked: Asked): Promise<Batch> {
  const { step, context, seen } = walk;
  const options = retryOptions(step, context, seen);
  return withLockRetries((rung) => runBatch(walk, rung, pace.rows, asked), {
    ...options,
    isWorthARetry: isConflict,
    onRetry: (failed) => {
      pace.hindered();
      options.onRetry(failed);
    },
  });
}

/** One batch: its rows, and with them the cursor, or neither. */
async function runBatch(walk: Walk, rung: Rung, rows: number, asked: Asked): Promise<Batch> {
  const { step, context, table, row, seen } = walk;
  const { worker, signal } = context;
  const end = row.end as string[];
  const { rows: rowsWalked, upTo } = await readBatchEnd(
    worker,
    table,
    { after: row.cursor, upTo: end },
    rows,
  );
  Object.assign(asked, { upTo, rows: rowsWalked });
  const startedAt = performance.now();
  const { lockTimeoutMs } = rung;
  // Its answer comes before the statement is sent, which must never run without it.
  await worker.run(`begin isolation level read committed, read write;
select ${limitLocksSql(lockTimeoutMs, true)};
set local idle_in_transaction_session_timeout = '30s';`);
  try {
    const sql = batchSql(step.backfill, table, { after: row.cursor, upTo });
    const work = () => sendBatch(walk, sql);
    const rowsChanged = await withBlockersWatched(work, { step, context, lockTimeoutMs, seen });
    const wanted = await recordBatch(walk, { upTo, rowsWalked, rowsChanged });
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

async function sendBatch({ step, context }: Walk, sql: string): Promise<number> {
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

/** A function that the statement calls may have become another role. */
async function recordBatch(
  { step, context, place, row }: Walk,
  done: { upTo: string[]; rowsWalked: number; rowsChanged: number },
): Promise<string> {
  const { upTo: cursor, rowsWalked, rowsChanged } = done;
  const [moved] = await context.worker.run(`set local session authorization default;
set local role none;
select ${synchronousSql(true)};
${moveCursorSql(place, row, { cursor, rowsWalked, rowsChanged })}`);
  if (moved?.holdsLock === true) return String(moved.wanted);
  throw new EvdbError(
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
