import { InvalidArgumentError, Option } from 'commander';
import { type CommandGroup, type CommandSpec, handlersOf } from '../define.ts';
import { configOptions } from '../options.ts';

const handler = handlersOf(() => import('../handlers/server.ts'));

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
  run: handler('handleStart'),
};

const STOP: CommandSpec = {
  name: 'stop',
  summary: 'stop the embedded PostgreSQL; its data stays',
  options: [directory(), ...configOptions()],
  examples: ['server stop'],
  run: handler('handleStop'),
};

const STATUS: CommandSpec = {
  name: 'status',
  summary: 'show whether the embedded PostgreSQL runs, and where',
  options: [directory(), ...configOptions()],
  examples: ['server status'],
  run: handler('handleServerStatus'),
};

const URL: CommandSpec = {
  name: 'url',
  summary: 'print the URL of the embedded PostgreSQL, with its password',
  description:
    'Prints the URL of the running embedded PostgreSQL, with its password, for other programs. This is the one command that prints a password.',
  options: [directory(), ...configOptions()],
  examples: ['server url'],
  run: handler('handleUrl'),
};

export const SERVER_COMMANDS: CommandGroup = {
  name: 'server',
  summary: 'manage the embedded PostgreSQL of this project',
  examples: ['server start', 'server url'],
  commands: [START, STOP, STATUS, URL],
};

function parsePort(text: string): number {
  const port = Number(text);
  if (/^\d+$/.test(text) && port >= 1 && port <= 65535) return port;
  throw new InvalidArgumentError('It must be a number from 1 to 65535.');
}
