import { setTimeout as sleep } from 'node:timers/promises';
import { queryError } from '../connection/connection-error.ts';
import { isConflict, withConflictRetries } from '../connection/retry.ts';
import type { Session } from '../connection/session.ts';
import { EvdbError } from '../errors.ts';
import type { StatsReport } from '../report/columns.ts';
import { renderCount } from '../text/units.ts';
import { type EventSchemaTarget, onEventSchema, type SchemaNeed } from './event-schema.ts';

/** A partition that was dropped with all that it held. */
export interface DroppedAuditPartition {
  partition: string;
  entries: number;
  freedBytes: number;
}

/** What a cleanup has committed. */
export interface AuditCleanupDone {
  partitions: DroppedAuditPartition[];
  /** Entries that went with partitions. */
  droppedEntries: number;
  /** Entries that were deleted one by one, because the limit is within their month. */
  deletedEntries: number;
  /** Given back to the operating system; deleting does not do that. */
  freedBytes: number;
}

/** What a cleanup did, and why it stopped early, if it did. */
export interface AuditCleanupResult extends AuditCleanupDone {
  days: number;
  /** Whether nothing expired is left. */
  isFinished: boolean;
  /** Why it is not finished. */
  stoppedBy: 'max-duration' | 'locks' | null;
  /** Which sessions blocked it, in the server's words, if `stoppedBy` is `locks`. */
  blockedBy: string | null;
  durationMs: number;
}

/**
 * The latest step of a cleanup: a dropped partition, deleted entries, or a lock that it could not
 * acquire.
 */
export type AuditCleanupProgress =
  | { kind: 'dropped'; partition: DroppedAuditPartition; done: AuditCleanupDone }
  | { kind: 'deleted'; entries: number; done: AuditCleanupDone }
  | { kind: 'blocked'; attempt: number; attempts: number; reason: string };

/** What to remove, and how long that may take. */
export interface AuditCleanupOptions extends EventSchemaTarget {
  /** Entries stay for so many days of 24 hours; a whole number from 1. */
  days: number;
  /** The highest number of entries that a transaction deletes; default 2000. */
  batchSize?: number | undefined;
  /** No further step begins after so many ms; default: until all is done. */
  maxDurationMs?: number | undefined;
  /** Called with what was dropped or deleted; default none. */
  onProgress?: ((progress: AuditCleanupProgress) => void) | undefined;
  /** Stops after the running step; committed steps remain. Default none. */
  signal?: AbortSignal | undefined;
}

const NEED: SchemaNeed = {
  functions: {
    drop_expired_audit_partitions: ['days_to_keep', 'p_limit'],
    delete_expired_audit_logs: ['days_to_keep', 'p_limit'],
  },
  access: 'owner',
};

/** Small, because a batch takes processor and disk from everybody else for as long as it runs. */
const DEFAULT_BATCH_SIZE = 2_000;

/**
 * Removes the entries of the audit log that are older than a number of days: first drops months
 * that have expired completely, one per transaction, then deletes the rest batch by batch. Between
 * two steps it pauses as long as the step took, and longer after a drop, so that others hardly
 * notice.
 *
 * It can be interrupted, repeated and run twice at once: committed steps are done, and the rest is
 * found again. Locks that others hold are tried repeatedly, then left to the next run.
 *
 * @throws {EvdbError} USAGE; INTERRUPTED with what was done in `details` when the signal aborts;
 *   EVENT_SCHEMA_MISSING, PERMISSION_DENIED, with the same details
 * @example
 * const { freedBytes } = await cleanUpAuditLog(session, { days: 90 });
 */
