import { randomBytes } from 'node:crypto';
import {
  closeSync,
  fchmodSync,
  fsyncSync,
  linkSync,
  lstatSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';

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
