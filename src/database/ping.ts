import { setTimeout as sleep } from 'node:timers/promises';
import { PASSING_CONNECT_FAILURES, queryError } from '../connection/connection-error.ts';
import { type ConnectionOptions, completeOptions } from '../connection/options.ts';
import { doubledMs } from '../connection/retry.ts';
import { openSession } from '../connection/session.ts';
import { EvdbError } from '../errors.ts';
import { type Cell, renderTable, type Style, type TableRenderer } from '../report/table.ts';
import { renderDuration, renderTime } from '../text/units.ts';

/** The answer of a database. */
export interface DatabasePing {
  database: string;
  user: string;
  /** Such as `18.4`. */
  version: string;
  isInRecovery: boolean;
  /** Whether transactions are read-only unless they say otherwise; always so on a standby. */
  isReadOnly: boolean;
  isSuperuser: boolean;
  /** Such as `TLSv1.3`; null if the server sees a connection without TLS. */
  tls: string | null;
  /** Whether there is a pooler in between: then the rest describes its connection to the server. */
  isPooled: boolean;
  startedAt: Date;
  /** From the first packet to the first answer: network, TLS and login. */
  connectMs: number;
  /** One statement and its answer. */
  latencyMs: number;
}

const ABOUT = `
select
    pg_catalog.current_database()::text as "database",
    current_user::text as "user",
    pg_catalog.current_setting('server_version') as "version",
    pg_catalog.current_setting('is_superuser') = 'on' as "isSuperuser",
    (select s.version from pg_catalog.pg_stat_ssl as s where s.pid = pg_catalog.pg_backend_pid()) as "tls",
    pg_catalog.pg_postmaster_start_time() as "startedAt"`;

/**
 * Connects, sends a query and says what answered, and how fast.
 *
 * @throws {EvdbError} CONFIG_INVALID, CONNECTION_REFUSED, UNKNOWN_HOST, CONNECT_TIMEOUT,
 *   AUTHENTICATION_FAILED, DATABASE_MISSING, TOO_MANY_CONNECTIONS, SERVER_STARTING, TLS_FAILED,
 *   CONNECTION_LOST
 * @example
 * const ping = await pingDatabase(connection, { signal });
 */
export async function pingDatabase(
  connection: ConnectionOptions,
  { signal }: { signal?: AbortSignal | undefined } = {},
): Promise<DatabasePing> {
  const startedAt = performance.now();
  const session = await openSession(connection, { signal });
  const connectMs = performance.now() - startedAt;
  try {
    const askedAt = performance.now();
    await session.run('select');
    const latencyMs = performance.now() - askedAt;
    const [about] = (await session.run(ABOUT)) as unknown as Pick<
      DatabasePing,
      'database' | 'user' | 'version' | 'isSuperuser' | 'tls' | 'startedAt'
    >[];
    if (!about) throw new EvdbError('INTERNAL', 'the server answered a query without a row');
    const { isInRecovery, isReadOnly, isPooled } = session.facts;
    return { ...about, isInRecovery, isReadOnly, isPooled, connectMs, latencyMs };
  } catch (error) {
    throw queryError(error);
  } finally {
    await session.close();
  }
}

/** How long is waited. */
export interface WaitForDatabaseOptions {
  /** Default 30,000. */
  timeoutMs?: number | undefined;
  /** Ends the waiting; default: nothing does. */
  signal?: AbortSignal | undefined;
  /** Called for each failed try. */
  onRetry?: ((error: EvdbError, againInMs: number) => void) | undefined;
}

/** Without a random part, as it is told. */
const PAUSES = { firstMs: 100, longestMs: 2_000 };

/**
 * Tries until the database answers. If the password is refused or the database does not exist, the
 * wait ends at once.
 *
 * @throws {EvdbError} CONNECT_TIMEOUT with the last failure as its cause; otherwise as
 *   `pingDatabase`
 * @example await waitForDatabase(connection, { timeoutMs: 60_000 })
 */
export async function waitForDatabase(
  connection: ConnectionOptions,
  { timeoutMs = 30_000, signal, onRetry }: WaitForDatabaseOptions = {},
): Promise<DatabasePing & { waitedMs: number; tries: number }> {
  const startedAt = performance.now();
  const left = () => timeoutMs - (performance.now() - startedAt);
  for (let tries = 1; ; tries += 1) {
    // A try that begins in time gets a moment, so that a timeout of 0 asks once.
    const connectTimeoutMs = Math.max(
      250,
      Math.min(completeOptions(connection).connectTimeoutMs, left()),
    );
    try {
      const ping = await pingDatabase({ ...connection, connectTimeoutMs }, { signal });
      return { ...ping, waitedMs: performance.now() - startedAt, tries };
    } catch (error) {
      if (!(error instanceof EvdbError && PASSING_CONNECT_FAILURES.has(error.code))) throw error;
      const pauseMs = doubledMs(tries, PAUSES);
      if (left() <= pauseMs) throw tookTooLong(error, timeoutMs, tries);
      onRetry?.(error, pauseMs);
      // it rejects only where it is aborted, and without the reason
      await sleep(pauseMs, undefined, { signal }).catch(() => signal?.throwIfAborted());
    }
  }
}

function tookTooLong(last: EvdbError, timeoutMs: number, tries: number): EvdbError {
  return new EvdbError(
    'CONNECT_TIMEOUT',
    `the database did not accept a connection within ${timeoutMs / 1000} s: ${last.message}`,
    { hint: last.hint, cause: last, details: { lastCode: last.code, tries } },
  );
}

/** Who answered, and how fast. */
export function renderPing(
  ping: DatabasePing,
  style: Style,
  table: TableRenderer = renderTable,
): string {
  const rows: [name: string, value: string, colour?: keyof Style | undefined][] = [
    ['answers in', renderDuration(ping.latencyMs), 'good'],
    ['connects in', renderDuration(ping.connectMs)],
    ['version', `PostgreSQL ${ping.version}`],
    ['state', describeState(ping), ping.isReadOnly ? 'warn' : undefined],
    ['user', ping.isSuperuser ? `${ping.user} (superuser)` : ping.user],
    ['TLS', ping.tls ?? 'none'],
    ['up since', renderTime(ping.startedAt.toISOString())],
  ];
  if (ping.isPooled) rows.push(['pooler', 'is in between, and this is its connection']);
  const cells = rows.map(([name, text, colour]): Cell[] => [
    { text: name },
    { text, ...(colour && { colour }) },
  ]);
  return table([{ title: 'database' }, { title: ping.database, text: 'wraps' }], cells, style);
}

function describeState({ isInRecovery, isReadOnly }: DatabasePing): string {
  if (isInRecovery) return 'standby, read-only';
  return isReadOnly ? 'primary, read-only by default' : 'primary';
}
