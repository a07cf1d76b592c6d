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

const tryAgain = () => 'Try again; if it stays so, look at the server.';

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
    () => 'Behind a pooler, take `options` out of the URL and PGOPTIONS out of the environment.',
  ],
};

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
      hint: 'Try again; if it stays so, look at the server and what stands between.',
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
