import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The names of a config file, the first one that a folder holds counts. */
export const CONFIG_NAMES = [
  'evdb.config.js',
  'evdb.config.mjs',
  'evdb.config.cjs',
  'evdb.config.json',
  'evdb.config.yaml',
  'evdb.config.yml',
  '.evdbrc',
] as const;

/** Where evdb works. */
export interface Project {
  /** The folder of the nearest config file or `package.json`, else the folder it began at. */
  directory: string;
  /** Absolute path of the config file; `package.json` only where it has the key `evdb`. */
  configFile?: string;
  warnings: string[];
}

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
    const text = readFileSync(packageFile, 'utf8');
    // Nearly every package.json is done with after this line.
    if (!text.includes('"evdb"')) return false;
    const value: unknown = JSON.parse(text.replace(/^\uFEFF/, ''));
    return typeof value === 'object' && value !== null && Object.hasOwn(value, 'evdb');
  } catch {
    return true;
  }
}

/** Named as a config file, in a language that evdb does not read. */
const UNREAD = /^(evdb\.config|\.evdbrc)\.\w+$/;
/** What editors and people leave beside a file is no config. */
const COPIES = /\.(bak|backup|old|orig|save|sw[a-p]|tmp|rej|example|sample|dist|template|md|txt)$/i;

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

/**
 * Searches for the config file from a folder upwards, to the nearest `package.json` or `.git`.
 * Only looks at names, so that a project without a config file costs next to nothing.
 *
 * @param cwd absolute path of the folder to begin at
 */
export function findProject(cwd: string): Project {
  const warnings: string[] = [];
  for (let directory = cwd; ; directory = dirname(directory)) {
    const names = listNames(directory);
    const found = findConfigFile(directory, names);
    warnings.push(...found.warnings);
    if (found.configFile !== undefined) {
      return { directory, configFile: found.configFile, warnings };
    }
    if (names.has('package.json')) return { directory, warnings };
    if (names.has('.git') || dirname(directory) === directory) return { directory: cwd, warnings };
  }
}
