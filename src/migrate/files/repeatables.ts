import { type Dirent, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { EvdbError } from '../../errors.ts';
import { refuseMigrationDirectives } from './directives.ts';
import { readScript, type Script } from './source.ts';
import { displayPath } from './version.ts';

/** A file that is applied again whenever its SQL has changed. */
export interface RepeatableFile {
  /** What the ledger knows it by: the file's name without `.sql`. */
  name: string;
  path: string;
}

/** The folder among the migrations that holds them. */
export const REPEATABLE_FOLDER = 'repeatable';

const LITTER = /^\.[_#]/;
const FILE_NAME = /^([A-Za-z0-9][A-Za-z0-9_.-]*)\.sql$/;

/**
 * Lists the repeatables of a folder of migrations by name; none where it has no folder for them.
 *
 * @param directory the folder of the migrations
 * @throws {EvdbError} INVALID_NAME
 */
export function listRepeatables(directory: string): RepeatableFile[] {
  const folder = join(directory, REPEATABLE_FOLDER);
  return readEntries(folder)
    .map((name) => ({ name: nameOfFile(name, folder), path: join(folder, name) }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

function readEntries(folder: string): string[] {
  let entries: Dirent[];
  try {
    entries = readdirSync(folder, { withFileTypes: true });
  } catch {
    return [];
  }
  const deeper = entries.find((one) => one.isDirectory() && holdsSql(join(folder, one.name)));
  if (deeper) {
    throw new EvdbError(
      'INVALID_NAME',
      `the folder ${displayPath(join(folder, deeper.name))} holds SQL files, and evdb would not read them`,
      { hint: `Move them to ${displayPath(folder)} itself.`, details: { file: deeper.name } },
    );
  }
  return entries
    .filter((one) => !one.isDirectory() && /\.sql$/i.test(one.name) && !LITTER.test(one.name))
    .map(({ name }) => name);
}

function holdsSql(folder: string): boolean {
  try {
    return readdirSync(folder).some((name) => /\.sql$/i.test(name));
  } catch {
    return false;
  }
}

function nameOfFile(fileName: string, folder: string): string {
  const [, name] = FILE_NAME.exec(fileName) ?? [];
  if (name !== undefined && !name.endsWith('.down')) return name;
  throw new EvdbError(
    'INVALID_NAME',
    name === undefined
      ? `the file name ${JSON.stringify(fileName)} in ${displayPath(folder)} does not match NAME.sql`
      : `${displayPath(join(folder, fileName))} is a down script, and repeatables have none`,
    {
      hint:
        name === undefined
          ? 'Name it with letters, digits, "_", "-" and ".", for example: active_users.sql'
          : 'Remove it: the ledger keeps the text before.',
      details: { file: fileName },
    },
  );
}

/**
 * Reads a repeatable.
 *
 * @throws {EvdbError} DIRECTIVE_INVALID for what is for migrations alone, REPEATABLE_REFUSED for a file that is
 *   too large to be held, and those of `readScript`
 */
export function readRepeatable({ path }: RepeatableFile): Script {
  const script = readScript(path);
  if (script.large) {
    throw new EvdbError('REPEATABLE_REFUSED', `${script.path} is too large for a repeatable`, {
      hint: 'Divide it into several files.',
      details: { file: script.path },
    });
  }
  refuseMigrationDirectives(script, {
    ensure: script.directives.ensures !== undefined,
    hint: 'A repeatable is applied whenever its SQL changed, in one transaction with those that it belongs with. Remove the line, or write a migration.',
  });
  return script;
}
