import { randomBytes } from 'node:crypto';
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { isAbsolute, relative } from 'node:path';
import { fileError } from './disk.ts';
import { giveToFolderOwner } from './run-as.ts';
import { FORMAT_VERSION, type ServerState, statePath } from './state.ts';

/**
 * Writes the state in one step: a reader sees the old file or the new one, never half of it.
 *
 * @throws {EvdbError} DISK_FULL, DISK_READ_ONLY, PERMISSION_DENIED
 */
export function recordState(directory: string, state: ServerState): void {
  const inside = relative(directory, state.home);
  const isInside = inside !== '' && !inside.startsWith('..') && !isAbsolute(inside);
  // relative where possible, so that a project that is moved keeps its data
  const file = { formatVersion: FORMAT_VERSION, ...state, home: isInside ? inside : state.home };
  const temporary = `${statePath(directory)}.${randomBytes(6).toString('hex')}`;
  try {
    writeFileSync(temporary, `${JSON.stringify(file, null, 2)}\n`, { flag: 'wx', mode: 0o644 });
    giveToFolderOwner(temporary, directory);
    renameSync(temporary, statePath(directory));
  } catch (error) {
    rmSync(temporary, { force: true });
    throw fileError(error, 'write', statePath(directory));
  }
}
