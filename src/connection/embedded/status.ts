import { existsSync, realpathSync } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { findHome } from './home.ts';
import { logPathOf } from './log.ts';
import { findPostmaster } from './postmaster.ts';
import { dataDirectoryOf, readState } from './state.ts';

export interface EmbeddedServerStatus {
  running: boolean;
  /** Only while it runs. */
  pid: number | undefined;
  /** While it runs its port, else the one that is tried first at the next start. */
  port: number | undefined;
  /** Of the server that ran last, such as `18.4`. */
  version: string | undefined;
  /** Undefined while there is no cluster yet. */
  dataDirectory: string | undefined;
  /** What the data folder takes on disk, write-ahead log included. */
  dataBytes: number | undefined;
  logPath: string;
  startedAt: Date | undefined;
}

/**
 * Whether the embedded server of a folder was ever made, running or not; changes nothing.
 *
 * @param options.directory the `.evdb` folder; it need not exist
 */
export function hasEmbeddedServer({ directory }: { directory: string }): boolean {
  return findHome(existsSync(directory) ? realpathSync(directory) : directory) !== undefined;
}

/**
 * Says what is known about the embedded server of a folder; changes nothing.
 *
 * @param options.directory the `.evdb` folder; it need not exist
 * @throws {EvdbError} PERMISSION_DENIED when the server is another user's
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
