import type { Catalog, ObjectKey } from '../../catalog/catalog.ts';
import { replayStatement } from '../../catalog/replay/replay.ts';
import { LADDER } from '../../connection/retry.ts';
import {
  blockedBy,
  emptyImpact,
  type Impact,
  isStronger,
  type LockMode,
  type LockTaken,
  type Refusal,
} from '../../impact/impact.ts';
import { impactOf } from '../../impact/impact-of.ts';
import { type ExpandedStatement, expandStatement } from '../../lint/expand.ts';
import { lockName } from '../../lint/wording.ts';
import { maskSecrets } from '../../sql/mask.ts';
import type { SqlParser } from '../../sql/parser.ts';
import type { Statement } from '../../sql/statements.ts';
import type { StatementTrace } from '../../trace/trace-statements.ts';
import { ladderFor, lockTimeouts, stepName } from '../apply/context.ts';
import type { ApplySettings } from '../options.ts';
import type { MigrationStep } from '../plan/prepare.ts';
import type {
  PlannedLock,
  StatementImpact,
  StatementTraceFacts,
  StepImpact,
  StepLockWaits,
  StrongestLock,
} from './impact-plan.ts';

interface Around extends Omit<Surroundings, 'nameOf'> {
  settings: ApplySettings;
  /** Whether an earlier step makes it, so that nobody uses it yet. */
  isNew(key: ObjectKey): boolean;
  /** What a server did with the step's statements, where they were tried. */
  traces?: (StatementTrace | undefined)[] | undefined;
}

/**
 * What others feel of a step, statement by statement. Relations go by the names that they have before
 * the step, and what the step itself makes is left out, since nobody else uses it yet.
 */
export function readStepImpact(step: MigrationStep, around: Around): StepImpact {
  const { settings, traces, isNew } = around;
  const nameOf = rememberNames(around.catalog);
  // What ran before a script stopped half way is in the catalog already, and does not run again.
  const statementsDone = step.resume?.statementsDone ?? 0;
  const statements = step.statements.slice(statementsDone).map((statement): StatementImpact => {
    const read = readStatementImpact(statement, { ...around, nameOf });
    const settled = settleTrace(read, traces?.[statement.index]);
    return {
      ...place(statement),
      ...settled,
      refusals: refusedIn(step, settled.refusals),
      locks: settled.locks.map(plannedLock),
      estimatedMs: null,
    };
  });
  if (step.isTransactional) markHeldLocks(statements);
  return {
    ...{ ...stepName(step), direction: step.direction, file: step.script.path },
    isTransactional: step.isTransactional,
    waits: lockWaits(step, settings),
    strongestLock: strongestLock(statements, isNew),
    isContinued: step.resume !== undefined,
    statementsDone,
    statementsTotal: step.script.large?.statementsTotal ?? statements.length,
    statements,
    ...{ backfill: null, isPostponed: step.isPostponed === true },
    ...{ gates: [], heldBy: [], rebuilds: [] },
    isContract: step.script.directives.isContract === true,
  };
}

/** What only a transaction forbids is none where there is none. */
function refusedIn({ isTransactional }: MigrationStep, refusals: readonly Refusal[]): Refusal[] {
  return refusals.filter((one) => isTransactional || !one.isOnlyInTransaction);
}

/** Nobody reads a statement of some megabytes in a plan; the file has it. */
function place({ line, column, command, text }: Statement) {
  const isLong = text.length > MAX_TEXT_LENGTH;
  // Cut first: what is cut in the middle of a secret is masked to its end.
  const shown = maskSecrets(text.slice(0, MAX_TEXT_LENGTH));
  return { line, column, command, text: isLong ? `${shown}…` : shown };
}

const MAX_TEXT_LENGTH = 2000;

function plannedLock(lock: LockTaken): PlannedLock {
  return { ...lock, blocks: blockedBy(lock.mode), isHeld: false };
}

/** Locks last until the end of the transaction. */
function markHeldLocks(statements: StatementImpact[]): void {
  const held = new Map<ObjectKey, LockMode>();
  for (const lock of statements.flatMap(({ locks }) => locks)) {
    const before = held.get(lock.relation);
    lock.isHeld = before !== undefined && !isStronger(lock.mode, before);
    if (!lock.isHeld) held.set(lock.relation, lock.mode);
  }
}

/** Gives the names that relations have now, also when they are called otherwise later. */
function rememberNames({ relations, indexes, isComplete }: Catalog): Surroundings['nameOf'] {
  const names = new Map<unknown, ObjectKey>(
    [...relations, ...indexes].map(([key, object]) => [object, key]),
  );
  return (key) => {
    const object = relations.get(key) ?? indexes.get(key);
    // where not all is known, what is not may have been there
    return object === undefined && !isComplete ? key : names.get(object);
  };
}

