import type { Catalog, ObjectKey } from '../catalog/catalog.ts';
import { emptyImpact, type Impact, isStronger, type LockTaken } from '../impact/impact.ts';
import { expandStatement } from '../lint/expand.ts';
import { readImpact, replay } from '../lint/model.ts';
import type { SqlParser } from '../sql/parser.ts';
import type { Statement } from '../sql/statements.ts';

/**
 * What a statement does to others, told from its text and the catalog before it; also what it runs in
 * a `do` block or a function. The catalog is brought to what it is after it.
 */
export function readStatementImpact(
  statement: Statement,
  catalog: Catalog,
  parser: SqlParser,
): Impact {
  const tree = parser.parse(statement.text);
  if (tree === null) {
    return { ...emptyImpact(), unknowns: ['it is too long, or its grammar is not known here'] };
  }
  const impacts = expandStatement(statement, tree, { catalog, parser }).map((one) => {
    if (one.isDynamic) return { ...emptyImpact(), unknowns: [DYNAMIC] };
    const impact = readImpact(one.tree, catalog);
    replay(catalog, one.tree);
    return one.isConditional ? uncertain(impact) : impact;
  });
  return joinImpacts(impacts);
}

const DYNAMIC = 'it runs SQL that is put together at run time';

function uncertain(impact: Impact): Impact {
  const soften = <T extends { isCertain: boolean }>(list: T[]) =>
    list.map((one) => ({ ...one, isCertain: false }));
  return {
    ...impact,
    rewrites: soften(impact.rewrites),
    scans: soften(impact.scans),
    builds: soften(impact.builds),
  };
}

/** The impact of all; of the locks on one relation the strongest. */
function joinImpacts(impacts: readonly Impact[]): Impact {
  const [only, second] = impacts;
  if (only && !second) return only;
  return {
    locks: strongestLocks(impacts.flatMap(({ locks }) => locks)),
    rewrites: impacts.flatMap(({ rewrites }) => rewrites),
    scans: impacts.flatMap(({ scans }) => scans),
    builds: impacts.flatMap(({ builds }) => builds),
    unknowns: [...new Set(impacts.flatMap(({ unknowns }) => unknowns))],
  };
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
