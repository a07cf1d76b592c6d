// Loaded by every command that uses the embedded server: keep the imports few.

import { existsSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { uptime } from 'node:os';
import { join, resolve } from 'node:path';
import type { ConnectionOptions } from '../connection/options.ts';
import { EvdbError } from '../errors.ts';
import { commandLine } from '../text/command-line.ts';
import { fileError } from './disk.ts';

interface RunningServer {
  pid: number;
  port: number;
  dataDirectory: string;
  /** Such as `18.4`. */
  version: string;
  connection: EmbeddedConnectionOptions;
}

export const EMBEDDED_USER = 'postgres';
export const DEFAULT_DATABASE = 'evdb';

/**
 * The server of a folder if it accepts connections and has the database, else undefined. Reads a
 * few small files and asks nobody, so it takes less than a millisecond.
 */
export function findRunningServer(
  folder: string,
  database = DEFAULT_DATABASE,
): RunningServer | undefined {
  if (!existsSync(folder)) return undefined;
  const state = readState(realpathSync(folder));
  if (!state) return undefined;
  const dataDirectory = dataDirectoryOf(state.home);
  const postmaster = findPostmaster(dataDirectory);
  if (postmaster?.status !== 'ready') return undefined;
  const oid = state.databases[database];
  if (oid === undefined || !existsSync(join(dataDirectory, 'base', String(oid)))) return undefined;
  return {
    pid: postmaster.pid,
    port: postmaster.port,
    dataDirectory,
    version: state.version,
    connection: connectionTo(state.home, postmaster.port, database),
  };
}

/** Its password is known: it stands in a file beside the data. */
export type EmbeddedConnectionOptions = ConnectionOptions & { password?: string | undefined };

/** @throws {EvdbError} PERMISSION_DENIED when the password belongs to another user */
export function connectionTo(
  home: string,
  port: number,
  database: string,
): EmbeddedConnectionOptions {
  return {
    hosts: [{ host: '127.0.0.1', port }],
    database,
    user: EMBEDDED_USER,
    password: readPassword(passwordPathOf(home)),
    sslMode: 'disable',
    applicationName: 'evdb',
    connectTimeoutMs: 10_000,
  };
}

function readPassword(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    throw fileError(error, 'read', path);
  }
}

/** A server that others may be using is not moved to another port. */
export function requirePort(wanted: number | undefined, port: number): void {
  if (wanted === undefined || wanted === port) return;
  throw new EvdbError('USAGE', `the embedded server already runs, on port ${port}`, {
    hint: `Stop it first with \`${commandLine('server stop')}\`, or leave the port out.`,
    details: { port, wanted },
  });
}

/** What the server writes into `postmaster.pid`. */
export interface Postmaster {
  pid: number;
  startedAtSeconds: number;
  port: number;
  status: 'starting' | 'ready' | 'stopping' | 'standby' | 'unknown';
}

const CLOCK_SLACK_SECONDS = 5;

export function pidFilePath(dataDirectory: string): string {
  return join(dataDirectory, 'postmaster.pid');
}

/**
 * The server that runs on a data folder, or undefined. A pid alone proves nothing: after a crash
 * or a reboot another program may have it.
 *
 * @throws {EvdbError} PERMISSION_DENIED when the data folder is another user's
 */
export function findPostmaster(dataDirectory: string): Postmaster | undefined {
  const found = readPidFile(dataDirectory);
  return found && isPostmasterOf(found, dataDirectory) ? found : undefined;
}

/** Reads `postmaster.pid`; undefined when there is none or nothing is in it yet. */
export function readPidFile(dataDirectory: string): Postmaster | undefined {
  const path = pidFilePath(dataDirectory);
  let lines: string[];
  try {
    lines = readFileSync(path, 'latin1').split('\n');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw fileError(error, 'read', path);
  }
  const pid = Number(lines[0]);
  if (!Number.isInteger(pid) || pid <= 0) return undefined;
  return {
    pid,
    startedAtSeconds: Number(lines[2] ?? 0),
    port: Number(lines[3] ?? 0),
    status: parseStatus(lines[7]),
  };
}

function parseStatus(line: string | undefined): Postmaster['status'] {
  const word = line?.trim();
  return word === 'starting' || word === 'ready' || word === 'stopping' || word === 'standby'
    ? word
    : 'unknown';
}

