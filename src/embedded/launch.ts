import { createHash } from 'node:crypto';
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  statSync,
} from 'node:fs';
import { join } from 'node:path';
import { EvdbError } from '../errors.ts';
import type { UsableBinaries } from './binaries.ts';
import { fileError } from './disk.ts';
import { giveToFolderOwner, identity, type RunAs, runProgram } from './run-as.ts';

interface LaunchOptions {
  dataDirectory: string;
  port: number;
  binaries: UsableBinaries;
  runAs: RunAs | undefined;
  settings: Record<string, string>;
  /** Whether to listen on a socket in the data folder too; some file systems cannot hold one. */
  hasSocket: boolean;
  log: ServerLog;
}

/** A server on its way up. */
export interface Launch {
  /** Undefined where somebody else is its parent. */
  pid: number | undefined;
  /** How it ended, once it has. */
  readonly ended: Record<string, unknown> | undefined;
}

/** As Linux prints it in fdinfo. */
const O_CLOEXEC = 0o2000000;

/** Starts the server and returns at once. */
export async function launchServer(options: LaunchOptions): Promise<Launch> {
  return process.platform === 'win32' ? launchWithPgCtl(options) : launchDirectly(options);
}

/**
 * The server is our own child rather than pg_ctl's, so that its end is seen at once. It leads a
 * session of its own (Ctrl-C goes to the terminal's session) and holds nothing of ours but the
 * log (a parent that waits for our output to close must not wait for the server).
 */
async function launchDirectly(options: LaunchOptions): Promise<Launch> {
  const { spawn } = await import('node:child_process');
  const { binaries, log, runAs } = options;
  const child = spawn(binaries.postgres, serverArguments(options), {
    env: binaries.env,
    cwd: '/',
    detached: true,
    stdio: ['ignore', log.descriptor, log.descriptor, ...maskInherited(log.descriptor)],
    ...identity(runAs),
  });
  child.unref();
  let ended: Record<string, unknown> | undefined;
  child.once('error', (error: NodeJS.ErrnoException) => {
    ended = { errno: error.code };
  });
  child.once('exit', (exitCode, signal) => {
    ended = { exitCode, signal };
  });
  return {
    pid: child.pid,
    get ended() {
      return ended;
    },
  };
}

/**
 * Puts the log in the place of every descriptor that this process got from its own parent and
 * would pass on: Node closes the first few alone, and a pipe among the others would keep whoever
 * reads from it waiting for as long as the server runs.
 */
function maskInherited(descriptor: number): ('ignore' | number)[] {
  const masks: ('ignore' | number)[] = [];
  for (const name of existsSync('/dev/fd') ? readdirSync('/dev/fd') : []) {
    const fd = Number(name);
    if (fd < 3 || isClosedOnExec(fd)) continue;
    while (masks.length < fd - 3) masks.push('ignore');
    masks[fd - 3] = descriptor;
  }
  return masks;
}

function isClosedOnExec(fd: number): boolean {
  try {
    const flags = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1];
    return (Number.parseInt(flags ?? '0', 8) & O_CLOEXEC) !== 0;
  } catch {
    // closed meanwhile, or a system without /proc, where masking one more does no harm
    return process.platform === 'linux';
  }
}

/** On Windows only pg_ctl knows how to give up an administrator's rights, which the server refuses. */
async function launchWithPgCtl(options: LaunchOptions): Promise<Launch> {
  const { binaries, dataDirectory, log } = options;
  const [, , ...rest] = serverArguments(options);
  const serverOptions = rest.map((word) => `"${word}"`).join(' ');
  const args = ['start', '--wait', '-D', dataDirectory, '-l', log.path, '-o', serverOptions];
  const { exitCode, errno } = await runProgram(binaries.pgCtl, args, {
    env: binaries.env,
    runAs: undefined,
    isSilent: true,
  });
  return { pid: undefined, ended: exitCode === 0 ? undefined : { exitCode, errno } };
}

