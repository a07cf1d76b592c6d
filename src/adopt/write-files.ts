import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { EvdbError } from '../errors.ts';
import { writeFileWhole } from '../file-system.ts';
import { cannotWrite, makeFolder } from '../migrate/files/create.ts';
import type { PlannedFile } from './plan-migration.ts';

/**
 * Runs `work` with the new files in place; they go again where it fails. None is overwritten.
 *
 * @throws {EvdbError} FILE_EXISTS, FILE_UNREADABLE
 */
export async function withNewFiles<T>(
  directory: string,
  files: PlannedFile[],
  work: () => Promise<T>,
): Promise<T> {
  const written: string[] = [];
  try {
    if (files.length > 0) makeFolder(directory);
    for (const { name, text } of files) {
      const path = join(directory, name);
      writeNew(path, text);
      written.push(path);
    }
    return await work();
  } catch (error) {
    for (const path of written) rmSync(path, { force: true });
    throw error;
  }
}

function writeNew(path: string, text: string): void {
  try {
    writeFileWhole(path, text, { isNew: true });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw cannotWrite(path, cause);
    throw new EvdbError('FILE_EXISTS', `${path} is there already`, {
      hint: 'Nothing was changed. Move it away, or choose another folder with --write-to.',
      cause,
    });
  }
}
