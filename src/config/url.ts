import type { ConnectionOptions } from '../connection/options.ts';
import { EvdbError } from '../errors.ts';
import { planConnectionOptions, selectParameters } from './parameters.ts';

/** The result of `parseConnectionUrl`. */
export interface ParsedConnectionUrl {
  /** Only what the URL says, over `base`; `resolveConfig` fills in the rest like libpq. */
  options: Partial<ConnectionOptions>;
  /** One sentence for each parameter that has no effect, naming it. */
  warnings: string[];
  /** The entry of `pg_service.conf` that the URL names; it is not read here. */
  service?: string;
  /** The password file that the URL names; it is not read here. */
  passfile?: string;
}

/**
 * Reads a connection URL like libpq: several hosts, percent-encoding, IPv6, sockets
 * (`postgres:///db?host=/run/postgresql`), parameters. Those of other tools (`schema`, `pgbouncer`,
 * …) are dropped with a warning, because a server would refuse them.
 *
 * @param url a `postgres://` or `postgresql://` URL, or libpq's `host=… dbname=…` form
 * @param base what applies if the URL says nothing; default nothing
 * @param source where the URL comes from, for messages; default `connection URL`
 * @throws EvdbError `CONFIG_INVALID`; the message never contains a part of the URL that could be
 *   secret
 * @example
 * parseConnectionUrl('postgres://app@a,b:5433/shop?connect_timeout=3').options
 * // { hosts: [{host: 'a', port: 5432}, {host: 'b', port: 5433}], user: 'app', … }
 */
export function parseConnectionUrl(
  url: string,
  base: Partial<ConnectionOptions> = {},
  source = 'connection URL',
): ParsedConnectionUrl {
  const selected = selectParameters(parseUrlParameters(url, source), source);
  const service = selected.parameters.get('service')?.value;
  const passfile = selected.parameters.get('passfile')?.value;
  return {
    options: { ...base, ...planConnectionOptions(selected.parameters) },
    warnings: selected.warnings,
    ...(service !== undefined && { service }),
    ...(passfile !== undefined && { passfile }),
  };
}

/**
 * Splits a connection string into libpq's parameters, still as text and without dropping any.
 *
 * @param text a `postgres://` or `postgresql://` URL, or libpq's `host=… dbname=…` form
 * @param source where the text comes from, for the error message
 * @throws EvdbError `CONFIG_INVALID`; the message never shows the text, which may hold a password
 */
