import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { HostAddress } from '../connection/options.ts';
import { EvdbError } from '../errors.ts';
import { readPlainFile } from '../file-system.ts';
import { renderSuggestion } from '../text/words.ts';
import { type Environment, findVariable } from './environment.ts';

/**
 * Looks a password up as libpq does: a file that others may read is ignored with a warning.
 *
 * @param file absolute path
 * @param isNamed false for the default file, whose absence is nothing to mention
 * @param hosts in this order; one password serves all, so the first that is found counts
 */
export function readPassword(
  file: string,
  isNamed: boolean,
  hosts: readonly HostAddress[],
  login: { database: string; user: string },
): { password?: string; warnings: string[] } {
  const { text, warnings } = readPassfile(file, isNamed);
  if (text === '') return { warnings };
  const found = hosts
    .map((address) => findPassword(text, { ...address, ...login }))
    .filter((password) => password !== undefined);
  const password = found[0];
  if (new Set(found).size > 1) {
    warnings.push(
      `${file} has several passwords for these hosts; the first one serves all of them`,
    );
  }
  return { warnings, ...(password !== undefined && password !== '' && { password }) };
}

function readPassfile(file: string, isNamed: boolean): { text: string; warnings: string[] } {
  const ignored = (why: string) => ({
    text: '',
    warnings: [`the password file ${file} ${why}; it is ignored`],
  });
  try {
    const stats = statSync(file);
    if (!stats.isFile()) return ignored('is not a plain file');
    // Windows has no such bits: there the folder protects the file.
    if (process.platform !== 'win32' && (stats.mode & 0o077) !== 0) {
      return ignored(`can be read by others: run chmod 0600 ${file}`);
    }
    return { text: readFileSync(file, 'utf8'), warnings: [] };
  } catch {
    return isNamed ? ignored('cannot be read') : { text: '', warnings: [] };
  }
}

/** What a line of a password file has to fit. */
interface PassfileTarget {
  host: string;
  port: number;
  database: string;
  user: string;
}

/**
 * Finds the password in the text of a password file: the first line that fits, where `*` fits
 * everything and `\` takes the meaning from `:` and `\`.
 *
 * @example findPassword('db:5432:*:app:secret', {host: 'db', port: 5432, database: 'x', user: 'app'})
 */
export function findPassword(text: string, target: PassfileTarget): string | undefined {
  const host = DEFAULT_SOCKET_FOLDERS.has(target.host) ? 'localhost' : target.host;
  const wanted = [host, String(target.port), target.database, target.user];
  for (const line of text.split(/\r?\n/)) {
    if (line === '' || line.startsWith('#')) continue;
    const fields = splitLine(line);
    const password = fields[4];
    const fits = wanted.every(
      (value, i) => fields[i] === '*' || unescapeField(fields[i] ?? '') === value,
    );
    if (fits && password !== undefined) return unescapeField(password);
  }
  return undefined;
}

/** Where libpq's own socket may be: a password file calls all of them `localhost`. */
const DEFAULT_SOCKET_FOLDERS = new Set(['/tmp', '/var/run/postgresql', '/run/postgresql']);

/** Splits a line at its colons; a backslash takes the meaning from the character after it. */
function splitLine(line: string): string[] {
  return line.match(/(?:^|:)(?:\\.|[^:\\]|\\$)*/g)?.map((field) => field.replace(/^:/, '')) ?? [];
}

function unescapeField(field: string): string {
  return field.replace(/\\([\s\S])/g, '$1');
}

/** What `pg_service.conf` says about one service. */
interface Service {
  /** libpq's parameters by name, unchecked. */
  parameters: Record<string, string>;
  /** Absolute path of the file that holds it. */
  file: string;
}

/**
 * Finds a service in `PGSERVICEFILE` (else `.pg_service.conf` in the home folder), then in
 * `pg_service.conf` of `PGSYSCONFDIR`.
 *
 * @param userFolder where libpq looks for the user's own file
 * @throws EvdbError `CONFIG_INVALID` where no file holds it
 */
export function readService(name: string, environment: Environment, userFolder: string): Service {
  const systemFolder = findVariable(environment, 'PGSYSCONFDIR')?.value;
  const files = [
    findVariable(environment, 'PGSERVICEFILE')?.value ?? join(userFolder, '.pg_service.conf'),
    ...(systemFolder === undefined ? [] : [join(systemFolder, 'pg_service.conf')]),
  ];
  const known: string[] = [];
  for (const file of files) {
    const services = readServices(file);
    const parameters = services?.get(name);
    if (parameters !== undefined) return { parameters, file };
    known.push(...(services?.keys() ?? []));
  }
  const suggestion = renderSuggestion(name, known);
  throw new EvdbError('CONFIG_INVALID', `the service "${name}" is not defined${suggestion}`, {
    hint: `Define [${name}] in ${files.join(' or ')}, or unset PGSERVICE.`,
    details: { files },
  });
}

function readServices(file: string): Map<string, Record<string, string>> | undefined {
  let text: string;
  try {
    text = readPlainFile(file).toString('utf8');
  } catch {
    return undefined;
  }
  return parseServiceFile(text, file);
}

/**
 * Reads the text of a `pg_service.conf`: sections in brackets, `name=value` lines, `#` comments.
 * Where a service stands there twice, the first one counts, as in libpq.
 *
 * @throws EvdbError `CONFIG_INVALID` with the number of the line that cannot be read; its text
 *   is not shown, as it may hold a password
 */
export function parseServiceFile(text: string, file: string): Map<string, Record<string, string>> {
  const services = new Map<string, Record<string, string>>();
  let current: Record<string, string> | undefined;
  for (const [index, rawLine] of text.split('\n').entries()) {
    const line = rawLine.trim();
    if (line === '' || line.startsWith('#')) continue;
    const name = /^\[(.*)\]$/.exec(line)?.[1];
    const equalsAt = line.indexOf('=');
    if (name !== undefined) {
      current = {};
      if (!services.has(name)) services.set(name, current);
    } else if (current !== undefined && equalsAt > 0 && !line.startsWith('service=')) {
      current[line.slice(0, equalsAt).trim()] = line.slice(equalsAt + 1).trim();
    } else {
      const problem = `${file}: line ${index + 1} is not a section or a parameter of one`;
      throw new EvdbError('CONFIG_INVALID', problem, {
        hint: 'Write [name] and below it lines such as host=db.example.org; services do not nest.',
      });
    }
  }
  return services;
}
