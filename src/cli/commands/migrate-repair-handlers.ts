import { renderBaseline, renderRepair } from '../../migrate/repair/report.ts';
import type { CommandInput, CommandResult } from '../define.ts';
import { EXIT } from '../exit-codes.ts';
import { loadMigrateOptions, withInterrupt } from '../settings.ts';
import { tuneForParser } from '../v8-flags.ts';
import { requireConsent } from './consent.ts';

export async function handleRepair(input: CommandInput): Promise<CommandResult> {
  await tuneForParser();
  const { planMigrateRepair, repairMigrations } = await import('../../migrate/repair/repair.ts');
  const { flags, args, context, style } = input;
  const [version] = args;
  const { options } = await loadMigrateOptions(input, (config) =>
    requireConsent(input, config, 'repair'),
  );
  const { forget, as, confirm, reason } = flags as Record<string, never>;
  const dryRun = flags.dryRun === true;
  const run = dryRun ? planMigrateRepair : repairMigrations;
  const result = await withInterrupt(context, (signal) =>
    run({ ...options, version, forget, as, confirm, reason, signal }),
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
  const { flags, args, context, style } = input;
  const version = args[0] as string;
  const { options } = await loadMigrateOptions(input, (config) =>
    requireConsent(input, config, 'baseline'),
  );
  const { confirm, reason } = flags as Record<string, never>;
  const dryRun = flags.dryRun === true;
  const run = dryRun ? planMigrateBaseline : baselineMigrations;
  const result = await withInterrupt(context, (signal) =>
    run({ ...options, version, confirm, reason, signal }),
  );
  return { data: { dryRun, ...result }, text: renderBaseline(result, { style, dryRun }) };
}
