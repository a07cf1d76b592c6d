import { EvdbError, type EvdbErrorCode } from '../errors.ts';
import { quoteIdent } from '../sql/quote.ts';
import { commandLine } from '../text/command-line.ts';
import type { ConnectionOptions, HostAddress } from './options.ts';

type Translation = [
  code: EvdbErrorCode,
  message: (place: Place) => string,
  hint: (place: Place) => string,
];

interface Place {
  address: string;
  user: string;
  database: string;
  serverMessage: string;
}

const tryAgain = () => 'Try again; if it happens again, check the server.';

/** Keyed by errno, by the driver's own codes and by SQLSTATE; never by message text. */
const TRANSLATIONS: Record<string, Translation> = {
  ECONNREFUSED: [
    'CONNECTION_REFUSED',
    (at) => `nothing accepts connections at ${at.address}`,
    () => `Start the server, or check the host and port with \`${commandLine('config')}\`.`,
  ],
  ENOENT: [
    'CONNECTION_REFUSED',
    (at) => `there is no PostgreSQL socket at ${at.address}`,
    () =>
      `Start the server, or check the socket folder and the port with \`${commandLine('config')}\`.`,
  ],
  ENOTFOUND: [
    'UNKNOWN_HOST',
    (at) => `the host of ${at.address} is unknown`,
    () => `Check the spelling of the host with \`${commandLine('config')}\`, and the name service.`,
  ],
  EAI_AGAIN: [
    'UNKNOWN_HOST',
    (at) => `the host of ${at.address} cannot be looked up at the moment`,
    () => `Check the spelling of the host with \`${commandLine('config')}\`, and the name service.`,
  ],
  ETIMEDOUT: [
    'CONNECT_TIMEOUT',
    (at) => `${at.address} did not answer in time`,
    () => 'Check the address and the firewall; connect_timeout in the URL waits longer.',
  ],
  '28P01': [
    'AUTHENTICATION_FAILED',
    (at) => `the server at ${at.address} refused the password of user "${at.user}"`,
    () =>
      `Check user and password; \`${commandLine('config')}\` shows where each value comes from.`,
  ],
  '28000': [
    'AUTHENTICATION_FAILED',
    (at) => `the server at ${at.address} refused user "${at.user}": ${at.serverMessage}`,
    () => "Check the user, the password, and the server's pg_hba.conf.",
  ],
  '3D000': [
    'DATABASE_MISSING',
    (at) => `database "${at.database}" does not exist on ${at.address}`,
    () =>
      `Create it with \`${commandLine('db create')}\`, or check the name with \`${commandLine('config')}\`.`,
  ],
  '53300': [
    'TOO_MANY_CONNECTIONS',
    (at) => `the server at ${at.address} has no connection left: ${at.serverMessage}`,
    tryAgain,
  ],
  '57P03': [
    'SERVER_STARTING',
    (at) => `the server at ${at.address} does not accept connections yet: ${at.serverMessage}`,
    tryAgain,
  ],
  '42501': [
    'PERMISSION_DENIED',
    (at) => `user "${at.user}" may not connect to database "${at.database}"`,
    (at) =>
      `Let an administrator run: grant connect on database ${quoteIdent(at.database)} to ${quoteIdent(at.user)};`,
  ],
  '08P01': [
    'CONNECTION_LOST',
    (at) => `${at.address} refused the connection's settings: ${at.serverMessage}`,
    () => 'Through a pooler, leave `options` out of the URL and PGOPTIONS out of the environment.',
  ],
};

/** Failures to connect that may pass by themselves: waiting helps. */
export const PASSING_CONNECT_FAILURES: ReadonlySet<EvdbErrorCode> = new Set<EvdbErrorCode>([
  'CONNECTION_REFUSED',
  'CONNECTION_LOST',
  'CONNECT_TIMEOUT',
  'UNKNOWN_HOST',
  'TOO_MANY_CONNECTIONS',
  'SERVER_STARTING',
]);

/**
 * Those that stay until somebody does something. Of the others nobody knows: who has a deadline waits,
 * and who has to decide gives up.
 */
export const LASTING_CONNECT_FAILURES: ReadonlySet<EvdbErrorCode> = new Set<EvdbErrorCode>([
  'AUTHENTICATION_FAILED',
  'CONFIG_INVALID',
  'DATABASE_MISSING',
  'EMBEDDED_UNAVAILABLE',
  'NOT_CONFIGURED',
  'PERMISSION_DENIED',
  'SERVER_UNSUPPORTED',
  'TLS_FAILED',
]);

/**
 * Says in plain words why a connection could not be made. The password is never part of it:
 * only host, port, user and database are.
 */
export function connectError(
  cause: unknown,
  options: ConnectionOptions,
  address: HostAddress,
): EvdbError {
  if (cause instanceof EvdbError) return cause;
  const { code, message } = cause as { code?: string; message?: string };
  const place: Place = {
    address: formatAddress(address),
    user: options.user,
    database: options.database,
    serverMessage: message ?? '',
  };
  const found = TRANSLATIONS[code ?? ''];
  const details = { host: address.host, port: address.port, cause: code };
  if (found) {
    const [evdbCode, say, hint] = found;
    return new EvdbError(evdbCode, say(place), { hint: hint(place), cause, details });
  }
  if (isTlsError(code)) {
    return new EvdbError('TLS_FAILED', `TLS with ${place.address} failed: ${message}`, {
      hint: `Check sslmode and sslrootcert; \`${commandLine('config')}\` shows what is in force.`,
      cause,
      details,
    });
  }
  // Any other SQLSTATE is the server's considered no, such as for a bad `options=`.
  if (/^(?!08|57P)[0-9A-Z]{5}$/.test(code ?? '')) {
    return new EvdbError('QUERY_FAILED', `${place.address} refused the connection: ${message}`, {
      hint: `Check the parameters of the URL with \`${commandLine('config')}\`.`,
      cause,
      details,
    });
  }
  return new EvdbError(
    'CONNECTION_LOST',
    `cannot connect to ${place.address}: ${message || code}`,
    {
      hint: 'Try again; if it happens again, check the server and the network in between.',
      cause,
      details,
    },
  );
}

