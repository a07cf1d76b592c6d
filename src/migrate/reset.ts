import type { Session } from '../connection/session.ts';
import { EvdbError } from '../errors.ts';
import { sameCommand } from '../text/command-line.ts';
import type { ApplyContext } from './apply-context.ts';
import { compareWithLedger } from './compare.ts';
import { applySteps, type MigrationResult, tellWarnings } from './migrator.ts';
import { DEFAULT_STORED_TEXT_LIMIT_BYTES, ledgerKey, type MigrateOptions } from './options.ts';
import { planUp } from './plan.ts';
import { prepareSteps, type Step } from './prepare.ts';
import { requireMigrations, withSession } from './read.ts';
import { deleteTargetSql, insertHistorySql } from './record.ts';
import { dropContentsSql, lostOutsideSql, rememberOutsideSql } from './reset-sql.ts';
import { withLockRetries } from './retry.ts';
import { withRunner } from './runner.ts';
import { resetSessionSql } from './session-settings.ts';
import type { MigrationFile } from './source.ts';

export interface ResetOptions extends MigrateOptions {
  /** Must be true: everything in the target schema is lost. */
  confirm: boolean;
}

export interface ResetResult extends MigrationResult {
  /** How many migrations the ledger held for this target. */
  forgotten: number;
}

/**
 * Drops everything in the target schema that no extension owns, forgets its ledger rows, and
 * applies all migrations again. The history stays and tells of the reset. The scripts are checked
 * before anything is dropped, and the drop is one transaction.
 *
 * @throws {EvdbError} CONFIRM_REQUIRED, RESET_BLOCKED when something outside the schema depends on
 *   what is in it, and those of `migrateUp`
 */
export async function resetSchema(options: ResetOptions): Promise<ResetResult> {
  if (!options.confirm) throw confirmRequired(ledgerKey(options).targetSchema);
  const startedAt = performance.now();
  const files = requireMigrations(options);
  return withSession(options, async (worker) => {
    const { steps, warnings } = await prepareAll(worker, options, files);
    tellWarnings(warnings, options);
    return withRunner(worker, options, async (context, rows) => {
      await dropContents(context);
      const applied = await applySteps(steps, context);
      return {
        schema: context.key.targetSchema,
        forgotten: rows.length,
        steps: applied,
        warnings,
        durationMs: performance.now() - startedAt,
      };
    });
  });
}

function confirmRequired(schema: string): EvdbError {
  return new EvdbError('CONFIRM_REQUIRED', `reset drops everything in schema "${schema}"`, {
    hint: `Nothing was changed. When that is meant: ${sameCommand('migrate reset', { confirm: true })}`,
  });
}

/** Every file counts as pending, whatever the ledger says now. */
function prepareAll(
  worker: Session,
  options: MigrateOptions,
  files: MigrationFile[],
): Promise<{ steps: Step[]; warnings: MigrationResult['warnings'] }> {
  const statuses = compareWithLedger(files, [], () => ({ checksum: '', tokenChecksum: () => '' }));
  return prepareSteps(planUp(statuses), {
    storedTextLimitBytes: options.storedTextLimitBytes ?? DEFAULT_STORED_TEXT_LIMIT_BYTES,
    session: worker,
  });
}

async function dropContents({
  worker,
  key,
  settings,
  provenance,
  signal,
}: ApplyContext): Promise<void> {
  const { targetSchema } = key;
  await withLockRetries(
    async ({ lockTimeoutMs }) => {
      try {
        await worker.run(
          `${resetSessionSql(worker.facts)} begin isolation level read committed, read write; set local lock_timeout = ${lockTimeoutMs};`,
        );
        await worker.run(rememberOutsideSql(targetSchema));
        await worker.run(dropContentsSql(targetSchema));
        const lost = await worker.run(lostOutsideSql(targetSchema));
        if (lost.length > 0)
          throw blocked(
            targetSchema,
            lost.map((row) => String(row.object)),
          );
        await worker.run(
          `${deleteTargetSql(key)} ${insertHistorySql(key, { action: 'reset' }, provenance)} commit;`,
        );
      } catch (error) {
        if (!worker.isClosed) await worker.run('rollback').catch(() => undefined);
        throw error;
      }
    },
    { signal, budgetMs: settings.lockWaitBudgetMs },
  );
}

function blocked(schema: string, lost: string[]): EvdbError {
  const shown = lost.slice(0, 5).join(', ');
  const more = lost.length > 5 ? ` and ${lost.length - 5} more` : '';
  return new EvdbError(
    'RESET_BLOCKED',
    `dropping what is in schema "${schema}" would also drop ${shown}${more}`,
    {
      hint: 'Nothing was changed. Drop these first, or move them into the schema.',
      details: { objects: lost },
    },
  );
}
