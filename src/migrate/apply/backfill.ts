import { createSeenBlockers, type SeenBlockers } from '../../connection/blockers.ts';
import { EvdbError } from '../../errors.ts';
import { commandLine } from '../../text/command-line.ts';
import { renderCount } from '../../text/units.ts';
import { type PlannedBackfill, planBackfill } from '../backfill/batch-plan.ts';
import { createPace, createRate, limitsOf, type Rate } from '../backfill/pace.ts';
import { describeDone, type PreparedBackfill, withPlaceOf } from '../backfill/prepare.ts';
import { askInPath, findWalkedTable, readEnd, type WalkedTable } from '../backfill/walked-table.ts';
import { ScriptError } from '../files/script-error.ts';
import {
  type BackfillPlace,
  type BackfillRow,
  backfillExists,
  deleteBackfillSql,
  doneUpTo,
  nextRoundSql,
  readBackfillSql,
  setWorkersSql,
  startBackfillSql,
  waitForOthersSql,
} from '../ledger/backfill.ts';
import { isWritten, openJournalSql } from '../ledger/journal.ts';
import { fenceSql } from '../ledger/lock.ts';
import { insertHistorySql, insertMigrationSql, notRecorded } from '../ledger/record.ts';
import { fullName } from '../plan/plan.ts';
import type { MigrationStep } from '../plan/prepare.ts';
import { openWorkers, type Worker, walkRound } from './backfill-batches.ts';
import { createThrottle, type Throttle } from './backfill-throttle.ts';
import { type ApplyContext, stepName } from './context.ts';
import { describeFailure } from './failure.ts';
import { recordEnd } from './journaled-statement.ts';
import { openForStatements, resetSessionSql, searchPathSql } from './worker-session.ts';

/** A step that runs in batches. */
export interface BackfillStep extends MigrationStep {
  backfill: PreparedBackfill;
}

/** What its batches need to know. */
export interface Walk {
  step: BackfillStep;
  /** Of the worker that holds the runner's lock. */
  context: ApplyContext;
  /** Who was in the way of the worker that failed, else of the first one. */
  seen: SeenBlockers;
  place: BackfillPlace;
  table: WalkedTable;
  /** Where it stands: as the ledger has it, with what segments have done counted in. */
  row: BackfillRow;
  rate: Rate;
  /** How many walk it at a time. */
  workers: number;
  /** Of whoever runs evdb: it cancels the statements. */
  signal: AbortSignal | undefined;
  /** Aborts where a worker fails; the context's signal then aborts too, and each ends after its batch. */
  stop: AbortController;
}

/** A walk that finds rows each time would never end. */
const MOST_ROUNDS = 5;

/**
 * Runs the statement of a step in batches, each a transaction of its own that also moves the cursor in
 * the ledger. Wherever it is interrupted, the next run continues after the last batch.
 *
 * @returns how long it took, in ms
 * @throws {EvdbError} BACKFILL_REFUSED, BACKFILL_INCOMPLETE, CHANGED_MIGRATION
 * @throws {ScriptError} MIGRATION_FAILED with the key of a row that fails, LOCK_TIMEOUT
 */
export async function applyBackfill(step: BackfillStep, context: ApplyContext): Promise<number> {
  const startedAt = performance.now();
  const seen = createSeenBlockers();
  let walk: Walk | undefined;
  try {
    await openForStatements(step, context);
    context.notices.startTry(step);
    walk = await takeUp(step, context, seen);
    await walkAll(walk);
    const durationMs = performance.now() - startedAt;
    const { row, table } = walk;
    await recordEnd(step, durationMs, context, {
      detail: `backfill of ${table.name}: ${renderCount(row.rowsChanged, 'row')} changed in ${renderCount(row.batches, 'batch', 'batches')}`,
      sql: deleteBackfillSql(walk.place),
    });
    return durationMs;
  } catch (error) {
    throw await describeFailure(error, { step, context, seen: walk?.seen ?? seen });
  } finally {
    const { worker } = context;
    if (!worker.isClosed) await worker.run(resetSessionSql(worker.facts)).catch(() => undefined);
  }
}

/**
 * Writes a backfill down that is to run later, as one that stopped before its first batch.
 *
 * @throws {EvdbError} BACKFILL_REFUSED
 */
