/*
 * What evdb promises rests on how the server behaves. Here it is said which promise rests on what, and
 * which of them is false by what was seen. Pure; `probe.ts` looks.
 */

/** What a server has to do so that the promises of evdb are true. */
export type EnginePromise = 'lock' | 'rollback' | 'savepoint' | 'session';

/** What would be false without it, as messages quote it. */
export const PROMISES: Record<EnginePromise, string> = {
  lock: 'one runner at a time',
  rollback: 'a migration is applied whole or not at all',
  savepoint: 'what fails on the way is undone without the rest of its transaction',
  session: 'what a run sets and locks is kept until it ends',
};

/** What `probe.ts` saw. */
export interface Seen {
  /** Whether a second session got the lock that the first one holds; an SQLSTATE where it is refused. */
  lock: { isShared: boolean } | { sqlstate: string };
  /** The statement of the probe that the server refused; undefined where it took all of them. */
  refused?: { at: ProbeStep; sqlstate: string } | undefined;
  /** Within the transaction, behind the way back to the savepoint; undefined where it was not reached. */
  within?: { hasFirst: boolean; hasSecond: boolean } | undefined;
  /** Behind the rollback. */
  after: { isKept: boolean; tablesLeft: number };
}

/** The parts of the probe, in the order in which they are sent. */
export type ProbeStep = 'begin' | 'create' | 'savepoint' | 'within' | 'rollback' | 'after';

/** A promise that would be false, and how that showed. */
export interface BrokenPromise {
  promise: EnginePromise;
  /** In one clause, without a full stop. */
  seen: string;
}

/** What the probe came to. */
export interface Judgement {
  broken: BrokenPromise[];
  /** What was seen to hold; what the server kept from being looked at is in neither. */
  held: EnginePromise[];
}

/**
 * Judges what was seen.
 *
 * @param needsLock whether runners exclude each other by an advisory lock
 */
export function judgeEngine(seen: Seen, needsLock: boolean): Judgement {
  const verdicts: [EnginePromise, Verdict][] = [
    ...(needsLock ? [['lock', judgeLock(seen)] as [EnginePromise, Verdict]] : []),
    ['rollback', judgeRollback(seen)],
    ['savepoint', judgeSavepoint(seen)],
    ['session', seen.after.isKept ? 'held' : NOT_KEPT],
  ];
  return {
    broken: verdicts.flatMap(([promise, verdict]) =>
      typeof verdict === 'string' ? [] : [{ promise, ...verdict }],
    ),
    held: verdicts.flatMap(([promise, verdict]) => (verdict === 'held' ? [promise] : [])),
  };
}

type Verdict = 'held' | 'unknown' | { seen: string };

const NOT_KEPT = { seen: 'a session has lost its setting in the next message' };

function judgeLock({ lock }: Seen): Verdict {
  if ('sqlstate' in lock) {
    if (!isEvidence(lock.sqlstate)) return 'unknown';
    return { seen: `pg_try_advisory_lock is refused (SQLSTATE ${lock.sqlstate})` };
  }
  if (!lock.isShared) return 'held';
  return { seen: 'two sessions got the same advisory lock at the same time' };
}

function judgeRollback({ refused, after }: Seen): Verdict {
  if (after.tablesLeft > 0) {
    return { seen: 'a table that was created in a transaction was still there after its rollback' };
  }
  if (refused?.at !== 'begin' && refused?.at !== 'create') return 'held';
  if (!isEvidence(refused.sqlstate)) return 'unknown';
  return {
    seen: `a transaction with several DDL statements is refused (SQLSTATE ${refused.sqlstate})`,
  };
}

function judgeSavepoint({ refused, within }: Seen): Verdict {
  if (refused?.at === 'savepoint' && isEvidence(refused.sqlstate)) {
    return { seen: `a savepoint between DDL is refused (SQLSTATE ${refused.sqlstate})` };
  }
  if (!within) return 'unknown';
  if (within.hasSecond) {
    return { seen: 'a table created behind a savepoint was still there after the rollback to it' };
  }
  if (!within.hasFirst) {
    return { seen: 'a rollback to a savepoint took a table that was created before it' };
  }
  return 'held';
}

/**
 * Whether an error says something of how the server behaves: not what it says of a privilege, of the
 * connection, of resources, a cancel or a timeout, nor what a trigger raises.
 */
function isEvidence(sqlstate: string): boolean {
  return !/^(?:08|40|42501$|53|55P03$|57|58|P0)/.test(sqlstate) && /^[0-9A-Z]{5}$/.test(sqlstate);
}

/** As the ledger keeps it. */
export function writePromises(held: readonly EnginePromise[]): string {
  return held.join(' ');
}

/** Whether all that a run needs was seen to hold. */
export function areKept(kept: string, needsLock: boolean): boolean {
  const held = new Set(kept.split(' '));
  return (Object.keys(PROMISES) as EnginePromise[]).every(
    (promise) => held.has(promise) || (promise === 'lock' && !needsLock),
  );
}
