import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileWhole } from '../file-system.ts';
import {
  type Cell,
  type Column,
  renderTable,
  type Style,
  type TableRenderer,
} from '../report/table.ts';
import { renderTime } from '../text/units.ts';
import { dataDirectoryOf, findPostmaster, isServerProcess, type Postmaster } from './running.ts';
import { stopEmbeddedServer, stopProcess } from './stop.ts';

/** What is remembered of a start, in a file of its own for each cluster. */
interface Registered {
  /** The `.evdb` folder. */
  directory: string;
  home: string;
  version: string;
  pid: number;
  port: number;
  startedAtSeconds: number;
}

/** An embedded server that was started by this user on this machine. */
export interface ListedServer {
  /** The `.evdb` folder that it belongs to. */
  directory: string;
  /** False if the folder was removed or moved while the server kept running. */
  hasDirectory: boolean;
  running: boolean;
  /** Only while it runs. */
  pid: number | undefined;
  /** Only while it runs. */
  port: number | undefined;
  /** Of the server that ran last, such as `18.4`. */
  version: string;
  dataDirectory: string;
  startedAt: Date | undefined;
}

const STATE_MODE = 0o700;

/** The user's folder for what programs remember; undefined where the environment names none. */
function registryFolder(env: NodeJS.ProcessEnv = process.env): string | undefined {
  const home =
    process.platform === 'win32'
      ? env.LOCALAPPDATA
      : env.XDG_STATE_HOME || (env.HOME && join(env.HOME, '.local', 'state'));
  return home ? join(home, 'evdb', 'servers') : undefined;
}

/**
 * Remembers a server that was started, so that it can be listed from anywhere. Only a help: where
 * it cannot be written, such as in a container with a read-only home, the start is none the worse.
 */
export function registerServer(
  at: { directory: string; home: string; version: string },
  { pid, port, startedAtSeconds }: Postmaster,
): void {
  const folder = registryFolder();
  if (folder === undefined) return;
  const entry: Registered = { ...at, pid, port, startedAtSeconds };
  const name = createHash('sha256').update(at.home).digest('hex').slice(0, 16);
  try {
    mkdirSync(folder, { recursive: true, mode: STATE_MODE });
    writeFileWhole(join(folder, `${name}.json`), `${JSON.stringify(entry, null, 2)}\n`);
  } catch {
    // as above
  }
}

/**
 * Lists the embedded servers that this user has started on this machine and whose data, or process,
 * still exists; running ones first. Forgets the others.
 *
 * @throws {EvdbError} PERMISSION_DENIED if a data folder cannot be read
 * @example
 * const running = listEmbeddedServers().filter((server) => server.running);
 */
export function listEmbeddedServers(): ListedServer[] {
  const folder = registryFolder();
  if (folder === undefined || !existsSync(folder)) return [];
  const servers = readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .flatMap((name) => {
      const path = join(folder, name);
      const entry = readEntry(path);
      const listed = entry && look(entry);
      if (!listed) rmSync(path, { force: true });
      return listed ?? [];
    });
  return servers.sort(
    (a, b) => Number(b.running) - Number(a.running) || (a.directory < b.directory ? -1 : 1),
  );
}

function readEntry(path: string): Registered | undefined {
  try {
    const entry = JSON.parse(readFileSync(path, 'utf8')) as Registered;
    const texts = [entry.directory, entry.home, entry.version];
    const numbers = [entry.pid, entry.port, entry.startedAtSeconds];
    const isWhole =
      texts.every((one) => typeof one === 'string') &&
      numbers.every((one) => Number.isInteger(one));
    return isWhole ? entry : undefined;
  } catch {
    return undefined;
  }
}

/** Undefined where neither data nor process is left. */
function look(entry: Registered): ListedServer | undefined {
  const { directory, home, version } = entry;
  const dataDirectory = dataDirectoryOf(home);
  const hasData = existsSync(dataDirectory);
  const isOrphan = !hasData && isServerProcess(entry.pid, dataDirectory);
  const postmaster = hasData ? findPostmaster(dataDirectory) : isOrphan ? entry : undefined;
  if (!hasData && !postmaster) return undefined;
  return {
    ...{ directory, hasDirectory: existsSync(directory), version, dataDirectory },
    running: postmaster !== undefined,
    pid: postmaster?.pid,
    port: postmaster?.port,
    startedAt: postmaster && new Date(postmaster.startedAtSeconds * 1000),
  };
}

/**
 * Stops every embedded server that `listEmbeddedServers` finds running. Their data stays.
 *
 * @returns those that were stopped
 * @throws {EvdbError} EMBEDDED_STOP_FAILED, PERMISSION_DENIED; those before it are stopped
 * @example
 * const stopped = await stopEmbeddedServers();
 */
export async function stopEmbeddedServers(): Promise<ListedServer[]> {
  const stopped: ListedServer[] = [];
  for (const server of listEmbeddedServers()) {
    const { directory, pid, dataDirectory } = server;
    if (pid === undefined) continue;
    // Under the lock of its folder, where there is one: somebody may just be starting it.
    const isStopped = server.hasDirectory && (await stopEmbeddedServer({ directory })).stopped;
    if (!isStopped) await stopProcess(pid, dataDirectory);
    stopped.push(server);
  }
  return stopped;
}

/** The servers as a table. */
export function renderServers(
  servers: ListedServer[],
  style: Style,
  table: TableRenderer = renderTable,
): string {
  if (servers.length === 0) return 'no embedded server was started on this machine by this user';
  const rows = servers.map((server): Cell[] => {
    const { running, hasDirectory, startedAt } = server;
    return [
      { text: server.directory },
      running ? { text: 'running', colour: 'good' } : { text: 'stopped', colour: 'dim' },
      { text: server.port?.toString() ?? '-' },
      { text: server.pid?.toString() ?? '-' },
      { text: server.version },
      { text: startedAt ? renderTime(startedAt.toISOString()) : '-' },
      hasDirectory ? { text: '-' } : { text: 'the folder is gone', colour: 'warn' },
    ];
  });
  const columns: Column[] = [
    { title: 'folder', text: 'wraps' },
    { title: 'state' },
    { title: 'port', priority: 1 },
    { title: 'pid', priority: 4 },
    { title: 'version', priority: 3 },
    { title: 'since', priority: 2 },
    { title: 'note', text: 'wraps' },
  ];
  return table(columns, rows, style);
}
