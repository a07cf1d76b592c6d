import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { EvdbError } from '../../errors.ts';
import { packagePath, writeFileWhole } from '../../file-system.ts';
import { sameCommand } from '../../text/command-line.ts';
import { REPEATABLE_FOLDER } from './repeatables.ts';
import { listMigrations, type MigrationFile } from './source.ts';
import { MAX_VERSION_DIGITS, parseVersion } from './version.ts';

/** The name of a new migration, and how its skeleton looks. */
export interface CreateMigrationOptions {
  directory: string;
  /** Words, such as `add venues`; becomes `add_venues`. */
  name: string;
  /** Default: as the folder does it, timestamps in an empty one. */
  numbering?: 'timestamp' | 'sequential' | undefined;
  /** For statements that PostgreSQL refuses inside a transaction. */
  noTransaction?: boolean | undefined;
  /** No down script, and a header that says why. */
  irreversible?: boolean | undefined;
  /** Default: now. */
  now?: Date | undefined;
}

/**
 * Writes the skeleton of a new repeatable. Never overwrites.
 *
 * @throws {EvdbError} INVALID_NAME, FILE_EXISTS, FILE_UNREADABLE
 * @example
 * const { files } = createRepeatable({ directory: 'migrations', name: 'active users' });
 */
export function createRepeatable({
  directory,
  name: words,
}: Pick<CreateMigrationOptions, 'directory' | 'name'>): Pick<CreatedMigration, 'name' | 'files'> {
  const name = slug(words);
  const folder = join(directory, REPEATABLE_FOLDER);
  makeFolder(folder);
  const file = join(folder, `${name}.sql`);
  writeNew(file, renderTemplate('repeatable.sql', { name: words }));
  return { name, files: [file] };
}

/** The files that `createMigration` wrote. */
export interface CreatedMigration {
  version: string;
  name: string;
  /** Absolute paths: up, and down unless irreversible. */
  files: string[];
  /** Earlier migrations of the same name, such as `003_add_venues`. */
  namesakes: string[];
}

const LONGEST_NAME = 100;
const TIMESTAMP_DIGITS = 14;

/**
 * Writes the skeleton of a new migration. Never overwrites.
 *
 * @throws {EvdbError} INVALID_NAME, FILE_EXISTS, FILE_UNREADABLE, and those of
 *   `requireMigrations` for a broken folder
 * @example
 * const { files } = createMigration({ directory: 'migrations', name: 'add_phone' });
 */
export function createMigration(options: CreateMigrationOptions): CreatedMigration {
  const name = slug(options.name);
  makeFolder(options.directory);
  const earlier = listMigrations(options.directory);
  const [version = ''] = nextVersions(earlier, options, 1);
  const base = join(options.directory, `${version}_${name}`);
  const template = options.noTransaction ? 'no-transaction' : 'migration';
  const files = [[`${base}.sql`, renderTemplate(`${template}.sql`, options)]];
  if (!options.irreversible) {
    files.push([`${base}.down.sql`, renderTemplate(`${template}.down.sql`, options)]);
  }
  for (const [path, text] of files) writeNew(path as string, text as string);
  const namesakes = earlier.filter((one) => one.name === name);
  return {
    ...{ version, name, files: files.map(([path]) => path as string) },
    namesakes: namesakes.map(({ label }) => `${label}_${name}`),
  };
}

/** Letters, digits and `_` only: the name becomes a file name on every system. */
function slug(words: string): string {
  const name = words.trim().replace(/[\s-]+/g, '_');
  if (/^[A-Za-z0-9_]+$/.test(name) && name.length <= LONGEST_NAME && /[A-Za-z0-9]/.test(name)) {
    return name.replace(/^_+/, '');
  }
  const problem =
    name.length > LONGEST_NAME
      ? `is longer than ${LONGEST_NAME} characters`
      : 'cannot be a file name';
  const shown = JSON.stringify(words.length > 60 ? `${words.slice(0, 60)}…` : words);
  throw new EvdbError('INVALID_NAME', `the name ${shown} ${problem}`, {
    hint: `Use letters, digits, spaces, "-" and "_", for example: ${sameCommand('migrate create', {}, { args: ['add venues'] })}`,
  });
}

/**
 * Versions for new migrations, behind all others.
 *
 * @throws {EvdbError} INVALID_NAME where the versions are used up
 */
export function nextVersions(
  files: readonly MigrationFile[],
  options: Pick<CreateMigrationOptions, 'numbering' | 'now'>,
  count: number,
): string[] {
  const last = files.at(-1);
  const isSequential = last !== undefined && last.version.length < TIMESTAMP_DIGITS;
  const numbering = options.numbering ?? (isSequential ? 'sequential' : 'timestamp');
  const after = BigInt(last?.version ?? '0') + 1n;
  if (numbering === 'timestamp') {
    const now = BigInt(
      (options.now ?? new Date()).toISOString().replace(/\D/g, '').slice(0, TIMESTAMP_DIGITS),
    );
    // Two in one second, or a clock behind the last author's: still the newest.
    return numbersFrom(now < after ? after : now, count);
  }
  const versions = numbersFrom(after, count);
  if ((versions.at(-1) ?? '').length > MAX_VERSION_DIGITS) {
    throw new EvdbError('INVALID_NAME', `there is no version after ${last?.label}`, {
      hint: 'Use --timestamp.',
    });
  }
  return versions.map((version) => parseVersion(version).padStart(last?.label.length ?? 3, '0'));
}

function numbersFrom(first: bigint, count: number): string[] {
  return Array.from({ length: count }, (_, index) => String(first + BigInt(index)));
}

function renderTemplate(
  file: string,
  { name, irreversible }: Pick<CreateMigrationOptions, 'name' | 'irreversible'>,
): string {
  const text = readFileSync(packagePath('templates', file), 'utf8');
  const header = irreversible ? '-- evdb: irreversible <say why it cannot be rolled back>\n' : '';
  return header + text.replaceAll('{{name}}', name.trim().replace(/\s+/g, ' '));
}

/** Makes a folder and those above it. */
export function makeFolder(directory: string): void {
  try {
    mkdirSync(directory, { recursive: true });
  } catch (cause) {
    throw cannotWrite(directory, cause);
  }
}

/** Writes a file that must not be there yet. */
export function writeNew(path: string, text: string): void {
  try {
    writeFileWhole(path, text, { isNew: true });
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'EEXIST') {
      throw new EvdbError('FILE_EXISTS', `${path} already exists`, {
        hint: 'Choose another name.',
        cause,
      });
    }
    throw cannotWrite(path, cause);
  }
}

/** For a file or folder that the system does not let us make. */
export function cannotWrite(path: string, cause: unknown): EvdbError {
  const { code } = cause as NodeJS.ErrnoException;
  return new EvdbError('FILE_UNREADABLE', `cannot write ${path} (${code})`, {
    hint: 'Check the permissions and the space of the folder.',
    cause,
  });
}
