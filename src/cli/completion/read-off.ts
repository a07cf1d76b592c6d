import { basename } from 'node:path';
import { readPlainFile } from '../../file-system.ts';

/** What a config file says, as far as it can be read off. */
export interface ReadOffSettings {
  migrationsDir?: string | undefined;
  /** By name, with the folder of the migrations where one is set. */
  environments: Map<string, string | undefined>;
}

/** A value as it stands in a file; undefined for what a program works out. */
type Literal = string | LiteralObject | undefined;
interface LiteralObject {
  [key: string]: Literal;
}

/**
 * Reads off what stands in a config file as it is, without running it: at a Tab no file of a project is
 * to be run, to print something, or to take its time. What a program works out is not found.
 *
 * @param path absolute
 * @throws where the file cannot be read, or is broken as far as it is looked at
 */
export function readOff(path: string): ReadOffSettings {
  const text = readPlainFile(path)
    .toString('utf8')
    .replace(/^\uFEFF/, '');
  if (basename(path) === 'package.json') return settingsOf(JSON.parse(text).evdb);
  const isJson = path.endsWith('.json');
  const isYaml = /\.ya?ml$|\.evdbrc$/.test(path);
  if (isJson || (isYaml && text.trimStart().startsWith('{'))) return settingsOf(JSON.parse(text));
  return isYaml ? readYaml(text) : settingsOf(findConfig(readTokens(text)));
}

function settingsOf(value: unknown): ReadOffSettings {
  const { migrationsDir, environments } = recordOf(value);
  const entries = Object.entries(recordOf(environments)).map(
    ([name, entry]) => [name, textOf(recordOf(entry).migrationsDir)] as const,
  );
  return { migrationsDir: textOf(migrationsDir), environments: new Map(entries) };
}

function recordOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** Strings, names and marks; comments are left out. */
const TOKEN =
  /\/\*.*?\*\/|\/\/[^\n]*|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`(?:\\.|[^`\\])*`|[\w$]+|\S/gs;

function readTokens(text: string): string[] {
  const tokens = text.match(TOKEN) ?? [];
  return tokens.filter((token) => !/^\/[/*]/.test(token));
}

/** The first object that has what is looked for; `defineConfig` may be around it, and imports before it. */
function findConfig(tokens: readonly string[]): LiteralObject {
  for (const [at, token] of tokens.entries()) {
    if (token !== '{') continue;
    const { value } = readObject(tokens, at + 1);
    if (value.environments !== undefined || value.migrationsDir !== undefined) return value;
  }
  return {};
}

/** @param from the place behind its opening brace */
function readObject(
  tokens: readonly string[],
  from: number,
): { value: LiteralObject; end: number } {
  const value: LiteralObject = {};
  let at = from;
  while (tokens[at] !== '}') {
    const name = nameOf(tokens[at]);
    let read: Literal;
    if (name !== undefined && tokens[at + 1] === ':') {
      if (tokens[at + 2] === '{') {
        const inner = readObject(tokens, at + 3);
        read = inner.value;
        at = inner.end;
      } else {
        const isAlone = [',', '}'].includes(tokens[at + 3] ?? '');
        if (isAlone) read = stringOf(tokens[at + 2]);
        at += 2;
      }
      value[name] = read;
    }
    at = skipPart(tokens, at);
  }
  return { value, end: at + 1 };
}

/** To the closing brace around, or behind the comma that ends the part. */
function skipPart(tokens: readonly string[], from: number): number {
  let depth = 0;
  for (let at = from; at < tokens.length; at += 1) {
    const token = tokens[at] ?? '';
    if (depth === 0 && token === '}') return at;
    if (depth === 0 && token === ',') return at + 1;
    if ('([{'.includes(token)) depth += 1;
    else if (')]}'.includes(token)) depth -= 1;
  }
  throw new SyntaxError('a brace is not closed');
}

function nameOf(token = ''): string | undefined {
  return /^[\w$]+$/.test(token) ? token : stringOf(token);
}

function stringOf(token = ''): string | undefined {
  const isPlain = /^["'`]/.test(token) && !/[\\$]/.test(token);
  return isPlain ? token.slice(1, -1) : undefined;
}

/** Of the usual form, in which each name stands on a line of its own. */
function readYaml(text: string): ReadOffSettings {
  const settings: ReadOffSettings = { environments: new Map() };
  let section = '';
  let environment = '';
  let depth: number | undefined;
  for (const line of text.split(/\r?\n/)) {
    const [, blanks, , name = '', value = ''] =
      /^( *)(["']?)([\w@%+=./-]+)\2[ \t]*:(?:[ \t]+["']?([^"'#]*))?/.exec(line) ?? [];
    if (blanks === undefined) continue;
    if (blanks === '') {
      section = name;
      depth = undefined;
      if (name === 'migrationsDir') settings.migrationsDir = value.trim();
    } else if (section === 'environments') {
      depth ??= blanks.length;
      if (blanks.length === depth) environment = name;
      const isFolder = blanks.length > depth && name === 'migrationsDir';
      if (blanks.length === depth) settings.environments.set(environment, undefined);
      else if (isFolder) settings.environments.set(environment, value.trim());
    }
  }
  return settings;
}
