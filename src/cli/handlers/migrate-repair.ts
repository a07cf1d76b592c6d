import { relative, resolve } from 'node:path';
import type { AdoptableTool } from '../../adopt/foreign.ts';
import { renderAdoption, renderUndoneAdoption } from '../../adopt/report.ts';
import { EvdbError } from '../../errors.ts';
import type { MigrateOptions } from '../../migrate/options.ts';
import { renderBaseline, renderRepair } from '../../migrate/repair/repair-plan.ts';
import { renderRestore } from '../../migrate/repair/restore.ts';
import { sameCommand } from '../../text/command-line.ts';
import type { CommandInput, CommandResult } from '../define.ts';
import { EXIT, ROLLING_BACK_MIGRATIONS, withStop } from '../exit-codes.ts';
import { withProgress } from '../progress.ts';
import { loadMigrateOptions, requireConsent } from '../settings.ts';

export async function handleRepair(input: CommandInput): Promise<CommandResult> {
  const { planMigrateRepair, repairMigrations } = await import('../../migrate/repair/repair.ts');
  const { flags, args, style } = input;
  const [version] = args;
  const { options } = await loadMigrateOptions(input, (config) =>
    requireConsent(input, config, 'repair'),
  );
  const { forget, as, confirm, reason } = flags as Record<string, never>;
  const dryRun = flags.dryRun === true;
  const run = dryRun ? planMigrateRepair : repairMigrations;
  const result = await withProgress(input, 'migrate repair', (use) =>
    run({ ...options, version, forget, as, confirm, reason, ...use }),
  );
  return {
    data: { dryRun, ...result },
    text: renderRepair(result, { style, dryRun }),
    exitCode: result.decisions.length > 0 ? EXIT.found : EXIT.done,
  };
}

export async function handleBaseline(input: CommandInput): Promise<CommandResult> {
  const { planMigrateBaseline, baselineMigrations } = await import(
    '../../migrate/repair/baseline.ts'
  );
  const { flags, args, style } = input;
  const version = args[0] as string;
  const { options } = await loadMigrateOptions(input, (config) =>
    requireConsent(input, config, 'baseline'),
  );
  const { confirm, reason } = flags as Record<string, never>;
  const dryRun = flags.dryRun === true;
  const run = dryRun ? planMigrateBaseline : baselineMigrations;
  const result = await withProgress(input, 'migrate baseline', (use) =>
    run({ ...options, version, confirm, reason, ...use }),
  );
  return { data: { dryRun, ...result }, text: renderBaseline(result, { style, dryRun }) };
}

export async function handleRestore(input: CommandInput): Promise<CommandResult> {
  const { planMigrateRestore, restoreMigrations } = await import('../../migrate/repair/restore.ts');
  const { args, context, style } = input;
  const { options } = await loadMigrateOptions(input);
  const dryRun = input.flags.dryRun === true;
  const run = dryRun ? planMigrateRestore : restoreMigrations;
  const result = await withStop(context, ROLLING_BACK_MIGRATIONS, (signal) =>
    run({ ...options, versions: args, signal }),
  );
  return { data: { dryRun, ...result }, text: renderRestore(result, { style, dryRun }) };
}

/** On a terminal a long list is cut to what one screen shows. */
const ROWS_ON_TERMINAL = 20;

export async function handleAdopt(input: CommandInput): Promise<CommandResult> {
  const { flags, context } = input;
  const from = flags.from as AdoptableTool | undefined;
  if (from === undefined && !flags.undo) throw noTool();
  const { options, config } = await loadMigrateOptions(input, (config) =>
    requireConsent(input, config, 'adopt'),
  );
  const directory =
    typeof flags.writeTo === 'string' ? resolve(context.cwd, flags.writeTo) : options.directory;
  const target = { ...options, directory };
  return from === undefined || flags.undo
    ? undo(input, target, from)
    : adopt(input, target, {
        from,
        configured: options.directory,
        startAfter: config.lint.startAfter,
      });
}

function noTool(): EvdbError {
  return new EvdbError('USAGE', 'which tool should evdb take over from?', {
    hint: `For example: ${sameCommand('migrate adopt', { from: 'dbmate', 'dry-run': true })}`,
  });
}

async function adopt(
  input: CommandInput,
  options: MigrateOptions,
  {
    from,
    configured,
    startAfter,
  }: { from: AdoptableTool; configured: string; startAfter: string | undefined },
): Promise<CommandResult> {
  const { flags, context, style } = input;
  const { adoptMigrations, planMigrateAdopt } = await import('../../adopt/adopt.ts');
  const { fromDir: fromDirectory, table, reason } = flags as Record<string, never>;
  const dryRun = flags.dryRun === true;
  const run = dryRun ? planMigrateAdopt : adoptMigrations;
  const result = await withProgress(input, 'migrate adopt', (use) =>
    run({ ...options, from, root: context.cwd, fromDirectory, table, reason, ...use }),
  );
  const limit = context.isOutTerminal && !flags.all ? ROWS_ON_TERMINAL : undefined;
  const isOther = resolve(configured) !== resolve(options.directory);
  const configuredFolder = isOther ? relative(context.cwd, configured) || '.' : undefined;
  const text = renderAdoption(result, {
    ...{ style, dryRun, limit, configuredFolder, startAfter },
  });
  return { data: { dryRun, ...result }, text };
}

async function undo(
  input: CommandInput,
  options: MigrateOptions,
  from: AdoptableTool | undefined,
): Promise<CommandResult> {
  const { flags, style } = input;
  const { planUndoAdoption, undoAdoption } = await import('../../adopt/record.ts');
  const { confirm, reason } = flags as Record<string, never>;
  const dryRun = flags.dryRun === true;
  const run = dryRun ? planUndoAdoption : undoAdoption;
  const result = await withProgress(input, 'migrate adopt', (use) =>
    run({ ...options, from, confirm, reason, ...use }),
  );
  return {
    data: { dryRun, undo: true, ...result },
    text: renderUndoneAdoption(result, { style, dryRun }),
  };
}
