import type { Config } from '../../config/resolve.ts';
import type { ValidateOptions } from '../../migrate/checks/validate.ts';
import type { MigrateOptions } from '../../migrate/options.ts';
import { loadTable } from '../context.ts';
import type { CommandInput, CommandResult } from '../define.ts';
import { EXIT, withStop } from '../exit-codes.ts';
import {
  embeddedDirectory,
  findConnection,
  lintOptionsOf,
  loadConfig,
  loadOptionsOrNothing,
  migrateSettings,
  noMigrationsYet,
} from '../settings.ts';

/** On a terminal a long history is cut to what one screen shows. */
const APPLIED_ROWS_ON_TERMINAL = 20;

export async function handleStatus(input: CommandInput): Promise<CommandResult> {
  const { config, options } = await loadOptionsOrNothing(input);
  const { findingsOfStatus, isUpToDate, pipelineOfStatus, readStatus, renderStatus, statusOf } =
    await import('../../migrate/plan/status.ts');
  const { context, flags, style } = input;
  const status = options ? await readStatus(options) : statusOf(config.schema, false, []);
  const drift = options && flags.drift ? await findDrift(input, config, options) : undefined;
  const isCut = context.isOutTerminal && !flags.all;
  const isClean = isUpToDate(status);
  return {
    data: {
      ...status,
      findings: [...findingsOfStatus(status, flags.check === true), ...(drift?.findings ?? [])],
      ...(drift && { drift: drift.data }),
    },
    text: [
      status.migrations.length === 0 && !status.repeatables
        ? noMigrationsYet()
        : renderStatus(status, {
            style,
            table: await loadTable(context),
            ...(isCut && { appliedLimit: APPLIED_ROWS_ON_TERMINAL }),
          }),
      ...(drift ? ['', drift.text] : []),
    ].join('\n'),
    pipeline: async () => pipelineOfStatus(status, flags.check === true, drift?.objects),
    exitCode: (flags.check && !isClean) || drift?.isFound ? EXIT.found : EXIT.done,
  };
}

/** Loads what it needs only here: the status without it stays as fast as it is. */
async function findDrift(input: CommandInput, config: Config, options: MigrateOptions) {
  const { readDrift } = await import('../../migrate/checks/drift.ts');
  const { describeDifferences } = await import('../../structure/diff.ts');
  const { findingsOfDrift, renderDifferences } = await import('../../migrate/checks/report.ts');
  const { structureSettings } = await import('../commands/schema.ts');
  const comparison = await withStop(
    input.context,
    { said: 'dropping the scratch database' },
    (signal) => readDrift({ ...options, signal, ...structureSettings(input, config) }),
  );
  const lines = describeDifferences(comparison.differences);
  const names = { from: 'the applied migrations', to: 'the database' };
  return {
    data: comparison,
    findings: findingsOfDrift(comparison.differences),
    text: renderDifferences(comparison, { ...names, lines, style: input.style }),
    objects: comparison.differences.map((one) => describeDifferences([one])),
    isFound: lines.length > 0,
  };
}

export async function handleValidate(input: CommandInput): Promise<CommandResult> {
  const [{ validateMigrations }, { renderValidation }] = await Promise.all([
    import('../../migrate/checks/validate.ts'),
    import('../../migrate/checks/report.ts'),
  ]);
  const config = await loadConfig(input);
  const { directory: _, ...lint } = await lintOptionsOf(config, input.flags);
  const { connection, noConnectionReason } = await findConnection(config, input.context);
  const options = {
    ...migrateSettings(config, input.context),
    mayBeEmpty: true,
    connection,
    noConnectionReason,
    base: input.flags.base as string | undefined,
    lint,
  };
  const result = input.flags.shadow
    ? await withShadow(input, config, (shadow) => validateMigrations({ ...options, ...shadow }))
    : await validateMigrations(options);
  const fails = input.flags.strict ? ['error', 'warning'] : ['error'];
  const isValid = !result.findings.some(({ severity }) => fails.includes(severity));
  return {
    data: result,
    text: [
      ...(result.migrations === 0 && isValid ? [noMigrationsYet()] : []),
      renderValidation(result, input.style, input.flags.verbose === true),
    ].join('\n'),
    pipeline: async () => {
      const { pipelineOfValidation } = await import('../../migrate/checks/report.ts');
      return pipelineOfValidation(result, input.flags.strict === true);
    },
    exitCode: isValid ? EXIT.done : EXIT.found,
  };
}

/** The proof takes a while and has something to clean up, so Ctrl-C ends it in an orderly way. */
function withShadow<T>(
  { context, flags }: CommandInput,
  config: Config,
  work: (options: Pick<ValidateOptions, 'shadow' | 'signal'>) => Promise<T>,
): Promise<T> {
  return withStop(context, { said: 'dropping the scratch database' }, (signal) =>
    work({
      signal,
      shadow: {
        all: flags.all === true,
        embeddedDirectory: embeddedDirectory(config),
        onScratch: (message) => context.note(`${message}\n`),
      },
    }),
  );
}
