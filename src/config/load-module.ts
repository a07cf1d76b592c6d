/** Config files in JavaScript and TypeScript: running one, and saying where it fails. */

import { basename, extname } from 'node:path';
import { EvdbError } from '../errors.ts';
import { readPlainFile } from '../file-system.ts';
import { maskUrlsIn } from '../text/harmless.ts';

/** A config that asks something of the network should not take longer. */
const LOAD_TIMEOUT_MS = 10_000;

/**
 * Runs a config file and reads all that it exports. Node itself takes the types out of TypeScript,
 * from 22.18 on without being asked to.
 *
 * @param path absolute path of a file that can be read
 * @throws EvdbError `CONFIG_INVALID` with line and column where they are known, never with a line's text
 */
export async function loadModule(path: string): Promise<unknown> {
  const { pathToFileURL } = await import('node:url');
  const url = pathToFileURL(path).href;
  let value: unknown;
  try {
    value = await inTime(importQuietly(url, path), path);
    // Getters run now, where what they throw has a file to be blamed on.
    value = snapshot(value);
  } catch (error) {
    if (error instanceof EvdbError) throw error;
    throw await explain(error, path, url);
  }
  if (value === NO_DEFAULT) {
    throw broken(path, 'has no default export', 'Write: export default { … }');
  }
  return value;
}

const NO_DEFAULT = Symbol('no default export');

/**
 * What Node has to say of the file's own kind it would say on each start: that it takes types away, and
 * that `package.json` does not name the type. Warnings of what the file imports stay.
 */
async function importQuietly(url: string, path: string): Promise<unknown> {
  const { emitWarning } = process;
  process.emitWarning = ((warning: string | Error, ...rest: never[]) => {
    const text = String(warning);
    const isOfKind = text.includes(path) || text.includes(url) || text.includes('Type Stripping');
    if (!isOfKind) emitWarning.call(process, warning, ...rest);
  }) as typeof emitWarning;
  try {
    return await importDefault(url);
  } finally {
    process.emitWarning = emitWarning;
  }
}

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
      reject(broken(path, `was not loaded within ${seconds} s`, hint));
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

async function explain(error: unknown, path: string, url: string): Promise<EvdbError> {
  const { code, stack = '' } = (error ?? {}) as { code?: string; stack?: string };
  if (code === 'ERR_UNKNOWN_FILE_EXTENSION' && isTypeScript(path)) return tooOld(path);
  if (error instanceof SyntaxError) {
    const place = findMarked(stack) ?? (await findBySyntaxCheck(path));
    return explainSyntax(path, place, {
      code,
      said: isTypeScript(path) ? '' : `: ${withoutNames(error.message)}`,
    });
  }
  const place = findThrown(stack, url);
  const said = error instanceof Error ? error.message : String(error);
  // What follows the first line of one may be lines of the file.
  const [message = ''] = said.split('\n');
  const isMissing = code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND';
  const hint = isMissing
    ? 'Install in the project what it imports. An object needs no defineConfig: its type can be in a comment.'
    : `To see where, run: node ${path}`;
  return broken(
    place ? `${path}:${place}` : path,
    `cannot be loaded: ${maskUrlsIn(message)}`,
    hint,
  );
}

function explainSyntax(
  path: string,
  place: Place | undefined,
  { code, said }: { code: string | undefined; said: string },
): EvdbError {
  const language = isTypeScript(path) ? 'TypeScript' : 'JavaScript';
  if (place === undefined) {
    const what = `, or a file that it imports, is not valid ${language}${said}`;
    return new EvdbError('CONFIG_INVALID', `${path}${what}`, { hint: `Run: node ${path}` });
  }
  const { file, line, column } = place;
  const where = `${file}:${line}:${column}`;
  if (code === 'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX') {
    const hint =
      'Node takes the types away and runs the rest: use no enum, no namespace with values and no parameter property.';
    return broken(where, 'holds TypeScript that is more than types', hint);
  }
  if (/^(import|export)\b/.test(readFrom(place))) {
    const name = `${basename(path, extname(path))}.m${extname(path).slice(-2)}`;
    return broken(where, 'is an ES module, and package.json says CommonJS', `Call it ${name}.`);
  }
  return broken(where, `is not valid ${language}${said}`, 'Look here and just before.');
}

/** What Node says of the syntax, without words of the file, which may hold a password. */
function withoutNames(message: string): string {
  const [line = ''] = message.split('\n');
  const named = line.replace(/(['"`])(?:(?!\1).)*\w(?:(?!\1).)*\1/g, '…').replace(/ …$/, '');
  // Quoted, what follows the word token is taken for a secret where messages are masked.
  return named.replace(/(['"`])([^\w\s]+)\1/g, '$2');
}

function readFrom({ file, line, column }: Place): string {
  const text = readPlainFile(file).toString('utf8').split('\n')[line - 1] ?? '';
  return text.slice(column - 1);
}

function isTypeScript(path: string): boolean {
  return /^\.[mc]?ts$/.test(extname(path));
}

function tooOld(path: string): EvdbError {
  return broken(
    path,
    `is TypeScript, which Node ${process.version} does not run by itself`,
    'Run evdb with Node 22.18 or later, or write it as evdb.config.mjs, with its type in a comment.',
  );
}

interface Place {
  file: string;
  line: number;
  column: number;
}

/**
 * Where Node marks a place in front of an error: the file and the line, some lines of it, and carets.
 *
 * @returns undefined where nothing is marked
 */
function findMarked(text: string): Place | undefined {
  const [, file, line] =
    /^(?:file:\/\/)?(\/.*|[A-Za-z]:[\\/].*|\[stdin\]):(\d+)$/m.exec(text) ?? [];
  const [, before] = /^([ \t]*)\^+[ \t]*$/m.exec(text) ?? [];
  if (file === undefined || before === undefined) return undefined;
  return { file: decodeURI(file), line: Number(line), column: before.length + 1 };
}

/** What `import` throws for JavaScript has no place; `node --check` tells of it. */
async function findBySyntaxCheck(path: string): Promise<Place | undefined> {
  if (isTypeScript(path)) return undefined;
  const { execFile } = await import('node:child_process');
  // By its name alone Node does not look closely at what may be either kind.
  const type = extname(path) === '.cjs' ? 'commonjs' : 'module';
  return new Promise((resolve) => {
    const args = ['--check', `--input-type=${type}`, '-'];
    const child = execFile(process.execPath, args, { timeout: 5000 }, (error, _, stderr) => {
      const place = error === null ? undefined : findMarked(stderr);
      resolve(place && { ...place, file: path });
    });
    child.stdin?.on('error', () => undefined).end(readPlainFile(path));
  });
}

/** Line and column of the config file in the stack of what it threw. */
function findThrown(stack: string, url: string): string | undefined {
  const at = stack.indexOf(`${url}:`);
  if (at < 0) return undefined;
  return /^\d+:\d+/.exec(stack.slice(at + url.length + 1))?.[0];
}

/** The text of the file is left out: it may hold a password. */
function broken(place: string, what: string, hint: string): EvdbError {
  return new EvdbError('CONFIG_INVALID', `${place} ${what}`, { hint });
}
