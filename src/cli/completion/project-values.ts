/** What only the files of a project know: its migrations, and the environments of its config file. */

import { readdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { findProject } from '../../config/project.ts';
import { readPlainFile } from '../../file-system.ts';
import type { AskedFrom } from './answer.ts';
import type { Candidate } from './describe.ts';
import { type ReadOffSettings, readOff } from './read-off.ts';

/** The options of the line so far, by their long names. */
export type GivenOptions = Readonly<Record<string, string | true | undefined>>;

/**
 * What a shell can put into a line without reading anything into it. What else a file holds is left out:
 * a name that somebody else chose must not become a command.
 */
const PLAIN = /^\w[\w@%+=:,./-]*$/;

/**
 * The versions of the migrations in the folder that the line is about, oldest first.
 *
 * @throws where there is no such folder, or the config file is broken
 */
export function listVersions(given: GivenOptions, from: AskedFrom): Candidate[] {
  const names = readdirSync(findFolder(given, from));
  const found = names.flatMap((name) => {
    const [, digits, words] = /^(\d{1,18})_([\w.-]*)\.sql$/.exec(name) ?? [];
    return digits && words && !words.endsWith('.down') ? [[digits, words] as const] : [];
  });
  return found.sort(([a], [b]) => (BigInt(a) < BigInt(b) ? -1 : 1));
}

/**
 * The environments of the config file that the line is about.
 *
 * @throws where the file is broken
 */
export function listEnvironments(given: GivenOptions, from: AskedFrom): Candidate[] {
  const { settings } = readProject(given, from);
  return [...settings.environments.keys()].filter((name) => PLAIN.test(name)).map((name) => [name]);
}

function findFolder(given: GivenOptions, from: AskedFrom): string {
  const flag = given['--migrations-dir'];
  if (typeof flag === 'string') return resolve(from.cwd, flag);
  const { EVDB_MIGRATIONS_DIR } = from.env;
  if (EVDB_MIGRATIONS_DIR) return resolve(from.cwd, EVDB_MIGRATIONS_DIR);
  const { directory, settings } = readProject(given, from);
  const dotenv = readDotenvFile(directory, from);
  const env = given['--env'];
  const name = typeof env === 'string' ? env : (from.env.EVDB_ENV ?? dotenv.EVDB_ENV ?? '');
  const folder =
    dotenv.EVDB_MIGRATIONS_DIR || settings.environments.get(name) || settings.migrationsDir;
  return resolve(directory, folder ?? 'migrations');
}

/** Of `.env` the two lines that matter here. */
function readDotenvFile(
  directory: string,
  { env }: AskedFrom,
): Partial<Record<'EVDB_ENV' | 'EVDB_MIGRATIONS_DIR', string>> {
  let text: string;
  try {
    text = readPlainFile(join(directory, '.env')).toString('utf8');
  } catch {
    return {};
  }
  const lines = text.matchAll(/^[ \t]*(?:export[ \t]+)?(EVDB_\w+)[ \t]*=[ \t]*["']?([^"'#\s]*)/gm);
  const found = [...lines].filter(([, name = '']) => env[name] === undefined);
  return Object.fromEntries(found.map(([, name, value]) => [name, value]));
}

function readProject(
  given: GivenOptions,
  { cwd, env }: AskedFrom,
): { directory: string; settings: ReadOffSettings } {
  const flag = given['--config'];
  const named = typeof flag === 'string' ? flag : env.EVDB_CONFIG;
  const path = named ? resolve(cwd, named) : undefined;
  const project = path ? { directory: dirname(path), configFile: path } : findProject(cwd, env);
  const { directory, configFile } = project;
  const settings = configFile ? readOff(configFile) : { environments: new Map() };
  return { directory, settings };
}
