import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';

/**
 * Opens a file for reading where it is a regular one, or a link to one. A pipe or a device may never
 * end, and waiting for who writes into it would be no better.
 *
 * @throws the system's error; one with the code ENOTFILE for a pipe, a device or a socket
 */
export function openPlainFile(path: string): number {
  // Without this flag opening a pipe waits for who writes into it; Windows has none.
  const file = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  const stats = fstatSync(file);
  if (stats.isFile()) return file;
  closeSync(file);
  const [code, what] = stats.isDirectory()
    ? ['EISDIR', 'a folder']
    : ['ENOTFILE', 'no regular file'];
  throw Object.assign(new Error(`${path} is ${what}`), { code, path });
}

/**
 * Reads a whole file.
 *
 * @throws as `openPlainFile`
 */
export function readPlainFile(path: string): Buffer {
  const file = openPlainFile(path);
  try {
    return readFileSync(file);
  } finally {
    closeSync(file);
  }
}

/** What to say of a file that could not be read; no text of it. */
export function whyUnreadable(cause: unknown): string {
  const { code } = cause as NodeJS.ErrnoException;
  if (code === 'EISDIR') return 'is a folder';
  return code === 'ENOTFILE' ? 'is no regular file' : 'cannot be read';
}
