import { chmod, chown, cp, lchown, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { findEmbeddedBinaries } from '../../src/embedded/binaries.ts';
import { ensureEmbeddedServer } from '../../src/embedded/server.ts';
import { stopEmbeddedServer } from '../../src/embedded/stop.ts';
import { EvdbError } from '../../src/errors.ts';
import { serversFolder } from './server.ts';

/** A server of one test, which may be stopped, filled up or turned into a standby. */
export interface OwnServer {
  /** The same after each start. */
  url: string;
  dataDirectory: string;
  start(): Promise<void>;
  stop(): Promise<void>;
  remove(): Promise<void>;
}

/** Why no test can have a server of its own here; undefined where it can. */
export function whyNoOwnServer(): string | undefined {
  try {
    findEmbeddedBinaries();
    return undefined;
  } catch (error) {
    if (error instanceof EvdbError && error.code === 'EMBEDDED_UNAVAILABLE') return error.message;
    throw error;
  }
}

/** Starts a server from the embedded binaries, in a folder of its own. */
export async function startOwnServer(settings: Record<string, string> = {}): Promise<OwnServer> {
  const directory = await makeFolder();
  const start = () => ensureEmbeddedServer({ directory, settings: { fsync: 'off', ...settings } });
  const { url, dataDirectory, port } = await start();
  const stop = async () => void (await stopEmbeddedServer({ directory }));
  return {
    url,
    dataDirectory,
    start: async () => {
      const started = await start();
      if (started.port !== port) throw new Error(`port ${port} was taken meanwhile`);
    },
    stop,
    remove: async () => {
      await stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** A server with settings of its own, of the version that the run tests. */
export interface SpecialServer {
  url: string;
  directory: string;
}

/** Starts servers for one file of tests; `remove` ends them and their standbys. */
export function specialServers() {
  const directories: string[] = [];
  const ensure = async (directory: string, settings: Record<string, string>) => {
    const binariesDir = process.env.EVDB_TEST_PG_BINARIES;
    const all = { fsync: 'off', ...settings };
    return (await ensureEmbeddedServer({ directory, binariesDir, settings: all })).url;
  };
  const begin = async (
    settings: Record<string, string>,
    prepare?: (directory: string) => Promise<void>,
  ): Promise<SpecialServer> => {
    const directory = await makeFolder();
    directories.push(directory);
    await prepare?.(directory);
    return { url: await ensure(directory, settings), directory };
  };
  return {
    start: (settings: Record<string, string>) => begin(settings),
    /** Stops a primary, copies it, starts it again, and the copy as its standby. */
    addStandby: async (primary: SpecialServer, settings: Record<string, string>) => {
      await stopEmbeddedServer({ directory: primary.directory });
      const { hostname, port, username, password } = new URL(primary.url);
      const info = `host=${hostname} port=${port} user=${username} password=${password} application_name=follower`;
      const standby = await begin({ ...settings, primary_conninfo: info }, async (directory) => {
        await cp(primary.directory, directory, { recursive: true, preserveTimestamps: true });
        await takeOwnersOver(primary.directory, directory);
        await rm(join(directory, 'server.json'));
        const signal = join(directory, 'postgres/data/standby.signal');
        await writeFile(signal, '');
        await chmod(signal, 0o644);
      });
      await ensure(primary.directory, settings);
      return standby;
    },
    remove: async () => {
      for (const directory of directories) {
        await stopEmbeddedServer({ directory });
        await rm(directory, { recursive: true, force: true });
      }
    },
  };
}

/** As root the copy belongs to root, and the server runs as somebody else. */
async function takeOwnersOver(from: string, to: string): Promise<void> {
  const { uid, gid } = await stat(join(from, 'postgres/data'));
  if (process.getuid?.() === uid) return;
  const folder = join(to, 'postgres');
  await chown(folder, uid, gid);
  for (const name of await readdir(folder, { recursive: true })) {
    await lchown(join(folder, name), uid, gid);
  }
}

async function makeFolder(): Promise<string> {
  const directory = await mkdtemp(join(serversFolder(), 'evdb-test-own-server-'));
  // As root the server runs as another user, who has to enter the folder.
  await chmod(directory, 0o755);
  return directory;
}
