import type { ObjectKey } from '../catalog/catalog.ts';
import { readCatalog } from '../catalog/read/catalog.ts';
import { readSizes } from '../catalog/read/sizes.ts';
import type { Session } from '../connection/session.ts';
import { loadParser } from '../sql/parser.ts';
import { type PlanCommandOptions, withCommandPlan } from './commands.ts';
import type { ImpactPlan, StepImpact } from './impact-plan.ts';
import { applySettings } from './options.ts';
import { readStepImpact } from './step-impact.ts';
import { noteRelations, readTableFacts, type TargetRelation } from './table-facts.ts';
import { type TraceStepsOptions, traceSteps } from './trace-steps.ts';
import { estimateMs } from './work-estimate.ts';

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
    const { schema, steps, pending, warnings } = plan;
    const { serverVersion } = session.facts;
    const known = { schema, serverVersion, pending, warnings };
    const nothing = { ...known, steps: [], tables: {}, trace: null };
    if (steps.length === 0) return nothing;
    const { trace } = options;
    const parser = await loadParser();
    const catalog = await readCatalog(session, {
      searchPath: [schema, ...(options.searchPath ?? [])],
      parser,
    });
    const relations = noteRelations(catalog);
    // What a trace writes leaves pages behind where it is rolled back.
    const sizes =
      trace === 'target' ? await readSizes(session, catalog.relations.keys()) : undefined;
    const traced = trace ? await traceSteps(steps, session, { ...options, trace }) : undefined;
    const around = {
      ...{ catalog, parser, serverVersion, settings: applySettings(options) },
      timeZoneIsUtc: await readTimeZoneIsUtc(session),
    };
    const felt = new Map<ObjectKey, TargetRelation | undefined>();
    const impacts = steps.map((step, index) => {
      const before = new Map(catalog.relations);
      const isNew = (key: ObjectKey) => before.has(key) && !relations.has(before.get(key));
      const impact = readStepImpact(step, { ...around, isNew, traces: traced?.traces[index] });
      for (const key of relationsOf(impact)) {
        if (!felt.has(key)) felt.set(key, relations.get(before.get(key)));
      }
      catalog.searchPath = [schema, ...(options.searchPath ?? [])];
      catalog.unfilled.clear();
      return impact;
    });
    const tables = await readTableFacts(session, felt, sizes);
    const told = { ...nothing, steps: impacts, tables, trace: traced?.facts ?? null };
    for (const statement of impacts.flatMap(({ statements }) => statements)) {
      const { ms, unknown } = estimateMs(statement, told);
      statement.estimatedMs = unknown === null ? Math.round(ms) : null;
    }
    return told;
  });
}

async function readTimeZoneIsUtc(session: Session): Promise<boolean> {
  const [row] = await session.run(
    `select pg_catalog.current_setting('TimeZone') in ('UTC', 'Etc/UTC', 'GMT', 'Etc/GMT') as "isUtc"`,
  );
  return row?.isUtc === true;
}

/** Tables and what is like them: an index goes with its table. */
function relationsOf({ statements }: StepImpact): Set<ObjectKey> {
  return new Set(
    statements.flatMap(({ locks, rewrites, scans, builds, changes }) =>
      [
        ...locks.filter(({ reason }) => reason !== 'index'),
        ...[...rewrites, ...scans, ...builds, ...changes],
      ].map(({ relation }) => relation),
    ),
  );
}
