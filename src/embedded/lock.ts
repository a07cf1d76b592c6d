import { constants } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { EvdbError } from '../errors.ts';

/** A lock that the kernel lets go when its holder dies, however it dies. */
interface ServerLock {
  release(): Promise<void>;
}

const POLL_MS = 20;
const DEADLINE_MS = 660_000;

/**
 * Runs `work` while no other process changes this project's embedded server.
 *
 * @param directory the `.evdb` folder with its links resolved
 * @param isSettled asked while waiting: what it returns ends the wait, because another process
 *   has done the work
 */
export async function withServerLock<T>(
  directory: string,
  work: () => Promise<T>,
  options: { signal?: AbortSignal | undefined; isSettled?: () => T | undefined } = {},
): Promise<T> {
  for (const deadline = Date.now() + DEADLINE_MS; ; ) {
    const lock = await tryServerLock(directory);
    if (lock) {
      try {
        return await work();
      } finally {
        await lock.release();
      }
    }
    if (Date.now() > deadline) throw lockedTooLong(directory);
    options.signal?.throwIfAborted();
    await delay(POLL_MS);
    const settled = options.isSettled?.();
    if (settled !== undefined) return settled;
  }
}

/**
 * Tries to take the one lock for changes to a project's embedded server; never waits.
 *
 * A lock file with a pid in it cannot be taken over safely from a killed holder (two waiters find
 * it stale, and the second removes the first one's), so the name is one that dies with the
 * process: an abstract socket on Linux, a named pipe on Windows, an exclusive open on macOS.
 *
 * @returns undefined when another process holds it
 */
async function tryServerLock(directory: string): Promise<ServerLock | undefined> {
  if (process.platform === 'darwin') return tryExclusiveFile(join(directory, 'lock'));
  const { createHash } = await import('node:crypto');
  const key = createHash('sha256').update(directory).digest('hex').slice(0, 32);
  const isWindows = process.platform === 'win32';
  return tryListen(isWindows ? `\\\\.\\pipe\\evdb-${key}` : `\0evdb-${key}`);
}

async function tryListen(path: string): Promise<ServerLock | undefined> {
  const { createServer } = await import('node:net');
  const server = createServer((socket) => socket.destroy());
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(undefined);
      else reject(lockError(error));
    });
    // exclusive: a worker of node:cluster would otherwise share its siblings' socket
    server.listen({ path, exclusive: true }, () => {
      resolve({ release: () => new Promise((done) => server.close(() => done())) });
    });
  });
}

async function tryExclusiveFile(path: string): Promise<ServerLock | undefined> {
  const O_EXLOCK = 0x20;
  const { open } = await import('node:fs/promises');
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_NONBLOCK | O_EXLOCK;
  try {
    const file = await open(path, flags, 0o600);
    return { release: () => file.close() };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return undefined;
    throw lockError(error);
  }
}

function lockError(cause: unknown): EvdbError {
  const { code } = cause as NodeJS.ErrnoException;
  return new EvdbError('EMBEDDED_START_FAILED', `cannot lock the embedded server (${code})`, {
    hint: 'Try again, or set EVDB_URL to a PostgreSQL server.',
    cause,
  });
}

function lockedTooLong(directory: string): EvdbError {
  return new EvdbError(
    'EMBEDDED_START_FAILED',
    `another process has been starting or stopping the server of ${directory} for 11 minutes`,
    { hint: 'Find that process and end it, then run the command again.' },
  );
}
