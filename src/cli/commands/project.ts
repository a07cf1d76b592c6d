import { Option } from 'commander';
import { commandLine } from '../../text/command-line.ts';
import { loadTable } from '../context.ts';
import type { CommandInput, CommandResult, CommandSpec } from '../define.ts';
import { migrateOptions } from '../options.ts';
import { loadConfig } from '../settings.ts';

export const INIT_COMMAND: CommandSpec = {
  name: 'init',
  summary: 'copy the event schema, a config file and .env.example into this folder',
  description:
    'Copy the event schema, a config file and .env.example into this folder. What is there stays; beside migrations of its own the event schema is left out.',
  options: () => [new Option('--empty', 'without the event schema')],
  examples: ['init', 'init --empty'],
  run: handleInit,
};

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

export const CONFIG_COMMAND: CommandSpec = {
  name: 'config',
  summary: 'show what is configured and where each value comes from',
  description:
    'Shows every setting that is in force and where it comes from: flags, environment, .env, config file, defaults. Secrets are masked.',
  options: migrateOptions,
  examples: ['config', 'config --env staging'],
  run: handleConfig,
};

async function handleConfig(input: CommandInput): Promise<CommandResult> {
  const { renderConfig } = await import('../../config/resolve.ts');
  const { entries, warnings } = await loadConfig(input);
  return {
    data: { entries, warnings },
    text: renderConfig(entries, input.style, await loadTable(input.context)),
  };
}
