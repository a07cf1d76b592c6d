import { assertConnectionConfigured } from '../../config/configured.ts';
import type { Config } from '../../config/resolve.ts';
import type { ConnectionOptions } from '../../connection/options.ts';
import { loadTable } from '../context.ts';
import type { CommandInput, CommandResult } from '../define.ts';
import { EXIT } from '../exit-codes.ts';
import { embeddedDirectory, loadConfig, loadMigrateOptions, migrateSettings } from '../settings.ts';
import { tuneForParser } from '../v8-flags.ts';

/** On a terminal a long history is cut to what one screen shows. */
const APPLIED_ROWS_ON_TERMINAL = 20;

export async function handleStatus(input: CommandInput): Promise<CommandResult> {
  const [{ readStatus }, { renderStatus }, { options }] = await Promise.all([
    import('../../migrate/status.ts'),
    import('../../report/status.ts'),
    loadMigrateOptions(input),
  ]);
  const { context, flags, style } = input;
  const status = await readStatus(options);
  const isCut = context.isOutTerminal && !flags.all;
  const { applied, reworded, ...others } = status.counts;
  const isClean = Object.values(others).every((count) => count === 0);
  return {
    data: status,
    text: renderStatus(status, {
      style,
      table: await loadTable(context),
      ...(isCut && { appliedLimit: APPLIED_ROWS_ON_TERMINAL }),
    }),
    pipeline: async () => {
      const { pipelineOfStatus } = await import('../../report/pipeline/from-status.ts');
      return pipelineOfStatus(status, flags.check === true);
    },
    exitCode: flags.check && !isClean ? EXIT.found : EXIT.done,
  };
}

export async function handleValidate(input: CommandInput): Promise<CommandResult> {
  await tuneForParser();
  const [{ validateMigrations }, { renderValidation }, { lintOptionsOf }] = await Promise.all([
    import('../../migrate/validate.ts'),
    import('../../report/validation.ts'),
    import('../lint-settings.ts'),
  ]);
  const config = await loadConfig(input);
  const { directory: _, ...lint } = lintOptionsOf(config, input.flags);
  const result = await validateMigrations({
    ...migrateSettings(config, input.context),
    ...(await connectionForValidate(config, input)),
    base: input.flags.base as string | undefined,
    lint,
  });
  const fails = input.flags.strict ? ['error', 'warning'] : ['error'];
  const isValid = !result.findings.some(({ severity }) => fails.includes(severity));
  return {
    data: { valid: isValid, ...result },
    text: renderValidation(result, input.style),
    pipeline: async () => {
      const { pipelineOfValidation } = await import('../../report/pipeline/from-validation.ts');
      return pipelineOfValidation(result);
    },
    exitCode: isValid ? EXIT.done : EXIT.found,
  };
}

/** Validating never starts a server: without one the files are checked alone. */
async function connectionForValidate(
  config: Config,
  { context }: CommandInput,
): Promise<{ connection?: ConnectionOptions; noConnectionReason?: string }> {
  const { connection, migrationConnection } = config;
  if (migrationConnection) return { connection: migrationConnection.options };
  if (connection.kind === 'server') return { connection: connection.options };
  if (!connection.implicit) assertConnectionConfigured(config, context.env);
  const { readEmbeddedServer } = await import('../../connection/embedded/status.ts');
  const directory = embeddedDirectory(config);
  const { running } = await readEmbeddedServer({ directory });
  if (!running) {
    const noConnectionReason = connection.implicit
      ? 'no database is configured'
      : 'the embedded server is not running';
    return { noConnectionReason };
  }
  const { ensureEmbeddedServer } = await import('../../connection/embedded/server.ts');
  return { connection: (await ensureEmbeddedServer({ directory })).connection };
}
