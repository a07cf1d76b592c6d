import type { ObjectKey } from '../catalog/catalog.ts';
import type { ImpactPlan, StatementImpact } from './impact-plan.ts';

/**
 * How fast whole tables are worked on, in MB of the table with its indexes and toast a second. Meant to
 * be slow: what a small cloud server with a network disk does beside its other work.
 */
const WORK_RATES = {
  rewriteMbPerS: 25,
  scanMbPerS: 200,
  buildMbPerS: 50,
  /** Every row, with its index entries and what the log holds of them. */
  changeMbPerS: 15,
} as const;

export interface WorkEstimate {
  /** What is known to be needed, in ms. */
  ms: number;
  /** Why it may be more; null where nothing is missing. */
  unknown: string | null;
}

/**
 * How long a statement works on whole tables. Pure. As measured where it was traced on the target,
 * else estimated from sizes.
 */
export function estimateMs(statement: StatementImpact, plan: ImpactPlan): WorkEstimate {
  const { trace, unknowns } = statement;
  if (plan.trace?.where === 'target' && trace?.outcome === 'traced') {
    return { ms: trace.durationMs ?? 0, unknown: null };
  }
  const works = listWork(statement);
  const sizes = works.map(({ relation, mbPerS }) => {
    const facts = plan.tables[relation];
    const bytes = facts?.isNew ? 0 : (facts?.bytes ?? null);
    return { relation, ms: bytes === null ? null : (bytes / MB / mbPerS) * 1000 };
  });
  const missing = sizes.find(({ ms }) => ms === null);
  const unknown = missing ? `the size of ${missing.relation} is not known` : (unknowns[0] ?? null);
  return { ms: sizes.reduce((sum, { ms }) => sum + (ms ?? 0), 0), unknown };
}

const MB = 1024 * 1024;

/** Writing a table anew builds its indexes and checks its rows on the way. */
function listWork(statement: StatementImpact): { relation: ObjectKey; mbPerS: number }[] {
  const { rewrites, scans, builds, changes } = statement;
  const changed = new Set(changes.filter(({ isAll }) => isAll).map(({ relation }) => relation));
  const rewritten = new Set(
    rewrites.filter(({ reason }) => reason !== 'truncate').map(({ relation }) => relation),
  );
  const emptied = new Set(
    rewrites.filter(({ reason }) => reason === 'truncate').map(({ relation }) => relation),
  );
  const others = <T extends { relation: ObjectKey }>(list: T[]) =>
    list.filter(({ relation }) => !rewritten.has(relation) && !emptied.has(relation));
  const indexBuilds = others(builds).filter(({ isConcurrent }) => !isConcurrent);
  return [
    ...[...rewritten].map((relation) => ({ relation, mbPerS: WORK_RATES.rewriteMbPerS })),
    ...indexBuilds.map(({ relation }) => ({ relation, mbPerS: WORK_RATES.buildMbPerS })),
    ...[...changed].map((relation) => ({ relation, mbPerS: WORK_RATES.changeMbPerS })),
    ...others(scans)
      .filter(({ reason, relation }) => reason !== 'index build' && !changed.has(relation))
      .map(({ relation }) => ({ relation, mbPerS: WORK_RATES.scanMbPerS })),
  ];
}
