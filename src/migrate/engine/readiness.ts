/** Whether a run finds its ledger and its server fit to work with. */

import type { Session } from '../../connection/session.ts';
import { EvdbError } from '../../errors.ts';
import { isNotThereYet, type Ledger, type LedgerKey, readLedger } from '../ledger/ledger.ts';
import { LEDGER_FORMAT, readEngine } from '../ledger/ledger-schema.ts';
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
