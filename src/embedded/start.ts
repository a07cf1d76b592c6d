import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { EvdbError } from '../errors.ts';
import { commandLine } from '../text/command-line.ts';
import type { UsableBinaries } from './binaries.ts';
import { diskFull, findDiskError, SQLSTATE_DISK_FULL } from './disk.ts';
import {
  choosePort,
  closeServerLog,
  isPortFree,
  type Launch,
  launchServer,
  openServerLog,
  readServerLog,
  type ServerLog,
} from './launch.ts';
import type { RunAs } from './run-as.ts';
import {
  findPostmaster,
  isPidInUse,
  type Postmaster,
  pidFilePath,
  readPidFile,
} from './running.ts';

interface StartOptions {
  /** The `.evdb` folder, with its links resolved. */
  directory: string;
  dataDirectory: string;
  binaries: UsableBinaries;
  runAs: RunAs | undefined;
  /** Server settings for this start, such as `{ fsync: 'off' }`. */
  settings: Record<string, string>;
  lastPlatform: string | undefined;
  preferredPort: number | undefined;
  pinnedPort: number | undefined;
  onProgress: ((message: string) => void) | undefined;
  signal: AbortSignal | undefined;
}

const POLL_MS = 5;
const REPORT_EVERY_MS = 5_000;
const START_DEADLINE_MS = 600_000;
const ATTEMPTS = 25;
const ORPHANS_WAIT_MS = 200;

// the server's log lines carry it behind the pid, see log_line_prefix
const SQLSTATE_LOCK_FILE_EXISTS = 'F0001';

/**
 * Starts the server on a free port and waits until it accepts connections. The caller holds the
 * lock and knows that none runs on this data folder. What may pass is tried again: orphans of a
 * crash that are about to end, a port that somebody took between the look and the start, a file
 * system without sockets.
 *
 * @throws {EvdbError} PORT_TAKEN, DISK_FULL, DISK_READ_ONLY, EMBEDDED_START_FAILED
 */
export async function startServer(options: StartOptions): Promise<Postmaster> {
  const { dataDirectory, directory, pinnedPort, preferredPort } = options;
  await clearLeftovers(dataDirectory, options.lastPlatform);
  let hasSocket = process.platform !== 'win32';
  for (let attempt = 1; ; attempt += 1) {
    const port = await choosePort({ directory, preferred: preferredPort, pinned: pinnedPort });
    const log = openServerLog(directory);
    try {
      const launch = await launchServer({ ...options, port, hasSocket, log });
      const ready = await waitUntilReady(options, launch);
      if (ready) return ready;
      if (attempt === ATTEMPTS) throw await explainEnd(dataDirectory, launch, log);
      if (hasSqlState(readServerLog(log), SQLSTATE_LOCK_FILE_EXISTS)) await delay(ORPHANS_WAIT_MS);
      else if (!(await isPortFree(port))) continue;
      else if (hasSocket) hasSocket = false;
      else throw await explainEnd(dataDirectory, launch, log);
    } finally {
      closeServerLog(log);
    }
  }
}

/**
 * Waits until the server of a data folder accepts connections; a long recovery is reported.
 *
 * @returns undefined when it ended instead
 */
export async function waitUntilReady(
  options: Pick<StartOptions, 'dataDirectory' | 'onProgress' | 'signal'>,
  launch: Pick<Launch, 'ended' | 'pid'>,
): Promise<Postmaster | undefined> {
  const { dataDirectory, onProgress, signal } = options;
  const startedAt = Date.now();
  let reportedAt = startedAt;
  while (launch.ended === undefined) {
    const found = findPostmaster(dataDirectory);
    if (found?.status === 'ready' && found.pid === (launch.pid ?? found.pid)) return found;
    signal?.throwIfAborted();
    const now = Date.now();
    if (now - startedAt > START_DEADLINE_MS) throw stillStarting(dataDirectory);
    if (now - reportedAt > REPORT_EVERY_MS) {
      reportedAt = now;
      onProgress?.('PostgreSQL is still starting or stopping; after a crash it first recovers');
    }
    await delay(POLL_MS);
  }
  return undefined;
}

function stillStarting(dataDirectory: string): EvdbError {
  return new EvdbError('SERVER_STARTING', 'the embedded server is not ready after 10 minutes', {
    hint: 'It continues by itself: read server.log in the .evdb folder, and try again later.',
    details: { dataDirectory },
  });
}

