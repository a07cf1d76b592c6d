import { type Command, Option } from 'commander';
import { commandLine } from '../../text/command-line.ts';
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
      description:
        'Copy the event schema, a config file and .env.example into this folder. What is there stays; beside migrations of its own the event schema is left out.',
      options: [new Option('--empty', 'without the event schema')],
      examples: ['init', 'init --empty'],
      run: handleInit,
    },
    use,
  );
}

async function handleInit({ context, flags }: CommandInput): Promise<CommandResult> {
  const { initProject } = await import('../../migrate/files/create.ts');
  const result = initProject(context.cwd, { empty: flags.empty === true });
  const lines = [
    ...result.created.map((path) => `created  ${path}`),
    ...result.kept.map((path) => `kept     ${path} (was there already)`),
    ...(result.eventSchema === 'notCopied'
      ? ['The event schema was not copied: migrations/ holds migrations of its own']
      : []),
    `Next: ${NEXT[result.eventSchema]()}`,
  ];
  return { data: result, text: lines.join('\n') };
}

const NEXT = {
  copied: () => commandLine('migrate up', { embedded: true }),
  leftOut: () => commandLine('migrate create', {}, { args: ['first table'] }),
  notCopied: () => commandLine('migrate validate'),
};
