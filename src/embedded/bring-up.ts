import { randomBytes } from 'node:crypto';
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, isAbsolute, join, relative } from 'node:path';
import type { ConnectionOptions } from '../connection/options.ts';
import type { Session } from '../connection/session.ts';
import { EvdbError } from '../errors.ts';
import { quoteIdent, quoteLiteral } from '../sql/quote.ts';
import { ensureUsableBinaries, type UsableBinaries } from './binaries.ts';
import { diskFull, fileError, SQLSTATE_DISK_FULL } from './disk.ts';
import { chooseHome, findHome, initialiseCluster } from './home.ts';
import { registerServer } from './registry.ts';
import { chooseRunAs, findDataOwner, giveToFolderOwner, type RunAs } from './run-as.ts';
import {
  connectionTo,
  DEFAULT_DATABASE,
  dataDirectoryOf,
  embeddedServerUrl,
  FORMAT_VERSION,
  findPostmaster,
  type Postmaster,
  readState,
  requirePort,
  type ServerState,
  statePath,
} from './running.ts';
import type { EnsuredEmbeddedServer, EnsureEmbeddedServerOptions } from './server.ts';
import { startServer, waitUntilReady } from './start.ts';

/**
 * The slow half of `ensureEmbeddedServer`: whatever is missing of cluster, server and database is
 * made. The caller holds the lock, and `directory` exists and has its links resolved.
 */
export async function bringUpServer(
  options: EnsureEmbeddedServerOptions,
): Promise<EnsuredEmbeddedServer> {
  const { directory, signal, database = DEFAULT_DATABASE } = options;
  const existing = findHome(directory);
  const runAs = existing ? findDataOwner(dataDirectoryOf(existing)) : chooseRunAs(directory);
  const home = existing ?? chooseHome(directory, runAs);
  const dataDirectory = dataDirectoryOf(home);
  const alive = existing ? await findSettledPostmaster(dataDirectory, options) : undefined;
  if (alive) requirePort(options.port, alive.port);
  if (!existing) await initialise(options, home, runAs);
  const postmaster = alive ?? (await start(options, home, runAs));
  const { pid, port } = postmaster;
  const connection = connectionTo(home, port, database);
  const { oid, serverVersion: version } = await ensureDatabase(connection, signal);
  const databases = { ...readState(directory)?.databases, [database]: oid };
  recordState(directory, { home, version, port, platform: process.platform, databases });
  registerServer({ directory, home, version }, postmaster);
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
  { binariesDir, onProgress, signal }: EnsureEmbeddedServerOptions,
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
  { onProgress, signal }: EnsureEmbeddedServerOptions,
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
  { directory, binariesDir, settings = {}, port, onProgress, signal }: EnsureEmbeddedServerOptions,
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

/**
 * Writes the state in one step: a reader sees the old file or the new one, never half of it.
 *
 * @throws {EvdbError} DISK_FULL, DISK_READ_ONLY, PERMISSION_DENIED
 */
function recordState(directory: string, state: ServerState): void {
  const inside = relative(directory, state.home);
  const isInside = inside !== '' && !inside.startsWith('..') && !isAbsolute(inside);
  // relative where possible, so that a project that is moved keeps its data
  const file = { formatVersion: FORMAT_VERSION, ...state, home: isInside ? inside : state.home };
  const temporary = `${statePath(directory)}.${randomBytes(6).toString('hex')}`;
  try {
    writeFileSync(temporary, `${JSON.stringify(file, null, 2)}\n`, { flag: 'wx', mode: 0o644 });
    giveToFolderOwner(temporary, directory);
    renameSync(temporary, statePath(directory));
  } catch (error) {
    rmSync(temporary, { force: true });
    throw fileError(error, 'write', statePath(directory));
  }
}

const MAX_NAME_BYTES = 63;
const SQLSTATE_DUPLICATE_DATABASE = '42P04';
const SQLSTATE_UNIQUE_VIOLATION = '23505';

interface EnsuredDatabase {
  /** Names the folder of the database in the data folder. */
  oid: number;
  /** Such as `18.4`. */
  serverVersion: string;
}

/**
 * Creates the database of a connection where it is missing.
 *
 * @throws {EvdbError} CONFIG_INVALID for an impossible name, DISK_FULL, EMBEDDED_START_FAILED
 */
async function ensureDatabase(
  connection: ConnectionOptions,
  signal: AbortSignal | undefined,
): Promise<EnsuredDatabase> {
  requireName(connection.database);
  const { openSession } = await import('../connection/session.ts');
  const session = await openSession({ ...connection, database: 'postgres' }, { signal });
  try {
    const find = `select oid::int8::text as "oid" from pg_catalog.pg_database
      where datname = ${quoteLiteral(connection.database)}`;
    let [found] = await session.run(find);
    if (!found) {
      await createUnlessPresent(session, connection.database);
      [found] = await session.run(find);
    }
    const { serverVersion } = session.facts;
    return {
      oid: Number(found?.oid),
      serverVersion: `${Math.floor(serverVersion / 10_000)}.${serverVersion % 10_000}`,
    };
  } catch (error) {
    throw createError(error, connection.database);
  } finally {
    await session.close();
  }
}

/** A caller that was killed meanwhile leaves a session that is still creating the same database. */
async function createUnlessPresent(session: Session, database: string): Promise<void> {
  try {
    await session.run(`create database ${quoteIdent(database)}`);
  } catch (error) {
    const { code } = error as { code?: string };
    if (code !== SQLSTATE_DUPLICATE_DATABASE && code !== SQLSTATE_UNIQUE_VIOLATION) throw error;
  }
}

function requireName(name: string): void {
  const length = Buffer.byteLength(name);
  if (length > 0 && length <= MAX_NAME_BYTES && !name.includes('\0')) return;
  throw new EvdbError('CONFIG_INVALID', `"${name.slice(0, 80)}" cannot be the name of a database`, {
    hint: `PostgreSQL takes names of 1 to ${MAX_NAME_BYTES} bytes.`,
  });
}

function createError(cause: unknown, database: string): EvdbError {
  if (cause instanceof EvdbError) return cause;
  const { code, message } = cause as { code?: string; message?: string };
  const details = { database, sqlState: code };
  if (code === SQLSTATE_DISK_FULL) {
    return diskFull(`cannot create the database "${database}": the disk is full`, {
      cause,
      details,
    });
  }
  return new EvdbError(
    'EMBEDDED_START_FAILED',
    `cannot create the database "${database}": ${message}`,
    { hint: 'Read server.log in the .evdb folder, and try again.', cause, details },
  );
}