function lockWaits(step: MigrationStep, settings: ApplySettings): StepLockWaits {
  const ladder = ladderFor(step, settings);
  const first = ladder[0] ?? LADDER[0];
  return {
    lockTimeoutsMs: ladder.map(({ lockTimeoutMs }) => lockTimeoutMs),
    budgetMs: settings.lockWaitBudgetMs ?? null,
    dataLockTimeoutMs: first ? lockTimeouts(first, settings).data : settings.dataLockTimeoutMs,
    statementTimeoutMs:
      step.script.directives.statementTimeoutMs ?? settings.statementTimeoutMs ?? null,
  };
}

function strongestLock(
  statements: StatementImpact[],
  isNew: Around['isNew'],
): StrongestLock | null {
  const locks = statements
    .flatMap((statement) => statement.locks)
    .filter(({ reason }) => reason !== 'index' && reason !== 'sequence')
    .filter(({ relation }) => !isNew(relation));
  const [first, ...others] = locks;
  if (!first) return null;
  const strongest = others.reduce(
    (best, one) => (isStronger(one.mode, best.mode) ? one : best),
    first,
  );
  const { mode, blocks } = strongest;
  const relations = locks.filter((lock) => lock.mode === mode).map(({ relation }) => relation);
  return { mode, blocks, relations: [...new Set(relations)] };
}

/** Where a statement would run. */
interface Surroundings {
  /** Before the statement; it is brought to what it is after it. */
  catalog: Catalog;
  parser: SqlParser;
  /** As in server_version_num. */
  serverVersion: number;
  timeZoneIsUtc: boolean;
  /** What a relation is to be called; undefined for one that is left out. */
  nameOf(key: ObjectKey): ObjectKey | undefined;
}

/**
 * What a statement does to others, told from its text and the catalog before it; also what it runs in
 * a `do` block, or in functions that are known.
 */
export function readStatementImpact(statement: Statement, around: Surroundings): Impact {
  const { catalog, parser } = around;
  const tree = parser.parse(statement.text);
  if (tree === null) {
    return { ...emptyImpact(), unknowns: ['it is too long, or its grammar is not known here'] };
  }
  const all = expandStatement(statement, tree, { catalog, parser });
  // what runs inside of it stands for a block
  const isBlock = 'DoStmt' in tree || ('CallStmt' in tree && all.length > 1);
  return joinImpacts(all.slice(isBlock ? 1 : 0).map((one) => impactOfOne(one, around)));
}

function impactOfOne(one: ExpandedStatement, around: Surroundings): Impact {
  const { tree, text, isDynamic, isConditional } = one;
  if (isDynamic) return { ...emptyImpact(), unknowns: [DYNAMIC] };
  // names mean something else once the statement has run
  const impact = renamed(impactOf({ ...around, tree, text }), around);
  replayStatement(around.catalog, tree, text);
  return isConditional ? uncertain(impact) : impact;
}

const DYNAMIC = 'it runs SQL that is put together at run time';

function renamed(impact: Impact, { nameOf }: Surroundings): Impact {
  const rename = <T extends { relation: ObjectKey }>(list: T[]): T[] =>
    list.flatMap((one) => {
      const relation = nameOf(one.relation);
      return relation === undefined ? [] : [{ ...one, relation }];
    });
  return {
    locks: rename(impact.locks),
    rewrites: rename(impact.rewrites),
    scans: rename(impact.scans),
    builds: rename(impact.builds),
    changes: rename(impact.changes),
    refusals: impact.refusals,
    unknowns: impact.unknowns,
  };
}

function uncertain(impact: Impact): Impact {
  const soften = <T extends { isCertain: boolean }>(list: T[]) =>
    list.map((one) => ({ ...one, isCertain: false }));
  return {
    ...impact,
    rewrites: soften(impact.rewrites),
    scans: soften(impact.scans),
    builds: soften(impact.builds),
    changes: impact.changes.map((one) => ({ ...one, isAll: false })),
    // What decides whether it runs may know better.
    refusals: [],
  };
}

/** The impact of all; of the locks on one relation the strongest. */
function joinImpacts(impacts: readonly Impact[]): Impact {
  return {
    locks: strongestLocks(impacts.flatMap(({ locks }) => locks).filter(isFelt)),
    rewrites: impacts.flatMap(({ rewrites }) => rewrites),
    scans: impacts.flatMap(({ scans }) => scans),
    builds: impacts.flatMap(({ builds }) => builds),
    changes: impacts.flatMap(({ changes }) => changes),
    refusals: impacts.flatMap(({ refusals }) => refusals),
    unknowns: [...new Set(impacts.flatMap(({ unknowns }) => unknowns))],
  };
}

/** Reading alone keeps off nobody but who wants `ACCESS EXCLUSIVE`. */
function isFelt({ mode }: LockTaken): boolean {
  return mode !== 'AccessShare';
}

/** One lock for each relation, strongest first. */
function strongestLocks(locks: readonly LockTaken[]): LockTaken[] {
  const byRelation = new Map<ObjectKey, LockTaken>();
  for (const lock of locks) {
    const before = byRelation.get(lock.relation);
    if (!before || isStronger(lock.mode, before.mode)) byRelation.set(lock.relation, lock);
  }
  return [...byRelation.values()].sort((a, b) =>
    a.mode === b.mode ? 0 : isStronger(a.mode, b.mode) ? -1 : 1,
  );
}

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
