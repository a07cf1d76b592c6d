import { join } from 'node:path';
import { EvdbError } from '../errors.ts';
import { readPlainFile, whyUnreadable } from '../file-system.ts';

/** Variables of one origin, as in `process.env`. */
export type Variables = Readonly<Record<string, string | undefined>>;

/** The real environment and what `.env` adds to it. */
export interface Environment {
  real: Variables;
  dotenv: Variables;
}

/** A variable that has a value. */
interface FoundVariable {
  value: string;
  /** `environment NAME` or `.env NAME`. */
  source: string;
}

/**
 * Reads a variable from one origin. An empty value counts as not set, as many tools cannot
 * unset a variable; an empty one in the real environment still hides that of `.env`.
 */
export function readVariable(
  environment: Environment,
  origin: 'environment' | '.env',
  name: string,
): FoundVariable | undefined {
  const real = environment.real[name];
  if (origin === '.env' && real !== undefined) return undefined;
  const value = origin === 'environment' ? real : environment.dotenv[name];
  return value === undefined || value === '' ? undefined : { value, source: `${origin} ${name}` };
}

/** Reads a variable from the real environment, else from `.env`. */
export function findVariable(environment: Environment, name: string): FoundVariable | undefined {
  return readVariable(environment, 'environment', name) ?? readVariable(environment, '.env', name);
}

/**
 * Reads the `.env` of a folder, in the syntax of `node --env-file`, and puts in the variables that
 * its values name.
 * `process.env` stays as it is: a library does not change its host.
 *
 * @param real the environment, which comes before the lines of the file
 * @returns no variables where there is no such file
 * @throws {EvdbError} CONFIG_INVALID where it may not be read, or a variable of evdb's is written wrongly
 */
export async function readDotenv(
  directory: string,
  real: Variables,
): Promise<{ variables: Variables; warnings: string[] }> {
  const path = join(directory, '.env');
  let text: string;
  try {
    text = readPlainFile(path).toString('utf8');
  } catch (error) {
    // A folder of that name is a Python environment, nothing of ours.
    const isAbsent = ['ENOENT', 'EISDIR'].includes((error as NodeJS.ErrnoException).code ?? '');
    if (isAbsent) return { variables: {}, warnings: [] };
    throw new EvdbError('CONFIG_INVALID', `${path} ${whyUnreadable(error)}`, {
      hint: 'It may name the database. Let this user read it, or move it away.',
      cause: error,
    });
  }
  text = text.replace(/^\uFEFF/, '');
  refuseBroken(text, path);
  const { parseEnv } = await import('node:util');
  const parsed = parseEnv(listAssignments(text));
  const { variables, unknown } = expandVariables(parsed, real);
  return { variables, warnings: [...unknown].flatMap(([name, missing]) => tell(name, missing)) };
}

/** Other lines are other tools': theirs to judge. */
const OWN = /^(EVDB_|DB_|PG|DATABASE_URL$)/;

function tell(name: string, missing: string[]): string[] {
  if (!OWN.test(name)) return [];
  return missing.map(
    (one) => `.env ${name}: there is no variable ${one}, so \${${one}} stays as it is`,
  );
}

/**
 * Node passes over what it cannot read, and evdb would go on to another database. A name alone is no
 * mistake: Docker takes its value from outside, and a shell exports what was set before.
 */
