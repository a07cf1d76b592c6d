import type { Session } from '../../connection/session.ts';
import { EvdbError } from '../../errors.ts';
import { listMigrations, type MigrationFile } from '../files/source.ts';
import type { MigrateOptions } from '../options.ts';
import { type MigrationStatus, restoreCommand } from '../plan/compare.ts';
import {
  type PlanDownOptions,
  type PlanUpOptions,
  planBackfills,
  planDown,
  planUp,
} from '../plan/plan.ts';
import { requireMigrations } from '../plan/read.ts';
import {
  type MigrationPlan,
  type MigrationResult,
  type Planned,
  planMigrations,
  type RunGuard,
  type RunOptions,
  runMigrations,
  type Select,
  withPlan,
} from './migrator.ts';

/** The options of every command on migrations, and which ones to apply. */
export interface PlanMigrateUpOptions extends MigrateOptions, PlanUpOptions {}

/**
 * The options of `migrateDown`: those of every command on migrations, and which ones to roll back.
 */
export interface MigrateDownOptions extends RunOptions, PlanDownOptions {}

/**
 * Says what `migrateUp` would do; writes nothing and throws what `migrateUp` would refuse.
 *
 * @throws {EvdbError} those of `migrateUp` before anything runs, without LOCKED
 * @example
 * const { steps, warnings } = await planMigrateUp(options);
 */
export async function planMigrateUp(options: PlanMigrateUpOptions): Promise<MigrationPlan> {
  return planMigrations(withRepeatables(options), requireMigrations(options), selectUp(options));
}

/**
 * Applies the pending migrations; `migrateUp` says how.
 *
 * @param guard what is asked before the first and after the last step
 */
export async function applyPending(
  options: PlanMigrateUpOptions,
  guard?: RunGuard,
): Promise<MigrationResult> {
  const run = { ...withRepeatables(options), guard };
  return runMigrations(run, requireMigrations(options), selectUp(options));
}

/** The options of `runBackfills`: those of every command on migrations, and which backfill to run. */
export interface RunBackfillsOptions extends MigrateOptions {
  /** Default: all that were begun or left for later. */
  version?: string | undefined;
}

/**
 * Runs the backfills that were interrupted, or left for later by `migrateUp` with `wait: false`, and no other
 * migration.
 *
 * @throws {EvdbError} UNKNOWN_VERSION where the version is none of them, and those of `migrateUp`
 * @example
 * const { steps } = await runBackfills({ connection, directory: 'migrations' });
 */
export async function runBackfills(options: RunBackfillsOptions): Promise<MigrationResult> {
  return runMigrations(options, requireMigrations(options), ({ statuses }) => [
    planBackfills(statuses, options.version),
  ]);
}

/**
 * Says what `migrateDown` would do; writes nothing.
 *
 * @throws {EvdbError} those of `migrateDown` before anything runs, without LOCKED
 * @example
 * const { steps } = await planMigrateDown({ ...options, to: '003' });
 */
export async function planMigrateDown(options: MigrateDownOptions): Promise<MigrationPlan> {
  return planMigrations(options, filesForDown(options), selectDown(options));
}

/**
 * Rolls applied migrations back, newest first, each in a separate transaction; one by default.
 *
 * @throws {EvdbError} MISSING_DOWN, IRREVERSIBLE, and those of `migrateUp`
 * @example
 * const { steps } = await migrateDown({ ...options, steps: 2 });
 */
export async function migrateDown(options: MigrateDownOptions): Promise<MigrationResult> {
  return runMigrations(options, filesForDown(options), selectDown(options));
}

/**
 * Says what `migrateRedo` would do; writes nothing.
 *
 * @throws {EvdbError} those of `migrateRedo` before anything runs, without LOCKED
 * @example
 * const { steps } = await planMigrateRedo(options);
 */
export async function planMigrateRedo(options: MigrateOptions): Promise<MigrationPlan> {
  return planMigrations(options, requireMigrations(options), selectRedo);
}

/**
 * Rolls the newest applied migration back and applies its file again, under one lock. Both scripts
 * are checked before the first one runs.
 *
 * @throws {EvdbError} those of `migrateUp` and `migrateDown`
 * @example
 * await migrateRedo({ connection, directory: 'migrations' });
 */
export async function migrateRedo(options: MigrateOptions): Promise<MigrationResult> {
  return runMigrations(options, requireMigrations(options), selectRedo);
}

/** What a plan is made for. */
export interface PlanCommandOptions extends PlanMigrateUpOptions, MigrateDownOptions {
  /** Default `up`. */
  command?: 'up' | 'down' | 'redo' | undefined;
}

/** Plans as `up`, `down` or `redo` would, and keeps the session while `use` goes on. */
export async function withCommandPlan<T>(
  { command = 'up', ...options }: PlanCommandOptions,
  use: (planned: Planned, session: Session) => Promise<T>,
): Promise<T> {
  const files = command === 'down' ? filesForDown(options) : requireMigrations(options);
  const selects = { up: selectUp(options), down: selectDown(options), redo: selectRedo };
  const run = command === 'up' ? withRepeatables(options) : options;
  return withPlan(run, files, selects[command], use);
}

/** They follow the migrations of an `up`. */
function withRepeatables<Options extends RunOptions>(options: Options): Options {
  return { ...options, withRepeatables: true };
}

function selectUp(options: PlanUpOptions): Select {
  return ({ statuses }) => [planUp(statuses, options)];
}

function selectDown(options: MigrateDownOptions): Select {
  if (options.repeatable !== undefined) return () => [];
  return ({ statuses }) => [planDown(statuses, options)];
}

const selectRedo: Select = ({ statuses }) => {
  const down = planDown(statuses, { steps: 1 });
  const again = down.migrations.filter(({ file }) => file !== undefined);
  if (again.length < down.migrations.length) throw noFileToRedo(down.migrations);
  return [down, { direction: 'up', migrations: again.map(asPending), warnings: [] }];
};

/** What was rolled back starts from its beginning, even where it had stopped half way. */
function asPending({ row: _, ...status }: MigrationStatus): MigrationStatus {
  return { ...status, state: 'pending' };
}

function noFileToRedo(migrations: MigrationStatus[]): EvdbError {
  return new EvdbError('MISSING_MIGRATION', 'the newest applied migration has no file here', {
    hint: `Restore the file from version control, or from the ledger: ${restoreCommand(migrations)}`,
  });
}

/** With the scripts of the ledger no folder is needed. */
function filesForDown(options: MigrateDownOptions): MigrationFile[] {
  if (!options.fromLedger) return requireMigrations(options);
  try {
    return listMigrations(options.directory);
  } catch (error) {
    if (error instanceof EvdbError && error.code === 'MIGRATIONS_DIR_MISSING') return [];
    throw error;
  }
}