/** Whether some process, whichever, has the pid. */
export function isPidInUse(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Whether a process is proven to be the server of a data folder, which may be gone meanwhile. */
export function isServerProcess(pid: number, dataDirectory: string): boolean {
  return isPidInUse(pid) && (askProc(pid, dataDirectory) ?? askPs(pid, dataDirectory)) === true;
}

function isPostmasterOf({ pid, startedAtSeconds }: Postmaster, dataDirectory: string): boolean {
  if (!isPidInUse(pid)) return false;
  const proven = askProc(pid, dataDirectory) ?? askPs(pid, dataDirectory);
  if (proven !== undefined) return proven;
  // nobody to ask: at least it must have been started since this machine was
  return startedAtSeconds > Date.now() / 1000 - uptime() - CLOCK_SLACK_SECONDS;
}

/** Linux: a server stands in its data folder. Undefined where there is no /proc. */
function askProc(pid: number, dataDirectory: string): boolean | undefined {
  if (process.platform !== 'linux') return undefined;
  try {
    if (readFileSync(`/proc/${pid}/comm`, 'utf8').trim() !== 'postgres') return false;
  } catch {
    return existsSync('/proc/self') ? false : undefined;
  }
  return standsIn(pid, dataDirectory) ?? hasArgument(pid, dataDirectory);
}

function standsIn(pid: number, dataDirectory: string): boolean | undefined {
  try {
    const place = statSync(`/proc/${pid}/cwd`);
    const data = statSync(dataDirectory);
    return place.ino === data.ino && place.dev === data.dev;
  } catch {
    // gone, or another user's: root in a container may not look (it lacks CAP_SYS_PTRACE)
    return undefined;
  }
}

function hasArgument(pid: number, dataDirectory: string): boolean {
  try {
    const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    return words[words.indexOf('-D') + 1] === dataDirectory;
  } catch {
    return false;
  }
}

/** macOS and other systems without /proc. Undefined on Windows, or when `ps` does not run. */
function askPs(pid: number, dataDirectory: string): boolean | undefined {
  if (process.platform === 'win32') return undefined;
  const { spawnSync } = process.getBuiltinModule('node:child_process');
  const found = spawnSync('ps', ['-ww', '-o', 'command=', '-p', String(pid)], { encoding: 'utf8' });
  return found.error ? undefined : found.stdout.includes(` -D ${dataDirectory} `);
}

/**
 * What `.evdb/server.json` remembers. Nothing in it is the truth about a running server (that is
 * `postmaster.pid`); it says where the cluster lies and spares the next command a few questions.
 */
export interface ServerState {
  /** Absolute folder that holds `data/` and `password`. */
  home: string;
  /** Full version of the server that ran last, such as `18.4`. */
  version: string;
  /** The port of the last start; tried first at the next one, so the URL stays the same. */
  port: number;
  /** `process.platform` of the last start. */
  platform: string;
  /** Object ids of the databases known to exist: `data/base/<oid>` proves it without a query. */
  databases: Record<string, number>;
}

export const FORMAT_VERSION = 1;

/** The folder of one cluster, its home, holds `data/` beside the `password` of its superuser. */
export function dataDirectoryOf(home: string): string {
  return join(home, 'data');
}

export function passwordPathOf(home: string): string {
  return join(home, 'password');
}

export function statePath(directory: string): string {
  return join(directory, 'server.json');
}

/** Reads the state; a missing or damaged file is the same as none, because it is only a memory. */
export function readState(directory: string): ServerState | undefined {
  let found: unknown;
  try {
    found = JSON.parse(readFileSync(statePath(directory), 'utf8'));
  } catch {
    return undefined;
  }
  if (!isStateFile(found)) return undefined;
  const { home, version, port, platform, databases } = found;
  return { home: resolve(directory, home), version, port, platform, databases };
}

function isStateFile(value: unknown): value is ServerState {
  if (typeof value !== 'object' || value === null) return false;
  const { formatVersion, home, version, port, platform, databases } = value as Record<
    string,
    unknown
  >;
  return (
    formatVersion === FORMAT_VERSION &&
    typeof home === 'string' &&
    typeof version === 'string' &&
    typeof port === 'number' &&
    typeof platform === 'string' &&
    typeof databases === 'object' &&
    databases !== null
  );
}

/** The URL of a connection, with its password: for programs and psql, never for a log. */
export function embeddedServerUrl(connection: EmbeddedConnectionOptions): string {
  const { hosts, user, password = '', database } = connection;
  const [address] = hosts;
  const login = `${encodeURIComponent(user)}:${encodeURIComponent(password)}`;
  return `postgresql://${login}@${address?.host}:${address?.port}/${encodeURIComponent(database)}?sslmode=disable`;
}
