import type { ConnectionOptions } from '../connection/options.ts';
import { MASK, maskUrl } from '../text/harmless.ts';
import type { ConnectionChoice, Secret } from './connection.ts';
import { type Environment, findVariable } from './environment.ts';
import {
  type ParameterSet,
  parseSslFlag,
  planConnectionOptions,
  selectParameters,
} from './parameters.ts';
import type { ConfigEntry } from './resolve.ts';
import { parseUrlParameters } from './url.ts';

/** A server with everything that is needed to reach it. */
interface ResolvedServer {
  options: ConnectionOptions;
  entries: ConfigEntry[];
  warnings: string[];
}

/**
 * Reads the chosen source and fills what it leaves out.
 *
 * @param prefix how the entries are called, such as `connection`
 * @param urlKey how the entry of the URL is called
 * @param secret the password where the source has none; comes before what libpq would fill in
 * @throws EvdbError `CONFIG_INVALID` for what cannot be used; no message holds a password
 */
export async function resolveServer(
  prefix: string,
  urlKey: string,
  choice: ConnectionChoice,
  environment: Environment,
  secret: Secret | undefined,
): Promise<ResolvedServer> {
  const complete = await completeChoice(choice, environment, secret);
  const { url, source } = choice;
  const entries: ConfigEntry[] = [{ key: prefix, value: 'server', source }];
  if (url !== undefined) entries.push({ key: urlKey, value: maskUrl(url.trim()), source });
  return {
    options: complete.options,
    entries: [...entries, ...listEntries(prefix, complete)],
    warnings: complete.warnings,
  };
}

async function completeChoice(
  choice: ConnectionChoice,
  environment: Environment,
  secret: Secret | undefined,
): Promise<CompleteConnection> {
  const given = { secret, environment };
  if (choice.kind === 'libpq-variables') return completeConnection(new Map(), given);
  if (choice.kind === 'db-variables') {
    return completeConnection(readDbVariables(environment), given, 'localhost');
  }
  const inUrl = parseUrlParameters(choice.url ?? '', choice.source);
  const { parameters, warnings } = selectParameters(inUrl, choice.source);
  const complete = await completeConnection(parameters, given);
  return { ...complete, warnings: [...warnings, ...complete.warnings] };
}

const DB_VARIABLES: ReadonlyMap<string, string> = new Map([
  ['DB_HOST', 'host'],
  ['DB_PORT', 'port'],
  ['DB_NAME', 'dbname'],
  ['DB_USER', 'user'],
  ['DB_PASSWORD', 'password'],
  ['DB_SSL', 'sslmode'],
]);

/** The whole `DB_*` set: a password from the environment goes with a host from `.env`. */
function readDbVariables(environment: Environment): ParameterSet {
  const parameters: ParameterSet = new Map();
  for (const [variable, name] of DB_VARIABLES) {
    const found = findVariable(environment, variable);
    if (found === undefined) continue;
    const value = name === 'sslmode' ? parseSslFlag(found.value) : found.value;
    parameters.set(name, { value, source: found.source });
  }
  return parameters;
}

/** What a connection is made of under libpq's names, each with its own source. */
function listEntries(prefix: string, complete: CompleteConnection): ConfigEntry[] {
  const { parameters, options } = complete;
  const entries: ConfigEntry[] = [...parameters].map(([name, { value, source }]) => ({
    key: `${prefix}.${name}`,
    value: maskParameter(name, value),
    source,
  }));
  const defaults: [string, string | number][] = [
    ['port', 5432],
    ['sslmode', options.sslMode],
    ['application_name', options.applicationName],
    ['connect_timeout', options.connectTimeoutMs / 1000],
  ];
  for (const [name, value] of defaults) {
    const isGiven = parameters.has(name);
    if (!isGiven) entries.push({ key: `${prefix}.${name}`, value, source: 'default' });
  }
  return entries;
}

function maskParameter(name: string, value: string): string {
  if (name === 'password') return MASK;
  // Settings of extensions can hold a secret too: -c shop.api_token=…
  return name === 'options' ? maskUrl(value) : value;
}

/** A connection with every gap filled. */
interface CompleteConnection {
  options: ConnectionOptions;
  /** What the options are made of, each with its source. */
  parameters: ParameterSet;
  warnings: string[];
}

/**
 * Fills the gaps of a connection in libpq's order: the service that it or `PGSERVICE` names,
 * then the `PG…` variables, then defaults (this machine's socket or `localhost`, the system
 * user, the user's name as the database), at last the password file.
 *
 * @param given what the chosen source says
 * @param defaultHost the host where nobody names one; default the socket of a server on this
 *   machine if there is one, else `localhost`
 * @throws EvdbError `CONFIG_INVALID` for a value that cannot be used or an unknown service
 */
async function completeConnection(
  given: ParameterSet,
  { environment, secret }: { environment: Environment; secret: Secret | undefined },
  defaultHost?: string,
): Promise<CompleteConnection> {
  const parameters: ParameterSet = new Map(given);
  const chosen = parameters.has('password') ? undefined : secret;
  if (chosen) parameters.set('password', { value: MASK, source: chosen.source });
  const warnings = await addService(parameters, environment);
  const variables = readLibpqVariables(environment);
  fillGaps(parameters, variables.parameters);
  await addDefaults(parameters, environment, defaultHost);
  const options: ConnectionOptions = {
    hosts: [],
    database: '',
    user: '',
    sslMode: 'prefer',
    applicationName: 'evdb',
    connectTimeoutMs: 10_000,
    ...planConnectionOptions(parameters),
    ...(chosen && { password: chosen.password }),
  };
  warnings.push(...variables.warnings);
  if (options.password === undefined) {
    warnings.push(...(await addPassword(parameters, environment, options)));
  }
  return { options, parameters, warnings };
}

