import { readFileSync, statSync } from 'node:fs';
import type { HostAddress } from '../connection/options.ts';

/** Where libpq's own socket may be: a password file calls all of them `localhost`. */
const DEFAULT_SOCKET_FOLDERS = new Set(['/tmp', '/var/run/postgresql', '/run/postgresql']);

/** Splits a line at its colons; a backslash takes the meaning from the character after it. */
function splitLine(line: string): string[] {
  return line.match(/(?:^|:)(?:\\.|[^:\\]|\\$)*/g)?.map((field) => field.replace(/^:/, '')) ?? [];
}

function unescapeField(field: string): string {
  return field.replace(/\\([\s\S])/g, '$1');
}

/** What a line of a password file has to fit. */
export interface PassfileTarget {
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
