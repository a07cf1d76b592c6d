import { mkdirSync, readFileSync } from 'node:fs';
import { dirname, relative } from 'node:path';
import { EvdbError } from '../errors.ts';
import { writeFileWhole } from '../file-system.ts';
import type { Style } from '../report/table.ts';
import { renderDiff } from '../report/table.ts';
import { sameCommand } from '../text/command-line.ts';
import { renderCount } from '../text/units.ts';

/** How a file compares with the structure that it should contain. */
export interface StructureFileCheck {
  path: string;
  state: 'same' | 'different' | 'missing';
  /** From the file to the database, as a unified diff; for an existing file that differs. */
  diff?: string;
}

/**
 * Compares a file with the text of a structure. Line endings make no difference.
 *
 * @param source what the diff calls the text
 * @throws {EvdbError} FILE_UNREADABLE
 * @example
 * const structure = await readDatabaseStructure(connection);
 * const check = await checkStructureFile('structure.sql', renderStructure(structure));
 */
export async function checkStructureFile(
  path: string,
  text: string,
  source = 'the database',
): Promise<StructureFileCheck> {
  const held = readHeld(path);
  if (held === undefined) return { path, state: 'missing' };
  if (held.replaceAll('\r\n', '\n') === text) return { path, state: 'same' };
  const title = relative(process.cwd(), path);
  const { createTwoFilesPatch } = await import('diff');
  const diff = createTwoFilesPatch(title, source, held, text, '', '', { context: 3 });
  return { path, state: 'different', diff };
}

/**
 * Writes the text of a structure unless the file already contains it.
 *
 * @returns whether something was written
 * @throws {EvdbError} FILE_UNREADABLE
 * @example
 * const structure = await readDatabaseStructure(connection);
 * const isWritten = writeStructureFile('structure.sql', renderStructure(structure));
 */
export function writeStructureFile(path: string, text: string): boolean {
  if (readHeld(path) === text) return false;
  try {
    mkdirSync(dirname(path), { recursive: true });
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
    hint: 'Name a file that you may read and write.',
    cause,
  });
}

/** What `evdb schema dump --file` did or found. */
export interface StructureFileResult {
  file: string;
  state: 'written' | 'unchanged' | 'same' | 'different' | 'missing';
  objects: number;
  diff?: string;
}

/** One line, and under it the diff where there is one. */
export function renderStructureFile(
  { file, state, objects, diff }: StructureFileResult,
  style: Style,
): string {
  const count = renderCount(objects, 'object');
  switch (state) {
    case 'written':
      return `${style.good('wrote')}  ${file}  ${style.dim(count)}`;
    case 'unchanged':
      return `${file} is up to date: nothing to do`;
    case 'same':
      return `${file} is the structure of the database`;
    case 'missing':
      return `${style.bad('missing')}  ${file}: write it with \`${sameCommand('schema dump', { file }, { without: ['check'] })}\``;
    default:
      return [
        `${style.bad('different')}  ${file} is not the structure of the database (- file, + database):`,
        ...(diff ? [renderDiff(diff, style)] : []),
      ].join('\n');
  }
}