function refuseBroken(text: string, path: string): void {
  const refuse = (at: number, what: string, hint: string) => {
    const lines = text.slice(0, at).split('\n');
    const place = `${path}:${lines.length}:${(lines.at(-1)?.length ?? 0) + 1}`;
    throw new EvdbError('CONFIG_INVALID', `${place} ${what}`, { hint });
  };
  if (text.includes('\0')) refuse(text.indexOf('\0'), 'is not UTF-8', 'Save the file as UTF-8.');
  const rest = text.replace(LINE, (line, start: string, value: string, at: number) => {
    const name = /[\w.-]+(?=[ \t]*=)/.exec(start)?.[0] ?? '';
    const quote = /^["'`]/.exec(value)?.[0];
    if (quote && OWN.test(name) && !(value.length > 1 && value.endsWith(quote))) {
      refuse(at + start.length, `has a quote that is not closed, for ${name}`, CLOSE);
    }
    return line.replace(/[^\n]/g, '#');
  });
  for (const { 0: all, 1: name = '', index } of rest.matchAll(NO_EQUALS)) {
    if (!OWN.test(name)) continue;
    refuse(index + all.length, `has no "=" behind ${name}`, `Write ${name}=value.`);
  }
}

const CLOSE = 'Close it, or put the value into quotes of another kind.';
const NO_EQUALS = /^[ \t]*(?:export[ \t]+)?([A-Z][A-Z0-9_]*)(?!\w)(?=[^\S\r\n]*[^\s=#])/gm;

/** An assignment of `.env`, as Node and others read it. */
const LINE =
  /^([ \t]*(?:export[ \t]+)?[\w.-]+[ \t]*=[ \t]*)('(?:\\'|[^'])*'|"(?:\\"|[^"])*"|`(?:\\`|[^`])*`|[^#\r\n]*)/gm;
// Stand for what is not expanded until all is: no text holds them, they are no characters.
const LITERAL_DOLLAR = '\uFDD0';

/**
 * Takes the assignments alone, because Node 20 puts a line without one in front of the next name, and
 * hides the `$` that mean themselves: those in single quotes and those behind a backslash.
 *
 * @returns the text of `.env`, for the parser and then for `expandVariables`
 */
function listAssignments(text: string): string {
  const lines = [...text.matchAll(LINE)].map(([, start = '', value = '']) => {
    const hidden = value.startsWith("'")
      ? value.replaceAll('$', LITERAL_DOLLAR)
      : value.replaceAll('\\$', LITERAL_DOLLAR);
    return start + hidden;
  });
  return lines.join('\n');
}

/**
 * Puts in the variables that values name, as dotenv-expand does: `$NAME`, `${NAME}`,
 * `${NAME:-default}` and `${NAME-default}`, from the environment first and then from another line.
 * What nobody has set stays as it stands: a password may hold a `$`.
 *
 * @returns beside the variables the names in braces that nobody has set, by the variable that holds them
 * @example expandVariables({ A: '${B}/x', B: 'y' }, {}).variables // { A: 'y/x', B: 'y' }
 */
function expandVariables(
  parsed: Variables,
  real: Variables,
): { variables: Record<string, string>; unknown: Map<string, string[]> } {
  const done = new Map<string, string>();
  const unknown = new Map<string, string[]>();
  const open = new Set<string>();

  function lookUp(name: string): string | undefined {
    if (real[name] !== undefined) return real[name];
    // One that names itself by way of others has no value.
    if (!Object.hasOwn(parsed, name) || open.has(name)) return undefined;
    const known = done.get(name);
    if (known !== undefined) return known;
    open.add(name);
    const value = expand(parsed[name] ?? '', name);
    open.delete(name);
    done.set(name, value);
    return value;
  }

  function expand(text: string, holder: string): string {
    let result = '';
    for (let at = 0; at < text.length; ) {
      const found = readReference(text, at);
      if (found === undefined) {
        result += text[at++];
        continue;
      }
      const { name, otherwise, isForEmpty, end } = found;
      const value = lookUp(name);
      const isMissing = value === undefined || (isForEmpty && value === '');
      if (!isMissing) result += value;
      else if (otherwise !== undefined) result += expand(otherwise, holder);
      else {
        result += text.slice(at, end);
        if (text[at + 1] === '{') unknown.set(holder, [...(unknown.get(holder) ?? []), name]);
      }
      at = end;
    }
    return result;
  }

  const variables: Record<string, string> = {};
  for (const name of Object.keys(parsed)) {
    open.add(name);
    const value = done.get(name) ?? expand(parsed[name] ?? '', name);
    open.delete(name);
    done.set(name, value);
    variables[name] = value.replaceAll(LITERAL_DOLLAR, '$');
  }
  return { variables, unknown };
}

interface Reference {
  name: string;
  otherwise: string | undefined;
  /** Whether the default counts for an empty value too. */
  isForEmpty: boolean;
  end: number;
}

function readReference(text: string, at: number): Reference | undefined {
  if (text[at] !== '$') return undefined;
  const [all = '', brace, name = ''] =
    /^\$(\{?)([A-Za-z_]\w*)/.exec(text.slice(at, at + 256)) ?? [];
  if (name === '') return undefined;
  let end = at + all.length;
  if (!brace) return { name, otherwise: undefined, isForEmpty: false, end };
  const [operator = ''] = /^:?-/.exec(text.slice(end, end + 2)) ?? [];
  const from = end + operator.length;
  for (let depth = 1; end < text.length; end++) {
    if (text.startsWith('${', end)) depth++;
    else if (text[end] === '}' && --depth === 0) {
      if (operator === '' && end > from) return undefined;
      const otherwise = operator === '' ? undefined : text.slice(from, end);
      return { name, otherwise, isForEmpty: operator === ':-', end: end + 1 };
    }
  }
  return undefined;
}
