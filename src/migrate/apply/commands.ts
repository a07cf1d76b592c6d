import type { Session } from '../../connection/session.ts';
import { EvdbError } from '../../errors.ts';
import { listMigrations, type MigrationFile } from '../files/source.ts';
import type { MigrateOptions } from '../options.ts';
import { type MigrationStatus, restoreCommand } from '../plan/compare.ts';
import { type PlanDownOptions, type PlanUpOptions, planDown, planUp } from '../plan/plan.ts';
import { requireMigrations } from '../plan/read.ts';
import {
  type MigrationPlan,
  type MigrationResult,
  type Planned,
  planMigrations,
  type RunOptions,
  runMigrations,
  type Select,
  withPlan,
} from './migrator.ts';

/** The options of `migrateUp`: those of every command on migrations, and which ones to apply. */
export interface MigrateUpOptions extends MigrateOptions, PlanUpOptions {}

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
export async function planMigrateUp(options: MigrateUpOptions): Promise<MigrationPlan> {
  return planMigrations(options, requireMigrations(options), selectUp(options));
}

/**
 * Applies the pending migrations in version order, each in a separate transaction. The lock is only
 * requested if there is something to do. What was applied before a failure remains applied.
 *
 * @throws {EvdbError} those of `requireMigrations` and `pingDatabase`; CHANGED_MIGRATION,
 *   MISSING_MIGRATION, OUT_OF_ORDER, INCOMPLETE_MIGRATION, LEDGER_AHEAD, UNKNOWN_VERSION if files
 *   and ledger do not match; READ_ONLY, POOLER_DETECTED, LOCKED, PERMISSION_DENIED before anything
 *   runs; ScriptError SYNTAX_ERROR, MIGRATION_FAILED and LOCK_TIMEOUT at a place of a script;
 *   TARGET_SCHEMA, CONNECTION_LOST, OUTCOME_UNKNOWN
 * @example
 * const { steps } = await migrateUp({ connection, directory: 'migrations' });
 */
export async function migrateUp(options: MigrateUpOptions): Promise<MigrationResult> {
  return runMigrations(options, requireMigrations(options), selectUp(options));
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
export interface PlanCommandOptions extends MigrateUpOptions, MigrateDownOptions {
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
  return withPlan(options, files, selects[command], use);
}

function selectUp(options: PlanUpOptions): Select {
  return ({ statuses }) => [planUp(statuses, options)];
}

function selectDown(options: PlanDownOptions): Select {
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
