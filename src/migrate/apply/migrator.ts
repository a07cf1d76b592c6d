import type { Session, SessionFacts } from '../../connection/session.ts';
import { EvdbError } from '../../errors.ts';
import type { MigrationFile } from '../files/source.ts';
import type { Version } from '../files/version.ts';
import { recordCounted } from '../ledger/counted.ts';
import type { Ledger, LedgerRow } from '../ledger/ledger.ts';
import type { RepeatableRow } from '../ledger/repeatables.ts';
import { DEFAULT_STORED_TEXT_LIMIT_BYTES, ledgerKey, type MigrateOptions } from '../options.ts';
import type { MigrationStatus } from '../plan/compare.ts';
import { explainingChanges, readDiffs, withDiffs } from '../plan/diffs.ts';
import {
  type CountedBaseline,
  fullName,
  type PendingMigration,
  type Selection,
  type WaitingMigration,
} from '../plan/plan.ts';
import { type MigrationStep, prepareSteps, readStoredDownScripts } from '../plan/prepare.ts';
import type { HeldRepeatables, RepeatableStep } from '../plan/prepare-repeatables.ts';
import { readStanding, type Standing, withSession } from '../plan/read.ts';
import {
  type MigrationDirection,
  type MigrationNotice,
  type MigrationPlanWarning,
  tellWarnings,
} from '../progress.ts';
import { applyAhead, quickStepsFrom } from './ahead.ts';
import { applyStep, type MigrationStepResult } from './apply.ts';
import type { BackfillStep } from './backfill.ts';
import { type ApplyContext, createCourse, toldOf } from './context.ts';
import { withRunner } from './runner.ts';

/** What would run, in this order. */
export interface MigrationPlan {
  schema: string;
  steps: MigrationStep[];
  /** What remains pending because a target or a number of steps left it out. */
  pending: PendingMigration[];
  /** Backfills among them that are left for `runBackfills`; absent unless `wait` is false. */
  postponed?: PendingMigration[];
  /** The migration that `expand`, or `wait: false`, stops before. */
  waiting?: WaitingMigration;
  /** Repeatables that are applied after the migrations, by transaction; absent if there is none. */
  repeatables?: RepeatableStep[];
  /** Repeatables that have changed and are not applied by this run; absent if there is none. */
  held?: HeldRepeatables;
  /** Baselines that count as applied from now on, because what they replace is. */
  counted?: CountedBaseline[];
  warnings: MigrationPlanWarning[];
}

/** A repeatable that was applied, or brought back to an earlier text. */
export interface RepeatableResult {
  name: string;
  /** As shown to people; `ledger:…` for a text that was kept there. */
  file: string;
  direction: MigrationDirection;
  /** Those of one transaction have the same number, from 1. */
  transaction: number;
  /** How long that transaction took. */
  durationMs: number;
}

/** What ran. */
export interface MigrationResult {
  schema: string;
  steps: (MigrationStepResult & { direction: MigrationDirection })[];
  /** What remains pending because a target or a number of steps left it out. */
  pending: PendingMigration[];
  /** Backfills among them that are left for `runBackfills`; absent unless `wait` is false. */
  postponed?: PendingMigration[];
  /** The migration that `expand`, or `wait: false`, stopped before. */
  waiting?: WaitingMigration;
  /** Repeatables that were applied after the migrations; absent if there is none. */
  repeatables?: RepeatableResult[];
  /** Repeatables that have changed and were not applied; absent if there is none. */
  held?: HeldRepeatables;
  /** Those that count as applied from now on, because what they replace is; nothing of them ran. */
  counted?: CountedBaseline[];
  warnings: MigrationPlanWarning[];
  /** What the server said while they ran; of each migration and level the first fifty. */
  notices: MigrationNotice[];
  /** How many more there were. */
  noticesLeftOut: number;
  durationMs: number;
}

/** Decides what to do about what stands there; several selections run one after the other. */
export type Select = (standing: Standing) => Selection[];

