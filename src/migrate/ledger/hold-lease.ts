import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Blocker, describeBlocker, listLockHolders } from '../../connection/blockers.ts';
import { codeOf } from '../../connection/connection-error.ts';
import { backOffMs } from '../../connection/retry.ts';
import type { Asked, Session } from '../../connection/session.ts';
import { EvdbError } from '../../errors.ts';
import { quoteIdent, quoteLiteral } from '../../sql/quote.ts';
import { renderDuration } from '../../text/units.ts';
import {
  asBlocker,
  type LeaseHolder,
  type LeaseRequest,
  leaseDdl,
  readLeaseSql,
  releaseLeaseSql,
  renewLeaseSql,
  takeLeaseSql,
} from './lease.ts';
import type { LedgerKey } from './ledger.ts';
import { createSchemaSql, mayNotCreate } from './ledger-schema.ts';
import { type LockOptions, runnerLock } from './lock.ts';

const PAUSES = { firstMs: 25, longestMs: 1000 };
const REPORT_EVERY_MS = 10_000;

export interface LeaseOptions extends LockOptions {
  request: LeaseRequest;
  /** Called where the lease of a runner that is stopped or gone had ended. */
  onTakeover?: ((holder: LeaseHolder) => void) | undefined;
}

/**
 * Holds the lease of a target while `work` goes on, and renews it. `work` gets the key with its token,
 * by which each transaction sees to it that it commits under this lease only.
 *
 * @throws {EvdbError} LOCKED, naming the holder
 */
export async function withLease<T>(
  { worker, observer }: { worker: Session; observer: Asked },
  key: LedgerKey,
  options: LeaseOptions,
  work: (key: LedgerKey) => Promise<T>,
): Promise<T> {
  await ensureLeaseTable(worker, key.ledgerSchema);
  const held = await acquireLease(worker, key, options);
  const { leaseMs } = options.request;
  const renew = () => {
    observer.run(renewLeaseSql(held, leaseMs)).then(
      // Who lost it learns that before the next commit.
      (rows) => rows.length === 0 && clearInterval(timer),
      () => undefined,
    );
  };
  const timer = setInterval(renew, leaseMs / 3);
  timer.unref();
  try {
    return await work(held);
  } finally {
    clearInterval(timer);
    // The server may still be at the work of a session that was lost: then the lease ends by itself.
    if (!worker.isClosed) await release(worker, held);
  }
}

async function release(session: Session, key: LedgerKey): Promise<void> {
  const sql = releaseLeaseSql(key);
  await session
    .run(sql)
    .catch(() => session.run(`rollback; ${sql}`))
    .catch(() => undefined);
}

/** Several may create it at once. */
async function ensureLeaseTable(session: Session, schema: string): Promise<void> {
  for (let tries = 1; ; tries++) {
    const [row] = await session.run(`select
    exists (select from pg_catalog.pg_namespace where nspname = ${quoteLiteral(schema)}) as "hasSchema",
    exists (
        select
        from pg_catalog.pg_class as c
        join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
        where n.nspname = ${quoteLiteral(schema)} and c.relname = 'lease'
    ) as "hasTable"`);
    if (row?.hasTable === true) return;
    const create = row?.hasSchema === true ? '' : createSchemaSql(session, schema);
    try {
      await session.run(
        `begin isolation level read committed, read write; ${create} ${leaseDdl(quoteIdent(schema))} commit;`,
      );
      return;
    } catch (error) {
      if (!session.isClosed) await session.run('rollback');
      if (codeOf(error) === '42501') throw mayNotCreate(session, schema, error);
      if (tries >= MOST_TRIES || !IS_THERE_BY_NOW.has(codeOf(error) ?? '')) throw error;
      await sleep(backOffMs(tries, PAUSES));
    }
  }
}

const MOST_TRIES = 10;
/** unique_violation, duplicate_schema, duplicate_table, serialization_failure, tuple concurrently updated */
const IS_THERE_BY_NOW = new Set(['23505', '42P06', '42P07', '40001', 'XX000']);

