import type { Asked } from '../../connection/session.ts';

/** How far the build of an index is. */
export interface BuildProgress {
  /** In PostgreSQL's words, such as `building index: scanning table` or `waiting for old snapshots`. */
  phase: string;
  /** What is counted in this phase; null where PostgreSQL counts nothing. */
  unit: 'blocks' | 'rows' | 'transactions' | null;
  done: number;
  total: number;
  /** Whom it waits for; null where it does not wait. */
  lockerPid: number | null;
}

const LOOK_EVERY_MS = 1000;

/** Runs work that builds an index in the backend `pid`, and tells how far that is when it changes. */
export async function watchBuild<T>(
  work: () => Promise<T>,
  options: { observer: Asked; pid: number; onProgress: (progress: BuildProgress) => void },
): Promise<T> {
  let isDone = false;
  let last = '';
  let looking: Promise<void> | undefined;
  const look = async () => {
    // Whoever watches must not fail the one who works.
    const progress = await readBuildProgress(options.observer, options.pid).catch(() => undefined);
    if (isDone) return;
    const text = JSON.stringify(progress);
    if (progress && text !== last) options.onProgress(progress);
    last = text;
    timer = setTimeout(start, LOOK_EVERY_MS);
  };
  const start = () => {
    looking = look();
  };
  let timer = setTimeout(start, LOOK_EVERY_MS);
  try {
    return await work();
  } finally {
    isDone = true;
    clearTimeout(timer);
    await looking;
  }
}

async function readBuildProgress(observer: Asked, pid: number): Promise<BuildProgress | undefined> {
  const [row] = await observer.run(`
select
    phase as "phase",
    blocks_total::float8 as "blocksTotal",
    blocks_done::float8 as "blocksDone",
    tuples_total::float8 as "tuplesTotal",
    tuples_done::float8 as "tuplesDone",
    lockers_total::float8 as "lockersTotal",
    lockers_done::float8 as "lockersDone",
    nullif(current_locker_pid, 0)::integer as "lockerPid"
from pg_catalog.pg_stat_progress_create_index
where pid = ${pid}`);
  return row === undefined ? undefined : toProgress(row as unknown as ProgressRow);
}

interface ProgressRow {
  phase: string;
  blocksTotal: number;
  blocksDone: number;
  tuplesTotal: number;
  tuplesDone: number;
  lockersTotal: number;
  lockersDone: number;
  lockerPid: number | null;
}

function toProgress(row: ProgressRow): BuildProgress {
  const { phase, lockerPid } = row;
  if (phase.startsWith('waiting')) {
    const { lockersDone: done, lockersTotal: total } = row;
    return { phase, unit: total > 0 ? 'transactions' : null, done, total, lockerPid };
  }
  const isByBlock = row.blocksTotal > 0;
  const total = isByBlock ? row.blocksTotal : row.tuplesTotal;
  const done = isByBlock ? row.blocksDone : row.tuplesDone;
  const unit = total === 0 ? null : isByBlock ? 'blocks' : 'rows';
  return { phase, unit, done, total, lockerPid: null };
}