export interface RunOptions extends MigrateOptions {
  /** Take the down scripts from the ledger instead of the files. */
  fromLedger?: boolean | undefined;
  /** The versions that someone agreed to roll back: no other one is; default: what the plan says. */
  agreed?: readonly Version[] | undefined;
  /** Asked under the lock where something is to run; default: nothing is. */
  guard?: RunGuard | undefined;
  /** Whether repeatables that have changed follow the migrations; default false. */
  withRepeatables?: boolean | undefined;
  /** Bring the text back that this repeatable had before; nothing else then runs. */
  repeatable?: string | undefined;
}

/** What is asked before the first and after the last step of a run. */
export interface RunGuard {
  /** What it throws keeps the steps from running; what it gives is told. */
  before(context: ApplyContext, rows: LedgerRow[]): Promise<MigrationPlanWarning[]>;
  /** All steps are done. */
  after(context: ApplyContext): Promise<void>;
}

/** Reads, selects and prepares; writes nothing. */
export function planMigrations(
  options: RunOptions,
  files: MigrationFile[],
  select: Select,
): Promise<MigrationPlan> {
  return withPlan(options, files, select, async ({ plan }) => plan);
}

/** The same, with the session that is planned on while `use` goes on. */
export function withPlan<T>(
  options: RunOptions,
  files: MigrationFile[],
  select: Select,
  use: (planned: Planned, session: Session) => Promise<T>,
): Promise<T> {
  return withSession(options, async (session) =>
    use(await makePlan(session, options, files, select), session),
  );
}

/** By what a session said of itself: its last run had work, as most likely the next one has. */
const hadWork = new WeakSet<SessionFacts>();

/**
 * Plans, and where there is something to do takes the lock and applies it. After the lock is
 * taken the ledger is read again: another runner may have done the work while this one waited. Where
 * a session is kept for many targets, and the one before had work, it is read under the lock alone.
 */
export function runMigrations(
  options: RunOptions,
  files: MigrationFile[],
  select: Select,
): Promise<MigrationResult> {
  const startedAt = performance.now();
  return withSession(options, async (worker) => {
    const first = hadWork.has(worker.facts)
      ? undefined
      : await makePlan(worker, options, files, select).catch(waitIfIncomplete);
    const isDone = first !== undefined && !hasWork(first.plan) && !first.plan.counted;
    if (isDone) tellWarnings(first.plan.warnings, options);
    const { pending, postponed, waiting, held, counted, warnings, ...ran } = isDone
      ? { ...first.plan, ...NOTHING_RAN }
      : await runLocked(worker, options, files, { select, first });
    return {
      schema: ledgerKey(options).targetSchema,
      steps: ran.steps,
      pending,
      ...(postponed && { postponed }),
      ...(waiting && { waiting }),
      ...(ran.repeatables.length > 0 && { repeatables: ran.repeatables }),
      ...(held && { held }),
      ...(counted && { counted }),
      warnings,
      ...{ notices: ran.notices, noticesLeftOut: ran.noticesLeftOut },
      durationMs: performance.now() - startedAt,
    };
  });
}

/** What applying steps gives. */
type Ran = Pick<MigrationResult, 'steps' | 'notices' | 'noticesLeftOut'>;

type RanAll = Ran & { repeatables: RepeatableResult[] };

const NOTHING_RAN: RanAll = { steps: [], repeatables: [], notices: [], noticesLeftOut: 0 };

function hasWork({ steps, repeatables }: MigrationPlan): boolean {
  return steps.length > 0 || repeatables !== undefined;
}

/** What looks interrupted may be at work in another session: only the lock tells them apart. */
function waitIfIncomplete(error: unknown): undefined {
  const { code, details } = error instanceof EvdbError ? error : {};
  if (code === 'INCOMPLETE_MIGRATION' || details?.isInterrupted === true) return undefined;
  throw error;
}

