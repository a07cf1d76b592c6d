import type { Session } from '../../connection/session.ts';
import { EvdbError } from '../../errors.ts';
import type { MigrationFile } from '../files/source.ts';
import type { Version } from '../files/version.ts';
import type { LedgerRow } from '../ledger/ledger.ts';
import { DEFAULT_STORED_TEXT_LIMIT_BYTES, ledgerKey, type MigrateOptions } from '../options.ts';
import type { MigrationStatus } from '../plan/compare.ts';
import {
  fullName,
  type PendingMigration,
  type Selection,
  type WaitingMigration,
} from '../plan/plan.ts';
import {
  type MigrationStep,
  prepareSteps,
  readDiffs,
  readStoredDownScripts,
  withDiffs,
} from '../plan/prepare.ts';
import { readStanding, type Standing, withSession } from '../plan/read.ts';
import type { MigrationDirection, MigrationNotice, MigrationPlanWarning } from '../progress.ts';
import { applyAhead, type Listener, quickStepsFrom } from './ahead.ts';
import { applyStep, type MigrationStepResult } from './apply.ts';
import { type ApplyContext, stepName } from './context.ts';
import type { Notices } from './notices.ts';
import { withRunner } from './runner.ts';

/** What would run, in this order. */
export interface MigrationPlan {
  schema: string;
  steps: MigrationStep[];
  /** What remains pending because a target or a number of steps left it out. */
  pending: PendingMigration[];
  /** The migration that `expand` stops before. */
  waiting?: WaitingMigration;
  warnings: MigrationPlanWarning[];
}

