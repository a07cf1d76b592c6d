import type { ConnectionOptions, HostAddress } from '../connection/options.ts';
import { EvdbError } from '../errors.ts';
import { renderSuggestion } from '../text/words.ts';

/** One of libpq's parameters, still as text, with the place it comes from. */
export interface Parameter {
  value: string;
  /** Such as `environment PGHOST`. */
  source: string;
}

/** libpq's parameters by libpq's names: only those that evdb knows what to do with. */
export type ParameterSet = Map<string, Parameter>;

/**
 * Keeps the parameters that evdb uses, under libpq's names, and says which ones it drops.
 * An empty value counts as not given, as in libpq.
 *
 * @throws EvdbError `CONFIG_INVALID` for a protection that evdb cannot give
 * @param given parameters by name, from a URL, a service file or the environment
 * @param source where they come from; a function where each name has a source of its own
 */
export function selectParameters(
  given: Readonly<Record<string, string>>,
  source: string | ((name: string) => string),
): { parameters: ParameterSet; warnings: string[] } {
  const parameters: ParameterSet = new Map();
  const warnings: string[] = [];
  for (const [givenName, givenValue] of Object.entries(given)) {
    const origin = typeof source === 'string' ? source : source(givenName);
    const [name, value] = translate(givenName, givenValue);
    const isShadowed = givenName === 'ssl' && given.sslmode !== undefined && given.sslmode !== '';
    if (value === '' || isShadowed || WITHOUT_EFFECT.get(name)?.test(value)) continue;
    refuseProtection(name, value, origin);
    if (USED.has(name)) parameters.set(name, { value, source: origin });
    else warnings.push(renderDropped(givenName, origin));
  }
  if (parameters.has('host') && parameters.has('hostaddr')) {
    const origin = parameters.get('hostaddr')?.source ?? '';
    warnings.push(`${origin}: the parameter "hostaddr" is ignored where there is a host`);
    parameters.delete('hostaddr');
  }
  return { parameters, warnings };
}

const USED = new Set(
  (
    'host hostaddr port dbname user password passfile service sslmode sslrootcert sslcert sslkey ' +
    'channel_binding application_name fallback_application_name connect_timeout options target_session_attrs'
  ).split(' '),
);

/** `ssl=true` (JDBC, node) and `sslmode=no-verify` (node) in libpq's words. */
function translate(name: string, value: string): [string, string] {
  if (name === 'ssl') return ['sslmode', parseSslFlag(value)];
  if (name === 'sslmode' && value === 'no-verify') return [name, 'require'];
  return [name, value];
}

/**
 * Translates a yes or no about TLS into a value of `sslmode`; what is neither stays as it is.
 *
 * @example parseSslFlag('true') // 'require'
 */
export function parseSslFlag(value: string): string {
  const word = value.trim().toLowerCase();
  if (['true', '1', 'yes', 'on', 'no-verify', 'required'].includes(word)) return 'require';
  if (['false', '0', 'no', 'off', 'disabled'].includes(word)) return 'disable';
  return word;
}

/** Parameters of libpq without effect here, with the values that ask for nothing anyway. */
const WITHOUT_EFFECT: ReadonlyMap<string, RegExp> = new Map([
  ['channel_binding', /^(disable|prefer)$/],
  ['client_encoding', /^(auto|utf-?8)$/i],
  ['gssencmode', /^(disable|prefer)$/],
  ['load_balance_hosts', /^disable$/],
  ['sslcertmode', /^allow$/],
  ['sslcompression', /^0$/],
  ['sslnegotiation', /^postgres$/],
  ['sslsni', /^1$/],
  ['ssl_min_protocol_version', /^TLSv1(\.[12])?$/i],
]);

/**
 * Parameters of libpq that ask for a protection which evdb cannot give, with what to do instead: going
 * on without it would be weaker than what was asked for.
 */
