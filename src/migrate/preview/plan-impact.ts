import type { Catalog, ObjectKey, Relation } from '../../catalog/catalog.ts';
import { readCatalog } from '../../catalog/read/catalog.ts';
import { type RelationSize, readSizes } from '../../catalog/read/sizes.ts';
import type { Session } from '../../connection/session.ts';
import { loadSqlParser } from '../../sql/parser.ts';
import { type PlanCommandOptions, withCommandPlan } from '../apply/commands.ts';
import type { MigrationPlan } from '../apply/migrator.ts';
import { createPreflight } from '../apply/observations.ts';
import { searchPathSql } from '../apply/worker-session.ts';
import type { LedgerRow } from '../ledger/ledger.ts';
import { applySettings, ledgerKey } from '../options.ts';
import type { MigrationStep } from '../plan/prepare.ts';
import type { RepeatableStep } from '../plan/prepare-repeatables.ts';
import { addLackingCharacter } from './encoding.ts';
import {
  type BackfillImpact,
  estimateMs,
  type ImpactPlan,
  type ImpactTableFacts,
  type StepImpact,
} from './impact-plan.ts';
import { readStepImpact } from './step-impact.ts';
import { type TraceStepsOptions, traceSteps } from './trace-steps.ts';

/** Which plan to examine, and whether its statements are tried on a server. */
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
 * Says what `migrateUp` would do: for each statement, which locks it takes and what they block,
 * what it rewrites, scans and builds, and how big those tables are on the target. Only reads, and
 * refuses what `migrateUp` would refuse.
 *
 * @throws {EvdbError} those of `planMigrateUp`, and SCRATCH_UNAVAILABLE if statements are traced
 * @example
 * const plan = await planImpact({ connection, directory: 'migrations' });
 * const rewrites = plan.steps.flatMap((step) => step.statements.flatMap((one) => one.rewrites));
 */
export async function planImpact(options: PlanImpactOptions): Promise<ImpactPlan> {
  return withCommandPlan(options, async ({ plan, rows }, session) => {
    const { schema } = plan;
    const repeatables = plan.repeatables ?? [];
    const steps = [...plan.steps, ...repeatables.flatMap(filesOf)];
    const { serverVersion } = session.facts;
    const known = { schema, serverVersion, ...leftOf(plan), warnings: plan.warnings };
    const nothing = { ...known, steps: [], tables: {}, trace: null };
    if (steps.length === 0) return nothing;
    const { trace } = options;
    const parser = await loadSqlParser();
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
    await askServer(impacts, steps, { session, options, rows });
    await addRebuilds(impacts.slice(plan.steps.length), repeatables, { session, options });
    const tables = await readTableFacts(session, felt, sizes);
    const told = { ...nothing, steps: impacts, tables, trace: traced?.facts ?? null };
    for (const statement of impacts.flatMap(({ statements }) => statements)) {
      const { ms, unknown } = estimateMs(statement, told);
      statement.estimatedMs = unknown === null ? Math.round(ms) : null;
    }
    return told;
  });
}

/** Adds what only the server knows at this moment: its backfills, its gates and who holds locks. */
async function askServer(
  impacts: readonly StepImpact[],
  steps: readonly MigrationStep[],
  {
    session,
    options,
    rows,
  }: { session: Session; options: PlanImpactOptions; rows: readonly LedgerRow[] },
): Promise<void> {
  const path = { ...applySettings(options), ...ledgerKey(options) };
  const preflight = createPreflight(session, {
    own: () => [session.facts.pid],
    schemas: [path.targetSchema, ...(options.searchPath ?? [])],
  });
  for (const [index, step] of steps.entries()) {
    const impact = impacts[index];
    if (!impact) continue;
    await addLackingCharacter(impact, step, session);
    impact.heldBy = await preflight.look(step.statements);
    impact.backfill = await readBackfillImpact(step, session, { options, isFirst: index === 0 });
    if (!step.script.directives.gates) continue;
    const { askGates } = await import('../apply/gates.ts');
    impact.gates = await askGates(step, { session, ...path, readRows: async () => rows });
  }
}

/** Loaded late: most plans have no repeatable. */
async function addRebuilds(
  impacts: readonly StepImpact[],
  repeatables: readonly RepeatableStep[],
  { session, options }: { session: Session; options: PlanImpactOptions },
): Promise<void> {
  if (repeatables.length === 0) return;
  const { readRebuilds } = await import('./rebuilds.ts');
  const { targetSchema } = ledgerKey(options);
  const searchPath = searchPathSql({ ...applySettings(options), targetSchema });
  const parts = repeatables.flatMap((step) => step.repeatables);
  const rebuilds = await readRebuilds(parts, session, { searchPath, targetSchema });
  for (const [index, impact] of impacts.entries()) impact.rebuilds = rebuilds[index] ?? [];
}