function hasSqlState(output: string, sqlState: string): boolean {
  return output.split('\n').some((line) => line.includes(`] ${sqlState} `));
}

async function explainEnd(
  dataDirectory: string,
  { ended }: Launch,
  log: ServerLog,
): Promise<EvdbError> {
  const output = readServerLog(log);
  const details = { ...ended, dataDirectory, log: log.path, output };
  const diskError = await findDiskError(dataDirectory);
  if (diskError) return diskError;
  if (hasSqlState(output, SQLSTATE_DISK_FULL)) {
    return diskFull(`the disk of ${dataDirectory} is full`, { details });
  }
  if (hasSqlState(output, SQLSTATE_LOCK_FILE_EXISTS)) {
    return new EvdbError(
      'EMBEDDED_START_FAILED',
      `sessions of a server that crashed still work on ${dataDirectory}`,
      { hint: 'Wait for them to end, or end them, and run the command again.', details },
    );
  }
  const lastLine = output.split('\n').at(-1);
  return new EvdbError(
    'EMBEDDED_START_FAILED',
    `the embedded server ended at its start${lastLine ? `: ${lastLine}` : ''}`,
    { hint: `Read the end of ${log.path}; the data is untouched.`, details },
  );
}

const SOCKET_PREFIX = '.s.PGSQL.';

/**
 * Clears away what a server that crashed left in its data folder and what would keep the next one
 * from starting. Only under the lock, and after `findPostmaster` found nothing.
 *
 * @param lastPlatform where the server ran last, as `process.platform` says it
 * @throws {EvdbError} EMBEDDED_START_FAILED when the server lives after all, out of our sight
 */
async function clearLeftovers(
  dataDirectory: string,
  lastPlatform: string | undefined,
): Promise<void> {
  const stale = readPidFile(dataDirectory);
  if (!stale) return;
  const isElsewhere = lastPlatform !== undefined && lastPlatform !== process.platform;
  if (isElsewhere || (await answersOnSocket(dataDirectory, stale))) {
    throw runsElsewhere(dataDirectory, stale, lastPlatform);
  }
  for (const name of readdirSync(dataDirectory)) {
    if (name.startsWith(SOCKET_PREFIX)) rmSync(join(dataDirectory, name), { force: true });
  }
  if (isPidInUse(stale.pid)) disownPidFile(dataDirectory);
}

/**
 * Makes the server look past a pid file whose pid now belongs to another program: it refuses to
 * start while that program lives, except where the pid is its parent's, and that will be ours.
 * The rest of the file stays, because it names the shared memory by which the server notices
 * orphans that still work on the data.
 */
function disownPidFile(dataDirectory: string): void {
  const path = pidFilePath(dataDirectory);
  const [, ...rest] = readFileSync(path, 'latin1').split('\n');
  writeFileSync(path, [process.pid, ...rest].join('\n'), 'latin1');
}

/**
 * A container and its host see the same files and not each other's processes, but a socket in the
 * data folder reaches from one to the other. Two servers on one folder would destroy it.
 */
async function answersOnSocket(dataDirectory: string, { port }: Postmaster): Promise<boolean> {
  if (process.platform === 'win32') return false;
  const { open } = await import('node:fs/promises');
  const { connect } = await import('node:net');
  // through the open folder, because the path of a socket may only have about 100 bytes
  const folder = process.platform === 'linux' ? await open(dataDirectory) : undefined;
  const path = join(folder ? `/proc/self/fd/${folder.fd}` : dataDirectory, SOCKET_PREFIX + port);
  try {
    return await new Promise((resolve) => {
      const socket = connect({ path });
      socket.once('connect', () => {
        socket.destroy();
        resolve(true);
      });
      socket.once('error', () => resolve(false));
    });
  } finally {
    await folder?.close();
  }
}

function runsElsewhere(
  dataDirectory: string,
  { pid }: Postmaster,
  lastPlatform: string | undefined,
): EvdbError {
  return new EvdbError(
    'EMBEDDED_START_FAILED',
    `the data in ${dataDirectory} is in use by a server that cannot be seen from here (pid ${pid} of another container, or of its host)`,
    {
      hint: `Stop it where it runs with \`${commandLine('server stop')}\`. Where that is gone for good, remove ${pidFilePath(dataDirectory)}.`,
      details: { dataDirectory, pid, lastPlatform },
    },
  );
}
