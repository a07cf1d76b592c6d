import { join } from 'node:path';
import { EvdbError } from '../errors.ts';
import { readPlainFile } from '../file-system.ts';
import { renderSuggestion } from '../text/words.ts';
import { type Environment, findVariable } from './environment.ts';

/** What `pg_service.conf` says about one service. */
export interface Service {
  /** libpq's parameters by name, unchecked. */
  parameters: Record<string, string>;
  /** Absolute path of the file that holds it. */
  file: string;
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
