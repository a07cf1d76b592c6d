import { readFileSync } from 'node:fs';
import { writeFileWhole } from '../file-system.ts';
import { cannotWrite } from './create.ts';
import type { FixedFile } from './lint-fix.ts';

/**
 * Writes the files of a plan; each is whole at any moment. New ones come first, so that no
 * statement is lost where the process ends in between.
 *
 * @throws {EvdbError} FILE_UNREADABLE
 */
export function writeFixes(files: readonly FixedFile[]): void {
  const isNew = ({ before }: FixedFile) => before === undefined;
  for (const file of [...files.filter(isNew), ...files.filter((one) => !isNew(one))])
    writeOne(file);
}

function writeOne({ path, before, after }: FixedFile): void {
  try {
    const text = before === undefined ? after : likeBefore(readFileSync(path, 'utf8'), after);
    writeFileWhole(path, text);
  } catch (cause) {
    throw cannotWrite(path, cause);
  }
}

/** With the byte order mark and the line ends that the file has. */
function likeBefore(raw: string, after: string): string {
  const mark = raw.startsWith('\ufeff') ? '\ufeff' : '';
  return mark + (raw.includes('\r\n') ? after.replaceAll('\n', '\r\n') : after);
}