export async function cleanUpAuditLog(
  session: Session,
  options: AuditCleanupOptions,
): Promise<AuditCleanupResult> {
  const { days, batchSize = DEFAULT_BATCH_SIZE } = options;
  requireRetentionDays(days);
  requireBatchSize(batchSize);
  const startedAt = performance.now();
  const done: AuditCleanupDone = {
    partitions: [],
    droppedEntries: 0,
    deletedEntries: 0,
    freedBytes: 0,
  };
  return onEventSchema(session, options, NEED, async ({ prefix }) => {
    try {
      const run: Run = { session, options, done, startedAt, blockedBy: null };
      const steps = [dropOne, (call: StepCall) => deleteBatch(call, batchSize)];
      let isFinished = true;
      for (const step of steps) {
        isFinished = (await repeat(run, () => step({ ...run, prefix }))) && isFinished;
      }
      const { blockedBy } = run;
      const stoppedBy = isFinished ? null : blockedBy === null ? 'max-duration' : 'locks';
      const durationMs = performance.now() - startedAt;
      return { days, ...done, isFinished, stoppedBy, blockedBy, durationMs };
    } catch (error) {
      throw withDone(queryError(error), done, options.signal);
    }
  });
}

/** The function counts no further back, which is 2,700 years. */
const MOST_DAYS = 1_000_000;

/**
 * Refuses what cannot be a number of days, before anything is asked: a retention that is wrong by
 * one character removes everything.
 *
 * @throws {EvdbError} USAGE
 */
function requireRetentionDays(days: number): void {
  if (Number.isInteger(days) && days >= 1 && days <= MOST_DAYS) return;
  throw new EvdbError('USAGE', `${days} days is not a retention period`, {
    hint: `Nothing was removed. Give a whole number of days from 1 to ${MOST_DAYS}.`,
  });
}

const MOST_ENTRIES_A_BATCH = 1_000_000;

/** @throws {EvdbError} USAGE */
function requireBatchSize(size: number): void {
  if (Number.isInteger(size) && size >= 1 && size <= MOST_ENTRIES_A_BATCH) return;
  throw new EvdbError('USAGE', `${size} is not a batch size`, {
    hint: `Give a whole number from 1 to ${MOST_ENTRIES_A_BATCH}.`,
  });
}

interface Run {
  session: Session;
  options: AuditCleanupOptions;
  done: AuditCleanupDone;
  startedAt: number;
  blockedBy: string | null;
}

interface StepCall extends Omit<Run, 'blockedBy'> {
  prefix: string;
}

/** What a step was: whether another may be needed, and how long to leave the others alone. */
interface StepOutcome {
  isLast: boolean;
  restFactor: number;
}

/** About half a minute, before a step is left to the next run. */
const LOCK_ATTEMPTS = 10;
const LONGEST_REST_MS = 2_000;

/** Repeats a step until there is no more to do; false where time or locks ended it. */
async function repeat(run: Run, step: () => Promise<StepOutcome>): Promise<boolean> {
  const { options, startedAt } = run;
  const { signal, maxDurationMs = Number.POSITIVE_INFINITY } = options;
  for (;;) {
    signal?.throwIfAborted();
    if (performance.now() - startedAt >= maxDurationMs) return false;
    const stepAt = performance.now();
    let outcome: StepOutcome;
    try {
      outcome = await withConflictRetries(step, {
        attempts: LOCK_ATTEMPTS,
        signal,
        onRetry: tell(options),
      });
    } catch (error) {
      if (!isConflict(error) || signal?.aborted) throw error;
      run.blockedBy = reasonOf(error);
      return false;
    }
    if (outcome.isLast) return true;
    const restMs = (performance.now() - stepAt) * outcome.restFactor;
    await sleep(Math.min(restMs, LONGEST_REST_MS), undefined, { signal });
  }
}

function tell({ onProgress }: AuditCleanupOptions) {
  return ({ attempt, attempts, cause }: { attempt: number; attempts: number; cause: unknown }) =>
    onProgress?.({ kind: 'blocked', attempt, attempts, reason: reasonOf(cause) });
}

/** The schema's functions name the sessions that hold the locks. */
function reasonOf(error: unknown): string {
  const { message, detail } = error as { message: string; detail?: string };
  return detail ?? message;
}

