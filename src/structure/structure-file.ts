import { readFileSync } from 'node:fs';
import { relative } from 'node:path';
import { EvdbError } from '../errors.ts';
import { writeFileWhole } from '../file-system.ts';

/** How a file stands to the structure that it should hold. */
export interface StructureFileCheck {
  path: string;
  state: 'same' | 'different' | 'missing';
  /** From the file to the database, as a unified diff; for a file that is there and differs. */
  diff?: string;
}

/**
 * Compares a file with the text of a structure. Line endings make no difference.
 *
 * @throws {EvdbError} FILE_UNREADABLE
 */
export async function checkStructureFile(path: string, text: string): Promise<StructureFileCheck> {
  const held = readHeld(path);
  if (held === undefined) return { path, state: 'missing' };
  if (held.replaceAll('\r\n', '\n') === text) return { path, state: 'same' };
  const title = relative(process.cwd(), path);
  const { createTwoFilesPatch } = await import('diff');
  const diff = createTwoFilesPatch(title, 'the database', held, text, '', '', { context: 3 });
  return { path, state: 'different', diff };
}

/**
 * Writes the text of a structure where the file does not hold it already.
 *
 * @returns whether something was written
 * @throws {EvdbError} FILE_UNREADABLE
 */
export function writeStructureFile(path: string, text: string): boolean {
  if (readHeld(path) === text) return false;
  try {
    writeFileWhole(path, text);
    return true;
  } catch (error) {
    throw unusable(path, 'written', error);
  }
}

function readHeld(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw unusable(path, 'read', error);
  }
}

function unusable(path: string, what: 'read' | 'written', cause: unknown): EvdbError {
  const { message } = cause as Error;
  return new EvdbError('FILE_UNREADABLE', `${path} cannot be ${what}: ${message}`, {
    hint: 'Name a file in a folder that exists and is yours.',
    cause,
  });
}
