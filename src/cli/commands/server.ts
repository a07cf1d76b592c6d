import { type Command, InvalidArgumentError, Option } from 'commander';
import type { CliContext } from '../context.ts';
import { type CommandInput, type CommandSpec, defineCommand, defineGroup } from '../define.ts';
import { configOptions } from '../options.ts';
import type { CliState } from '../run.ts';

type HandlerName = 'handleStart' | 'handleStop' | 'handleServerStatus' | 'handleUrl';

function lazily(name: HandlerName): CommandSpec['run'] {
  return async (input: CommandInput) => (await import('../handlers/server.ts'))[name](input);
}

const directory = () =>
  new Option('--migrations-dir <path>', 'the server keeps its files in .evdb beside this folder');

const START: CommandSpec = {
  name: 'start',
  summary: 'start the embedded PostgreSQL, and leave it running',
  options: [
    new Option('--port <n>', 'port to listen on (default: the last one, or a free one)').argParser(
      parsePort,
    ),
    directory(),
    ...configOptions(),
  ],
  examples: ['server start', 'server start --port 54320'],
  run: lazily('handleStart'),
};

const STOP: CommandSpec = {
  name: 'stop',
  summary: 'stop the embedded PostgreSQL; its data stays',
  options: [directory(), ...configOptions()],
  examples: ['server stop'],
  run: lazily('handleStop'),
};

const STATUS: CommandSpec = {
  name: 'status',
  summary: 'show whether the embedded PostgreSQL runs, and where',
  options: [directory(), ...configOptions()],
  examples: ['server status'],
  run: lazily('handleServerStatus'),
};

const URL: CommandSpec = {
  name: 'url',
  summary: 'print the URL of the embedded PostgreSQL, with its password',
  description:
    'Prints the URL of the running embedded PostgreSQL, with its password, for other programs. This is the one command that prints a password.',
  options: [directory(), ...configOptions()],
  examples: ['server url'],
  run: lazily('handleUrl'),
};

export function addServerCommands(
  program: Command,
  use: { context: CliContext; state: CliState },
): void {
  const group = defineGroup(program, {
    name: 'server',
    summary: 'manage the embedded PostgreSQL of this project',
    examples: ['server start', 'server url'],
  });
  for (const spec of [START, STOP, STATUS, URL]) defineCommand(group, spec, use);
}

function parsePort(text: string): number {
  const port = Number(text);
  if (/^\d+$/.test(text) && port >= 1 && port <= 65535) return port;
  throw new InvalidArgumentError('It must be a number from 1 to 65535.');
}
