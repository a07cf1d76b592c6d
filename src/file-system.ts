import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  existsSync,
  fchmodSync,
  fstatSync,
  fsyncSync,
  linkSync,
  lstatSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
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
 * The version of evdb, from its own package.json.
 *
 * @example
 * console.log(`migrated with evdb ${readToolVersion()}`);
 */
export function readToolVersion(): string {
  return (JSON.parse(readFileSync(packagePath('package.json'), 'utf8')) as { version: string })
    .version;
}

/**
 * Opens a file for reading where it is a regular one, or a link to one. A pipe or a device may never
 * end, and waiting for who writes into it would be no better.
 *
 * @throws the system's error; one with the code ENOTFILE for a pipe, a device or a socket
 */
export function openPlainFile(path: string): number {
  const file = openWithoutWaiting(path);
  const stats = fstatSync(file);
  if (stats.isFile()) return file;
  closeSync(file);
  const [code, what] = stats.isDirectory()
    ? ['EISDIR', 'a folder']
    : ['ENOTFILE', 'no regular file'];
  throw Object.assign(new Error(`${path} is ${what}`), { code, path });
}

// Without the second flag opening a pipe waits for who writes into it; Windows has none.
const READ_WITHOUT_WAITING = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);

/** Opens whatever stands there for reading. */
export function openWithoutWaiting(path: string): number {
  return openSync(path, READ_WITHOUT_WAITING);
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
  return code === 'ENOTFILE' ? 'is not a regular file' : 'cannot be read';
}

export interface WriteOptions {
  /** Fails with EEXIST where the file is there already; default false: it is replaced. */
  isNew?: boolean;
}

/**
 * Writes a file whole or not at all: beside, then in its place. A disk that fills up, or a process
 * that is killed, leaves what was there before. What is no plain file, such as a pipe, is written to
 * as it is.
 *
 * @throws {NodeJS.ErrnoException} what the system says; nothing is left of the attempt then
 * @example writeFileWhole('structure.sql', text)
 */
export function writeFileWhole(
  path: string,
  content: string | Uint8Array,
  { isNew = false }: WriteOptions = {},
): void {
  const target = isNew ? path : followLinks(path);
  const before = isNew ? undefined : lstatSync(target, { throwIfNoEntry: false });
  if (before && !before.isFile()) {
    writeFileSync(target, content);
    return;
  }
  const draft = `${target}.${process.pid}-${randomBytes(4).toString('hex')}.tmp`;
  try {
    const file = openSync(draft, 'wx');
    try {
      writeFileSync(file, content);
      if (before) fchmodSync(file, before.mode);
      // Some systems tell of a full disk only now.
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    if (isNew) linkNew(draft, target);
    else renameSync(draft, target);
  } finally {
    rmSync(draft, { force: true });
  }
}

/** The file that links lead to: replacing the link itself would leave the file as it was. */
function followLinks(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

/** A link fails where the name is taken, which a rename does not. */
function linkNew(draft: string, target: string): void {
  try {
    linkSync(draft, target);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') throw error;
    // Some file systems have no links.
    if (lstatSync(target, { throwIfNoEntry: false })) {
      throw Object.assign(new Error(`${target} exists`, { cause: error }), { code: 'EEXIST' });
    }
    renameSync(draft, target);
  }
}
