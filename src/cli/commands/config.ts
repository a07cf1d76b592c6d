import type { Command } from 'commander';
import { type CliContext, loadTable } from '../context.ts';
import { type CommandInput, type CommandResult, defineCommand } from '../define.ts';
import { migrateOptions } from '../options.ts';
import type { CliState } from '../run.ts';
import { loadConfig } from '../settings.ts';

export function addConfigCommand(
  program: Command,
  use: { context: CliContext; state: CliState },
): void {
  defineCommand(
    program,
    {
      name: 'config',
      summary: 'show what is configured and where each value comes from',
      description:
        'Shows every setting that is in force and where it comes from: flags, environment, .env, config file, defaults. Secrets are masked.',
      options: migrateOptions(),
      examples: ['config', 'config --env staging'],
      run: handleConfig,
    },
    use,
  );
}

async function handleConfig(input: CommandInput): Promise<CommandResult> {
  const { renderConfig } = await import('../../config/resolve.ts');
  const { entries, warnings } = await loadConfig(input);
  return {
    data: { entries, warnings },
    text: renderConfig(entries, input.style, await loadTable(input.context)),
  };
}
