import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findEmbeddedBinaries } from '../../src/embedded/binaries.ts';
import { ensureEmbeddedServer } from '../../src/embedded/server.ts';
import { stopEmbeddedServer } from '../../src/embedded/stop.ts';
import { EvdbError } from '../../src/errors.ts';

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
  const directory = await mkdtemp(join(tmpdir(), 'evdb-test-own-server-'));
  // As root the server runs as another user, who has to enter the folder.
  await chmod(directory, 0o755);
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
