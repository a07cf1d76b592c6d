import type { PeerCertificate } from 'node:tls';
import { EvdbError } from '../errors.ts';
import { timerMs } from '../text/units.ts';
import type { SessionFacts } from './session.ts';
import type { SessionKeeper } from './session-keeper.ts';

/** One server address; a host that starts with `/` is the folder of a Unix socket. */
export interface HostAddress {
  host: string;
  /** Default 5432. */
  port: number;
}

/**
 * How TLS is used, in the words of libpq: `require` encrypts, `verify-full` checks the certificate
 * and the name.
 */
export type SslMode = 'disable' | 'allow' | 'prefer' | 'require' | 'verify-ca' | 'verify-full';

/** What a password is for: tokens of hosted databases are valid for one host and one user. */
export interface PasswordTarget {
  host: string;
  port: number;
  user: string;
  database: string;
  /** Aborted when the password is no longer needed. */
  signal: AbortSignal;
}

/** Returns the password of one connection; called for each, so that a token may expire. */
export type PasswordFunction = (target: PasswordTarget) => string | Promise<string>;

/** Everything needed to open one connection; `resolveConfig` and `parseConnectionUrl` create it. */
export interface ConnectionOptions {
  /** Tried in order until one answers and fits `targetSessionAttrs`. */
  hosts: HostAddress[];
  database: string;
  user: string;
  /** Text, or a function that is called for each connection; default none. */
  password?: string | PasswordFunction | undefined;
  /** Default `prefer`, as libpq does. */
  sslMode: SslMode;
  /**
   * `require` logs in only if the proof of the password also covers the server's certificate
   * (SCRAM-SHA-256-PLUS); default: without.
   */
  channelBinding?: 'require' | undefined;
  /** Path of a PEM file. */
  sslRootCert?: string | undefined;
  /** Path of the client's certificate; default none. */
  sslCert?: string | undefined;
  /** Path of its key; default none. */
  sslKey?: string | undefined;
  /** The same as PEM text, for programs that have it; takes precedence over the files. */
  tls?:
    | {
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
      }
    | undefined;
  /** Keeps sessions for the next who asks for this database; default: each is opened and ended. */
  keeper?: SessionKeeper | undefined;
  /** Shown in pg_stat_activity; default `evdb`. */
  applicationName: string;
  /** Default 10000. */
  connectTimeoutMs: number;
  /** libpq's `options`: command-line options for the backend, such as `-c work_mem=64MB`. */
  backendOptions?: string | undefined;
  /** Which of several hosts is taken; default `any`. */
  targetSessionAttrs?:
    | 'any'
    | 'read-write'
    | 'read-only'
    | 'primary'
    | 'standby'
    | 'prefer-standby'
    | undefined;
}

/**
 * Fills what a program left out, such as one that hands on what `parseConnectionUrl` found.
 *
 * @throws {EvdbError} CONFIG_INVALID for what no connection can be made with
 */
export function completeOptions(given: Partial<ConnectionOptions>): ConnectionOptions {
  const { user, password } = given;
  if (typeof user !== 'string' || user === '') {
    throw new EvdbError('CONFIG_INVALID', 'the connection names no user', {
      hint: 'Give `user`, or have resolveConfig fill what the URL leaves out.',
    });
  }
  // The driver would throw where nobody can catch it.
  const isPassword = typeof password === 'string' || typeof password === 'function';
  if (password !== undefined && password !== null && !isPassword) {
    throw new EvdbError('CONFIG_INVALID', `the password is a ${typeof password}, not a text`, {
      hint: 'Put it in quotes, or turn it into a text.',
    });
  }
  const { connectTimeoutMs = DEFAULT_CONNECT_TIMEOUT_MS } = given;
  if (!(connectTimeoutMs > 0)) {
    throw new EvdbError('CONFIG_INVALID', `connectTimeoutMs is ${String(connectTimeoutMs)}`, {
      hint: 'Give milliseconds, such as 10_000.',
    });
  }
  return {
    ...given,
    hosts: given.hosts?.length ? given.hosts : [{ host: 'localhost', port: 5432 }],
    database: given.database || user,
    user,
    sslMode: given.sslMode ?? 'prefer',
    applicationName: given.applicationName ?? 'evdb',
    connectTimeoutMs: timerMs(connectTimeoutMs),
  };
}

const DEFAULT_CONNECT_TIMEOUT_MS = 10_000;

/**
 * Takes away the time limits that a role or a database sets on idle sessions and on transactions: a
 * session that waits for another one, or works for an hour, must not be ended for it. `reset all`
 * brings them back.
 */
export function liftTimeLimitsSql(facts: Pick<SessionFacts, 'serverVersion'>): string {
  return timeLimitStatements(facts)
    .map((statement) => `${statement};`)
    .join(' ');
}

export function timeLimitStatements({
  serverVersion,
}: Pick<SessionFacts, 'serverVersion'>): string[] {
  const names = ['idle_session_timeout', 'idle_in_transaction_session_timeout'];
  if (serverVersion >= 170000) names.push('transaction_timeout');
  return names.map((name) => `set ${name} = 0`);
}

/**
 * Goes behind `reset all`, which through a pooler comes back to the encoding of the database: the pooler
 * set the client's on a session of the server that began without.
 */
export function encodingStatements({ isPooled }: Pick<SessionFacts, 'isPooled'>): string[] {
  return isPooled ? ["set client_encoding = 'UTF8'"] : [];
}

/** An expression that makes commits of the transaction, or of the session, wait for the disk. */
export function synchronousSql(isLocal: boolean): string {
  return `case when pg_catalog.current_setting('synchronous_commit') = 'off'
    then pg_catalog.set_config('synchronous_commit', 'on', ${isLocal}) end`;
}

/** What tells one start of a server from another, and from its standby; everybody may ask for it. */
export const SERVER_START_SQL = 'pg_catalog.pg_postmaster_start_time()::text';
