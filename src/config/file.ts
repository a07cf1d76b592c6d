import { basename, extname } from 'node:path';
import { EvdbError } from '../errors.ts';
import { readPlainFile, whyUnreadable } from '../file-system.ts';
import { commandLine } from '../text/command-line.ts';
import { maskUrlsIn } from '../text/harmless.ts';
import { type ConfigFile, checkConfigFile } from './file-schema.ts';
import { CONFIG_NAMES } from './project.ts';

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

const LOADERS: ReadonlyMap<string, (path: string) => unknown> = new Map([
  ['.js', loadModule],
  ['.mjs', loadModule],
  ['.cjs', loadModule],
  ['.json', loadJson],
  ['.yaml', loadYaml],
  ['.yml', loadYaml],
  ['', loadYaml],
]);

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
