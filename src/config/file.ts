import { basename, extname } from 'node:path';
import { EvdbError } from '../errors.ts';
import { readPlainFile, whyUnreadable } from '../file-system.ts';
import { commandLine } from '../text/command-line.ts';
import { maskUrlsIn } from '../text/harmless.ts';
import { renderSuggestion } from '../text/words.ts';
import {
  checkDoctorSettings,
  type DoctorSettings,
  type DoctorSettingsInput,
} from './doctor-settings.ts';
import { SETTING_KINDS, type SettingKey } from './layers.ts';
import {
  checkLintSettings,
  type LintFileSettings,
  type LintSettingsInput,
} from './lint-settings.ts';
import { CONFIG_NAMES } from './project.ts';

/** Values of a config file or of one of its environments, of the right types. */
export type FileSettings = Partial<Record<SettingKey, unknown>>;

type Text = string | null | undefined;
/** Text such as `500ms`, `2s` or `10min`, or milliseconds as a number. */
type Duration = string | number | null | undefined;

/** Settings as a config file may write them; what is null, undefined or empty is not set. */
export interface SettingsInput {
  /** The database, such as `postgres://app@localhost:5432/events`; `embedded:` is the server that evdb brings. */
  url?: Text;
  /** Where migrations connect instead: past a pooler, or as the role that owns the tables. */
  migrationUrl?: Text;
  /** The folder of the SQL files, relative to the config file. Default `migrations`. */
  migrationsDir?: Text;
  /** The PostgreSQL schema that migrations work in. Default `public`. */
  schema?: Text;
  /** The PostgreSQL schema of evdb's own tables. Default `evdb`. */
  ledgerSchema?: Text;
  /** Further schemas that migrations find without a prefix, such as one for extensions. */
  searchPath?: readonly string[] | null | undefined;
  /** Refuses `reset`, and asks for `--confirm` where something is rolled back. Default false. */
  protected?: boolean | null | undefined;
  /** How long to wait while another runner migrates. Default `60s`. */
  lockWait?: Duration;
  /** How long to wait for a table lock at a time. Default: a ladder of short ones. */
  lockTimeout?: Duration;
  /** How long to go on asking for table locks, pauses included. Default: as long as the ladder. */
  lockWaitBudget?: Duration;
  /** How long a statement that changes data waits for a row. Default `10s`. */
  dataLockTimeout?: Duration;
  /** How long a single statement may run. Default: what the server says. */
  statementTimeout?: Duration;
  /** Up to which size the ledger keeps the text of a migration: text such as `1MB`, or bytes. Default 1 MiB. */
  storedTextLimit?: string | number | null | undefined;
  /** What `evdb migrate plan` is held against, such as `rewrite-rows=100k,access-exclusive=500ms`. */
  budget?: Text;
}

/** What a config file exports, for editors: `@type {import('evdb').ConfigFileInput}`. */
export interface ConfigFileInput extends SettingsInput {
  /** Settings that `--env <name>` or `EVDB_ENV` puts over the others. */
  environments?: Readonly<Record<string, SettingsInput>> | null | undefined;
  /** What `evdb doctor` does not count. */
  doctor?: DoctorSettingsInput | null | undefined;
  /** How `evdb lint` judges migrations. */
  lint?: LintSettingsInput | null | undefined;
}

/** A checked config file. */
export interface ConfigFile {
  /** Absolute path. */
  path: string;
  settings: FileSettings;
  environments: ReadonlyMap<string, FileSettings>;
  doctor: DoctorSettings;
  lint: LintFileSettings;
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
  ['.json', loadJson],
  ['.yaml', loadYaml],
  ['.yml', loadYaml],
  ['', loadYaml],
]);

function loadJson(path: string): unknown {
  const text = readText(path);
  try {
    return JSON.parse(text);
  } catch {
    const hint = 'JSON has no comments, no trailing commas, and double quotes around every name.';
    throw notReadable(path, 'is not valid JSON', hint);
  }
}

