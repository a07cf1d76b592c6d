import { readFileSync } from 'node:fs';
import { basename, extname } from 'node:path';
import { EvdbError } from '../errors.ts';
import { commandLine } from '../text/command-line.ts';
import { maskUrlsIn } from '../text/mask.ts';
import { type ConfigFile, checkConfigFile } from './file-schema.ts';
import { CONFIG_NAMES } from './project.ts';

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8').replace(/^\uFEFF/, '');
  } catch (cause) {
    const isMissing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    const problem = isMissing ? 'does not exist' : 'cannot be read';
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

async function loadModule(path: string): Promise<unknown> {
  readText(path);
  const { pathToFileURL } = await import('node:url');
  let module: { default?: unknown };
  try {
    module = await import(pathToFileURL(path).href);
    if ('default' in module) return await module.default;
  } catch (error) {
    if (error instanceof SyntaxError) {
      throw notReadable(path, 'is not valid JavaScript', `To see where, run: node --check ${path}`);
    }
    const message = error instanceof Error ? error.message : String(error);
    const hint = `To see where, run: node ${path}`;
    throw notReadable(path, `cannot be loaded: ${maskUrlsIn(message)}`, hint);
  }
  throw notReadable(path, 'has no default export', 'Write: export default { … }');
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
