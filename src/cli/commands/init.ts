import type { Command } from 'commander';
import type { CliContext } from '../context.ts';
import { type CommandInput, type CommandResult, defineCommand } from '../define.ts';
import type { CliState } from '../run.ts';

export function addInitCommand(
  program: Command,
  use: { context: CliContext; state: CliState },
): void {
  defineCommand(
    program,
    {
      name: 'init',
      summary: 'copy the event schema, a config file and .env.example into this folder',
      examples: ['init'],
      run: handleInit,
    },
    use,
  );
}

async function handleInit({ context }: CommandInput): Promise<CommandResult> {
  const { initProject } = await import('../../migrate/init.ts');
  const result = initProject(context.cwd);
  const lines = [
    ...result.created.map((path) => `created  ${path}`),
    ...result.kept.map((path) => `kept     ${path} (was there already)`),
    'Next: evdb migrate up --embedded',
  ];
  return { data: result, text: lines.join('\n') };
}
