import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type Blocker,
  describeBlocker,
  isRetryingRunner,
  listLockHolders,
  terminateSql,
} from '../../connection/blockers.ts';
import { codeOf } from '../../connection/connection-error.ts';
import { SERVER_START_SQL } from '../../connection/options.ts';
import { backOffMs } from '../../connection/retry.ts';
import type { Asked, Session } from '../../connection/session.ts';
import { EvdbError } from '../../errors.ts';
import { renderDuration } from '../../text/units.ts';
import {
  asBlocker,
  holdsLeaseSql,
  type LeaseHolder,
  leaseIsLiveSql,
  readLeaseSql,
} from './lease.ts';
import type { LedgerKey } from './ledger.ts';

/** An advisory lock in PostgreSQL's two-integer form. */
export type LockId = readonly [classId: number, objectId: number];

/** "evdb" in ASCII, so that the lock can be told from others in pg_locks. */
const LOCK_CLASS = 0x65766462;
const PAUSES = { firstMs: 25, longestMs: 1000 };
const REPORT_EVERY_MS = 10_000;

/** The lock of one target: two tenants of a database do not wait for each other. */
export function runnerLock({ ledgerSchema, targetSchema }: LedgerKey): LockId {
  return lockFor(`runner\0${ledgerSchema}\0${targetSchema}`);
}

/** The lock under which the ledger itself is created. */
export function ledgerLock({ ledgerSchema }: LedgerKey): LockId {
  return lockFor(`ledger\0${ledgerSchema}`);
}

function lockFor(name: string): LockId {
  return [LOCK_CLASS, createHash('sha256').update(name).digest().readInt32BE(0)];
}

export interface LockOptions {
  /** How long to wait for another runner; 0 tries once. */
  waitMs: number;
  signal?: AbortSignal | undefined;
  onWait?: ((holders: Blocker[], waitedMs: number) => void) | undefined;
}

/**
 * Takes a session-level advisory lock by polling. The blocking call is never used: its waiter
 * holds a snapshot, and `create index concurrently` of the one who works waits for that. The first try is
 * sent before this returns.
 *
 * @returns how often it was tried
 * @throws {EvdbError} LOCKED, naming the holder
 */
export async function acquireLock(
  session: Session,
  id: LockId,
  options: LockOptions,
): Promise<{ tries: number }> {
  const startedAt = Date.now();
  let reportAt = 0;
  for (let tries = 1; ; tries++) {
    if (await tryLock(session, id)) return { tries };
    const waitedMs = Date.now() - startedAt;
    if (waitedMs >= options.waitMs) throw await lockedError(session, id, waitedMs);
    if (options.onWait && waitedMs >= reportAt) {
      options.onWait(await listLockHolders(session, id), waitedMs);
      reportAt = waitedMs + REPORT_EVERY_MS;
    }
    const leftMs = options.waitMs - waitedMs;
    const pauseMs = Math.min(backOffMs(tries, PAUSES), leftMs);
    await sleep(pauseMs, undefined, { signal: options.signal });
  }
}

export async function releaseLock(session: Session, [classId, objectId]: LockId): Promise<void> {
  await session.run(`select pg_catalog.pg_advisory_unlock(${classId}, ${objectId})`);
}

/** Whatever a migration took, and the runner's own however often it was taken again. */
export async function releaseAllLocks(session: Session): Promise<void> {
  await session.run('select pg_catalog.pg_advisory_unlock_all()');
}

/** An expression that is true where this session has the lock, or could take it again. */
export function retakeLockSql([classId, objectId]: LockId): string {
  return `pg_catalog.pg_try_advisory_lock(${classId}, ${objectId})`;
}

/**
 * An expression that is true where this run still has the runner's lock. In a transaction it stays true
 * until the end, so that one which has asked may commit.
 */
export function holdsLockSql(key: LedgerKey): string {
  return key.lease === undefined ? retakeLockSql(runnerLock(key)) : holdsLeaseSql(key);
}

/** How runners exclude each other: by an advisory lock, or by a lease in the ledger. */
export type LockKind = 'advisory' | 'lease';

/** Lists who has the runner's lock of the target. */
export async function listRunners(
  session: Asked,
  key: LedgerKey,
  kind: LockKind = 'advisory',
): Promise<Blocker[]> {
  if (kind === 'advisory') return listLockHolders(session, runnerLock(key));
  return ((await session.run(readLeaseSql(key))) as unknown as LeaseHolder[]).map(asBlocker);
}

