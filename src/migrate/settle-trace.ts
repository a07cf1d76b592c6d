import type { ObjectKey } from '../catalog/catalog.ts';
import { blockedBy, type Impact, isStronger, type LockTaken } from '../impact/impact.ts';
import { lockName } from '../lint/wording.ts';
import type { StatementTrace } from '../trace/trace-statements.ts';
import type { StatementImpact, StatementTraceFacts } from './impact-plan.ts';

type Settled = Pick<StatementImpact, 'evidence' | 'trace'> & Impact;

/**
 * Puts what was read from a statement and what a server did with it together. Pure. Where the two
 * differ the server is right, and the difference is told; reasons come from what was read.
 */
export function settleTrace(read: Impact, trace: StatementTrace | undefined): Settled {
  if (trace === undefined) return { ...read, evidence: 'live', trace: null };
  const { outcome, reason, durationMs } = trace;
  const facts = { outcome, reason: reason ?? null };
  if (outcome === 'skipped' || outcome === 'failed') {
    return {
      ...read,
      evidence: 'live',
      trace: { ...facts, durationMs: null, differences: [] },
    };
  }
  return {
    ...settleImpact(read, trace),
    evidence: 'trace',
    trace: { ...facts, durationMs, differences: differencesOf(read, trace) },
  };
}

function settleImpact(read: Impact, { impact, held }: StatementTrace): Impact {
  return {
    locks: settleLocks(read.locks, impact.locks, held),
    rewrites: withReasons(impact.rewrites, read.rewrites),
    scans: [
      ...withReasons(impact.scans, read.scans),
      ...read.scans.filter((scan) => isUntestable(scan) && !has(impact.scans, scan.relation)),
    ],
    builds: settleBuilds(read, impact),
    changes: read.changes,
    refusals: read.refusals,
    unknowns: [],
  };
}

/**
 * A lock that the transaction holds already is not taken anew, though the statement needs it; a
 * weaker one that it needs beside it is.
 */
function settleLocks(read: LockTaken[], seen: LockTaken[], held: LockTaken[]): LockTaken[] {
  const isHeld = (lock: LockTaken) => held.some((one) => covers(one, lock));
  const isWeaker = (lock: LockTaken) =>
    read.some((one) => covers(one, lock) && one.mode !== lock.mode && isHeld(one));
  const found = seen.filter((lock) => !isWeaker(lock));
  const kept = read.filter((lock) => !has(found, lock.relation) && isHeld(lock));
  const settled = found.map((lock) => {
    const known = read.find(({ relation }) => relation === lock.relation);
    return known ? { ...lock, reason: known.reason } : lock;
  });
  return [...settled, ...kept].sort((a, b) =>
    a.mode === b.mode ? 0 : isStronger(a.mode, b.mode) ? -1 : 1,
  );
}

function covers(held: LockTaken, lock: LockTaken): boolean {
  return held.relation === lock.relation && !isStronger(lock.mode, held.mode);
}

/** Why, as what was read knows it; a trace sees only that it is so. */
function withReasons<T extends { relation: ObjectKey }>(seen: T[], read: T[]): T[] {
  const used = new Set<ObjectKey>();
  return seen.flatMap((one) => {
    if (used.has(one.relation)) return [];
    used.add(one.relation);
    const known = read.filter(({ relation }) => relation === one.relation);
    return known.length > 0 ? known.map((reason) => ({ ...reason, isCertain: true })) : [one];
  });
}

function settleBuilds(read: Impact, { builds }: Impact): Impact['builds'] {
  return builds.map((build) => {
    const known = read.builds.find(
      ({ relation, subject, reason }) =>
        relation === build.relation &&
        (subject === build.subject ||
          build.subject?.endsWith(`.${subject}`) ||
          reason !== 'rewrite'),
    );
    return known && build.reason !== 'rewrite' ? { ...build, reason: known.reason } : build;
  });
}

/** On tables without rows a query may be planned otherwise, or end before it reads the second table. */
function isUntestable({ reason }: Impact['scans'][number]): boolean {
  return reason === 'query' || reason === 'foreign key';
}

function has(list: readonly { relation: ObjectKey }[], relation: ObjectKey): boolean {
  return list.some((one) => one.relation === relation);
}

/** Tables that are read from end to end for whatever reason. */
function tablesRead({ rewrites, scans, builds }: Impact): Set<ObjectKey> {
  return new Set([...rewrites, ...scans, ...builds].map(({ relation }) => relation));
}

function differencesOf(read: Impact, trace: StatementTrace): StatementTraceFacts['differences'] {
  const { impact, held } = trace;
  return [
    ...lockDifferences(read, impact, held),
    ...only(impact.rewrites, read.rewrites).map((one) => `rewrites ${one}`),
    ...only(read.rewrites, impact.rewrites).map((one) => `does not rewrite ${one}`),
    ...missing(tablesRead(impact), tablesRead(read)).map((one) => `reads every row of ${one}`),
    ...missing(
      tablesRead({ ...read, scans: read.scans.filter((s) => !isUntestable(s)) }),
      tablesRead(impact),
    ).map((one) => `does not read every row of ${one}`),
  ];
}

function only(
  these: readonly { relation: ObjectKey }[],
  others: readonly { relation: ObjectKey }[],
): ObjectKey[] {
  return missing(
    new Set(these.map(({ relation }) => relation)),
    new Set(others.map((o) => o.relation)),
  );
}

function missing(these: Set<ObjectKey>, others: Set<ObjectKey>): ObjectKey[] {
  return [...these].filter((one) => !others.has(one));
}

/** Locks on indexes go with those on their tables, and are not worth a word. */
function lockDifferences(read: Impact, seen: Impact, held: LockTaken[]): string[] {
  const felt = (locks: LockTaken[]) =>
    locks.filter(({ reason, mode }) => reason !== 'index' && blockedBy(mode) !== '');
  const name = ({ mode, relation }: LockTaken) => `${lockName(mode)} on ${relation}`;
  return [
    ...felt(seen.locks)
      .filter(
        (lock) =>
          !felt(read.locks).some(
            (one) =>
              (one.relation === lock.relation && one.mode === lock.mode) ||
              (covers(one, lock) && held.some((before) => covers(before, one))),
          ),
      )
      .map((lock) => `takes ${name(lock)}`),
    ...felt(read.locks)
      .filter(
        (lock) =>
          !seen.locks.some((one) => one.relation === lock.relation && one.mode === lock.mode) &&
          !held.some((one) => covers(one, lock)),
      )
      .map((lock) => `does not take ${name(lock)}`),
  ];
}
