import type { PeerCertificate } from 'node:tls';
import type { Variables } from '../config/environment.ts';
import type { PasswordFunction } from '../connection/options.ts';
import { EvdbError, type EvdbErrorCode } from '../errors.ts';
import { LONGEST_MS } from '../text/units.ts';
import { renderSuggestion } from '../text/words.ts';

/** TLS as in Node's `tls.connect`; `true` encrypts without verifying the server. */
export type PoolSsl =
  | boolean
  | {
      /** Whether the certificate is checked; default true. */
      rejectUnauthorized?: boolean | undefined;
      /** PEM text. */
      ca?: string | Buffer | undefined;
      cert?: string | Buffer | undefined;
      key?: string | Buffer | undefined;
      passphrase?: string | undefined;
      /** The name that the certificate has to have, if it is not that of the host. */
      servername?: string | undefined;
      /** Judges the certificate's name in place of Node. */
      checkServerIdentity?:
        | ((host: string, certificate: PeerCertificate) => Error | undefined)
        | undefined;
    };

/** All times are in ms; 0 turns an option off, if it can be turned off. */
export interface PoolOptions {
  /** A PostgreSQL URL. Without it, and without `host` or `database`, the environment is used. */
  connectionString?: string | undefined;
  /** The same as `connectionString`, as the other functions call it. */
  url?: string | undefined;
  /** A name, an address, or the folder of a Unix socket. */
  host?: string | undefined;
  /** Default: the same as for a URL without it, see docs/configuration.md. */
  port?: number | undefined;
  /** Default: as a URL without it has it. */
  database?: string | undefined;
  /** Default: that of the connection string. */
  user?: string | undefined;
  /**
   * Text, or a function that is called for each connection; default: that of the connection string.
   */
  password?: string | PasswordFunction | undefined;
  /** Default: as in the connection string. */
  ssl?: PoolSsl | undefined;
  /** Shown in pg_stat_activity; default `evdb`. */
  applicationName?: string | undefined;
  /**
   * The version of the application, such as `1.8.0`: sessions are named `<applicationName>/<version>`,
   * which `-- evdb: require-build` of a migration looks for; default: none.
   */
  applicationVersion?: string | undefined;
  /** The environment to read; default `process.env`. */
  env?: Variables | undefined;
  /** The folder whose config file and `.env` are used; default the working folder. */
  cwd?: string | undefined;
  /** Shown in metrics; default `evdb`. */
  name?: string | undefined;
  /** The highest number of connections; default 10. */
  max?: number | undefined;
  /** Connections that are kept warm; default 0. */
  min?: number | undefined;
  /** How long a connection above `min` may idle; default 30,000. */
  idleTimeoutMillis?: number | undefined;
  /** How long one attempt to connect may take; default 10,000. */
  connectionTimeoutMillis?: number | undefined;
  /** How long a caller waits for a connection, in total; default 30,000. */
  acquireTimeoutMillis?: number | undefined;
  /** After about this time a connection is replaced; default 1,800,000. */
  maxLifetimeMillis?: number | undefined;
  /** How long a statement may run; the server ends it, and shortly after the pool; default 60,000. */
  statementTimeoutMillis?: number | undefined;
  /** How long a transaction may do nothing before the server ends it; default 60,000. */
  idleInTransactionTimeoutMillis?: number | undefined;
  /** A connection held for longer than this is reported; default 0, off. */
  leakThresholdMillis?: number | undefined;
  /** Statements that take longer are reported; default 1,000. */
  slowQueryMillis?: number | undefined;
  /** A connection that idled for longer is tried before it is used, with 0 always; default 5,000. */
  validateAfterIdleMillis?: number | undefined;
  /** How often an idle connection is used, so that nothing between forgets it; default 30,000. */
  keepaliveIntervalMillis?: number | undefined;
  /** How often `health` is checked and reported; default 0, off. */
  healthCheckIntervalMillis?: number | undefined;
  /** Whether statements are prepared; default: not behind a pooler. */
  prepare?: boolean | 'auto' | undefined;
  /** Whether the process may exit while unused connections are open; default false. */
  allowExitOnIdle?: boolean | undefined;
}

export type PoolSettings = ReturnType<typeof resolvePoolSettings>;

const DEFAULTS = {
  max: 10,
  min: 0,
  idleTimeoutMillis: 30_000,
  connectionTimeoutMillis: 10_000,
  acquireTimeoutMillis: 30_000,
  maxLifetimeMillis: 1_800_000,
  statementTimeoutMillis: 60_000,
  idleInTransactionTimeoutMillis: 60_000,
  leakThresholdMillis: 0,
  slowQueryMillis: 1_000,
  validateAfterIdleMillis: 5_000,
  keepaliveIntervalMillis: 30_000,
  healthCheckIntervalMillis: 0,
};

