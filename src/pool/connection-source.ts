import type { EmbeddedConnection } from '../config/connection.ts';
import { type Config, resolveConfig } from '../config/resolve.ts';
import type { ConnectionOptions } from '../connection/options.ts';
import { EvdbError } from '../errors.ts';
import { type PoolOptions, type PoolSsl, refuseUnknown } from './options.ts';

/** Asks where to connect, once; again only where the answer was an error. */
export function connectionSource(options: PoolOptions): () => Promise<ConnectionOptions> {
  let asked: Promise<ConnectionOptions> | undefined;
  return () => {
    asked ??= readPoolConfiguration(options)
      .then(({ connection }) => connection)
      .catch((error) => {
        asked = undefined;
        throw error;
      });
    return asked;
  };
}

/** What a pool goes by. */
export interface PoolConfiguration {
  config: Config;
  connection: ConnectionOptions;
}

/**
 * Where a pool connects to: what its options say, and where these name no server, what the
 * environment says (`resolveConfig`). What the options leave out is filled as libpq does.
 *
 * @throws {EvdbError} CONFIG_INVALID, NOT_CONFIGURED, and those of `ensureEmbeddedServer` where
 *   the environment asks for the embedded server
 */
export async function readPoolConfiguration(options: PoolOptions): Promise<PoolConfiguration> {
  const parts = urlOfParts(options);
  const given = options.connectionString ?? options.url;
  const named = given ?? parts;
  const isTwice = options.connectionString !== undefined && options.url !== undefined;
  if (isTwice || (given !== undefined && parts !== undefined)) throw namedTwice();
  const config = await resolveConfig({
    urlSource: sourceOf(options),
    ...(options.env ? { env: options.env } : {}),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    flags: named === undefined ? {} : { url: named },
  });
  const connection =
    config.connection.kind === 'server'
      ? config.connection.options
      : await startEmbedded(config, config.connection);
  return { config, connection: adjust(connection, options) };
}

async function startEmbedded(
  config: Config,
  { implicit }: EmbeddedConnection,
): Promise<ConnectionOptions> {
  // The command line says so on stderr when it chooses by itself; a library cannot.
  if (implicit) throw notConfigured();
  const { ensureEmbeddedServer } = await import('../embedded/server.ts');
  const { dirname, join } = await import('node:path');
  const directory = join(dirname(config.migrationsDir), '.evdb');
  return (await ensureEmbeddedServer({ directory })).connection;
}

function notConfigured(): EvdbError {
  return new EvdbError('NOT_CONFIGURED', 'no database is named for the pool', {
    hint: 'Pass connectionString, or set DATABASE_URL or DB_HOST; EVDB_URL=embedded: uses the embedded PostgreSQL.',
  });
}

function sourceOf({ connectionString, url }: PoolOptions): string {
  if (connectionString !== undefined) return "the pool's option connectionString";
  return url === undefined ? "the pool's options" : "the pool's option url";
}

/** Undefined where nothing says which server: user and password then go with the environment's. */
function urlOfParts({ host, port, database, user }: PoolOptions): string | undefined {
  if (host === undefined && database === undefined && port === undefined) return undefined;
  const parts = Object.entries({ host, port, dbname: database, user })
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${encodeURIComponent(String(value))}`);
  return `postgres:///?${parts.join('&')}`;
}

function adjust(connection: ConnectionOptions, options: PoolOptions): ConnectionOptions {
  const { user, password, ssl, connectionTimeoutMillis } = options;
  const applicationName = nameOfSessions(connection, options);
  return {
    ...connection,
    ...(user === undefined ? {} : { user }),
    ...(password === undefined ? {} : { password }),
    ...(ssl === undefined ? {} : tlsOf(ssl)),
    ...(applicationName === undefined ? {} : { applicationName }),
    ...(connectionTimeoutMillis === undefined ? {} : { connectTimeoutMs: connectionTimeoutMillis }),
  };
}

/** @throws {EvdbError} CONFIG_INVALID where PostgreSQL would cut the version off */
function nameOfSessions(
  connection: ConnectionOptions,
  { applicationName, applicationVersion }: PoolOptions,
): string | undefined {
  if (applicationVersion === undefined) return applicationName;
  const name = `${applicationName ?? connection.applicationName}/${applicationVersion}`;
  if (Buffer.byteLength(name) <= LONGEST_NAME_BYTES) return name;
  throw new EvdbError(
    'CONFIG_INVALID',
    `"${name}" is longer than the ${LONGEST_NAME_BYTES} bytes of an application name`,
    { hint: 'Choose a shorter applicationName or applicationVersion.' },
  );
}

/** PostgreSQL cuts longer ones without an error. */
const LONGEST_NAME_BYTES = 63;

function tlsOf(ssl: PoolSsl): Pick<ConnectionOptions, 'sslMode' | 'tls'> {
  if (ssl === true) return { sslMode: 'require' };
  if (ssl === false) return { sslMode: 'disable' };
  if (typeof ssl !== 'object' || ssl === null) {
    throw new EvdbError(
      'CONFIG_INVALID',
      "the pool's option ssl is neither a boolean nor an object",
      {
        hint: 'Pass true, false or { rejectUnauthorized, ca, cert, key }.',
      },
    );
  }
  refuseUnknown(ssl, TLS_OPTIONS, { what: "the pool's option ssl:", code: 'CONFIG_INVALID' });
  const { rejectUnauthorized = true, ...tls } = ssl;
  return { sslMode: rejectUnauthorized ? 'verify-full' : 'require', tls };
}

const TLS_OPTIONS = [
  ...['rejectUnauthorized', 'ca', 'cert', 'key', 'passphrase'],
  ...['servername', 'checkServerIdentity'],
];

function namedTwice(): EvdbError {
  return new EvdbError(
    'CONFIG_INVALID',
    'the pool is given more than one of connectionString, url, and host, port or database',
    { hint: 'Leave one of them out; user, password and ssl may be given with either.' },
  );
}
