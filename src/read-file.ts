import { closeSync, constants, existsSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * A path inside this package, such as `migrations`. It is looked for upwards, because sources and
 * what is built of them lie at different depths.
 *
 * @param parts below the package's root
 */
export function packagePath(...parts: string[]): string {
  let folder = new URL('.', import.meta.url);
  // Nothing else beside it is called so: dist has a package.json of its own.
  while (!existsSync(new URL('templates', folder)) && folder.pathname.length > 1) {
    folder = new URL('..', folder);
  }
  return join(fileURLToPath(folder), ...parts);
}

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
