import { accessSync, constants, statfsSync } from 'node:fs';
import { chmod, lstat, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EvdbError } from '../../src/errors.ts';

/** The server of a test run. */
export interface TestServer {
  /** URL of a role that may create databases; it names the maintenance database. */
  url: string;
  /** Whether the server exists for this run alone and goes away with it. */
  isThrowAway: boolean;
  stop(): Promise<void>;
}

/** Durability costs time, and nothing in a throw-away server outlives the run. */
const throwAwaySettings: Record<string, string> = {
  fsync: 'off',
  synchronous_commit: 'off',
  full_page_writes: 'off',
  max_connections: '300',
  max_wal_size: '256MB',
  log_min_messages: 'fatal',
};

/** What a run writes at most, with room to spare. */
const SPACE_BYTES = 3 * 1024 ** 3;

/**
 * Where the files of servers go that live as long as a run. Each test makes a database and drops it, and
 * for minutes after thousands of files were removed ext4 looks at each of their inodes before it gives
 * out a new one: that took half of all processor time. A disk in memory does not.
 */
export function serversFolder(): string {
  const inMemory = '/dev/shm';
  try {
    const { bavail, bsize } = statfsSync(inMemory);
    accessSync(inMemory, constants.W_OK);
    return bavail * bsize >= SPACE_BYTES ? inMemory : tmpdir();
  } catch {
    return tmpdir();
  }
}

const directoryPrefix = 'evdb-test-server-';

/**
 * Starts, or finds, the one PostgreSQL server of a run: `EVDB_TEST_URL` where it is set, else the
 * embedded binaries, else a container where Docker answers. `EVDB_TEST_BACKEND` (`embedded` or
 * `testcontainers`) forces one of the last two.
 */
export async function startTestServer(): Promise<TestServer> {
  const backend = process.env.EVDB_TEST_BACKEND;
  const url = process.env.EVDB_TEST_URL;
  if (backend === 'embedded') return startEmbedded();
  if (backend === 'testcontainers') return startContainer();
  if (backend) throw new Error(`EVDB_TEST_BACKEND is embedded or testcontainers, not ${backend}`);
  if (url) return { url, isThrowAway: false, stop: async () => undefined };
  try {
    return await startEmbedded();
  } catch (error) {
    if (!(error instanceof EvdbError && error.code === 'EMBEDDED_UNAVAILABLE')) throw error;
    return startContainer().catch((containerError: unknown) => {
      const reasons = `${error.message}; no container either: ${String(containerError)}`;
      throw new Error(`no server for the tests, set EVDB_TEST_URL: ${reasons}`);
    });
  }
}

async function startEmbedded(): Promise<TestServer> {
  await removeAbandonedServers();
  const { ensureEmbeddedServer } = await import('../../src/embedded/server.ts');
  const directory = await mkdtemp(join(serversFolder(), `${directoryPrefix}${process.pid}-`));
  // As root the server runs as another user, who has to enter the folder.
  await chmod(directory, 0o755);
  const { connection, port, pid } = await ensureEmbeddedServer({
    directory,
    settings: throwAwaySettings,
    binariesDir: process.env.EVDB_TEST_PG_BINARIES,
  });
  stopOnSignals(pid, directory);
  const login = `${connection.user}:${encodeURIComponent(connection.password ?? '')}`;
  return {
    url: `postgres://${login}@127.0.0.1:${port}/postgres`,
    isThrowAway: true,
    stop: () => removeEmbedded(directory),
  };
}

/** The server is no child of this process, and a signal ends vitest without its teardown. */
function stopOnSignals(serverPid: number, directory: string): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => {
      // At once, since vitest may not leave the time for more; the next run removes the rest.
      process.kill(serverPid, 'SIGQUIT');
      removeEmbedded(directory).finally(() => process.kill(process.pid, signal));
    });
  }
}

async function removeEmbedded(directory: string): Promise<void> {
  const { stopEmbeddedServer } = await import('../../src/embedded/stop.ts');
  const { findHome } = await import('../../src/embedded/home.ts');
  await stopEmbeddedServer({ directory });
  // The home of the cluster is elsewhere where the server's user cannot enter the folder.
  for (const folder of [findHome(directory), directory]) {
    if (folder) await rm(folder, { recursive: true, force: true });
  }
}

/** A run that was killed, or one that kept its databases for a look, leaves its server behind. */
async function removeAbandonedServers(): Promise<void> {
  const folder = serversFolder();
  for (const name of await readdir(folder)) {
    const pid = Number(/^evdb-test-server-(\d+)-/.exec(name)?.[1]);
    if (!(pid > 0) || isRunning(pid)) continue;
    const directory = join(folder, name);
    // Another run may be removing it as well, and those of other users are theirs.
    const owner = await lstat(directory).catch(() => undefined);
    if (owner?.uid === (process.getuid?.() ?? 0))
      await removeEmbedded(directory).catch(() => undefined);
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

async function startContainer(): Promise<TestServer> {
  const { PostgreSqlContainer } = await import('@testcontainers/postgresql');
  const image = process.env.EVDB_TEST_IMAGE ?? 'postgres:18-alpine';
  const settings = Object.entries(throwAwaySettings).flatMap(([k, v]) => ['-c', `${k}=${v}`]);
  const container = await new PostgreSqlContainer(image)
    .withCommand(['postgres', ...settings])
    .start();
  return {
    url: container.getConnectionUri(),
    isThrowAway: true,
    stop: async () => void (await container.stop()),
  };
}