export function parseUrlParameters(text: string, source: string): Record<string, string> {
  const trimmed = text.trim();
  const rest = /^postgres(?:ql)?:\/\/([\s\S]*)$/i.exec(trimmed)?.[1];
  if (rest === undefined) {
    if (isKeywordString(trimmed)) return parseKeywordString(trimmed, source);
    throw notAUrl(trimmed, source);
  }
  const [, authority = '', path = '', query = ''] =
    /^([^/?]*)(?:\/([^?]*))?(?:\?([\s\S]*))?$/.exec(rest) ?? [];
  // A raw / or ? in a password ends the authority early: what follows would be taken for a
  // database or a parameter, and be shown as one.
  if (path.includes('@') || (!authority.includes('@') && /@.*\//s.test(query))) {
    throw invalidUrl(source, 'the URL has an "@" in the wrong place');
  }
  // The last "@", as no host holds one: so a raw "@" in a password still works.
  const userEnd = authority.lastIndexOf('@');
  const userInfo = authority.slice(0, Math.max(userEnd, 0));
  const passwordAt = userInfo.includes(':') ? userInfo.indexOf(':') : userInfo.length;
  const user = decode(userInfo.slice(0, passwordAt), source, 'user name');
  const password = decode(userInfo.slice(passwordAt + 1), source, 'password');
  const database = decode(path, source, 'database name');
  return {
    ...parseHosts(authority.slice(userEnd + 1), source),
    ...(user !== '' && { user }),
    ...(password !== '' && { password }),
    ...(database !== '' && { dbname: database }),
    ...parseQuery(query, source),
  };
}

function notAUrl(text: string, source: string): EvdbError {
  const expected = 'Write postgres://user:password@host:5432/database.';
  if (/^["']/.test(text)) {
    return invalidUrl(source, 'the URL is in quotes', 'Remove the quotes around the URL.');
  }
  const scheme = /^([a-z][a-z0-9+.:-]*):\/\//i.exec(text)?.[1]?.toLowerCase();
  if (scheme === undefined) {
    return invalidUrl(source, 'the URL does not start with postgres:// or postgresql://', expected);
  }
  const postgres = /postgres(ql)?\b/.test(scheme) ? ' Remove what other tools put around it.' : '';
  return invalidUrl(
    source,
    `a URL with the scheme "${scheme}" is not a PostgreSQL URL`,
    `${expected}${postgres}`,
  );
}

/** The hosts and ports as libpq's comma-separated lists; a list is absent where nothing is given. */
function parseHosts(hostSpec: string, source: string): Record<string, string> {
  const hosts: string[] = [];
  const ports: string[] = [];
  for (const address of hostSpec.split(',')) {
    const match = /^(\[[^\]]*\]|[^:[\]]*)(?::(\d*))?$/.exec(address);
    if (match === null) {
      throw invalidUrl(source, `host ${hosts.length + 1} in the URL is not host or host:port`);
    }
    const host = match[1] ?? '';
    hosts.push(decode(host.startsWith('[') ? host.slice(1, -1) : host, source, 'host'));
    ports.push(match[2] ?? '');
  }
  return {
    ...(hosts.some((host) => host !== '') && { host: hosts.join(',') }),
    ...(ports.some((port) => port !== '') && { port: ports.join(',') }),
  };
}

function parseQuery(query: string, source: string): Record<string, string> {
  const parameters: Record<string, string> = {};
  for (const segment of query.split('&')) {
    if (segment === '') continue;
    const equalsAt = segment.indexOf('=');
    if (equalsAt < 0) throw invalidUrl(source, 'a parameter in the URL has no "="');
    const name = decode(segment.slice(0, equalsAt), source, 'name of a parameter');
    parameters[name] = decode(segment.slice(equalsAt + 1), source, 'value of a parameter');
  }
  return parameters;
}

const KEYWORD_HINT =
  "Write libpq's form, for example: host=db.example.org port=5432 dbname=shop user=app. " +
  "Put a value with spaces in single quotes; ' and \\ are written \\' and \\\\.";

/** True where a text has libpq's keyword form (`host=… dbname=…`) and not that of a URL. */
function isKeywordString(text: string): boolean {
  return /^\s*[a-z_]+\s*=/i.test(text);
}

/**
 * Reads libpq's keyword form of a connection string.
 *
 * @param text such as `host=/tmp dbname='my shop'`
 * @param source where the text comes from, for the error message
 * @throws EvdbError `CONFIG_INVALID`; the message never shows the text, which may hold a password
 */
function parseKeywordString(text: string, source: string): Record<string, string> {
  const pair = /\s*([a-z_]+)\s*=\s*(?:'((?:[^'\\]|\\[\s\S])*)'|((?:[^\s'\\]|\\[\s\S])*))(?=\s|$)/iy;
  const parameters: Record<string, string> = {};
  const end = text.trimEnd().length;
  while (pair.lastIndex < end) {
    const match = pair.exec(text);
    if (match?.[1] === undefined) {
      throw new EvdbError('CONFIG_INVALID', `${source}: the connection string cannot be read`, {
        hint: KEYWORD_HINT,
      });
    }
    parameters[match[1].toLowerCase()] = (match[2] ?? match[3] ?? '').replace(/\\([\s\S])/g, '$1');
  }
  return parameters;
}

const ENCODING_HINT =
  'In a user name or password, characters such as / ? # @ : % must be percent-encoded: ' +
  '/ is %2F, ? is %3F, # is %23, @ is %40, : is %3A, % is %25.';

function decode(text: string, source: string, part: string): string {
  try {
    const decoded = decodeURIComponent(text);
    if (!decoded.includes('\0')) return decoded;
  } catch {
    // A bare % or bytes that are not UTF-8: answered below, without the text.
  }
  throw invalidUrl(source, `the ${part} in the URL is not correctly percent-encoded`);
}

function invalidUrl(source: string, problem: string, hint = ENCODING_HINT): EvdbError {
  return new EvdbError('CONFIG_INVALID', `${source}: ${problem}`, { hint });
}