function loadPackageKey(path: string): unknown {
  const value = loadJson(path);
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

/** A config that asks something of the network should not take longer. */
const LOAD_TIMEOUT_MS = 10_000;

async function loadModule(path: string): Promise<unknown> {
  readText(path);
  const { pathToFileURL } = await import('node:url');
  let value: unknown;
  try {
    value = await inTime(importDefault(pathToFileURL(path).href), path);
    // Getters run now, where what they throw has a file to be blamed on.
    value = snapshot(value);
  } catch (error) {
    if (error instanceof EvdbError) throw error;
    if (error instanceof SyntaxError) {
      throw notReadable(path, 'is not valid JavaScript', `To see where, run: node --check ${path}`);
    }
    const message = error instanceof Error ? error.message : String(error);
    const hint = `To see where, run: node ${path}`;
    throw notReadable(path, `cannot be loaded: ${maskUrlsIn(message)}`, hint);
  }
  if (value === NO_DEFAULT) {
    throw notReadable(path, 'has no default export', 'Write: export default { … }');
  }
  return value;
}

const NO_DEFAULT = Symbol('no default export');

async function importDefault(url: string): Promise<unknown> {
  const module: { default?: unknown } = await import(url);
  return 'default' in module ? await module.default : NO_DEFAULT;
}

async function inTime<T>(work: Promise<T>, path: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const seconds = LOAD_TIMEOUT_MS / 1000;
      const hint = 'A config file may wait for something, but not for long. What does it await?';
      reject(notReadable(path, `was not loaded within ${seconds} s`, hint));
    }, LOAD_TIMEOUT_MS);
  });
  // What is rejected after the time is up, nobody waits for any more.
  work.catch(() => undefined);
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** A copy without getters. A promise in it is a mistake that is told of, and must not end the process. */
function snapshot(value: unknown, copies = new Map<object, unknown>()): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const known = copies.get(value);
  if (known !== undefined) return known;
  if (value instanceof Promise) {
    value.catch(() => undefined);
    return value;
  }
  const copy: Record<string, unknown> | unknown[] = Array.isArray(value) ? [] : {};
  copies.set(value, copy);
  for (const key of Object.keys(value)) {
    const entry = snapshot((value as Record<string, unknown>)[key], copies);
    Object.defineProperty(copy, key, { value: entry, enumerable: true });
  }
  return copy;
}

function readText(path: string): string {
  try {
    return readPlainFile(path)
      .toString('utf8')
      .replace(/^\uFEFF/, '');
  } catch (cause) {
    const isMissing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    const problem = isMissing ? 'does not exist' : whyUnreadable(cause);
    throw new EvdbError('CONFIG_INVALID', `the config file ${path} ${problem}`, {
      hint: isMissing
        ? `Check --config and EVDB_CONFIG, or write a config file: ${commandLine('init')}`
        : 'It must be a plain file that you may read.',
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
  if (problems.length > 0) {
    throw new EvdbError('CONFIG_INVALID', `${path}: ${problems.join('; ')}`, {
      hint: `The keys are: ${Object.keys(SETTING_KINDS).join(', ')}, environments, doctor, lint.`,
      details: { path, problems },
    });
  }
  return { path, settings, environments, doctor, lint };
}

const OTHER_KEYS = ['environments', 'doctor', 'lint', '$schema'];

function checkEnvironments(value: unknown, problems: string[]): Map<string, FileSettings> {
  const environments = new Map<string, FileSettings>();
  if (!isSet(value)) return environments;
  if (!isRecord(value)) {
    problems.push('"environments" must be an object with one entry for each environment');
    return environments;
  }
  for (const [name, entry] of Object.entries(value)) {
    const key = `environments.${name}`;
    if (isRecord(entry)) environments.set(name, checkSettings(entry, `${key}.`, [], problems));
    else problems.push(`"${key}" must be an object with settings`);
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
      if (fitsKind(entry, kind)) settings[key] = entry;
      else problems.push(`"${prefix}${key}" must be ${TYPE_OF_KIND[kind]}`);
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
  boolean: 'true or false',
  duration: 'a duration such as "2s", or milliseconds',
  size: 'a size such as "1MB", or bytes',
} as const;

function fitsKind(value: unknown, kind: keyof typeof TYPE_OF_KIND): boolean {
  if (kind === 'boolean') return typeof value === 'boolean';
  if (kind === 'list') {
    return Array.isArray(value) && value.every((item) => typeof item === 'string');
  }
  return typeof value === 'string' || (kind !== 'string' && typeof value === 'number');
}

/** What is absent, null or empty counts as not set, so `url: process.env.SHOP_URL` may be. */
function isSet(value: unknown): boolean {
  return value !== undefined && value !== null && value !== '';
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