export async function postponeBackfill(step: BackfillStep, context: ApplyContext): Promise<void> {
  const { worker, cleanness } = context;
  cleanness.isClean = false;
  const seen = createSeenBlockers();
  try {
    await openForStatements(step, context);
    await start(
      step,
      context,
      await withPlaceOf(step, () => planBackfill(worker, step.backfill, pathOf(context))),
    );
    context.onProgress({ kind: 'backfill-postponed', step: stepName(step) });
  } catch (error) {
    throw await describeFailure(error, { step, context, seen });
  } finally {
    if (!worker.isClosed) await worker.run(resetSessionSql(worker.facts)).catch(() => undefined);
  }
}

function pathOf({ key, settings }: ApplyContext): string {
  return searchPathSql({ ...settings, targetSchema: key.targetSchema });
}

/** Finds the table and the plan of a batch, and where to begin: at the start, or where it stopped. */
async function takeUp(
  step: BackfillStep,
  context: ApplyContext,
  seen: SeenBlockers,
): Promise<Walk> {
  const { worker, key, onProgress } = context;
  const { backfill, version } = step;
  const place = { key, version };
  await worker.run(waitForOthersSql(place));
  const [known] = (await worker.run(readBackfillSql(place))) as unknown as (
    | BackfillRow
    | undefined
  )[];
  const written = backfill.isResumed ? known : undefined;
  if (written) await refuseOtherTable(step, written, context);
  // One that was left for later walks to the end of the table as it is when it begins.
  const before = written?.batches === 0 && written.round === 1 ? undefined : written;
  const plan = await withPlaceOf(step, () => planBackfill(worker, backfill, pathOf(context)));
  const { table } = plan;
  const row = before ?? (await start(step, context, plan));
  if (before) {
    await recordResumption(step, before, context);
    const { rowsWalked, rowsTotal } = before;
    onProgress({ kind: 'backfill-resumed', step: stepName(step), rowsWalked, rowsTotal });
  }
  const { workers = 1 } = context.settings.backfill;
  const stop = new AbortController();
  const { signal } = context;
  const either = AbortSignal.any(signal ? [signal, stop.signal] : [stop.signal]);
  return {
    ...{ step, seen, place, table, row, workers, signal, stop },
    context: { ...context, signal: either },
    rate: createRate(),
  };
}

/** What is done is known by keys of the table as it was. */
async function refuseOtherTable(
  step: BackfillStep,
  before: BackfillRow,
  context: ApplyContext,
): Promise<void> {
  const { tableName, tableOid, keyColumns } = before;
  let message = '';
  const table = await findWalkedTable(context.worker, step.backfill, pathOf(context)).catch(
    (error: unknown) => {
      if (!(error instanceof EvdbError) || error.code !== 'BACKFILL_REFUSED') throw error;
      message = error.message;
      return undefined;
    },
  );
  const isSameKey = table?.columns.map(({ name }) => name).join() === keyColumns.join();
  if (table?.oid === tableOid && isSameKey) return;
  const what = !table
    ? message
    : table.oid === tableOid
      ? `the key of ${tableName} that it walks has changed since`
      : `${tableName} is a different table now`;
  throw new EvdbError(
    'CHANGED_MIGRATION',
    `${fullName(step)} stopped halfway, and ${what}; ${describeDone(before)}`,
    {
      hint: `Restore the table. If that is not possible, \`${commandLine('migrate down')}\` rolls the migration back with its down script.`,
      details: { version: step.version, rowsChanged: before.rowsChanged },
    },
  );
}

async function start(
  step: BackfillStep,
  { worker, observer, key }: ApplyContext,
  { table, rowsToWalk: rowsTotal }: PlannedBackfill,
): Promise<BackfillRow> {
  const { direction, version, entry, backfill } = step;
  const place = { key, version };
  const row: BackfillRow = {
    direction,
    statementChecksum: backfill.checksum,
    tableName: table.name,
    tableOid: table.oid,
    keyColumns: table.columns.map(({ name }) => name),
    round: 1,
    cursor: null,
    end: await readEnd(worker, table),
    rowsTotal,
    rowsWalked: 0,
    rowsChanged: 0,
    batches: 0,
    segments: 0,
    unfinished: [],
  };
  const state = direction === 'up' ? 'applying' : 'reverting';
  const opened = isWritten.opened(key, version);
  const isThere = backfillExists(place, `round = 1 and direction = '${direction}'`);
  const rows = await observer.record(
    `begin; ${entry && !backfill.isResumed ? insertMigrationSql(key, entry) : ''}
${openJournalSql(key, version, { state, checksums: [row.statementChecksum] })}
${startBackfillSql(place, row)} commit; select 1 where ${opened} and ${isThere}`,
    `${opened} and ${isThere}`,
  );
  if (rows.length === 0) throw notRecorded(key, fullName(step));
  return row;
}