/** Takes the lease by polling; gives the key with its token. */
async function acquireLease(
  session: Session,
  key: LedgerKey,
  options: LeaseOptions,
): Promise<LedgerKey> {
  const startedAt = Date.now();
  const held = { ...key, lease: randomUUID() };
  let reportAt = 0;
  for (let tries = 1; ; tries++) {
    const inTheWay = await tryLease(session, held, options);
    if (inTheWay === undefined) return held;
    const waitedMs = Date.now() - startedAt;
    if (waitedMs >= options.waitMs) throw leased(inTheWay, waitedMs);
    if (options.onWait && waitedMs >= reportAt) {
      options.onWait(inTheWay.holders, waitedMs);
      reportAt = waitedMs + REPORT_EVERY_MS;
    }
    const pauseMs = Math.min(backOffMs(tries, PAUSES), options.waitMs - waitedMs);
    await sleep(pauseMs, undefined, { signal: options.signal });
  }
}

interface InTheWay {
  holders: Blocker[];
  /** How long its lease still lasts; undefined where it has an advisory lock. */
  leftMs: number | undefined;
}

/** @returns who holds it; undefined where it is ours now */
async function tryLease(
  session: Session,
  held: LedgerKey & { lease: string },
  { request, onTakeover }: LeaseOptions,
): Promise<InTheWay | undefined> {
  const { isMine, holder } = await takeLease(session, held, request);
  if (!isMine) return { holders: holder ? [asBlocker(holder)] : [], leftMs: holder?.leftMs };
  // Looked at behind the commit: a runner with an advisory lock looks at leases when it has that lock.
  const others = await listLockHolders(session, runnerLock(held));
  if (others.length > 0) {
    await release(session, held);
    return { holders: others, leftMs: undefined };
  }
  if (holder) onTakeover?.(holder);
  return undefined;
}

/** @param own a token of ours that it may be taken from before its end */
async function takeLease(
  session: Session,
  held: LedgerKey & { lease: string },
  request: LeaseRequest,
  own?: string,
): Promise<{ isMine: boolean; holder: LeaseHolder | undefined }> {
  try {
    const [row] = await session.run(takeLeaseSql(held, held.lease, request, own));
    return { isMine: row?.isMine === true, holder: asHolder(row) };
  } catch (error) {
    if (!session.isClosed) await session.run('rollback');
    // The holder is about to commit, or its session was cut off there.
    if (codeOf(error) !== '55P03') throw error;
    const [row] = await session.run(readLeaseSql(held));
    return { isMine: false, holder: asHolder(row) };
  }
}

function asHolder(row: Record<string, unknown> | undefined): LeaseHolder | undefined {
  return row?.pid == null ? undefined : (row as unknown as LeaseHolder);
}

/**
 * Takes a lease of ours from a session that was lost, so that nothing of it can be committed any more;
 * what it is committing is waited for.
 *
 * @returns whether that is so: also where another runner has the lease by now, but not where the time is up
 */
export async function outliveLease(
  session: Session,
  key: LedgerKey & { lease: string },
  { waitMs, signal }: LockOptions,
): Promise<boolean> {
  const startedAt = Date.now();
  const held = { ...key, lease: randomUUID() };
  const request = { leaseMs: waitMs, osUser: undefined, hostName: undefined };
  for (let tries = 1; ; tries++) {
    const { isMine, holder } = await takeLease(session, held, request, key.lease);
    if (isMine) await release(session, held);
    if (isMine || (holder && holder.token !== key.lease)) return true;
    if (Date.now() - startedAt >= waitMs) return false;
    await sleep(backOffMs(tries, PAUSES), undefined, { signal });
  }
}

function leased({ holders, leftMs }: InTheWay, waitedMs: number): EvdbError {
  const who = holders.map(describeBlocker).join('; ') || 'a session that has just ended';
  const hint =
    leftMs === undefined
      ? 'It excludes others by an advisory lock: give all runners the same `lock` in their configuration, and try again when it is done.'
      : `Try again when it is done; --lock-wait waits longer. Its lease lasts for another ${renderDuration(Math.max(0, leftMs))} unless it renews it; where it is stopped or gone, the next runner takes the lease over then.`;
  return new EvdbError(
    'LOCKED',
    `another runner is at work: ${who} (waited ${renderDuration(waitedMs)})`,
    { hint, details: { holders, waitedMs, ...(leftMs !== undefined && { leaseLeftMs: leftMs }) } },
  );
}