/** What the run leaves for a later one. */
function leftOf({ pending, postponed, waiting, held }: MigrationPlan) {
  return {
    pending,
    ...(postponed && { postponed }),
    ...(waiting && { waiting }),
    ...(held && { held }),
  };
}

/** Each file of a transaction is shown by itself. */
function filesOf({ repeatables, ...step }: RepeatableStep): MigrationStep[] {
  return repeatables.map(({ name, script, statements }) => ({
    ...step,
    ...{ name, script, statements, repeatables },
  }));
}

/**
 * What the server says of a backfill. Behind other steps it may be what these make that is missing.
 *
 * @throws {ScriptError} BACKFILL_REFUSED
 */
async function readBackfillImpact(
  step: MigrationStep,
  session: Session,
  { options, isFirst }: { options: PlanImpactOptions; isFirst: boolean },
): Promise<BackfillImpact | null> {
  const { backfill, script } = step;
  if (!backfill) return null;
  const [{ planBackfill }, { withPlaceOf }, { written }, { limitsOf }] = await Promise.all([
    import('../backfill/batch-plan.ts'),
    import('../backfill/prepare.ts'),
    import('../backfill/statement.ts'),
    import('../backfill/pace.ts'),
  ]);
  const known = { table: written(backfill.table), ...limitsOf(backfill.directive) };
  const path = searchPathSql({ ...applySettings(options), ...ledgerKey(options) });
  try {
    const planned = await withPlaceOf({ script, backfill }, () =>
      planBackfill(session, backfill, path),
    );
    const { table, shownSql: statement, index, rowsToWalk, rowsToChange } = planned;
    const key = table.columns.map(({ name }) => name);
    return {
      ...known,
      ...{ statement, table: table.name, key, index, rowsToWalk, rowsToChange, unknown: null },
    };
  } catch (error) {
    if (isFirst) throw error;
    const unknown = `an earlier migration of this plan may change that (${(error as Error).message})`;
    const nothing = { statement: null, key: null, index: null, rowsToWalk: null };
    return { ...known, ...nothing, rowsToChange: null, unknown };
  }
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

/** A relation of the target as it was before the plan. */
interface TargetRelation {
  key: ObjectKey;
  indexes: number;
  /** Where its rows are: itself, or its partitions. */
  stored: readonly ObjectKey[];
}

/** By the relations themselves, which may be called otherwise later. */
type TargetRelations = ReadonlyMap<Relation | undefined, TargetRelation>;

/** Notes what replaying changes in place. */
function noteRelations({ relations }: Catalog): TargetRelations {
  return new Map(
    [...relations.values()].map((relation) => [
      relation,
      {
        key: relation.key,
        indexes: relation.indexes.size,
        stored: leavesOf(relations, relation).map(({ key }) => key),
      },
    ]),
  );
}

/** A partitioned table is as big as its partitions; autovacuum never analyzes it as a whole. */
function leavesOf(relations: Catalog['relations'], relation: Relation): Relation[] {
  if (relation.kind !== 'partitioned table') return [relation];
  return [...relation.children].flatMap((key) => {
    const child = relations.get(key);
    return child === undefined ? [] : leavesOf(relations, child);
  });
}

/**
 * Reads what the target says of tables.
 *
 * @param tables by the names that they have in the plan; undefined for those that it makes
 * @param known what was read of all relations; default: it is asked for these alone
 */
async function readTableFacts(
  session: Session,
  tables: ReadonlyMap<ObjectKey, TargetRelation | undefined>,
  known?: ReadonlyMap<ObjectKey, RelationSize>,
): Promise<Record<ObjectKey, ImpactTableFacts>> {
  const asked = [...tables.values()].flatMap((one) => (one ? [one.key, ...one.stored] : []));
  const sizes = known ?? (await readSizes(session, new Set(asked)));
  return Object.fromEntries(
    [...tables].map(([key, one]) => [key, one === undefined ? NEW : factsOf(one, sizes)]),
  );
}

const NEW: ImpactTableFacts = { rows: null, bytes: null, indexes: 0, isNew: true };

function factsOf(
  { key, indexes, stored }: TargetRelation,
  sizes: ReadonlyMap<ObjectKey, RelationSize>,
): ImpactTableFacts {
  const own = sizes.get(key);
  const parts = stored.map((part) => sizes.get(part));
  const rows = own?.rows ?? sumOf(parts.map((part) => part?.rows));
  const bytes = own?.bytes ?? sumOf(parts.map((part) => part?.bytes));
  return { rows, bytes, indexes, isNew: false };
}

/** Null if one is unknown. */
function sumOf(sizes: (number | undefined)[]): number | null {
  return sizes.reduce<number | null>(
    (sum, size) => (sum === null || size === undefined ? null : sum + size),
    0,
  );
}