/** `host:port`, or the path of the socket. */
function formatAddress({ host, port }: HostAddress): string {
  if (host.startsWith('/')) return `${host}/.s.PGSQL.${port}`;
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

function isTlsError(code: string | undefined): boolean {
  return (
    code !== undefined &&
    (/^(ERR_TLS|ERR_SSL|CERT_|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO|HOSTNAME_MISMATCH)/.test(code) ||
      code === 'EPROTO')
  );
}

/** The SQLSTATE of a server's error, else the code of the driver or the operating system. */
export function codeOf(error: unknown): string | undefined {
  return (error as { code?: string } | undefined)?.code;
}

/** Severities with which the server takes its leave, as the protocol spells them in every language. */
const LAST_WORDS = ['FATAL', 'PANIC'];

/** What the driver calls a socket that is gone, and what the operating system calls its end. */
const SOCKET_IS_GONE =
  /^(CONNECTION_(CLOSED|ENDED|DESTROYED|LOST)|E(CONN\w+|PIPE|TIMEDOUT|HOST\w+|NET\w+|SHUTDOWN|PROTO))$/;

/**
 * Whether the error means that the connection is gone, rather than that a statement failed. What the
 * server answers with a severity of ERROR is an answer, whatever its SQLSTATE: 08006 may tell of a
 * foreign server, and 57P01 may be what a function raises.
 */
export function isConnectionLoss(error: unknown): boolean {
  const severity = severityOf(error);
  if (severity !== undefined) return LAST_WORDS.includes(severity);
  return SOCKET_IS_GONE.test(codeOf(error) ?? '');
}

/** Only an answer of the server has one; poolers know the older field alone. */
function severityOf(error: unknown): string | undefined {
  const { severity, severity_local } = (error ?? {}) as Record<string, string | undefined>;
  return severity ?? severity_local;
}

/** What the server said when it closed the connection, to be set behind what was lost; else empty. */
export function reasonOfLoss(error: unknown): string {
  const says = severityOf(error) !== undefined && isConnectionLoss(error);
  return says && error instanceof Error ? `: ${error.message}` : '';
}

/** What the server said, field by field as the protocol names them. */
interface ServerFields {
  code: string;
  detail?: string;
  hint?: string;
  schema_name?: string;
  table_name?: string;
  column_name?: string;
  constraint_name?: string;
}

/**
 * A statement that the server refused. `code` is evdb's, `sqlstate` the server's.
 *
 * @example
 * try {
 *   await pool.query('insert into users (email) values ($1)', ['ann@example.org']);
 * } catch (error) {
 *   const isTaken = error instanceof QueryError && error.constraint === 'users_email_key';
 *   if (!isTaken) throw error;
 * }
 */
export class QueryError extends EvdbError {
  /** Five characters, such as `23505`; see the manual, "PostgreSQL Error Codes". */
  readonly sqlstate: string;
  readonly detail: string | undefined;
  readonly schema: string | undefined;
  readonly table: string | undefined;
  readonly column: string | undefined;
  readonly constraint: string | undefined;

  constructor(code: EvdbErrorCode, cause: Error & ServerFields, hint: string | undefined) {
    const { code: sqlstate, detail } = cause;
    super(code, cause.message, { hint, cause, details: { sqlstate, detail, hint: cause.hint } });
    this.name = 'QueryError';
    this.sqlstate = sqlstate;
    this.detail = detail;
    this.schema = cause.schema_name;
    this.table = cause.table_name;
    this.column = cause.column_name;
    this.constraint = cause.constraint_name;
  }
}

const QUERY_TRANSLATIONS: Record<string, [code: EvdbErrorCode, hint: () => string]> = {
  '42501': ['PERMISSION_DENIED', () => 'Let the owner or an administrator grant it.'],
  '25006': ['READ_ONLY', () => 'Connect to the primary, or use a role that may write.'],
  '55P03': [
    'LOCK_TIMEOUT',
    () =>
      `Nothing was changed. \`${commandLine('stats locks')}\` shows who holds the lock; try again once it is free.`,
  ],
  '40P01': ['LOCK_TIMEOUT', () => 'Nothing was changed. Try again.'],
  '53100': ['DISK_FULL', () => "The server's disk is full: make room there."],
};

/** Gives an error of the driver a code of evdb's; what is one already stays as it is. */
export function queryError(error: unknown): unknown {
  const code = codeOf(error);
  if (error instanceof EvdbError || !(error instanceof Error) || code === undefined) return error;
  if (isConnectionLoss(error)) {
    return new EvdbError('CONNECTION_LOST', `the connection was lost: ${error.message}`, {
      hint: 'Run the command again.',
      cause: error,
    });
  }
  // Five characters are a SQLSTATE; anything else is not the server's.
  if (!/^[0-9A-Z]{5}$/.test(code)) return error;
  const [evdbCode, evdbHint] = QUERY_TRANSLATIONS[code] ?? (['QUERY_FAILED', undefined] as const);
  const answer = error as Error & ServerFields;
  return new QueryError(evdbCode, answer, answer.hint ?? evdbHint?.());
}
