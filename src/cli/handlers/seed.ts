import type { Config } from '../../config/resolve.ts';
import { EvdbError } from '../../errors.ts';
import { renderSeeds } from '../../migrate/seed/report.ts';
import { sameCommand } from '../../text/command-line.ts';
import type { CommandInput, CommandResult } from '../define.ts';
import { withProgress } from '../progress.ts';
import { describeTarget, environmentName, loadMigrateOptions } from '../settings.ts';

export async function handleSeed(input: CommandInput): Promise<CommandResult> {
  const { flags } = input;
  const { planSeeds, applySeeds } = await import('../../migrate/seed/seeds.ts');
  const { config, options } = await loadMigrateOptions(input, (read) =>
    requireConsent(input, read),
  );
  const all = { ...options, directory: config.seedsDir, environment: config.environment };
  const dryRun = flags.dryRun === true;
  if (dryRun) {
    const plan = await planSeeds(all);
    return { data: { dryRun, ...plan }, text: renderSeeds(plan, { isDone: false }) };
  }
  const result = await withProgress(input, 'seed', (use) => applySeeds({ ...all, ...use }));
  return { data: { dryRun, ...result }, text: renderSeeds(result, { isDone: true }) };
}

function requireConsent({ flags }: CommandInput, config: Config): void {
  if (!config.isProtected || flags.confirm || flags.dryRun) return;
  throw new EvdbError(
    'CONFIRM_REQUIRED',
    `${environmentName(config)} is protected, and seed is meant for ${describeTarget(config)}`,
    {
      hint: `Nothing was changed. Look first (--dry-run), then: ${sameCommand('seed', { confirm: true })}`,
    },
  );
}