/** While a partition goes everybody waits: many of them in a row would be felt, so it rests longer. */
async function dropOne({ session, prefix, options, done }: StepCall): Promise<StepOutcome> {
  const rows = await session.run(
    `select partition_name as "partition", removed_rows as "entries", freed_bytes as "freedBytes"
    from ${prefix}drop_expired_audit_partitions(days_to_keep => ${options.days}, p_limit => 1)`,
  );
  for (const row of rows) {
    const partition = {
      partition: String(row.partition),
      entries: Number(row.entries),
      freedBytes: Number(row.freedBytes),
    };
    done.partitions.push(partition);
    done.droppedEntries += partition.entries;
    done.freedBytes += partition.freedBytes;
    options.onProgress?.({ kind: 'dropped', partition, done });
  }
  return { isLast: rows.length === 0, restFactor: 10 };
}

/** A batch that is not full was the last: by the clock, something expires all the time. */
async function deleteBatch(call: StepCall, batchSize: number): Promise<StepOutcome> {
  const { session, prefix, options, done } = call;
  const [row] = await session.run(
    `select ${prefix}delete_expired_audit_logs(days_to_keep => ${options.days}, p_limit => ${batchSize}) as "entries"`,
  );
  const entries = Number(row?.entries);
  done.deletedEntries += entries;
  if (entries > 0) options.onProgress?.({ kind: 'deleted', entries, done });
  return { isLast: entries < batchSize, restFactor: 1 };
}

function withDone(
  error: unknown,
  done: AuditCleanupDone,
  signal: AbortSignal | undefined,
): unknown {
  const { partitions, droppedEntries, deletedEntries } = done;
  const said = `${renderCount(partitions.length, 'partition')} with ${renderCount(droppedEntries, 'entry', 'entries')} dropped and ${renderCount(deletedEntries, 'entry', 'entries')} deleted before`;
  if (signal?.aborted) {
    return new EvdbError(
      'INTERRUPTED',
      `interrupted: ${said}; what was under way was rolled back`,
      {
        hint: 'What was completed is kept. Run the same command again for the rest.',
        cause: error,
        details: { done },
      },
    );
  }
  if (!(error instanceof EvdbError)) return error;
  return new EvdbError(error.code, `${error.message} (${said})`, {
    hint: error.hint,
    cause: error,
    details: { ...error.details, done },
  });
}

/** What a cleanup would do to one partition, or to `audit_logs_overflow`. */
export interface AuditCleanupPreview {
  partition: string;
  /** `drop` gives its disk space back, `delete` does not. */
  action: 'drop' | 'delete';
  entries: number;
  freedBytes: number;
}

const PREVIEW_NEED: SchemaNeed = {
  functions: { preview_audit_cleanup: ['days_to_keep'] },
  access: 'owner',
};

/**
 * Says what `cleanUpAuditLog` would remove; changes nothing.
 *
 * @throws {EvdbError} USAGE if the days are not a whole number from 1 up, and EVENT_SCHEMA_MISSING,
 *   PERMISSION_DENIED
 * @example
 * const { rows, notes } = await withInspection(connection, (session) => previewAuditCleanup(session, { days: 90 }));
 */
export async function previewAuditCleanup(
  session: Session,
  { days, ...target }: EventSchemaTarget & { days: number },
): Promise<StatsReport<AuditCleanupPreview>> {
  requireRetentionDays(days);
  return onEventSchema(session, target, PREVIEW_NEED, async ({ prefix }) => {
    const rows = await session.run(
      `select partition_name as "partition", action, entries::float8 as "entries",
        freed_bytes::float8 as "freedBytes"
      from ${prefix}preview_audit_cleanup(days_to_keep => ${days})`,
    );
    return { rows: rows as unknown as AuditCleanupPreview[], countedSince: null, notes: [] };
  });
}
