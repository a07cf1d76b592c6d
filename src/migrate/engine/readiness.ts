/** Whether a run finds its ledger and its server fit to work with. */

import { codeOf } from '../../connection/connection-error.ts';
import type { Asked, Session } from '../../connection/session.ts';
import { EvdbError } from '../../errors.ts';
import { quoteIdent, quoteLiteral } from '../../sql/quote.ts';
import { leaseIsLiveSql } from '../ledger/lease.ts';
import {
  isNotThereYet,
  LEDGER_FORMAT,
  type Ledger,
  type LedgerKey,
  readLedger,
} from '../ledger/ledger.ts';
import { areKept, type EnginePromise } from './judge.ts';

/** The ledger, and whether it and the server need nothing before a run. */
export interface ReadAll {
  ledger: Ledger;
  isReady: boolean;
}

/** Both are sent at once, but where there may be nothing to read. */
async function readBoth(worker: Session, key: LedgerKey) {
  if (!isNotThereYet(worker, key)) {
    return Promise.all([readLedger(worker, key), readEngine(worker, key)]);
  }
  const ledger = await readLedger(worker, key);
  return [ledger, ledger.exists ? await readEngine(worker, key) : undefined] as const;
}

export async function readAll(
  worker: Session,
  key: LedgerKey,
  proven: EnginePromise[] | undefined,
): Promise<ReadAll> {
  const [ledger, known] = await readBoth(worker, key);
  const needsLock = key.lease === undefined;
  if (known?.isLeased && needsLock) throw leasedByOther();
  const isProven = proven === undefined && areKept(known?.promises ?? '', needsLock);
  return { ledger, isReady: isProven && ledger.exists && ledger.format === LEDGER_FORMAT };
}

function leasedByOther(): EvdbError {
  return new EvdbError('LOCKED', 'another runner is at work, which excludes others by a lease', {
    hint: "Give all runners of this database the same `lock` in their configuration: lock: 'lease', or EVDB_LOCK=lease.",
  });
}

/** @returns undefined where the ledger remembers it */
export async function proveBeforeLease(
  worker: Session,
  key: LedgerKey,
): Promise<EnginePromise[] | undefined> {
  const [ledger, known] = await readBoth(worker, key);
  if (areKept(known?.promises ?? '', false)) return undefined;
  const { proveEngine } = await import('./probe.ts');
  const hasSchema = ledger.schemaExists;
  return proveEngine({ worker, observer: undefined, key, hasSchema });
}

/** Keeps what a server was seen to do, so that it is looked at once only. */
export function rememberEngineSql(schema: string, promises: string): string {
  return `update ${quoteIdent(schema)}.ledger_format set engine = pg_catalog.version(), engine_promises = ${quoteLiteral(promises)};`;
}

/** What the ledger remembers of its server. */
interface RememberedEngine {
  /** Empty where it was not looked at yet, or where the server is another one by now. */
  promises: string;
  /** Whether a runner holds a lease on the target. */
  isLeased: boolean;
}

/** @returns undefined where there is no ledger, or an older one */
async function readEngine(session: Asked, key: LedgerKey): Promise<RememberedEngine | undefined> {
  try {
    const [row] = await session.run(`select
    case when engine = pg_catalog.version() then engine_promises else '' end as "promises",
    ${leaseIsLiveSql(key)} as "isLeased"
from ${quoteIdent(key.ledgerSchema)}.ledger_format`);
    return row && { promises: String(row.promises ?? ''), isLeased: row.isLeased === true };
  } catch (error) {
    // undefined_table, invalid_schema_name, undefined_column; or it is not for this role
    if (['42P01', '3F000', '42703', '42501'].includes(codeOf(error) ?? '')) return undefined;
    throw error;
  }
}
