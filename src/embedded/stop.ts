import { existsSync, realpathSync } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { EvdbError } from '../errors.ts';
import { type Cell, renderTable, type Style, type TableRenderer } from '../report/table.ts';
import { renderTime } from '../text/units.ts';
import { findHome } from './home.ts';
import { logPathOf } from './launch.ts';
import { withServerLock } from './lock.ts';
import { dataDirectoryOf, findPostmaster, isServerProcess, readState } from './running.ts';

/** Whether a server ran that was stopped. */
export interface StopEmbeddedServerResult {
  /** False when none was running. */
  stopped: boolean;
  pid: number | undefined;
}

const POLL_MS = 10;
const STOP_DEADLINE_MS = 60_000;

/**
 * Stops the embedded server of a folder: sessions are ended, their transactions rolled back, and
 * everything is written to disk. The data stays.
 *
 * @param options.directory the `.evdb` folder
 * @throws {EvdbError} EMBEDDED_STOP_FAILED, PERMISSION_DENIED
 * @example
 * const { stopped } = await stopEmbeddedServer({ directory: '.evdb' });
 */
export async function stopEmbeddedServer({
  directory,
}: {
  directory: string;
}): Promise<StopEmbeddedServerResult> {
  if (!existsSync(directory)) return { stopped: false, pid: undefined };
  const real = realpathSync(directory);
  return withServerLock(real, () => stop(real));
}

async function stop(directory: string): Promise<StopEmbeddedServerResult> {
  const home = findHome(directory);
  const dataDirectory = home && dataDirectoryOf(home);
  const postmaster = dataDirectory && findPostmaster(dataDirectory);
  if (!dataDirectory || !postmaster) return { stopped: false, pid: undefined };
  const { pid } = postmaster;
  await stopProcess(pid, dataDirectory, () => findPostmaster(dataDirectory)?.pid === pid);
  return { stopped: true, pid };
}

/**
 * Stops a server, and waits for its end.
 *
 * @param isAlive default: whether the process is still proven to be the server of that data folder
 * @throws {EvdbError} EMBEDDED_STOP_FAILED, PERMISSION_DENIED
 */
export async function stopProcess(
  pid: number,
  dataDirectory: string,
  isAlive: () => boolean = () => isServerProcess(pid, dataDirectory),
): Promise<void> {
  const deadline = Date.now() + STOP_DEADLINE_MS;
  await requestStop(pid, dataDirectory);
  while (isAlive()) {
    if (Date.now() > deadline) throw stopFailed(`the embedded server (pid ${pid}) does not end`);
    await delay(POLL_MS);
  }
}

/** A fast shutdown, which does not wait for sessions to end by themselves. */
async function requestStop(pid: number, dataDirectory: string): Promise<void> {
  if (process.platform === 'win32') {
    const { findEmbeddedBinaries, withExe } = await import('./binaries.ts');
    const { runProgram, serverEnvironment } = await import('./run-as.ts');
    const pgCtl = `${findEmbeddedBinaries().root}/bin/${withExe('pg_ctl')}`;
    const args = ['stop', '-D', dataDirectory, '-m', 'fast', '-W'];
    await runProgram(pgCtl, args, { env: serverEnvironment(undefined), runAs: undefined });
    return;
  }
  try {
    process.kill(pid, 'SIGINT');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ESRCH') return;
    throw new EvdbError(
      'PERMISSION_DENIED',
      `not allowed to stop the embedded server (pid ${pid})`,
      {
        hint: 'Run evdb as the user who started it.',
        cause,
        details: { pid },
      },
    );
  }
}

function stopFailed(message: string): EvdbError {
  return new EvdbError('EMBEDDED_STOP_FAILED', message, {
    hint: 'Look at server.log in the .evdb folder, and try again.',
  });
}

/**
 * What is known about the embedded server of a folder. Fields that need a running server are
 * undefined while it is stopped.
 */
export interface EmbeddedServerStatus {
  running: boolean;
  /** Only while it runs. */
  pid: number | undefined;
  /** While it runs its port, otherwise the one that the next start tries first. */
  port: number | undefined;
  /** Of the server that ran last, such as `18.4`. */
  version: string | undefined;
  /** Undefined if there is no cluster yet. */
  dataDirectory: string | undefined;
  /** The size of the data folder on disk, including the write-ahead log. */
  dataBytes: number | undefined;
  logPath: string;
  startedAt: Date | undefined;
}

/**
 * Whether the embedded server of a folder was ever created, running or not; changes nothing.
 *
 * @param options.directory the `.evdb` folder; it does not have to exist
 * @example
 * const isThere = hasEmbeddedServer({ directory: '.evdb' });
 */
export function hasEmbeddedServer({ directory }: { directory: string }): boolean {
  return findHome(existsSync(directory) ? realpathSync(directory) : directory) !== undefined;
}

/**
 * Returns what is known about the embedded server of a folder; changes nothing.
 *
 * @param options.directory the `.evdb` folder; it does not have to exist
 * @throws {EvdbError} PERMISSION_DENIED if the server is another user's
 * @example
 * const { running, port } = await readEmbeddedServer({ directory: '.evdb' });
 */
export async function readEmbeddedServer({
  directory,
}: {
  directory: string;
}): Promise<EmbeddedServerStatus> {
  const real = existsSync(directory) ? realpathSync(directory) : directory;
  const home = findHome(real);
  const state = readState(real);
  const dataDirectory = home && dataDirectoryOf(home);
  const postmaster = dataDirectory === undefined ? undefined : findPostmaster(dataDirectory);
  return {
    running: postmaster !== undefined,
    pid: postmaster?.pid,
    port: postmaster?.port ?? state?.port,
    version: state?.version,
    dataDirectory,
    dataBytes: dataDirectory === undefined ? undefined : await readBytes(dataDirectory),
    logPath: logPathOf(real),
    startedAt: postmaster && new Date(postmaster.startedAtSeconds * 1000),
  };
}

/** Files come and go while the server works: one that is gone counts nothing. */
async function readBytes(folder: string): Promise<number> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const sizes = entries.map(async (entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return readBytes(path);
    return (await lstat(path).catch(() => undefined))?.size ?? 0;
  });
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}

/** The embedded server at a glance. */
export function renderServer(
  status: EmbeddedServerStatus,
  style: Style,
  table: TableRenderer = renderTable,
): string {
  const { running, pid, port, version, dataDirectory, logPath, startedAt } = status;
  const rows: [string, string | undefined, keyof Style | undefined][] = [
    ['state', running ? 'running' : 'stopped', running ? 'good' : 'warn'],
    ['version', version, undefined],
    ['port', port?.toString(), undefined],
    ['pid', pid?.toString(), undefined],
    ['since', startedAt && renderTime(startedAt.toISOString()), undefined],
    ['data', dataDirectory ?? 'none yet', undefined],
    ['log', logPath, undefined],
  ];
  const cells = rows
    .filter(([, value]) => value !== undefined)
    .map(([name, value, colour]): Cell[] => [
      { text: name },
      { text: value ?? '', ...(colour && { colour }) },
    ]);
  return table([{ title: 'embedded' }, { title: 'PostgreSQL', text: 'wraps' }], cells, style);
}
