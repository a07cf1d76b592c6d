import { EvdbError } from '../../errors.ts';
import { commandLine } from '../../text/command-line.ts';
import { renderCount } from '../../text/units.ts';
import { applyPending, type PlanMigrateUpOptions } from '../apply/commands.ts';
import type { ApplyContext } from '../apply/context.ts';
import type { MigrationResult, RunGuard } from '../apply/migrator.ts';
import { readFingerprints, recordFingerprint } from '../ledger/fingerprint.ts';
import type { LedgerRow } from '../ledger/ledger.ts';
import { fullName } from '../plan/plan.ts';
import type { MigrationPlanWarning } from '../progress.ts';

/** What `up` does about a structure that its applied migrations did not make. */
export type CheckDrift = 'off' | 'warn' | 'error';

/** The options of `migrateUp`: which migrations to apply, and what to check before. */
export interface MigrateUpOptions extends PlanMigrateUpOptions {
  /**
   * Whether to look for drift before anything is applied: `warn` says what was changed by hand,
   * `error` refuses. Where nothing is pending it is not looked for. Default `off`.
   */
  checkDrift?: CheckDrift | undefined;
  /** The folder of the embedded server, where the role may not create the scratch database. */
  embeddedDirectory?: string | undefined;
  /** Called with a sentence about the scratch database. */
  onScratch?: ((message: string) => void) | undefined;
}

/**
 * Applies the pending migrations in version order, each in a separate transaction. The lock is only
 * requested if there is something to do. What was applied before a failure remains applied.
 *
 * @throws {EvdbError} those of `requireMigrations` and `pingDatabase`; CHANGED_MIGRATION,
 *   MISSING_MIGRATION, OUT_OF_ORDER, INCOMPLETE_MIGRATION, LEDGER_AHEAD, UNKNOWN_VERSION if files
 *   and ledger do not match; READ_ONLY, POOLER_DETECTED, LOCKED, PERMISSION_DENIED before anything
 *   runs; DRIFT_FOUND if drift is an error, and those of `readDrift`; ScriptError
 *   SYNTAX_ERROR, MIGRATION_FAILED and LOCK_TIMEOUT at a place of a script; TARGET_SCHEMA,
 *   CONNECTION_LOST, OUTCOME_UNKNOWN
 * @example
 * const { steps } = await migrateUp({ connection, directory: 'migrations' });
 */
export async function migrateUp(options: MigrateUpOptions): Promise<MigrationResult> {
  const { checkDrift = 'off' } = options;
  return applyPending(options, checkDrift === 'off' ? undefined : guardOf(options));
}

/**
 * Looks for drift before the first step. The fingerprint that the last run left tells in one query
 * that nothing changed; only where it differs the applied migrations are replayed. It is left only
 * where nothing was changed by hand, so that a warning does not end with the first run.
 */
function guardOf(options: MigrateUpOptions): RunGuard {
  let isClean = false;
  return {
    async before(context, rows) {
      const { now, recorded, isEmpty } = await readFingerprints(context.observer, context.key);
      if (rows.length === 0) {
        isClean = isEmpty;
        return [];
      }
      isClean = now === recorded;
      if (isClean) return [];
      const warning = findUnchecked(rows) ?? (await compare(options));
      isClean = warning === undefined;
      return warning ? [warning] : [];
    },
    // Where it fails, the next run compares.
    after: (context) => (isClean ? leaveFingerprint(context) : Promise.resolve()),
  };
}

async function leaveFingerprint({ observer, key }: ApplyContext): Promise<void> {
  await recordFingerprint(observer, key).catch(() => undefined);
}

/** What a script that stopped half way has made is in no migration that is applied. */
function findUnchecked(rows: readonly LedgerRow[]): MigrationPlanWarning | undefined {
  const halfWay = rows.find(({ state }) => state !== 'applied');
  return halfWay && unchecked(`${fullName(halfWay)} stopped half way`, halfWay.version);
}

function unchecked(reason: string, version?: string): MigrationPlanWarning {
  const message = `the structure was not checked for drift: ${reason}`;
  return { code: 'DRIFT_UNCHECKED', message, ...(version !== undefined && { version }) };
}

async function compare(options: MigrateUpOptions): Promise<MigrationPlanWarning | undefined> {
  const { readDrift } = await import('./drift.ts');
  const isError = options.checkDrift === 'error';
  try {
    const { differences } = await readDrift(options);
    if (differences.length === 0) return undefined;
    const { describeDifferences } = await import('../../structure/diff.ts');
    const count = renderCount(differences.length, 'object differs', 'objects differ');
    const message = `the database is not what its applied migrations made: ${count} (+ was added, - was removed, ~ was changed)`;
    const diff = describeDifferences(differences).join('\n');
    if (!isError) return { code: 'DRIFT_FOUND', message, diff };
    const { findingsOfDrift } = await import('./report.ts');
    throw new EvdbError('DRIFT_FOUND', message, {
      hint: `Nothing was applied. Write a migration that says what was changed, or undo it by hand; \`${commandLine('migrate status', { drift: true })}\` shows what is left.`,
      details: { diff, findings: findingsOfDrift(differences) },
    });
  } catch (error) {
    if (isError || options.signal?.aborted || !(error instanceof EvdbError)) throw error;
    return unchecked(error.message);
  }
}
