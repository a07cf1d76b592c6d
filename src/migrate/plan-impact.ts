import type { Catalog, ObjectKey } from '../catalog/catalog.ts';
import { loadParser } from '../sql/parser.ts';
import { type PlanCommandOptions, withCommandPlan } from './commands.ts';
import type { ImpactPlan, StepImpact, TableFacts } from './impact-plan.ts';
import { readLiveCatalog } from './live-catalog.ts';
import { applySettings } from './options.ts';
import { readStepImpact } from './step-impact.ts';
import { type TraceStepsOptions, traceSteps } from './trace-steps.ts';

export interface PlanImpactOptions
  extends PlanCommandOptions,
    Pick<TraceStepsOptions, 'embeddedDirectory' | 'onTrace'> {
  /**
   * Try the statements: in a scratch database `beside` the target, on the `embedded` server, or in
   * the `target` itself, in transactions that are rolled back. Default: they are only read.
   */
  trace?: TraceStepsOptions['trace'] | undefined;
}

/**
 * Says what `migrateUp` would do, and for each statement which locks it takes and what they block,
 * what it rewrites, scans and builds, and how big those tables are on the target. Reads only, and
 * refuses what `migrateUp` would refuse.
 *
 * @throws {EvdbError} those of `planMigrateUp`, and SCRATCH_UNAVAILABLE where statements are
 *   traced
 * @example
 * const plan = await planImpact({ connection, directory: 'migrations' });
 * const rewrites = plan.steps.flatMap((step) => step.statements.flatMap((one) => one.rewrites));
 */
export async function planImpact(options: PlanImpactOptions): Promise<ImpactPlan> {
  return withCommandPlan(options, async ({ plan }, session) => {
    const { schema, steps, warnings } = plan;
    const { serverVersion } = session.facts;
    const nothing = { schema, serverVersion, steps: [], tables: {}, warnings, trace: null };
    if (steps.length === 0) return nothing;
    const { trace } = options;
    const catalog = await readLiveCatalog(session, [schema, ...(options.searchPath ?? [])]);
    const known = sizesOf(catalog);
    const traced = trace ? await traceSteps(steps, session, { ...options, trace }) : undefined;
    const parser = await loadParser();
    const settings = applySettings(options);
    const impacts = steps.map((step, index) =>
      readStepImpact(step, { catalog, parser, settings, traces: traced?.traces[index] }),
    );
    return {
      ...nothing,
      steps: impacts,
      tables: tablesOf(impacts, known),
      trace: traced?.facts ?? null,
    };
  });
}

/** Taken before anything is replayed on the catalog. */
function sizesOf({ relations }: Catalog): Map<ObjectKey, TableFacts> {
  return new Map(
    [...relations.values()].map(({ key, rows = null, bytes = null, indexes }) => [
      key,
      { rows, bytes, indexes: indexes.size, isNew: false },
    ]),
  );
}

function tablesOf(
  steps: readonly StepImpact[],
  known: Map<ObjectKey, TableFacts>,
): Record<ObjectKey, TableFacts> {
  const touched = new Set(
    steps.flatMap(({ statements }) =>
      statements.flatMap(({ locks, rewrites, scans, builds }) => [
        ...locks.filter(({ reason }) => reason !== 'index').map(({ relation }) => relation),
        ...[...rewrites, ...scans, ...builds].map(({ relation }) => relation),
      ]),
    ),
  );
  const unknown: TableFacts = { rows: null, bytes: null, indexes: 0, isNew: true };
  return Object.fromEntries([...touched].sort().map((key) => [key, known.get(key) ?? unknown]));
}