function serverArguments(options: LaunchOptions): string[] {
  const { dataDirectory, hasSocket, port, settings } = options;
  // the server stands in its data folder: "." keeps the path of the socket short
  const all = { unix_socket_directories: hasSocket ? '.' : '', ...settings };
  const flags = Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  return ['-D', dataDirectory, '-p', String(port), ...flags];
}

const LOOPBACK = '127.0.0.1';

// below the range from which systems give ports to outgoing connections
const FIRST_PORT = 20000;
const PORT_COUNT = 10000;
const ATTEMPTS = 100;

interface ChoosePortOptions {
  /** The folder the server belongs to: the same folder tends to get the same port. */
  directory: string;
  /** The port of the last start, if any. */
  preferred: number | undefined;
  /** A port that must be had. */
  pinned: number | undefined;
}

/**
 * Finds a free loopback port.
 *
 * @throws {EvdbError} PORT_TAKEN when the pinned port, or every port tried, cannot be had
 */
export async function choosePort(options: ChoosePortOptions): Promise<number> {
  const { pinned, preferred, directory } = options;
  if (pinned !== undefined) {
    const errno = await findPortError(pinned);
    if (errno === undefined) return pinned;
    throw portTaken(`port ${pinned} on ${LOOPBACK} cannot be used (${errno})`, { port: pinned });
  }
  if (preferred && (await isPortFree(preferred))) return preferred;
  const start = createHash('sha256').update(directory).digest().readUInt32BE(0) % PORT_COUNT;
  for (let step = 0; step < ATTEMPTS; step += 1) {
    const port = FIRST_PORT + ((start + step) % PORT_COUNT);
    if (await isPortFree(port)) return port;
  }
  const first = FIRST_PORT + start;
  throw portTaken(`${ATTEMPTS} ports on ${LOOPBACK}, from ${first} on, are all in use`, { first });
}

export async function isPortFree(port: number): Promise<boolean> {
  return (await findPortError(port)) === undefined;
}

/** Why one cannot listen on a loopback port, such as EADDRINUSE; undefined when one can. */
async function findPortError(port: number): Promise<string | undefined> {
  const { createServer } = await import('node:net');
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code ?? 'UNKNOWN'));
    server.listen({ host: LOOPBACK, port, exclusive: true }, () => {
      server.close(() => resolve(undefined));
    });
  });
}

function portTaken(message: string, details: Record<string, unknown>): EvdbError {
  return new EvdbError('PORT_TAKEN', message, {
    hint: 'Stop the program that listens there, or let evdb choose the port.',
    details,
  });
}

const ROTATE_BYTES = 5 * 1024 * 1024;

export function logPathOf(directory: string): string {
  return join(directory, 'server.log');
}

/** An open log file, and its length before the server wrote to it. */
export interface ServerLog {
  path: string;
  descriptor: number;
  startOffset: number;
}

/** Opens the log for the server to append to; a large one is set aside as `server.log.1`. */
export function openServerLog(directory: string): ServerLog {
  const path = logPathOf(directory);
  try {
    if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) > ROTATE_BYTES) {
      renameSync(path, `${path}.1`);
    }
    const { O_APPEND, O_CREAT, O_RDWR, O_NOFOLLOW = 0 } = constants;
    const descriptor = openSync(path, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW, 0o600);
    giveToFolderOwner(path, directory);
    return { path, descriptor, startOffset: fstatSync(descriptor).size };
  } catch (error) {
    throw fileError(error, 'write the server log', path);
  }
}

/** What the server has said since the log was opened, at most its last 8 kB. */
export function readServerLog({ descriptor, startOffset }: ServerLog): string {
  const size = fstatSync(descriptor).size - startOffset;
  const length = Math.min(size, 8192);
  const buffer = Buffer.alloc(Math.max(length, 0));
  readSync(descriptor, buffer, 0, buffer.length, startOffset + size - length);
  return buffer.toString('utf8').trim();
}

export function closeServerLog({ descriptor }: ServerLog): void {
  closeSync(descriptor);
}