function runLocked(
  worker: Session,
  options: RunOptions,
  files: MigrationFile[],
  { select, first }: { select: Select; first: Planned | undefined },
): Promise<RanAll & Omit<MigrationPlan, 'steps' | 'schema' | 'repeatables'>> {
  return withRunner(worker, options, async (context, rows, ledger) => {
    const known = [rows, ledger.repeatables];
    const isUnchanged = JSON.stringify(known) === JSON.stringify(first?.known);
    const { plan } =
      first && isUnchanged ? first : await makePlan(worker, options, files, select, ledger);
    if (hasWork(plan)) hadWork.add(worker.facts);
    else hadWork.delete(worker.facts);
    refuseOthers(plan.steps, options.agreed);
    const guard = hasWork(plan) ? options.guard : undefined;
    const { steps, repeatables = [], schema: _, ...facts } = plan;
    const warnings = [...plan.warnings, ...((await guard?.before(context, rows)) ?? [])];
    tellWarnings(warnings, options);
    if (plan.counted) await recordCounted(plan.counted, context);
    const ran = await applySteps(steps, context);
    const again = await applyRepeatables(repeatables, context, ran.steps);
    await guard?.after(context);
    return { ...facts, ...ran, ...again, warnings };
  });
}

/**
 * Applies repeatables behind the migrations of a run.
 *
 * @param completed what was applied before, for an error to tell
 */
export async function applyRepeatables(
  steps: readonly RepeatableStep[],
  context: ApplyContext,
  completed: MigrationResult['steps'],
): Promise<RanAll | { repeatables: RepeatableResult[] }> {
  if (steps.length === 0) return { repeatables: [] };
  // The migrations have made it.
  const createTarget = context.createTarget && completed.length === 0;
  try {
    const ran = await applySteps([...steps], { ...context, createTarget });
    const repeatables = ran.steps.flatMap(({ durationMs, direction }, index) =>
      (steps[index]?.repeatables ?? []).map(({ name, script }) => ({
        ...{ name, file: script.path, direction, transaction: index + 1, durationMs },
      })),
    );
    return { ...ran, steps: completed, repeatables };
  } catch (error) {
    if (error instanceof EvdbError) {
      const { completed: again = [] } = error.details as { completed?: unknown[] };
      Object.assign(error.details, { completed: [...completed, ...again] });
    }
    throw error;
  }
}

/** While a person was asked, another runner may have changed what the newest migration is. */
function refuseOthers(steps: readonly MigrationStep[], agreed: RunOptions['agreed']): void {
  const others = steps.filter(
    ({ direction, version }) => direction === 'down' && agreed?.includes(version) === false,
  );
  const [first] = others;
  if (!first) return;
  throw new EvdbError(
    'LOCKED',
    `another runner has changed the database since the question: ${fullName(first)} would be rolled back`,
    { hint: 'Nothing was changed. Run the command again.', details: { version: first.version } },
  );
}

export interface Planned {
  plan: MigrationPlan;
  rows: LedgerRow[];
  /** All that the ledger said when it was planned. */
  known: [LedgerRow[], RepeatableRow[]];
}

async function makePlan(
  session: Session,
  options: RunOptions,
  files: MigrationFile[],
  select: Select,
  ledger?: Ledger,
): Promise<Planned> {
  const standing = await readStanding(session, options, files, { ledger });
  const selections = await explainingChanges(session, options, standing.statuses, () =>
    select(standing),
  );
  const warnings = selections.flatMap((selection) => selection.warnings);
  const counted = selections.flatMap((selection) => selection.counted ?? []);
  const steps: MigrationStep[] = [];
  const pending: PendingMigration[] = [];
  const postponed: PendingMigration[] = [];
  let waiting: WaitingMigration | undefined;
  for (const selection of selections) {
    const prepared = await prepareSteps(selection, {
      storedTextLimitBytes: options.storedTextLimitBytes ?? DEFAULT_STORED_TEXT_LIMIT_BYTES,
      ...{ session, key: ledgerKey(options), variables: options.variables, files },
      ...{ statuses: standing.statuses, signal: options.signal },
      ...(selection.direction === 'down' &&
        options.fromLedger && {
          downScriptOf: await readStoredDownScripts(session, options, selection.migrations),
        }),
    });
    steps.push(...prepared.steps);
    warnings.push(...prepared.warnings);
    waiting ??= prepared.waiting;
    postponed.push(...prepared.postponed);
    const run = new Set(prepared.steps.flatMap((one) => (one.isPostponed ? [] : [one.version])));
    const held = selection.migrations.filter(({ version }) => !run.has(version));
    pending.push(...[...held, ...(selection.left ?? [])].map(nameOf));
  }
  const isPartial = pending.length > postponed.length && waiting === undefined;
  const again = await planAgain(session, options, { standing, steps, isPartial });
  warnings.push(...(again?.warnings ?? []));
  const diffs =
    warnings.length > 0 ? await readDiffs(session, options, standing.statuses) : new Map();
  return {
    plan: {
      schema: ledgerKey(options).targetSchema,
      steps,
      pending,
      ...(postponed.length > 0 && { postponed }),
      ...(waiting && { waiting }),
      ...(again?.steps.length && { repeatables: again.steps }),
      ...(again?.held && { held: again.held }),
      ...(counted.length > 0 && { counted }),
      warnings: withDiffs(warnings, diffs),
    },
    rows: standing.ledger.rows,
    known: [standing.ledger.rows, standing.ledger.repeatables],
  };
}

