import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { EvdbError } from '../../errors.ts';
import { commandLine } from '../../text/command-line.ts';
import { isPidInUse, type Postmaster, pidFilePath, readPidFile } from './postmaster.ts';

const SOCKET_PREFIX = '.s.PGSQL.';

/**
 * Clears away what a server that crashed left in its data folder and what would keep the next one
 * from starting. Only under the lock, and after `findPostmaster` found nothing.
 *
 * @param lastPlatform where the server ran last, as `process.platform` says it
 * @throws {EvdbError} EMBEDDED_START_FAILED when the server lives after all, out of our sight
 */
export async function clearLeftovers(
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
