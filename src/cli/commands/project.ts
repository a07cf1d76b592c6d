import { readFileSync } from 'node:fs';
import { Option } from 'commander';
import { loadTable } from '../context.ts';
import { type CommandInput, type CommandResult, type CommandSpec, handlersOf } from '../define.ts';
import { migrateOptions } from '../options.ts';
import { loadConfig } from '../settings.ts';
import { ADOPTABLE_TOOLS } from './migrate.ts';

export const INIT_COMMAND: CommandSpec = {
  name: 'init',
  summary: 'set a project up: a config file, and the event schema where it is wanted',
  description:
    'Writes a config file and .env.example into this folder, and the event schema unless it is to be left out. On a terminal it asks for what no flag says. What is there stays; beside migrations of the project the event schema is left out.',
  options: () => [
    new Option('--empty', 'for migrations of your own').conflicts(['eventSchema', 'from']),
    new Option('--event-schema', 'with the event schema').conflicts('from'),
    new Option('--from <tool>', 'take over the migrations of another tool').choices(
      ADOPTABLE_TOOLS,
    ),
    new Option('--npm-scripts', 'add scripts that call evdb to package.json'),
    new Option('--config-format <format>', 'the language of the config file; default js').choices([
      'js',
      'ts',
      'json',
      'yaml',
    ]),
    new Option('--ci <system>', 'write a pipeline that checks the migrations').choices([
      'github',
      'gitlab',
      'none',
    ]),
    new Option('-y, --yes', 'ask nothing; without another flag the event schema is included'),
  ],
  examples: ['init', 'init --empty --ci github', 'init --event-schema --yes'],
  run: handlersOf(() => import('../handlers/init.ts'))('handleInit'),
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

export const VERSION_COMMAND: CommandSpec = {
  name: 'version',
  summary: 'print the version, as --version does',
  examples: ['version', 'version --json'],
  run: handleVersion,
};

async function handleVersion(): Promise<CommandResult> {
  const { readToolVersion } = await import('../../file-system.ts');
  const version = readToolVersion();
  return { data: { version }, text: version };
}

const SHELLS: Record<string, string> = {
  bash: 'bash',
  zsh: 'zsh',
  fish: 'fish',
  powershell: 'ps1',
};

export const COMPLETION_COMMAND: CommandSpec = {
  name: 'completion',
  summary: 'print the script that completes evdb in a shell',
  description:
    'Prints a script for the shell to load. It completes commands, options and values such as versions of migrations, environments and rules. They come from files, never from a database. docs/guides/development.md says how to install it.',
  arguments: [['<shell>', 'the shell that loads it', Object.keys(SHELLS)]],
  examples: ['completion bash', 'completion zsh', 'completion fish', 'completion powershell'],
  run: handleCompletion,
};

async function handleCompletion({ args: [shell = ''] }: CommandInput): Promise<CommandResult> {
  const { packagePath } = await import('../../file-system.ts');
  const file = packagePath('dist', 'completion', `evdb.${SHELLS[shell]}`);
  const script = readFileSync(file, 'utf8').trimEnd();
  return { data: { shell, script }, text: script, isVerbatim: true };
}

async function handleConfig(input: CommandInput): Promise<CommandResult> {
  const { renderConfig } = await import('../../config/resolve.ts');
  const { entries, warnings } = await loadConfig(input);
  return {
    data: { entries, warnings },
    text: renderConfig(entries, input.style, await loadTable(input.context)),
  };
}
