import { codeOf } from '../connection/connection-error.ts';
import { withLockRetries } from '../connection/retry.ts';
import type { Session } from '../connection/session.ts';
import { EvdbError } from '../errors.ts';
import { commandLine, sameCommand } from '../text/command-line.ts';
import type { ApplyContext } from './apply-context.ts';
import { compareWithLedger } from './compare.ts';
import { applySteps, type MigrationResult, tellWarnings } from './migrator.ts';
import { DEFAULT_STORED_TEXT_LIMIT_BYTES, ledgerKey, type MigrateOptions } from './options.ts';
import { planUp } from './plan.ts';
import { prepareSteps, type Step } from './prepare.ts';
import { requireMigrations, withSession } from './read.ts';
import { deleteTargetSql, insertHistorySql } from './record.ts';
import { dropDefaultPrivilegesSql, type Outside, readOutside } from './reset-outside.ts';
import { dropContentsSql, lostOutsideSql, rememberOutsideSql } from './reset-sql.ts';
import { withRunner } from './runner.ts';
import { resetSessionSql } from './session-settings.ts';
import type { MigrationFile } from './source.ts';

const DEPENDENT_OBJECTS = '2BP01';

export interface ResetOptions extends MigrateOptions {
  /** Must be true: everything in the target schema is lost. */
  confirm: boolean;
}

export interface ResetResult extends MigrationResult {
  /** How many migrations the ledger held for this target. */
  forgotten: number;
  /** What stood outside of the schema, was dropped too, and is made again: such as `extension citext`. */
  alsoDropped: string[];
}

/**
 * Drops everything in the target schema that no extension owns, forgets its ledger rows, and
 * applies all migrations again. The history stays and tells of the reset. The scripts are checked
 * before anything is dropped, and the drop is one transaction. Extensions and schemas that the
 * migrations make anew are dropped too, unless something else needs them.
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
    const { targetSchema, ledgerSchema } = ledgerKey(options);
    const outside = await readOutside(steps, worker, [targetSchema, ledgerSchema]);
    warnings.push(
      ...outside.along.map((name) => ({
        code: 'ALSO_DROPPED' as const,
        message: `${name} goes too, because the migrations make it again`,
      })),
    );
    tellWarnings(warnings, options);
    return withRunner(worker, options, async (context, rows) => {
      await dropContents(context, outside);
      const applied = await applySteps(steps, context).catch((error: unknown) => {
        throw afterDrop(error, targetSchema);
      });
      return {
        schema: targetSchema,
        forgotten: rows.length,
        alsoDropped: outside.along,
        steps: applied,
        pending: [],
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

/** Whoever reads why a script failed has to know that nothing is left of what was there. */
function afterDrop(error: unknown, schema: string): unknown {
  if (!(error instanceof EvdbError)) return error;
  return error.addHint(
    `What was in schema "${schema}" was dropped before. When this is mended: ${commandLine('migrate up')}`,
  );
}

async function dropContents(
  { worker, key, settings, provenance, signal }: ApplyContext,
  outside: Outside,
): Promise<void> {
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
        if (outside.setsDefaultPrivileges) await worker.run(dropDefaultPrivilegesSql(targetSchema));
        for (const sql of outside.alongSql) await dropAlong(worker, sql);
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

async function dropAlong(worker: Session, sql: string): Promise<void> {
  try {
    await worker.run(sql);
  } catch (error) {
    if (codeOf(error) !== DEPENDENT_OBJECTS) throw error;
    const { detail = '' } = error as { detail?: string };
    throw new EvdbError(
      'RESET_BLOCKED',
      `the migrations make again what cannot go: ${sql}: ${detail.replaceAll('\n', '; ')}`,
      {
        hint: 'Nothing was changed. Drop what needs it first, or write: if not exists.',
        cause: error,
      },
    );
  }
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