async function recordResumption(
  step: BackfillStep,
  row: BackfillRow,
  { observer, key, provenance }: ApplyContext,
): Promise<void> {
  const { version, label, name, script, direction } = step;
  const { keyColumns, rowsChanged } = row;
  const cursor = doneUpTo(row);
  const where =
    cursor === null ? 'at its beginning' : `after ${keyColumns.join(', ')} = ${cursor.join(', ')}`;
  const history = insertHistorySql(
    key,
    {
      action: 'resumed',
      ...{ version, label, name, checksum: script.checksum },
      detail: `${direction}, ${where}; ${renderCount(rowsChanged, 'row')} changed before`,
    },
    provenance,
  );
  await observer.record(`begin; ${history} commit;`, 'false');
}

/** Walks the table with all workers, and again as long as rows match that came meanwhile. */
async function walkAll(walk: Walk): Promise<void> {
  const { context, place } = walk;
  const { batchTimeMs, batchRows: most } = limitsOf(walk.step.backfill.directive);
  const { maxRate = most } = context.settings.backfill;
  const batchRows = Math.max(1, Math.min(most, maxRate));
  await context.observer.run(`${fenceSql(place.key)}${setWorkersSql(place, walk.workers)}`);
  const { workers, close } = await openWorkers(walk, () => createPace({ batchTimeMs, batchRows }));
  try {
    const throttle = await createThrottle(walk, {
      batchTimeMs,
      pids: workers.map(({ context }) => context.worker.facts.pid),
      hindered: () => {
        for (const { pace } of workers) pace.hindered();
      },
    });
    await throttle.open();
    await walkRounds(walk, workers, throttle);
  } finally {
    await close();
  }
}

async function walkRounds(walk: Walk, workers: Worker[], throttle: Throttle): Promise<void> {
  const { step, context, table } = walk;
  const { isRepeatable } = step.backfill;
  let before: number | undefined;
  for (let rounds = 1; ; rounds++) {
    await walkRound(walk, workers, throttle);
    const left = await countLeft(walk);
    if (left === 0) return;
    if (!isRepeatable) {
      context.onProgress({
        kind: 'warning',
        warning: {
          code: 'STILL_MATCHING',
          version: step.version,
          message: `${renderCount(left, 'row')} of ${table.name} still ${left === 1 ? 'matches' : 'match'} the \`where\` of ${fullName(step)}; evdb does not run it again, because that could change rows twice`,
        },
      });
      return;
    }
    // Rows that the statement does not change so that they match no more would match for ever.
    if (rounds >= MOST_ROUNDS || left === before) throw stillMatching(walk, left, rounds);
    before = left;
    await startRound(walk);
  }
}

function stillMatching({ step, table }: Walk, left: number, rounds: number): ScriptError {
  const { script, backfill } = step;
  const { line, column } = backfill.statement;
  const error = new ScriptError(
    'BACKFILL_INCOMPLETE',
    `${renderCount(left, 'row')} of ${table.name} still ${left === 1 ? 'matches' : 'match'} after ${renderCount(rounds, 'round')}`,
    { script, line, column },
    {
      hint: `Either the statement does not change these rows so that they no longer match, or something keeps writing such rows. Committed batches stay. Correct the rows and run the command again, or roll back with \`${commandLine('migrate down')}\` and correct the file.`,
    },
  );
  Object.assign(error.details, { version: step.version, rowsLeft: left, rounds });
  return error;
}

/** 0 where counting says nothing. */
async function countLeft({ step, context }: Walk): Promise<number> {
  const { countQuery } = step.backfill;
  if (countQuery === undefined) return 0;
  context.signal?.throwIfAborted();
  const [row] = await askInPath(
    context.worker,
    pathOf(context),
    `set local statement_timeout = 0; ${countQuery}`,
  );
  return Number(row?.matching);
}

/** Begins another round, up to what is the end now. */
async function startRound(walk: Walk): Promise<void> {
  const { context, place, table, row } = walk;
  const round = row.round + 1;
  const end = await readEnd(context.worker, table);
  const { rowsTotal } = row;
  const isThere = backfillExists(place, `round = ${round}`);
  const rows = await context.observer.record(
    `begin; ${nextRoundSql(place, { round, end, rowsTotal })} commit; select 1 where ${isThere}`,
    isThere,
  );
  if (rows.length === 0) throw notRecorded(context.key, fullName(walk.step));
  walk.row = { ...row, round, end, cursor: null, rowsWalked: 0 };
}
