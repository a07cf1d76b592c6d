import { setTimeout as sleep } from 'node:timers/promises';
import { liftTimeLimitsSql } from '../../connection/options.ts';
import type { Session } from '../../connection/session.ts';
import { EvdbError } from '../../errors.ts';
import { type Ledger, type LedgerRow, readLedger } from '../ledger/ledger.ts';
import { createLedger, LEDGER_FORMAT, upgradeLedger } from '../ledger/ledger-schema.ts';
import {
  acquireLock,
  ledgerLock,
  refusePooler,
  releaseAllLocks,
  releaseLock,
  runnerLock,
} from '../ledger/lock.ts';
import { readProvenance, readServerIdentity } from '../ledger/provenance.ts';
import { applySettings, DEFAULT_LOCK_WAIT_MS, ledgerKey, type MigrateOptions } from '../options.ts';
import type { ApplyContext } from './context.ts';
import { listenToNotices } from './notices.ts';
import { createPreflight } from './observations.ts';
import { type Observer, openObserver } from './observer.ts';
import { type Cleanness, makeClean } from './worker-session.ts';

/**
 * Makes the session the one runner of its target while `work` goes on: no pooler in between, the
 * lock held, the ledger there. `work` gets the ledger's rows as they are under the lock.
 *
 * @throws {EvdbError} READ_ONLY, POOLER_DETECTED, LOCKED, PERMISSION_DENIED
 */
export async function withRunner<T>(
  worker: Session,
  options: MigrateOptions,
  work: (context: ApplyContext, rows: LedgerRow[]) => Promise<T>,
): Promise<T> {
  refuseReadOnly(worker);
  const observer = await openObserver(worker, options.signal);
  const stopCancelling = cancelOnAbort(worker, observer, options.signal);
  try {
    await refusePooler(worker, observer);
    // Also where a pooler stands between that gives each session a backend of its own.
    await worker.run(liftTimeLimitsSql(worker.facts));
    return await withLock(worker, options, async () => {
      const ledger = await ensureLedger(worker, options);
      const cleanness = { isClean: false };
      await makeClean(worker, cleanness);
      const context = makeContext({ worker, observer, ledger, options, cleanness });
      return work(context, ledger.rows);
    });
  } finally {
    stopCancelling();
    await observer.close();
  }
}

function refuseReadOnly({ facts }: Session): void {
  if (!facts.isInRecovery && !facts.isReadOnly) return;
  throw new EvdbError(
    'READ_ONLY',
    facts.isInRecovery
      ? 'the server is a standby: it only replays what the primary does'
      : 'this connection is read-only (default_transaction_read_only)',
    {
      hint: facts.isInRecovery
        ? 'Connect to the primary; with several hosts, target_session_attrs=read-write in the URL finds it.'
        : 'Use a role or database without that setting.',
    },
  );
}

async function withLock<T>(
  worker: Session,
  options: MigrateOptions,
  work: () => Promise<T>,
): Promise<T> {
  const id = runnerLock(ledgerKey(options));
  await acquireLock(worker, id, {
    waitMs: options.lockWaitMs ?? DEFAULT_LOCK_WAIT_MS,
    signal: options.signal,
    onWait: (holders, waitedMs) => options.onProgress?.({ kind: 'lock-wait', holders, waitedMs }),
  });
  try {
    return await work();
  } finally {
    // A lost session has lost its lock already.
    if (!worker.isClosed) await releaseAllLocks(worker).catch(() => undefined);
  }
}

async function ensureLedger(worker: Session, options: MigrateOptions): Promise<Ledger> {
  const key = ledgerKey(options);
  const ledger = await readLedger(worker, key);
  if (isUpToDate(ledger)) return ledger;
  const id = ledgerLock(key);
  await acquireLock(worker, id, { waitMs: DEFAULT_LOCK_WAIT_MS, signal: options.signal });
  try {
    // Creating it again would wait for the migrations of another tenant that has just begun.
    const meanwhile = await readLedger(worker, key);
    if (isUpToDate(meanwhile)) return meanwhile;
    if (!meanwhile.exists) {
      await createLedger(worker, key.ledgerSchema);
      return { ...meanwhile, exists: true };
    }
    await upgradeLedger(worker, key.ledgerSchema, options.signal);
  } finally {
    if (!worker.isClosed) await releaseLock(worker, id);
  }
  return readLedger(worker, key);
}

function isUpToDate({ exists, format }: Ledger): boolean {
  return exists && format === LEDGER_FORMAT;
}

function makeContext(from: {
  worker: Session;
  observer: Observer;
  ledger: Ledger;
  options: MigrateOptions;
  cleanness: Cleanness;
}): ApplyContext {
  const { worker, observer, ledger, options, cleanness } = from;
  return {
    cleanness,
    worker,
    observer,
    key: ledgerKey(options),
    settings: applySettings(options),
    notices: listenToNotices(worker, options.onProgress ?? (() => undefined)),
    server: readServerIdentity(observer).catch(() => undefined),
    createTarget: !ledger.targetExists,
    previous: Promise.resolve(),
    preflight: createPreflight(observer, {
      own: () => [worker.facts.pid, ...observer.pids],
      schemas: [ledgerKey(options).targetSchema, ...(options.searchPath ?? [])],
    }),
    provenance: readProvenance(options.directory, options.env),
    onProgress: options.onProgress ?? (() => undefined),
    signal: options.signal,
  };
}

/** How long the observer may take to cancel the worker's statement. */
const CANCEL_PATIENCE_MS = 1_000;
/** How long the worker may then take to clean up; one that is cut off would never answer. */
const CLEAN_UP_PATIENCE_MS = 15_000;

/** Cancels what the worker runs; closing its socket would leave the statement running. */
function cancelOnAbort(
  worker: Session,
  observer: Observer,
  signal: AbortSignal | undefined,
): () => void {
  let deadline: NodeJS.Timeout | undefined;
  const cancel = () => {
    void cancelStatement(worker, observer);
    const giveUp = () => void worker.close({ force: true, cancel: true });
    deadline = setTimeout(giveUp, CLEAN_UP_PATIENCE_MS);
  };
  signal?.addEventListener('abort', cancel, { once: true });
  return () => {
    signal?.removeEventListener('abort', cancel);
    clearTimeout(deadline);
  };
}

/**
 * The observer's cancel is done when it is answered. A request of the protocol may arrive late and
 * hit the clean-up, so it is sent only where the observer is gone.
 */
async function cancelStatement(worker: Session, observer: Observer): Promise<void> {
  const sql = `select pg_catalog.pg_cancel_backend(${worker.facts.pid})`;
  const asked = observer.run(sql).then(
    () => true,
    () => false,
  );
  const isDone = await Promise.race([asked, sleep(CANCEL_PATIENCE_MS, false, { ref: false })]);
  if (!isDone) await worker.cancel();
}