const PROTECTIONS: ReadonlyMap<string, { asks: RegExp; hint: string }> = new Map([
  [
    'require_auth',
    {
      asks: /./,
      hint: 'Remove it, and use sslmode=verify-full, so that no other server gets the password.',
    },
  ],
  [
    'requirepeer',
    { asks: /./, hint: 'Remove it: evdb does not ask whose process listens on a socket.' },
  ],
  [
    'gssencmode',
    { asks: /^require$/, hint: 'Remove it: evdb encrypts with TLS, sslmode=require or more.' },
  ],
  [
    'sslcertmode',
    {
      asks: /^require$/,
      hint: 'Remove it: the server can ask for the certificate in its pg_hba.conf.',
    },
  ],
  ['sslcrl', { asks: /./, hint: 'Remove it: evdb reads no revocation lists.' }],
  ['sslcrldir', { asks: /./, hint: 'Remove it: evdb reads no revocation lists.' }],
  [
    'ssl_min_protocol_version',
    {
      asks: /^(?!TLSv1(\.[12])?$)/i,
      hint: 'Remove it: evdb asks for TLS 1.2 at least; the server can ask for more with ssl_min_protocol_version.',
    },
  ],
]);

function refuseProtection(name: string, value: string, source: string): void {
  const protection = PROTECTIONS.get(name);
  if (!protection?.asks.test(value)) return;
  throw new EvdbError('CONFIG_INVALID', `${source}: evdb cannot do what ${name} asks for`, {
    hint: protection.hint,
  });
}

const SCHEMA_ADVICE = 'choose the schema with --schema or EVDB_SCHEMA';
const SEARCH_PATH_ADVICE = 'set searchPath in the config file or EVDB_SEARCH_PATH';
const OPTIONS_ADVICE = 'server settings go into options=-c%20name%3Dvalue';
const ADVICE: ReadonlyMap<string, string> = new Map([
  ['schema', SCHEMA_ADVICE],
  ['currentschema', SCHEMA_ADVICE],
  ['search_path', SEARCH_PATH_ADVICE],
  ['statement_timeout', OPTIONS_ADVICE],
  ['lock_timeout', OPTIONS_ADVICE],
  ['idle_in_transaction_session_timeout', OPTIONS_ADVICE],
]);

function renderDropped(name: string, source: string): string {
  // Anything else than a plain name may be the tail of a password that was not percent-encoded.
  if (!/^[a-z][\w.-]{0,40}$/i.test(name)) {
    return `${source}: a parameter that libpq does not have is ignored`;
  }
  const advice = ADVICE.get(name.toLowerCase());
  if (advice !== undefined) return `${source}: the parameter "${name}" is ignored; ${advice}`;
  return `${source}: the parameter "${name}" is ignored${renderSuggestion(name, USED)}`;
}

/**
 * Turns libpq's parameters into connection options; what they leave out stays absent.
 *
 * @throws EvdbError `CONFIG_INVALID` for a value that cannot be used; names source and parameter
 */
export function planConnectionOptions(parameters: ParameterSet): Partial<ConnectionOptions> {
  const textOf = (name: string) => parameters.get(name)?.value;
  const hosts = parseHostAddresses(parameters);
  const database = textOf('dbname');
  const user = textOf('user');
  const password = textOf('password');
  const applicationName = textOf('application_name') ?? textOf('fallback_application_name');
  const connectTimeout = parameters.get('connect_timeout');
  const backendOptions = textOf('options');
  const session = parameters.get('target_session_attrs');
  return {
    ...(hosts !== undefined && { hosts }),
    ...(database !== undefined && { database }),
    ...(user !== undefined && { user }),
    ...(password !== undefined && { password }),
    ...planTls(parameters),
    ...(applicationName !== undefined && { applicationName }),
    ...(connectTimeout !== undefined && {
      connectTimeoutMs: parseConnectTimeoutMs(connectTimeout),
    }),
    ...(backendOptions !== undefined && { backendOptions }),
    ...(session !== undefined && {
      targetSessionAttrs: parseChoice('target_session_attrs', session, SESSION_ATTRS),
    }),
  };
}