/** Loaded late: most runs have nothing to do with repeatables. */
async function planAgain(
  session: Session,
  options: RunOptions,
  run: { standing: Standing; steps: MigrationStep[]; isPartial: boolean },
) {
  const { repeatables } = run.standing;
  const isDown = run.steps.some(({ direction }) => direction === 'down');
  const isUp = options.withRepeatables && repeatables.some(({ state }) => state !== 'applied');
  if (options.repeatable === undefined && !(isDown ? repeatables.length : isUp)) return undefined;
  return (await import('../plan/repeatable-runs.ts')).planRepeatableRun(session, options, run);
}

function nameOf({ version, label, name }: MigrationStatus): PendingMigration {
  return { version, label, name };
}

/**
 * Runs the steps in order: those that are quick are sent ahead, the others each while the one before
 * commits. An error tells in `details.completed` which were done before it, and in `details.notices` what
 * the server said.
 */
export async function applySteps(steps: MigrationStep[], context: ApplyContext): Promise<Ran> {
  const { notices } = context;
  const course = createCourse(steps.filter(({ isPostponed }) => !isPostponed).length, context);
  let { createTarget, previous } = context;
  let aloneUntil = createTarget ? 1 : 0;
  try {
    if (steps.some(({ script, isPostponed }) => script.directives.gates && !isPostponed))
      await (await import('./gates.ts')).refuseOldBuilds(steps, context);
    for (let index = 0; index < steps.length; index++) {
      if (index >= aloneUntil) {
        const { quick, isSafe } = await quickStepsFrom(steps, index, { ...context, previous });
        const done = isSafe ? await applyAhead(quick, context, course) : 0;
        index += done;
        aloneUntil = isSafe ? index + 1 : index + quick.length;
      }
      const step = steps[index];
      if (!step) break;
      if (context.signal?.aborted) await previous;
      context.signal?.throwIfAborted();
      if (step.isPostponed) {
        await previous;
        await (await import('./backfill.ts')).postponeBackfill(step as BackfillStep, context);
        continue;
      }
      if (step.script.directives.gates) {
        await previous;
        await (await import('./gates.ts')).refuseClosedGates(step, context);
      }
      // Not before the last one is done, so that what is told comes in order.
      previous.then(
        () => course.onStarted(step),
        () => undefined,
      );
      const { done } = await applyStep(step, {
        ...context,
        previous,
        createTarget: createTarget && step.direction === 'up',
      });
      createTarget = false;
      previous = done.then(({ durationMs }) => course.onDone(step, durationMs));
      // It is heard by the next step, or at the end.
      previous.catch(() => undefined);
    }
    await previous;
  } catch (error) {
    for (const step of steps) notices.end(step);
    if (error instanceof EvdbError) Object.assign(error.details, toldOf(course, notices));
    throw error;
  }
  return { steps: course.completed, notices: notices.told, noticesLeftOut: notices.untold };
}