/** What ran. */
export interface MigrationResult {
  schema: string;
  steps: (MigrationStepResult & { direction: MigrationDirection })[];
  /** What remains pending because a target or a number of steps left it out. */
  pending: PendingMigration[];
  /** The migration that `expand` stopped before. */
  waiting?: WaitingMigration;
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

/**
 * Plans, and where there is something to do takes the lock and applies it. After the lock is
 * taken the ledger is read again: another runner may have done the work while this one waited.
 */
export function runMigrations(
  options: RunOptions,
  files: MigrationFile[],
  select: Select,
): Promise<MigrationResult> {
  const startedAt = performance.now();
  return withSession(options, async (worker) => {
    const first = await makePlan(worker, options, files, select).catch(waitIfIncomplete);
    const isDone = first?.plan.steps.length === 0;
    if (isDone) tellWarnings(first.plan.warnings, options);
    const { pending, waiting, warnings, ...ran } = isDone
      ? { ...first.plan, ...NOTHING_RAN }
      : await runLocked(worker, options, files, { select, first });
    return {
      schema: ledgerKey(options).targetSchema,
      steps: ran.steps,
      pending,
      ...(waiting && { waiting }),
      warnings,
      notices: ran.notices,
      noticesLeftOut: ran.noticesLeftOut,
      durationMs: performance.now() - startedAt,
    };
  });
}

/** What applying steps gives. */
type Ran = Pick<MigrationResult, 'steps' | 'notices' | 'noticesLeftOut'>;

const NOTHING_RAN: Ran = { steps: [], notices: [], noticesLeftOut: 0 };

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
): Promise<Ran & Pick<MigrationResult, 'pending' | 'waiting' | 'warnings'>> {
  return withRunner(worker, options, async (context, rows) => {
    const isUnchanged = JSON.stringify(rows) === JSON.stringify(first?.rows);
    const { plan } = first && isUnchanged ? first : await makePlan(worker, options, files, select);
    refuseOthers(plan.steps, options.agreed);
    tellWarnings(plan.warnings, options);
    const { pending, waiting, warnings } = plan;
    const ran = await applySteps(plan.steps, context);
    return { ...ran, pending, ...(waiting && { waiting }), warnings };
  });
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

export function tellWarnings(warnings: MigrationPlanWarning[], { onProgress }: RunOptions): void {
  for (const warning of warnings) onProgress?.({ kind: 'warning', warning });
}

export interface Planned {
  plan: MigrationPlan;
  rows: LedgerRow[];
}

async function makePlan(
  session: Session,
  options: RunOptions,
  files: MigrationFile[],
  select: Select,
): Promise<Planned> {
  const standing = await readStanding(session, options, files);
  const selections = await selectOrExplain(session, options, standing, select);
  const warnings = selections.flatMap((selection) => selection.warnings);
  const steps: MigrationStep[] = [];
  const pending: PendingMigration[] = [];
  let waiting: WaitingMigration | undefined;
  for (const selection of selections) {
    const prepared = await prepareSteps(selection, {
      storedTextLimitBytes: options.storedTextLimitBytes ?? DEFAULT_STORED_TEXT_LIMIT_BYTES,
      ...{ session, key: ledgerKey(options) },
      signal: options.signal,
      ...(selection.direction === 'down' &&
        options.fromLedger && {
          downScriptOf: await readStoredDownScripts(session, options, selection.migrations),
        }),
    });
    steps.push(...prepared.steps);
    warnings.push(...prepared.warnings);
    waiting ??= prepared.waiting;
    const held = selection.migrations.slice(prepared.steps.length);
    pending.push(...[...held, ...(selection.left ?? [])].map(nameOf));
  }
  const diffs =
    warnings.length > 0 ? await readDiffs(session, options, standing.statuses) : new Map();
  return {
    plan: {
      schema: ledgerKey(options).targetSchema,
      steps,
      pending,
      ...(waiting && { waiting }),
      warnings: withDiffs(warnings, diffs),
    },
    rows: standing.ledger.rows,
  };
}

function nameOf({ version, label, name }: MigrationStatus): PendingMigration {
  return { version, label, name };
}

/** Refusing a changed file shows what changed. */
async function selectOrExplain(
  session: Session,
  options: RunOptions,
  standing: Standing,
  select: Select,
): Promise<Selection[]> {
  try {
    return select(standing);
  } catch (error) {
    if (!(error instanceof EvdbError) || error.code !== 'CHANGED_MIGRATION') throw error;
    const diffs = await readDiffs(session, options, standing.statuses);
    const { code, message, hint, details } = error;
    throw new EvdbError(code, message, {
      hint,
      details: { ...details, diff: [...diffs.values()].join('\n') || undefined },
    });
  }
}

/**
 * Runs the steps in order: those that are quick are sent ahead, the others each while the one before
 * commits. An error tells in `details.completed` which were done before it, and in `details.notices` what
 * the server said.
 */
export async function applySteps(steps: MigrationStep[], context: ApplyContext): Promise<Ran> {
  const { notices } = context;
  const course = createCourse(steps.length, context);
  let { createTarget, previous } = context;
  let aloneUntil = createTarget ? 1 : 0;
  try {
    if (steps.some(({ script }) => script.directives.gates))
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

function toldOf({ completed }: { completed: Ran['steps'] }, { told, untold }: Notices) {
  return {
    completed,
    ...(told.length > 0 && { notices: told }),
    ...(untold > 0 && { noticesLeftOut: untold }),
  };
}

/** Tells of the steps as they run, and keeps those that are done. */
function createCourse(
  total: number,
  { onProgress, notices }: ApplyContext,
): Listener & { completed: MigrationResult['steps'] } {
  const completed: MigrationResult['steps'] = [];
  let started = 0;
  return {
    completed,
    onStarted: ({ direction, ...step }) => {
      // One that failed when it was sent ahead runs again.
      if (started > completed.length) return;
      const index = started++;
      onProgress({ kind: 'step-started', direction, step: stepName(step), index, total });
    },
    onDone: ({ direction, ...step }, durationMs) => {
      const name = stepName(step);
      completed.push({ ...name, durationMs, direction });
      notices.end({ direction, ...step });
      onProgress({ kind: 'step-done', direction, step: name, durationMs });
    },
  };
}
