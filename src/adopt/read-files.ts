import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative, resolve, sep } from 'node:path';
import { EvdbError } from '../errors.ts';
import { decode, listMigrations, readText } from '../migrate/source.ts';
import type { Adapter, ForeignFile } from './foreign.ts';
import type { ExistingFile } from './plan-migration.ts';

/**
 * The folder with the other tool's files.
 *
 * @param root where the default folders are looked for
 * @throws {EvdbError} MIGRATIONS_DIR_MISSING
 */
export function findForeignFolder(adapter: Adapter, root: string, given?: string): string {
  const candidates = (given ? [given] : adapter.folders).map((folder) => resolve(root, folder));
  const found = candidates.find((folder) => existsSync(folder));
  if (found) return found;
  const shown = candidates.map((folder) => relative(root, folder) || folder).join(', ');
  throw new EvdbError('MIGRATIONS_DIR_MISSING', `there is no folder of ${adapter.tool}: ${shown}`, {
    hint: 'Name it with --from-dir.',
    details: { directories: candidates },
  });
}

/**
 * Reads a folder and what is below it.
 *
 * @throws {EvdbError} FILE_UNREADABLE, NOT_UTF8, NUL_BYTE
 */
export function readForeignFiles(adapter: Adapter, folder: string): ForeignFile[] {
  return listFiles(folder).map((file) => {
    const path = relative(folder, file).split(sep).join('/');
    const bytes = readBytes(file);
    return { path, bytes, text: adapter.isSql(path) ? decode(bytes, file) : '' };
  });
}

function listFiles(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter(
      (entry) =>
        entry.isFile() &&
        !/(^|[\\/])(\.|node_modules)/.test(join(relative(folder, entry.parentPath), entry.name)),
    )
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

function readBytes(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new EvdbError('FILE_UNREADABLE', `cannot read ${path}`, {
      hint: 'Check that it is a file and that you may read it.',
      cause,
    });
  }
}

/** What lies in the folder that evdb is to use; nothing where it is not there yet. */
export function readExisting(directory: string): ExistingFile[] {
  if (!existsSync(directory)) return [];
  return listMigrations(directory).map(({ version, label, name, upPath, downPath }) => ({
    version,
    label,
    name,
    upText: readText(upPath),
    downText: downPath ? readText(downPath) : null,
  }));
}