/** An expression that is true where any runner has the lock of the target. */
export function isHeldSql(key: LedgerKey, kind: LockKind = 'advisory'): string {
  return kind === 'lease' ? leaseIsLiveSql(key) : isLockHeldSql(runnerLock(key));
}

/** An expression that is true where the backend `pid` has the lock; without `pid` where any has it. */
export function isLockHeldSql([classId, objectId]: LockId, pid?: number): string {
  return `exists (
        select
        from pg_catalog.pg_locks
        where locktype = 'advisory'
            and database = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database())
            and (classid::bigint, objid::bigint, objsubid) = (${classId}, ${objectId} & 4294967295, 2)
            and granted
            and ${pid === undefined ? 'true' : `pid = ${pid}`}
    )`;
}

/**
 * What stands in a transaction before what only the holder of the lock may write; empty where the lock
 * goes with the session. It fails where the lease is not ours any more (22P02, see `isFenced`).
 */
export function fenceSql(key: LedgerKey): string {
  if (key.lease === undefined) return '';
  return `select (case when ${holdsLeaseSql(key)} then 'true' else 'the lease is of another runner' end)::boolean;\n`;
}

/** Whether an error of evdb's own statements is that of `fenceSql`. */
export function isFenced(error: unknown, { lease }: LedgerKey): boolean {
  return lease !== undefined && codeOf(error) === '22P02';
}

/** The lease had ended, and another runner has it, or had it. */
export function leaseLost(): EvdbError {
  return new EvdbError(
    'LOCKED',
    'this run has lost its lease: it was not renewed in time, and another runner could take it over',
    {
      hint: 'Nothing was committed since. This process was stopped, or cut off from the server, for longer than `leaseTime`. Run the command again; where it happens often, give a longer `leaseTime`.',
    },
  );
}

async function tryLock(session: Session, id: LockId): Promise<boolean> {
  const [row] = await session.run(`select ${retakeLockSql(id)} as "isMine"`);
  return row?.isMine === true;
}

async function lockedError(session: Session, id: LockId, waitedMs: number): Promise<EvdbError> {
  const holders = await listLockHolders(session, id);
  const isSound = holders.some(isRetryingRunner);
  const end = isSound ? '' : terminateSql(holders);
  const who = holders.map(describeBlocker).join('; ') || 'a session that has just ended';
  return new EvdbError(
    'LOCKED',
    `another runner is at work: ${who} (waited ${renderDuration(waitedMs)})`,
    {
      hint: `Try again when it is done; --lock-wait waits longer.${isSound ? ' Nothing is wrong with it: it could not acquire its locks, and tries again after a pause.' : ''}${end === '' ? '' : ` Where it hangs, end it: ${end}`}`,
      details: { holders, waitedMs },
    },
  );
}

/**
 * Proves that two open sessions share one backend, which only a pooler in transaction mode does.
 * A session lock would then belong to whoever gets that backend next.
 *
 * @throws {EvdbError} POOLER_DETECTED
 */
export async function refusePooler(worker: Asked, observer: Asked): Promise<void> {
  const pids: unknown[] = [];
  const servers = new Set<unknown>();
  for (const session of [worker, observer, worker, observer]) {
    const [row] = await session.run(
      `select pg_catalog.pg_backend_pid() as "pid", ${SERVER_START_SQL} as "server"`,
    );
    pids.push(row?.pid);
    servers.add(row?.server);
  }
  const [worker1, observer1, worker2, observer2] = pids;
  const isStable = worker1 === worker2 && observer1 === observer2;
  if (servers.size > 1) throw severalServers();
  if (worker1 !== observer1 && isStable) return;
  throw new EvdbError(
    'POOLER_DETECTED',
    'the connection goes through a pooler in transaction mode, where the lock that keeps runners apart does not hold',
    {
      hint: 'Give migrations a direct connection: EVDB_MIGRATION_URL, or migrationUrl in the config file.',
    },
  );
}

function severalServers(): EvdbError {
  return new EvdbError('POOLER_DETECTED', 'the address leads to several servers', {
    hint: 'Give migrations the address of the primary alone: EVDB_MIGRATION_URL, or migrationUrl in the config file.',
  });
}
