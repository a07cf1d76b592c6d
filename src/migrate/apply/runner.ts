import { setTimeout as sleep } from 'node:timers/promises';
import { requireCoordinator } from '../../citus/coordinator.ts';
import { hearWorkers } from '../../citus/worker-failures.ts';
import type { Blocker } from '../../connection/blockers.ts';
import { codeOf } from '../../connection/connection-error.ts';
import { liftTimeLimitsSql } from '../../connection/options.ts';
import type { Session, SessionFacts } from '../../connection/session.ts';
import { EvdbError } from '../../errors.ts';
import { renderDuration } from '../../text/units.ts';
import { type EnginePromise, writePromises } from '../engine/judge.ts';
import { proveBeforeLease, type ReadAll, readAll, rememberEngineSql } from '../engine/readiness.ts';
import type { LeaseOptions } from '../ledger/hold-lease.ts';
import type { LeaseHolder } from '../ledger/lease.ts';
import {
  LEDGER_FORMAT,
  type Ledger,
  type LedgerKey,
  type LedgerRow,
  readLedger,
} from '../ledger/ledger.ts';
import {
  acquireLock,
  ledgerLock,
  refusePooler,
  releaseAllLocks,
  releaseLock,
  runnerLock,
} from '../ledger/lock.ts';
import { readProvenance, readServerIdentity } from '../ledger/provenance.ts';
import {
  applySettings,
  DEFAULT_LEASE_MS,
  DEFAULT_LOCK_WAIT_MS,
  ledgerKey,
  type MigrateOptions,
} from '../options.ts';
import { listenSafely } from '../progress.ts';
import type { ApplyContext } from './context.ts';
import { listenToNotices } from './notices.ts';
import { createPreflight } from './observations.ts';
import { type Observer, openObserver } from './observer.ts';
import { type Cleanness, makeClean } from './worker-session.ts';

/**
 * Makes the session the one runner of its target while `work` goes on: no pooler in between, the
 * lock held, the ledger there. `work` gets the ledger's rows as they are under the lock.
 *
 * @throws {EvdbError} READ_ONLY, NOT_COORDINATOR, POOLER_DETECTED, ENGINE_UNFIT, LOCKED,
 *   PERMISSION_DENIED
 */
