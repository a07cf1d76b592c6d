import { readdirSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { EvdbError } from '../errors.ts';
import { readPlainFile } from '../file-system.ts';
import { commandLine } from '../text/command-line.ts';
import type { Variables } from './environment.ts';

/** The names of a config file, the first one that a folder holds counts. */
export const CONFIG_NAMES = [
  'evdb.config.js',
  'evdb.config.mjs',
  'evdb.config.cjs',
  'evdb.config.json',
  'evdb.config.yaml',
  'evdb.config.yml',
  '.evdbrc',
  'evdb.config.ts',
  'evdb.config.mts',
  'evdb.config.cts',
] as const;

/** Where evdb works. */
export interface Project {
  /** The folder of the nearest config file or `package.json`, else the folder it began at. */
  directory: string;
  /** Absolute path of the config file; `package.json` only where it has the key `evdb`. */
  configFile?: string;
  warnings: string[];
}

/**
 * Searches for the config file from a folder upwards, to the nearest `package.json` or `.git`, or to
 * the home. One of another user is not run: in a folder above it need not be meant for who works here.
 * Only looks at names, so that a project without a config file costs next to nothing.
 *
 * @param cwd absolute path of the folder to begin at
 * @throws {EvdbError} CONFIG_INVALID where the file belongs to somebody else
 * @example
 * const { directory, configFile } = findProject(process.cwd());
 */
export function findProject(cwd: string, env: Variables = process.env): Project {
  const warnings: string[] = [];
  const home = resolve(env.HOME || homedir());
  for (let directory = cwd; ; directory = dirname(directory)) {
    const names = listNames(directory);
    const found = findConfigFile(directory, names);
    warnings.push(...found.warnings);
    if (found.configFile !== undefined) {
      refuseOfOthers(found.configFile, cwd);
      return { directory, configFile: found.configFile, warnings };
    }
    if (names.has('package.json')) return { directory, warnings };
    const isLast = names.has('.git') || directory === home || dirname(directory) === directory;
    if (isLast) return { directory: cwd, warnings };
  }
}

function findConfigFile(directory: string, names: ReadonlySet<string>): Omit<Project, 'directory'> {
  const candidates: string[] = CONFIG_NAMES.filter((name) => names.has(name));
  if (names.has('package.json') && hasConfigKey(join(directory, 'package.json'))) {
    candidates.push('package.json');
  }
  const unread = [...names].filter(
    (name) => UNREAD.test(name) && !COPIES.test(name) && !candidates.includes(name),
  );
  const [chosen, ...others] = [...candidates, ...unread];
  if (chosen === undefined) return { warnings: [] };
  // The one that was meant to name the database must not be passed over.
  const warnings = others.map(
    (name) => `${join(directory, name)} is not read: ${chosen} comes first`,
  );
  return { configFile: join(directory, chosen), warnings };
}

/** Named as a config file, in a language that evdb does not read. */
const UNREAD = /^(evdb\.config|\.evdbrc)\.\w+$/;
/** What editors and people leave beside a file is no config. */
const COPIES = /\.(bak|backup|old|orig|save|sw[a-p]|tmp|rej|example|sample|dist|template|md|txt)$/i;

function listNames(directory: string): Set<string> {
  try {
    return new Set(readdirSync(directory));
  } catch {
    // A folder above that may be entered but not listed.
    return new Set();
  }
}

/** One that cannot be read counts as having it: whoever reads it then says what is wrong. */
function hasConfigKey(packageFile: string): boolean {
  try {
    const text = readPlainFile(packageFile).toString('utf8');
    // Nearly every package.json is done with after this line.
    if (!text.includes('"evdb"')) return false;
    const value: unknown = JSON.parse(text.replace(/^\uFEFF/, ''));
    return typeof value === 'object' && value !== null && Object.hasOwn(value, 'evdb');
  } catch {
    return true;
  }
}

/**
 * The file has to be the user's own, root's, or of who owns the folder that the command runs in: a
 * container works as root, or as a user of its own, in a project that somebody else has written.
 */
function refuseOfOthers(configFile: string, cwd: string): void {
  const user = process.geteuid?.();
  const owner = statSync(configFile, { throwIfNoEntry: false })?.uid;
  // Windows has no such owners; what is not there any more is told by who reads it.
  if (user === undefined || owner === undefined) return;
  if (owner === user || owner === 0 || owner === statSync(cwd).uid) return;
  throw new EvdbError(
    'CONFIG_INVALID',
    `the config file ${configFile} belongs to another user (uid ${owner}) and is not read`,
    {
      hint: `Where it is meant, name it: --config ${configFile}. Else write one of your own: ${commandLine('init')}`,
      details: { path: configFile, owner },
    },
  );
}