type NumericKey = keyof typeof DEFAULTS;

const TEXTS = [
  ...(['connectionString', 'url', 'host', 'database', 'user', 'password'] as const),
  ...(['applicationName', 'applicationVersion', 'name', 'cwd'] as const),
];

const OPTIONS = [
  ...[...Object.keys(DEFAULTS), ...TEXTS],
  ...['port', 'ssl', 'env', 'prepare', 'allowExitOnIdle'],
];

/** What other pools call what is called otherwise here. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  application_name: 'applicationName',
  connect_timeout: 'connectionTimeoutMillis',
  idle_in_transaction_session_timeout: 'idleInTransactionTimeoutMillis',
  idle_timeout: 'idleTimeoutMillis',
  isolationLevel: 'isolation',
  max_lifetime: 'maxLifetimeMillis',
  maxLifetimeSeconds: 'maxLifetimeMillis',
  query_timeout: 'statementTimeoutMillis',
  statement_timeout: 'statementTimeoutMillis',
};

/**
 * Refuses options that do not exist: one that is written wrongly would be none.
 *
 * @throws {EvdbError} naming the option, and the one that may be meant
 */
export function refuseUnknown(
  options: object,
  known: readonly string[],
  { what, code }: { what: string; code: EvdbErrorCode },
): void {
  if (typeof options !== 'object' || options === null) {
    throw new EvdbError(code, `${what.replace(/option$/, 'options')} are a ${typeof options}`, {
      hint: 'Pass an object, or nothing.',
    });
  }
  for (const [key, value] of Object.entries(options)) {
    if (value === undefined || known.includes(key)) continue;
    const elsewhere = Object.hasOwn(ELSEWHERE, key) ? ELSEWHERE[key] : undefined;
    const meant =
      elsewhere !== undefined && known.includes(elsewhere)
        ? `; here it is called "${elsewhere}"`
        : renderSuggestion(key, known);
    throw new EvdbError(code, `${what} ${key} is not known${meant}`, {
      hint: `Known are ${known.join(', ')}.`,
    });
  }
}

const MAX_CONNECTIONS = 10_000;

/** Without these nothing would ever be waited for. */
const POSITIVE: ReadonlySet<string> = new Set([
  'max',
  'connectionTimeoutMillis',
  'acquireTimeoutMillis',
]);

/**
 * Fills what is left out.
 *
 * @throws {EvdbError} CONFIG_INVALID, naming the option
 */
export function resolvePoolSettings(options: PoolOptions) {
  refuseUnknown(options, OPTIONS, { what: "the pool's option", code: 'CONFIG_INVALID' });
  for (const key of TEXTS) {
    const value = options[key];
    if (value === undefined || value === null || typeof value === 'string') continue;
    if (key === 'password' && typeof value === 'function') continue;
    throw new EvdbError(
      'CONFIG_INVALID',
      `the pool's option ${key} is a ${typeof value}, not a text`,
      {
        hint: 'Put it in quotes, or turn it into a text.',
      },
    );
  }
  const numbers = { ...DEFAULTS };
  for (const key of Object.keys(DEFAULTS) as NumericKey[]) {
    numbers[key] = readNumber(key, options[key]);
  }
  if (numbers.min > numbers.max) {
    throw invalid('min', `${numbers.min}, more than max, which is ${numbers.max}`);
  }
  const { prepare = 'auto', name = 'evdb', allowExitOnIdle = false } = options;
  if (prepare !== 'auto' && typeof prepare !== 'boolean')
    throw invalid('prepare', describeGiven(prepare));
  if (typeof allowExitOnIdle !== 'boolean') {
    throw invalid('allowExitOnIdle', describeGiven(allowExitOnIdle));
  }
  return { ...numbers, prepare, name, allowExitOnIdle };
}

function readNumber(key: NumericKey, given: unknown): number {
  if (given === undefined || given === null) return DEFAULTS[key];
  const isCount = key === 'max' || key === 'min';
  const least = POSITIVE.has(key) ? 1 : 0;
  const most = isCount ? MAX_CONNECTIONS : LONGEST_MS;
  const isFit = typeof given === 'number' && given >= least && given <= most;
  if (!isFit || (isCount && !Number.isInteger(given))) throw invalid(key, describeGiven(given));
  return given;
}

/** A number of the environment is a text, and would look like one that fits. */
export function describeGiven(value: unknown): string {
  return typeof value === 'string' ? `the text ${JSON.stringify(value)}` : String(value);
}

function invalid(key: string, what: string): EvdbError {
  return new EvdbError('CONFIG_INVALID', `the pool's option ${key} is ${what}`, {
    hint: 'max and min are whole numbers of connections; times are numbers of milliseconds; allowExitOnIdle is a boolean.',
  });
}
