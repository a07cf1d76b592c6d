import { relative } from 'node:path';
import { ensureEmbeddedServer } from '../../embedded/server.ts';
import { readEmbeddedServer, renderServer, stopEmbeddedServer } from '../../embedded/stop.ts';
import { EvdbError } from '../../errors.ts';
import { commandLine } from '../../text/command-line.ts';
import { loadTable } from '../context.ts';
import type { CommandInput, CommandResult } from '../define.ts';
import { embeddedDirectory, loadConfig } from '../settings.ts';

export async function handleStart(input: CommandInput): Promise<CommandResult> {
  const directory = await readDirectory(input);
  const { started, port, pid, version, dataDirectory } = await ensureEmbeddedServer({
    directory,
    port: input.flags.port as number | undefined,
    onProgress: (message) => input.context.err(`${message}\n`),
  });
  const verb = started ? 'started' : 'already running:';
  return {
    data: { running: true, started, port, pid, version, dataDirectory },
    text: `${verb} PostgreSQL ${version} on port ${port} (pid ${pid}); \`${commandLine('server url')}\` prints its URL`,
  };
}

export async function handleStop(input: CommandInput): Promise<CommandResult> {
  const { stopped, pid } = await stopEmbeddedServer({ directory: await readDirectory(input) });
  return {
    data: { stopped, pid: pid ?? null },
    text: stopped
      ? `stopped PostgreSQL (pid ${pid}); its data stays`
      : 'not running: nothing to stop',
  };
}

export async function handleServerStatus(input: CommandInput): Promise<CommandResult> {
  const status = await readEmbeddedServer({ directory: await readDirectory(input) });
  const shown = {
    ...status,
    dataDirectory: status.dataDirectory && shorten(status.dataDirectory, input),
    logPath: shorten(status.logPath, input),
  };
  return { data: status, text: renderServer(shown, input.style, await loadTable(input.context)) };
}

export async function handleUrl(input: CommandInput): Promise<CommandResult> {
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