function planTls(parameters: ParameterSet): Partial<ConnectionOptions> {
  const sslMode = parameters.get('sslmode');
  const rootCert = parameters.get('sslrootcert')?.value;
  const sslCert = parameters.get('sslcert')?.value;
  const sslKey = parameters.get('sslkey')?.value;
  // libpq: "system" means the certificates that come with the platform, and nothing less than a
  // full check with them.
  const isSystem = rootCert === 'system';
  if (isSystem && sslMode !== undefined) parseChoice('sslmode', sslMode, ['verify-full']);
  const binding = parameters.get('channel_binding');
  return {
    ...(binding !== undefined &&
      parseChoice('channel_binding', binding, CHANNEL_BINDINGS) === 'require' && {
        channelBinding: 'require' as const,
      }),
    ...(sslMode !== undefined && { sslMode: parseChoice('sslmode', sslMode, SSL_MODES) }),
    ...(isSystem && { sslMode: 'verify-full' as const }),
    ...(rootCert !== undefined && !isSystem && { sslRootCert: rootCert }),
    ...(sslCert !== undefined && { sslCert }),
    ...(sslKey !== undefined && { sslKey }),
  };
}

const SSL_MODES = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const;

/** The first two ask for nothing. */
const CHANNEL_BINDINGS = ['disable', 'prefer', 'require'] as const;

const SESSION_ATTRS = [
  'any',
  'read-write',
  'read-only',
  'primary',
  'standby',
  'prefer-standby',
] as const;

function parseChoice<T extends string>(
  name: string,
  parameter: Parameter,
  choices: readonly T[],
): T {
  const choice = choices.find((candidate) => candidate === parameter.value);
  if (choice !== undefined) return choice;
  throw new EvdbError('CONFIG_INVALID', `${parameter.source}: unknown value for ${name}`, {
    hint: `${name} is one of: ${choices.join(', ')}.`,
  });
}

function parseHostAddresses(parameters: ParameterSet): HostAddress[] | undefined {
  const host = parameters.get('host') ?? parameters.get('hostaddr');
  const port = parameters.get('port');
  if (host === undefined && port === undefined) return undefined;
  const hosts = (host?.value ?? 'localhost').split(',').map((name) => name.trim());
  const ports = (port?.value ?? '').split(',').map((text) => text.trim());
  const source = port?.source ?? host?.source ?? '';
  if (ports.length > 1 && ports.length !== hosts.length) {
    const counts = `${ports.length} ports for ${hosts.length} hosts`;
    throw new EvdbError('CONFIG_INVALID', `${source}: ${counts}`, {
      hint: 'Give one port for all hosts, or one for each host.',
    });
  }
  return hosts.map((name, index) => ({
    host: name === '' ? 'localhost' : name,
    port: parsePort(ports[ports.length === 1 ? 0 : index] ?? '', source),
  }));
}

function parsePort(text: string, source: string): number {
  if (text === '') return 5432;
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port >= 1 && port <= 65_535) return port;
  throw new EvdbError('CONFIG_INVALID', `${source}: the port is not a number from 1 to 65535`, {
    hint: 'PostgreSQL listens on 5432 by default. A password with / ? # must be percent-encoded.',
  });
}

function parseConnectTimeoutMs(parameter: Parameter): number {
  const seconds = /^-?\d{1,6}$/.test(parameter.value) ? Number(parameter.value) : Number.NaN;
  // libpq: zero or less waits without an end, for which a timer's longest time stands here.
  if (!Number.isNaN(seconds)) return seconds > 0 ? seconds * 1000 : 2_147_483_647;
  throw new EvdbError('CONFIG_INVALID', `${parameter.source}: unknown value for connect_timeout`, {
    hint: 'connect_timeout is a whole number of seconds; 0 waits forever.',
  });
}
