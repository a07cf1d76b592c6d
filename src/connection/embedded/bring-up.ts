import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { EvdbError } from '../../errors.ts';
import { ensureDatabase } from './database.ts';
import { fileError } from './disk.ts';
import { chooseHome, findHome } from './home.ts';
import { initialiseCluster } from './initialise.ts';
import { findPostmaster, type Postmaster } from './postmaster.ts';
import { recordState } from './record-state.ts';
import { chooseRunAs, findDataOwner, type RunAs } from './run-as.ts';
import { connectionTo, DEFAULT_DATABASE, requirePort } from './running.ts';
import type { EnsuredServer, EnsureServerOptions } from './server.ts';
import { startServer, waitUntilReady } from './start.ts';
import { dataDirectoryOf, readState } from './state.ts';
import { embeddedServerUrl } from './url.ts';
import { ensureUsableBinaries, type UsableBinaries } from './usable-binaries.ts';

/**
 * The slow half of `ensureEmbeddedServer`: whatever is missing of cluster, server and database is
 * made. The caller holds the lock, and `directory` exists and has its links resolved.
 */
export async function bringUpServer(options: EnsureServerOptions): Promise<EnsuredServer> {
  const { directory, signal, database = DEFAULT_DATABASE } = options;
  const existing = findHome(directory);
  const runAs = existing ? findDataOwner(dataDirectoryOf(existing)) : chooseRunAs(directory);
  const home = existing ?? chooseHome(directory, runAs);
  const dataDirectory = dataDirectoryOf(home);
  const alive = existing ? await findSettledPostmaster(dataDirectory, options) : undefined;
  if (alive) requirePort(options.port, alive.port);
  if (!existing) await initialise(options, home, runAs);
  const { pid, port } = alive ?? (await start(options, home, runAs));
  const connection = connectionTo(home, port, database);
  const { oid, serverVersion: version } = await ensureDatabase(connection, signal);
  const databases = { ...readState(directory)?.databases, [database]: oid };
  recordState(directory, { home, version, port, platform: process.platform, databases });
  return {
    connection,
    url: embeddedServerUrl(connection),
    started: !alive,
    initialised: !existing,
    dataDirectory,
    port,
    pid,
    version,
  };
}

async function initialise(
  { binariesDir, onProgress, signal }: EnsureServerOptions,
  home: string,
  runAs: RunAs | undefined,
): Promise<void> {
  const workDirectory = dirname(home);
  const binaries = await ensureUsableBinaries({ binariesDir, workDirectory, runAs, onProgress });
  onProgress?.(`initialising PostgreSQL ${binaries.major} in ${home} (about a second, once)`);
  await initialiseCluster(home, binaries, runAs, signal);
}

/** The server that runs already, once it is neither on its way up nor on its way down. */
async function findSettledPostmaster(
  dataDirectory: string,
  { onProgress, signal }: EnsureServerOptions,
): Promise<Postmaster | undefined> {
  const launch = {
    pid: undefined,
    get ended() {
      return findPostmaster(dataDirectory) ? undefined : {};
    },
  };
  return waitUntilReady({ dataDirectory, onProgress, signal }, launch);
}

async function start(
  { directory, binariesDir, settings = {}, port, onProgress, signal }: EnsureServerOptions,
  home: string,
  runAs: RunAs | undefined,
): Promise<Postmaster> {
  const workDirectory = dirname(home);
  const dataDirectory = dataDirectoryOf(home);
  const binaries = await ensureUsableBinaries({ binariesDir, workDirectory, runAs, onProgress });
  requireSameMajor(dataDirectory, binaries);
  const state = readState(directory);
  return startServer({
    directory,
    dataDirectory,
    binaries,
    runAs,
    settings: renderSettings(settings),
    lastPlatform: state?.platform,
    preferredPort: state?.port,
    pinnedPort: port,
    onProgress,
    signal,
  });
}

function renderSettings(settings: Record<string, string | number | boolean>) {
  const onOff = (value: boolean) => (value ? 'on' : 'off');
  return Object.fromEntries(
    Object.entries(settings).map(([name, value]) => [
      name,
      typeof value === 'boolean' ? onOff(value) : String(value),
    ]),
  );
}

function requireSameMajor(dataDirectory: string, { major, version }: UsableBinaries): void {
  const path = join(dataDirectory, 'PG_VERSION');
  let found: number;
  try {
    found = Number.parseInt(readFileSync(path, 'utf8'), 10);
  } catch (error) {
    throw fileError(error, 'read', path);
  }
  if (found === major) return;
  if (Number.isNaN(found)) {
    throw new EvdbError('EMBEDDED_START_FAILED', `${path} does not hold a version`, {
      hint: `The data folder is damaged and was not touched: restore it, or move ${dirname(dataDirectory)} away and run the command again.`,
      details: { dataDirectory },
    });
  }
  throw new EvdbError(
    'EMBEDDED_VERSION_MISMATCH',
    `the data in ${dataDirectory} belongs to PostgreSQL ${found}, and the embedded server is ${version}`,
    {
      hint: `Nothing was changed. To keep the data, dump it with the evdb that made it (PostgreSQL ${found}) and load it here; else move ${dirname(dataDirectory)} away and run the command again.`,
      details: { dataDirectory, dataMajor: found, serverVersion: version },
    },
  );
}