export async function withRunner<T>(
  session: Session,
  given: MigrateOptions,
  work: (context: ApplyContext, rows: LedgerRow[], ledger: Ledger) => Promise<T>,
): Promise<T> {
  const options = { ...given, onProgress: listenSafely(given.onProgress) };
  const worker = hearWorkers(session);
  refuseReadOnly(worker);
  await requireCoordinator(worker);
  const observer = await openObserver(worker, options.signal);
  const stopCancelling = cancelOnAbort(worker, observer, options.signal);
  try {
    await refusePoolerOnce(worker, observer);
    // Here a pooler gives each session a backend of its own; the limits of others are lifted already.
    if (worker.facts.isPooled) await worker.run(liftTimeLimitsSql(worker.facts));
    const both = { worker, observer, cleanness: { isClean: false } };
    return await withLock(both, options, async (key, seen) => {
      const ledger = await ensureLedger(both, key, { ...options, ...seen });
      observer.fence(key);
      const context = makeContext({ ...both, key, ledger, options });
      return work(context, ledger.rows, ledger);
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

/** By what a session said of itself: it is the same as long as the connection stands, whoever uses it. */
const provenWith = new WeakMap<SessionFacts, number>();
const identities = new WeakMap<SessionFacts, ApplyContext['server']>();

/** Two sessions that are kept for many targets need one proof. */
async function refusePoolerOnce(worker: Session, observer: Observer): Promise<void> {
  const pid = observer.pids.at(-1);
  const proven = provenWith.get(worker.facts);
  if (proven !== undefined && (pid === undefined || pid === proven)) return;
  await refusePooler(worker, observer);
  const asked = observer.pids.at(-1);
  if (asked !== undefined) provenWith.set(worker.facts, asked);
}

function identify({ facts }: Session, observer: Observer): ApplyContext['server'] {
  const known = identities.get(facts);
  if (known) return known;
  const read = readServerIdentity(observer).catch(() => {
    identities.delete(facts);
    return undefined;
  });
  identities.set(facts, read);
  return read;
}

/** The two sessions of a run. */
interface Both {
  worker: Session;
  observer: Observer;
  /** Of the worker's. */
  cleanness: Cleanness;
}

/** What was asked on the way to the lock. */
interface Seen {
  /** What the server was found to promise, where it was looked at. */
  proven?: EnginePromise[] | undefined;
  /** The ledger, where it was read behind the taking of the lock. */
  reading?: Promise<ReadAll> | undefined;
  /** Settles when the worker is clean, where that was asked for. */
  cleaning?: Promise<unknown> | undefined;
}

/** `work` gets the key with the lease, if there is one. */
async function withLock<T>(
  both: Both,
  options: MigrateOptions,
  work: (key: LedgerKey, seen: Seen) => Promise<T>,
): Promise<T> {
  const { worker, cleanness } = both;
  const key = ledgerKey(options);
  const waiting = {
    waitMs: options.lockWaitMs ?? DEFAULT_LOCK_WAIT_MS,
    signal: options.signal,
    onWait: (holders: Blocker[], waitedMs: number) =>
      options.onProgress?.({ kind: 'lock-wait', holders, waitedMs }),
  };
  if (options.lock === 'lease') {
    // Before the lease, which leaves its table: nothing is to be left where the server is refused.
    const proven = await proveBeforeLease(worker, key);
    return withRunnersLease(both, key, { ...options, ...waiting }, (held) =>
      work(held, { proven }),
    );
  }
  const locking = acquireLock(worker, runnerLock(key), waiting);
  // In one piece with the first try: where that takes the lock, the ledger is read under it.
  const reading = readAll(worker, key, undefined);
  const cleaning = makeClean(worker, cleanness);
  for (const sent of [reading, cleaning]) sent.catch(() => undefined);
  const { tries } = await locking.catch((error: unknown) => explainLock(error, both, key));
  try {
    return await work(key, { cleaning, reading: tries === 1 ? reading : undefined });
  } finally {
    // A lost session has lost its lock already, and a kept one loses it as it is given back.
    if (!worker.isClosed && !worker.options.keeper) {
      await releaseAllLocks(worker).catch(() => undefined);
    }
  }
}

/** A server that has no such lock may lack more: a lease would then be the wrong next step. */
async function explainLock(error: unknown, both: Both, key: LedgerKey): Promise<never> {
  if (NO_SUCH_LOCK.has(codeOf(error) ?? '')) {
    const { proveEngine } = await import('../engine/probe.ts');
    await allowWrites(both);
    const { schemaExists: hasSchema } = await readLedger(both.worker, key);
    await proveEngine({ ...both, key, hasSchema });
  }
  throw error;
}

/** undefined_function, feature_not_supported */
const NO_SUCH_LOCK = new Set(['42883', '0A000']);

async function withRunnersLease<T>(
  both: Both,
  key: LedgerKey,
  options: MigrateOptions & Omit<LeaseOptions, 'request'>,
  work: (held: LedgerKey) => Promise<T>,
): Promise<T> {
  const { withLease } = await import('../ledger/hold-lease.ts');
  const { osUser, hostName } = readProvenance(options.directory, options.env);
  return withLease(
    both,
    key,
    {
      ...options,
      request: { leaseMs: options.leaseMs ?? DEFAULT_LEASE_MS, osUser, hostName },
      onTakeover: (holder) =>
        options.onProgress?.({
          kind: 'warning',
          warning: { code: 'LEASE_TAKEN_OVER', message: describeTakeover(holder) },
        }),
    },
    work,
  );
}

function describeTakeover({ pid, user, client, leftMs }: LeaseHolder): string {
  const who = [user, client].filter(Boolean).join('@') || 'another runner';
  return `took over the lease of ${who} (pid ${pid}), which ended ${renderDuration(Math.abs(leftMs))} ago without being released: that runner is stopped or gone, and can commit nothing any more`;
}

/** Reads the ledger, and makes it ready where it is not; leaves the worker clean. */
async function ensureLedger(
  both: Both,
  key: LedgerKey,
  options: MigrateOptions & Seen,
): Promise<Ledger> {
  const { worker, cleanness } = both;
  const { ledger, isReady } = await (options.reading ?? readAll(worker, key, options.proven));
  await options.cleaning;
  if (isReady) {
    if (!options.cleaning) await makeClean(worker, cleanness);
    return ledger;
  }
  if (options.cleaning) await allowWrites(both);
  const made = await makeReady(both, key, options);
  await makeClean(worker, cleanness);
  return made;
}

/** A clean session only reads outside of a transaction that says otherwise. */
async function allowWrites({ worker, cleanness }: Both): Promise<void> {
  cleanness.isClean = false;
  await worker.run('set default_transaction_read_only = off');
}

/** Creates the ledger, or brings it up to date, and looks at a server that was not looked at before. */
async function makeReady(
  both: Both,
  key: LedgerKey,
  options: MigrateOptions & Seen,
): Promise<Ledger> {
  const { worker, observer } = both;
  return withLedgerLock(both, key, options, async () => {
    // Creating it again would wait for the migrations of another tenant that has just begun.
    const { ledger, isReady } = await readAll(worker, key, options.proven);
    if (isReady) return ledger;
    const { schemaExists: hasSchema } = ledger;
    const { proveEngine } = await import('../engine/probe.ts');
    const held = options.proven ?? (await proveEngine({ worker, observer, key, hasSchema }));
    const schema = key.ledgerSchema;
    const more = rememberEngineSql(schema, writePromises(held));
    const { createLedger, upgradeLedger } = await import('../ledger/ledger-schema.ts');
    if (!ledger.exists) {
      await createLedger(worker, schema, { schemaExists: key.lease ? true : hasSchema, more });
      return { ...ledger, exists: true };
    }
    if (ledger.format === LEDGER_FORMAT) {
      // A role that may not write it looks again the next time.
      await worker.run(more).catch(() => undefined);
      return ledger;
    }
    await upgradeLedger(worker, schema, { more, signal: options.signal });
    return readLedger(worker, key);
  });
}

/** The whole ledger is of several targets, so it has a lock of its own. */
async function withLedgerLock<T>(
  both: Both,
  key: LedgerKey,
  options: MigrateOptions,
  work: () => Promise<T>,
): Promise<T> {
  const waiting = { waitMs: DEFAULT_LOCK_WAIT_MS, signal: options.signal };
  if (key.lease !== undefined) {
    return withRunnersLease(both, { ...key, targetSchema: '' }, { ...options, ...waiting }, work);
  }
  const id = ledgerLock(key);
  await acquireLock(both.worker, id, waiting);
  try {
    return await work();
  } finally {
    if (!both.worker.isClosed) await releaseLock(both.worker, id);
  }
}

function makeContext(from: {
  worker: Session;
  observer: Observer;
  cleanness: Cleanness;
  key: LedgerKey;
  ledger: Ledger;
  options: MigrateOptions & Pick<ApplyContext, 'onProgress'>;
}): ApplyContext {
  const { worker, observer, key, ledger, options, cleanness } = from;
  return {
    cleanness,
    worker,
    observer,
    key,
    settings: applySettings(options),
    notices: listenToNotices(worker, options.onProgress),
    server: identify(worker, observer),
    createTarget: !ledger.targetExists,
    previous: Promise.resolve(),
    preflight: createPreflight(observer, {
      runner: worker.facts,
      own: () => [worker.facts.pid, ...observer.pids],
      schemas: [ledgerKey(options).targetSchema, ...(options.searchPath ?? [])],
    }),
    provenance: readProvenance(options.directory, options.env),
    onProgress: options.onProgress,
    signal: options.signal,
  };
}

/** How long the observer may take to cancel the worker's statement. */
const CANCEL_PATIENCE_MS = 1_000;
/** How long the worker may then take to clean up; one that is cut off would never answer. */
const CLEAN_UP_PATIENCE_MS = 15_000;

/** Cancels what the worker runs; closing its socket would leave the statement running. */
export function cancelOnAbort(
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