async function addService(parameters: ParameterSet, environment: Environment): Promise<string[]> {
  const name = parameters.get('service')?.value ?? findVariable(environment, 'PGSERVICE')?.value;
  if (name === undefined) return [];
  const { readService } = await import('./libpq-files.ts');
  const service = readService(name, environment, await findUserFolder(environment));
  const source = `service ${name} in ${service.file}`;
  const selected = selectParameters(service.parameters, source);
  fillGaps(parameters, selected.parameters);
  return selected.warnings;
}

const PARAMETER_OF_VARIABLE: ReadonlyMap<string, string> = new Map([
  ['PGHOST', 'host'],
  ['PGHOSTADDR', 'hostaddr'],
  ['PGPORT', 'port'],
  ['PGDATABASE', 'dbname'],
  ['PGUSER', 'user'],
  ['PGPASSWORD', 'password'],
  ['PGPASSFILE', 'passfile'],
  ['PGSSLMODE', 'sslmode'],
  ['PGSSLROOTCERT', 'sslrootcert'],
  ['PGSSLCERT', 'sslcert'],
  ['PGSSLKEY', 'sslkey'],
  ['PGOPTIONS', 'options'],
  ['PGCONNECT_TIMEOUT', 'connect_timeout'],
  ['PGTARGETSESSIONATTRS', 'target_session_attrs'],
  ['PGAPPNAME', 'application_name'],
  ['PGCHANNELBINDING', 'channel_binding'],
  // Not supported; named here so that asking for them is refused.
  ['PGREQUIREAUTH', 'require_auth'],
  ['PGGSSENCMODE', 'gssencmode'],
  ['PGSSLCRL', 'sslcrl'],
  ['PGSSLCRLDIR', 'sslcrldir'],
  ['PGREQUIREPEER', 'requirepeer'],
  ['PGSSLCERTMODE', 'sslcertmode'],
  ['PGSSLMINPROTOCOLVERSION', 'ssl_min_protocol_version'],
]);

/** Reads what libpq's own variables (`PGHOST`, …) say. */
function readLibpqVariables(environment: Environment): ReturnType<typeof selectParameters> {
  const given: Record<string, string> = {};
  const sources = new Map<string, string>();
  for (const [variable, parameter] of PARAMETER_OF_VARIABLE) {
    const found = findVariable(environment, variable);
    if (found === undefined) continue;
    given[parameter] = found.value;
    sources.set(parameter, found.source);
  }
  return selectParameters(given, (parameter) => sources.get(parameter) ?? 'environment');
}

function fillGaps(target: ParameterSet, source: ParameterSet): void {
  // An address that goes with another host must not follow the chosen one.
  const hasHost = target.has('host') || target.has('hostaddr');
  for (const [name, parameter] of source) {
    const isHost = name === 'host' || name === 'hostaddr';
    if (!target.has(name) && !(isHost && hasHost)) target.set(name, parameter);
  }
}

async function addDefaults(
  parameters: ParameterSet,
  environment: Environment,
  defaultHost: string | undefined,
): Promise<void> {
  if (!parameters.has('host') && !parameters.has('hostaddr')) {
    const host = defaultHost ?? (await findDefaultHost(parameters.get('port')?.value ?? '5432'));
    parameters.set('host', { value: host, source: 'default' });
  }
  if (!parameters.has('user')) {
    const user = await findUserName(environment);
    parameters.set('user', { value: user, source: 'default: name of the system user' });
  }
  if (!parameters.has('dbname')) {
    const user = parameters.get('user')?.value ?? '';
    parameters.set('dbname', { value: user, source: 'default: name of the user' });
  }
}

async function findUserName(environment: Environment): Promise<string> {
  const { userInfo } = await import('node:os');
  try {
    return userInfo().username;
  } catch {
    // A user id without an entry in the passwd database, as in many containers.
    return findVariable(environment, 'USER')?.value ?? 'postgres';
  }
}

/** Like libpq, prefers the socket of a server on this machine where nobody named a host. */
async function findDefaultHost(port: string): Promise<string> {
  if (process.platform === 'win32') return 'localhost';
  const { existsSync } = await import('node:fs');
  const folders = ['/var/run/postgresql', '/tmp'];
  return folders.find((folder) => existsSync(`${folder}/.s.PGSQL.${port}`)) ?? 'localhost';
}

async function addPassword(
  parameters: ParameterSet,
  environment: Environment,
  options: ConnectionOptions,
): Promise<string[]> {
  const { readPassword } = await import('./libpq-files.ts');
  const { join } = await import('node:path');
  const named = parameters.get('passfile')?.value;
  const defaultName = process.platform === 'win32' ? 'pgpass.conf' : '.pgpass';
  const file = named ?? join(await findUserFolder(environment), defaultName);
  const found = readPassword(file, named !== undefined, options.hosts, options);
  if (found.password !== undefined) {
    options.password = found.password;
    parameters.set('password', { value: found.password, source: `password file ${file}` });
  }
  return found.warnings;
}

async function findUserFolder(environment: Environment): Promise<string> {
  const { homedir } = await import('node:os');
  const appData = findVariable(environment, 'APPDATA')?.value;
  if (process.platform === 'win32' && appData !== undefined) return `${appData}\\postgresql`;
  return findVariable(environment, 'HOME')?.value ?? homedir();
}
