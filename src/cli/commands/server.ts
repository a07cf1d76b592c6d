import { relative } from 'node:path';
import { InvalidArgumentError, Option } from 'commander';
import { EvdbError } from '../../errors.ts';
import { commandLine } from '../../text/command-line.ts';
import { loadTable } from '../context.ts';
import type { CommandGroup, CommandInput, CommandResult, CommandSpec } from '../define.ts';
import { configOptions } from '../options.ts';
import { embeddedDirectory, loadConfig } from '../settings.ts';

const directory = () =>
  new Option('--migrations-dir <path>', 'the server keeps its files in .evdb beside this folder');

const START: CommandSpec = {
  name: 'start',
  summary: 'start the embedded PostgreSQL, and leave it running',
  options: () => [
    new Option('--port <n>', 'port to listen on (default: the last one, or a free one)').argParser(
      parsePort,
    ),
    directory(),
    ...configOptions(),
  ],
  examples: ['server start', 'server start --port 54320'],
  run: handleStart,
};

const STOP: CommandSpec = {
  name: 'stop',
  summary: 'stop the embedded PostgreSQL; its data stays',
  options: () => [
    new Option('--all', 'stop every one that `server list` shows running'),
    directory(),
    ...configOptions(),
  ],
  examples: ['server stop', 'server stop --all'],
  run: handleStop,
};

const STATUS: CommandSpec = {
  name: 'status',
  summary: 'show whether the embedded PostgreSQL runs, and where',
  options: () => [directory(), ...configOptions()],
  examples: ['server status'],
  run: handleServerStatus,
};

const LIST: CommandSpec = {
  name: 'list',
  summary: 'list the embedded servers of all projects of this user',
  description:
    'Lists the embedded servers that this user has started on this machine, wherever their projects are, also those whose folder is gone.',
  examples: ['server list', 'server stop --all'],
  run: handleList,
};

const URL: CommandSpec = {
  name: 'url',
  summary: 'print the URL of the embedded PostgreSQL, with its password',
  description:
    'Prints the URL of the running embedded PostgreSQL, with its password, for other programs. This is the one command that prints a password.',
  options: () => [directory(), ...configOptions()],
  examples: ['server url'],
  run: handleUrl,
};

export const SERVER_COMMANDS: CommandGroup = {
  name: 'server',
  summary: 'manage the embedded PostgreSQL of this project',
  examples: ['server start', 'server url'],
  commands: [START, STOP, STATUS, LIST, URL],
};

function parsePort(text: string): number {
  const port = Number(text);
  if (/^\d+$/.test(text) && port >= 1 && port <= 65535) return port;
  throw new InvalidArgumentError('It must be a number from 1 to 65535.');
}

async function handleStart(input: CommandInput): Promise<CommandResult> {
  const { ensureEmbeddedServer } = await import('../../embedded/server.ts');
  const directory = await readDirectory(input);
  const { started, port, pid, version, dataDirectory } = await ensureEmbeddedServer({
    directory,
    port: input.flags.port as number | undefined,
    onProgress: (message) => input.context.note(`${message}\n`),
  });
  const verb = started ? 'started' : 'already running:';
  return {
    data: { running: true, started, port, pid, version, dataDirectory },
    text: `${verb} PostgreSQL ${version} on port ${port} (pid ${pid}); \`${commandLine('server url')}\` prints its URL`,
  };
}

async function handleList({ style, context }: CommandInput): Promise<CommandResult> {
  const { listEmbeddedServers, renderServers } = await import('../../embedded/registry.ts');
  const servers = listEmbeddedServers();
  return { data: { servers }, text: renderServers(servers, style, await loadTable(context)) };
}

async function handleStop(input: CommandInput): Promise<CommandResult> {
  if (input.flags.all === true) return stopAll();
  const { stopEmbeddedServer } = await import('../../embedded/stop.ts');
  const { stopped, pid } = await stopEmbeddedServer({ directory: await readDirectory(input) });
  return {
    data: { stopped, pid: pid ?? null },
    text: stopped
      ? `stopped PostgreSQL (pid ${pid}); its data stays`
      : 'not running: nothing to stop',
  };
}

async function stopAll(): Promise<CommandResult> {
  const { stopEmbeddedServers } = await import('../../embedded/registry.ts');
  const servers = await stopEmbeddedServers();
  const lines = servers.map(
    ({ pid, directory }) => `stopped PostgreSQL (pid ${pid}) of ${directory}`,
  );
  const text = [
    ...lines,
    lines.length > 0 ? 'their data stays' : 'none is running: nothing to stop',
  ];
  return { data: { servers }, text: text.join('\n') };
}

async function handleServerStatus(input: CommandInput): Promise<CommandResult> {
  const { readEmbeddedServer, renderServer } = await import('../../embedded/stop.ts');
  const status = await readEmbeddedServer({ directory: await readDirectory(input) });
  const shown = {
    ...status,
    dataDirectory: status.dataDirectory && shorten(status.dataDirectory, input),
    logPath: shorten(status.logPath, input),
  };
  return { data: status, text: renderServer(shown, input.style, await loadTable(input.context)) };
}

async function handleUrl(input: CommandInput): Promise<CommandResult> {
  const { readEmbeddedServer } = await import('../../embedded/stop.ts');
  const { ensureEmbeddedServer } = await import('../../embedded/server.ts');
  const directory = await readDirectory(input);
  const { running } = await readEmbeddedServer({ directory });
  if (!running) {
    throw new EvdbError('CONNECTION_REFUSED', 'the embedded PostgreSQL is not running', {
      hint: `Start it: ${commandLine('server start')}`,
    });
  }
  const { url } = await ensureEmbeddedServer({ directory });
  return { data: { url }, text: url, isVerbatim: true };
}

async function readDirectory(input: CommandInput): Promise<string> {
  return embeddedDirectory(await loadConfig(input));
}

function shorten(path: string, { context }: CommandInput): string {
  const fromHere = relative(context.cwd, path);
  return fromHere.length < path.length ? fromHere : path;
}
