import {
  type EmbeddedConnectionOptions,
  embeddedServerUrl,
  findRunningServer,
  requirePort,
} from './running.ts';

/** Where the embedded server keeps its data, and how it is set up when it is started. */
export interface EnsureEmbeddedServerOptions {
  /** The folder for the server's files, by convention `.evdb` next to the migrations. */
  directory: string;
  /** PostgreSQL binaries to use; default: the optional dependency of evdb (PostgreSQL 18). */
  binariesDir?: string | undefined;
  /** Server settings for a start, such as `{ fsync: 'off' }`; a running server keeps its own. */
  settings?: Record<string, string | number | boolean> | undefined;
  /** Created if it is missing. Default `evdb`. */
  database?: string | undefined;
  /** A port that must be had; default: the last one, or a free one. */
  port?: number | undefined;
  /** Called when something takes a while; default none. */
  onProgress?: ((message: string) => void) | undefined;
  /** Ends the waiting; default: nothing does. */
  signal?: AbortSignal | undefined;
}

/** An embedded server that runs, and how it came to. */
export interface EnsuredEmbeddedServer {
  connection: EmbeddedConnectionOptions;
  /** Whether this call started it. */
  started: boolean;
  /** Whether this call created the cluster. */
  initialised: boolean;
  dataDirectory: string;
  port: number;
  pid: number;
  /** Such as `18.4`. */
  version: string;
  /** With its password: for programs, never for a log. */
  url: string;
}

/**
 * Makes sure that the embedded server of a folder runs and has the database; creates the cluster
 * and starts the server if needed. The server outlives this process. Callers in several processes
 * share one server.
 *
 * @throws {EvdbError} EMBEDDED_UNAVAILABLE, EMBEDDED_START_FAILED, EMBEDDED_VERSION_MISMATCH,
 *   PORT_TAKEN, DISK_FULL, DISK_READ_ONLY, PERMISSION_DENIED
 * @example
 * const { connection } = await ensureEmbeddedServer({ directory: '.evdb' });
 * const pong = await pingDatabase(connection);
 */
export async function ensureEmbeddedServer(
  options: EnsureEmbeddedServerOptions,
): Promise<EnsuredEmbeddedServer> {
  const running = findRunning(options);
  if (running) return running;
  const { ensureDirectory } = await import('./home.ts');
  const directory = ensureDirectory(options.directory);
  const { withServerLock } = await import('./lock.ts');
  return withServerLock(
    directory,
    async () => {
      const { bringUpServer } = await import('./bring-up.ts');
      return findRunning(options) ?? (await bringUpServer({ ...options, directory }));
    },
    // whoever holds the lock may just be starting it
    { signal: options.signal, isSettled: () => findRunning(options) },
  );
}

function findRunning({
  directory,
  database,
  port,
}: EnsureEmbeddedServerOptions): EnsuredEmbeddedServer | undefined {
  const running = findRunningServer(directory, database);
  if (!running) return undefined;
  requirePort(port, running.port);
  return {
    ...running,
    url: embeddedServerUrl(running.connection),
    started: false,
    initialised: false,
  };
}
