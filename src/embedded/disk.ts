import { EvdbError } from '../errors.ts';

/** One file of the write-ahead log: what a server needs at least to do anything. */
const PROBE_BYTES = 16 * 1024 * 1024;

/**
 * Turns the errno of a failed file operation into an error with a hint.
 *
 * @param action what was tried, as it reads after "cannot": `create`, `write`
 */
export function fileError(cause: unknown, action: string, path: string): EvdbError {
  if (cause instanceof EvdbError) return cause;
  const { code = 'UNKNOWN' } = cause as NodeJS.ErrnoException;
  const options = { cause, details: { path, errno: code } };
  switch (code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return diskFull(`cannot ${action} ${path}: the disk is full`, options);
    case 'EROFS':
      return new EvdbError('DISK_READ_ONLY', `cannot ${action} ${path}: the disk is read-only`, {
        hint: 'The embedded server needs a folder it can write to: use another one, or set EVDB_URL to a server elsewhere.',
        ...options,
      });
    case 'EACCES':
    case 'EPERM':
      return new EvdbError('PERMISSION_DENIED', `cannot ${action} ${path}: permission denied`, {
        hint: 'Run evdb as the user who owns that folder, or set EVDB_URL to a server elsewhere.',
        ...options,
      });
    default:
      return new EvdbError('EMBEDDED_START_FAILED', `cannot ${action} ${path} (${code})`, {
        hint: 'Look at that path, or set EVDB_URL to a server elsewhere.',
        ...options,
      });
  }
}

export const SQLSTATE_DISK_FULL = '53100';

export function diskFull(
  message: string,
  options: { cause?: unknown; details: Record<string, unknown> },
): EvdbError {
  return new EvdbError('DISK_FULL', message, {
    hint: 'Free some space on that disk and run the command again; existing data is untouched.',
    ...options,
  });
}

/**
 * Finds out whether a program failed for want of disk. Its own words are for people, so the disk
 * is asked: how much it has left, and whether a file can be written (and removed again).
 *
 * @returns DISK_FULL or DISK_READ_ONLY, or undefined when the disk is not to blame
 */
export async function findDiskError(folder: string): Promise<EvdbError | undefined> {
  const { rm, statfs, writeFile } = await import('node:fs/promises');
  const probe = `${folder}/.evdb-probe-${process.pid}`;
  try {
    await writeFile(probe, Buffer.alloc(PROBE_BYTES), { flag: 'wx', mode: 0o600 });
    await rm(probe, { force: true });
    // root may write where an ordinary user no longer can
    const { bavail, bsize } = await statfs(folder);
    const freeBytes = bavail * bsize;
    if (freeBytes >= PROBE_BYTES) return undefined;
    return diskFull(`the disk of ${folder} is full`, { details: { path: folder, freeBytes } });
  } catch (error) {
    await rm(probe, { force: true }).catch(() => undefined);
    const found = fileError(error, 'write to', folder);
    return found.code === 'DISK_FULL' || found.code === 'DISK_READ_ONLY' ? found : undefined;
  }
}
