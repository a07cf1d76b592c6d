import type { Catalog, ObjectKey } from '../catalog/catalog.ts';
import { replayStatement } from '../catalog/replay/replay.ts';
import { emptyImpact, type Impact, isStronger, type LockTaken } from '../impact/impact.ts';
import { impactOf } from '../impact/impact-of.ts';
import { type ExpandedStatement, expandStatement } from '../lint/expand.ts';
import type { SqlParser } from '../sql/parser.ts';
import type { Statement } from '../sql/statements.ts';

/** Where a statement would run. */
export interface Surroundings {
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
