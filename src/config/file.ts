import { basename, extname } from 'node:path';
import { EvdbError } from '../errors.ts';
import { readPlainFile, whyUnreadable } from '../file-system.ts';
import { commandLine } from '../text/command-line.ts';
import { renderSuggestion } from '../text/words.ts';
import { checkDoctorSettings, type DoctorSettings } from './doctor-settings.ts';
import { checkFleets, type FleetSettings } from './fleet-settings.ts';
import { SETTING_KINDS, type SettingKey } from './layers.ts';
import { checkLintSettings, type LintFileSettings } from './lint-settings.ts';
import { CONFIG_NAMES } from './project.ts';
import { isRecord } from './records.ts';
import { variablesProblem } from './variables.ts';

/** Values of a config file or of one of its environments, of the right types. */
export type FileSettings = Partial<Record<SettingKey, unknown>>;

/** A checked config file. */
export interface ConfigFile {
  /** Absolute path. */
  path: string;
  settings: FileSettings;
  environments: ReadonlyMap<string, FileSettings>;
  doctor: DoctorSettings;
  lint: LintFileSettings;
  /** By their names. */
  fleets: Record<string, FleetSettings>;
}

/**
 * Reads and checks a config file. JavaScript and JSON need nothing but Node; cosmiconfig, which
 * costs as much as the rest of a short command, is loaded for YAML and `.evdbrc` only.
 *
 * @param path absolute path
 * @throws EvdbError `CONFIG_INVALID` where it is missing, cannot be read or holds what it must not
 */
export async function loadConfigFile(path: string): Promise<ConfigFile> {
  const isPackage = basename(path) === 'package.json';
  const load = isPackage ? loadPackageKey : LOADERS.get(extname(path));
  if (load === undefined) {
    const hint = `A config file is one of: ${CONFIG_NAMES.join(', ')}, package.json.`;
    throw notReadable(path, 'is not a kind of config file that evdb reads', hint);
  }
  return checkConfigFile(await load(path), path);
}

/**
 * Selects the settings of one environment.
 *
 * @throws EvdbError `CONFIG_INVALID` where it is not defined, also where there is no config file:
 *   going on without it would lose its `protected`
 */
export function selectEnvironment(file: ConfigFile | undefined, name: string): FileSettings {
  const settings = file?.environments.get(name);
  if (settings !== undefined) return settings;
  const known = [...(file?.environments.keys() ?? [])];
  const where = file === undefined ? 'no config file was found' : `not in ${file.path}`;
  const suggestion = renderSuggestion(name, known);
  const problem = `the environment "${name}" is not defined: ${where}${suggestion}`;
  throw new EvdbError('CONFIG_INVALID', problem, {
    hint:
      known.length > 0
        ? `Defined are: ${known.join(', ')}.`
        : `Define it as environments.${name} in a config file, or leave out --env and EVDB_ENV.`,
    details: { environment: name, known },
  });
}

const LOADERS: ReadonlyMap<string, (path: string) => unknown> = new Map([
  ['.js', loadModule],
  ['.mjs', loadModule],
  ['.cjs', loadModule],
  ['.ts', loadModule],
  ['.mts', loadModule],
  ['.cts', loadModule],
  ['.json', loadJson],
  ['.yaml', loadYaml],
  ['.yml', loadYaml],
  ['', loadYaml],
]);

async function loadJson(path: string): Promise<unknown> {
  const text = readText(path);
  try {
    return JSON.parse(text);
  } catch {
    const { findJsonError } = await import('./json-place.ts');
    const { line, column } = findJsonError(text);
    const hint = 'JSON has no comments, no trailing commas, and double quotes around every name.';
    throw notReadable(`${path}:${line}:${column}`, 'is not valid JSON', hint);
  }
}

async function loadPackageKey(path: string): Promise<unknown> {
  const value = await loadJson(path);
  if (typeof value === 'object' && value !== null && 'evdb' in value) return value.evdb;
  throw notReadable(
    path,
    'has no key "evdb"',
    `Add it, or write a config file: ${commandLine('init')}`,
  );
}

async function loadYaml(path: string): Promise<unknown> {
  readText(path);
  const { cosmiconfig } = await import('cosmiconfig');
  try {
    const result = await cosmiconfig('evdb', { searchStrategy: 'none' }).load(path);
    // A file with nothing but comments has no value at all.
    return result?.config ?? {};
  } catch (error) {
    const { mark } = error as { mark?: { line: number; column: number } };
    const where = mark === undefined ? '' : `:${mark.line + 1}:${mark.column + 1}`;
    const hint = 'Indent with spaces, and put quotes around values with : # @ or *.';
    throw notReadable(`${path}${where}`, 'is not valid YAML', hint);
  }
}

async function loadModule(path: string): Promise<unknown> {
  readText(path);
  const { loadModule: load } = await import('./load-module.ts');
  return load(path);
}

function readText(path: string): string {
  return readTextOf(path, `the config file ${path}`, (isMissing) =>
    isMissing
      ? `Check --config and EVDB_CONFIG, or write a config file: ${commandLine('init')}`
      : 'It must be a plain file that you may read.',
  );
}

/**
 * Reads a file of settings.
 *
 * @param name what it is, for the error
 * @throws {EvdbError} CONFIG_INVALID if it is missing or unreadable
 */
