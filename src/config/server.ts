import type { ConnectionOptions } from '../connection/options.ts';
import { MASK, maskUrl } from '../text/harmless.ts';
import type { ConnectionChoice } from './choice.ts';
import { type Environment, findVariable } from './environment.ts';
import { type CompleteConnection, completeConnection } from './libpq.ts';
import { type ParameterSet, parseSslFlag, selectParameters } from './parameters.ts';
import type { ConfigEntry } from './resolve.ts';
import { parseUrlParameters } from './url.ts';

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

async function completeChoice(
  choice: ConnectionChoice,
  environment: Environment,
): Promise<CompleteConnection> {
  if (choice.kind === 'libpq-variables') return completeConnection(new Map(), environment);
  if (choice.kind === 'db-variables') {
    return completeConnection(readDbVariables(environment), environment, 'localhost');
  }
  const given = parseUrlParameters(choice.url ?? '', choice.source);
  const { parameters, warnings } = selectParameters(given, choice.source);
  const complete = await completeConnection(parameters, environment);
  return { ...complete, warnings: [...warnings, ...complete.warnings] };
}

function maskParameter(name: string, value: string): string {
  if (name === 'password') return MASK;
  // Settings of extensions can hold a secret too: -c shop.api_token=…
  return name === 'options' ? maskUrl(value) : value;
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

/** A server with everything that is needed to reach it. */
export interface ResolvedServer {
  options: ConnectionOptions;
  entries: ConfigEntry[];
  warnings: string[];
}

/**
 * Reads the chosen source and fills what it leaves out.
 *
 * @param prefix how the entries are called, such as `connection`
 * @param urlKey how the entry of the URL is called
 * @throws EvdbError `CONFIG_INVALID` for what cannot be used; no message holds a password
 */
export async function resolveServer(
  prefix: string,
  urlKey: string,
  choice: ConnectionChoice,
  environment: Environment,
): Promise<ResolvedServer> {
  const complete = await completeChoice(choice, environment);
  const { url, source } = choice;
  const entries: ConfigEntry[] = [{ key: prefix, value: 'server', source }];
  if (url !== undefined) entries.push({ key: urlKey, value: maskUrl(url.trim()), source });
  return {
    options: complete.options,
    entries: [...entries, ...listEntries(prefix, complete)],
    warnings: complete.warnings,
  };
}