export function readTextOf(
  path: string,
  name: string,
  hintFor: (isMissing: boolean) => string,
): string {
  try {
    return readPlainFile(path)
      .toString('utf8')
      .replace(/^\uFEFF/, '');
  } catch (cause) {
    const isMissing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    const problem = isMissing ? 'does not exist' : whyUnreadable(cause);
    throw new EvdbError('CONFIG_INVALID', `${name} ${problem}`, {
      hint: hintFor(isMissing),
      cause,
    });
  }
}

/** The parser's own message is left out: it quotes the text, which may hold a password. */
function notReadable(path: string, what: string, hint: string): EvdbError {
  return new EvdbError('CONFIG_INVALID', `${path} ${what}`, { hint });
}

/**
 * Checks names and types of everything that a config file holds, also of the environments that
 * are not in use. Values are checked where they are used.
 *
 * @param value what the file contains
 * @param path absolute path of the file
 * @throws EvdbError `CONFIG_INVALID` that names every problem at once
 */
function checkConfigFile(value: unknown, path: string): ConfigFile {
  if (!isRecord(value)) {
    throw new EvdbError('CONFIG_INVALID', `${path} must contain an object with settings`, {
      hint: `For a file to begin with, run: ${commandLine('init')}`,
    });
  }
  const problems: string[] = [];
  const settings = checkSettings(value, '', OTHER_KEYS, problems);
  const environments = checkEnvironments(value.environments, problems);
  const doctor = checkDoctorSettings(value.doctor, problems);
  const lint = checkLintSettings(value.lint, problems);
  const fleets = checkFleets(value.fleets, problems);
  if (problems.length > 0) {
    throw new EvdbError('CONFIG_INVALID', `${path}: ${problems.join('; ')}`, {
      hint: `The keys are: ${Object.keys(SETTING_KINDS).join(', ')}, environments, doctor, lint, fleets.`,
      details: { path, problems },
    });
  }
  return { path, settings, environments, doctor, lint, fleets };
}

const OTHER_KEYS = ['environments', 'doctor', 'lint', 'fleets', '$schema'];

function checkEnvironments(value: unknown, problems: string[]): Map<string, FileSettings> {
  const environments = new Map<string, FileSettings>();
  if (!isSet(value)) return environments;
  if (!isRecord(value)) {
    problems.push('"environments" must be an object with one entry for each environment');
    return environments;
  }
  for (const [name, entry] of Object.entries(value)) {
    const key = `environments.${name}`;
    if (isRecord(entry)) {
      const settings = checkSettings(entry, `${key}.`, [], problems);
      // Whoever chooses an environment with a database of its own does not mean that of another one.
      const isEmptyUrl = Object.hasOwn(entry, 'url') && !isSet(entry.url);
      environments.set(name, isEmptyUrl ? { ...settings, url: '' } : settings);
    } else problems.push(`"${key}" must be an object with settings`);
  }
  return environments;
}

function checkSettings(
  value: Record<string, unknown>,
  prefix: string,
  otherKeys: readonly string[],
  problems: string[],
): FileSettings {
  const settings: FileSettings = {};
  for (const [key, entry] of Object.entries(value)) {
    if (otherKeys.includes(key)) continue;
    if (!isSettingKey(key)) {
      const known = [...Object.keys(SETTING_KINDS), ...otherKeys];
      problems.push(`unknown key "${prefix}${key}"${renderSuggestion(key, known)}`);
    } else if (isSet(entry)) {
      const kind = SETTING_KINDS[key];
      const wanted = kind === 'variables' ? variablesProblem(entry) : wantedOf(entry, kind);
      if (wanted === undefined) settings[key] = entry;
      else problems.push(`"${prefix}${key}" must be ${wanted}`);
    }
  }
  return settings;
}

function isSettingKey(key: string): key is SettingKey {
  return Object.hasOwn(SETTING_KINDS, key);
}

const TYPE_OF_KIND = {
  string: 'a string',
  list: 'a list of strings',
  secret: 'a string or a function that gives one',
  command: 'a command: a string, or a list of strings',
  boolean: 'true or false',
  duration: 'a duration such as "2s", or milliseconds',
  size: 'a size such as "1MB", or bytes',
} as const;

/** What a value must be; undefined where it is. */
function wantedOf(value: unknown, kind: keyof typeof TYPE_OF_KIND): string | undefined {
  return fitsKind(value, kind) ? undefined : TYPE_OF_KIND[kind];
}

function fitsKind(value: unknown, kind: keyof typeof TYPE_OF_KIND): boolean {
  if (kind === 'boolean') return typeof value === 'boolean';
  if (kind === 'list' || (kind === 'command' && Array.isArray(value))) {
    const isList = Array.isArray(value) && value.every((item) => typeof item === 'string');
    return isList && (kind === 'list' || Boolean(value[0]));
  }
  if (kind === 'secret' && typeof value === 'function') return true;
  return (
    typeof value === 'string' ||
    ((kind === 'duration' || kind === 'size') && typeof value === 'number')
  );
}

/** What is absent, null or empty counts as not set, so `url: process.env.SHOP_URL` may be. */
function isSet(value: unknown): boolean {
  return value !== undefined && value !== null && value !== '';
}
