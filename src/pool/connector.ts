import { setMaxListeners } from 'node:events';
import { codeOf, LASTING_CONNECT_FAILURES } from '../connection/connection-error.ts';
import type { ConnectionOptions } from '../connection/options.ts';
import { backOffMs } from '../connection/retry.ts';
import { openStatementSession, type StatementSession } from '../connection/statement-session.ts';
import { EvdbError } from '../errors.ts';
import type { PoolSettings } from './options.ts';
import { PooledConnection } from './pooled-connection.ts';
import { VALUE_CODEC } from './values.ts';

/** What is told of attempts to connect; nothing here may throw. */
export interface ConnectorReports {
  connected(connection: PooledConnection, durationMs: number): void;
  connectFailed(error: EvdbError): void;
}

interface ConnectorOptions {
  settings: PoolSettings;
  /** Called for each connection. */
  resolveConnection: () => Promise<ConnectionOptions>;
  reports: ConnectorReports;
  onOpen: (connection: PooledConnection) => void;
  onClose: (connection: PooledConnection) => void;
  onLastingFailure: (makeError: () => EvdbError) => void;
  /** The time for the next attempt has come. */
  onRetry: () => void;
}

/** Opens connections, and holds back while the server cannot be reached. */
export class Connector {
  readonly #options: ConnectorOptions;
  /** Each resolves to why it failed, if it did. */
  readonly #attempts = new Set<Promise<EvdbError | undefined>>();
  #failures = 0;
  #retryTimer: NodeJS.Timeout | undefined;
  readonly #stopping = unlimitedController();
  /** Why the last attempt failed; undefined when it succeeded. */
  lastError: EvdbError | undefined;

  constructor(options: ConnectorOptions) {
    this.#options = options;
  }

  /** Opens so many connections; after a failure only one, which tells whether the server is back. */
  open(wanted: number): void {
    if (this.#retryTimer || this.#stopping.signal.aborted) return;
    const count = this.#failures > 0 ? Math.min(wanted, 1 - this.opening) : wanted;
    for (let i = 0; i < count; i++) void this.#start();
  }

  /**
   * Resolves when the next connection is open: one that is being opened, or one that is opened now,
   * whatever failed before.
   *
   * @throws {EvdbError} as `openSession`
   */
  async connect(): Promise<void> {
    this.#stopping.signal.throwIfAborted();
    const [underWay] = this.#attempts;
    const error = await (underWay ?? this.#start());
    if (error) throw error;
  }

  /** Opens nothing from now on, gives up what is being opened, and resolves when that is done. */
  async stop(): Promise<void> {
    this.#stopping.abort(poolClosed());
    clearTimeout(this.#retryTimer);
    await Promise.all(this.#attempts);
  }

  /** Attempts under way. */
  get opening(): number {
    return this.#attempts.size;
  }

  #start(): Promise<EvdbError | undefined> {
    const attempt = this.#attempt(() => this.#attempts.delete(attempt));
    this.#attempts.add(attempt);
    return attempt;
  }

  async #attempt(onEnd: () => void): Promise<EvdbError | undefined> {
    const { settings, resolveConnection, reports, onClose, onOpen } = this.#options;
    const startedAt = performance.now();
    let connection: PooledConnection;
    try {
      const target = await resolveConnection();
      const { signal } = this.#stopping;
      connection = await openPooledConnection({ target, settings, onClose, signal });
    } catch (error) {
      onEnd();
      return this.#fail(error);
    }
    onEnd();
    this.#failures = 0;
    this.lastError = undefined;
    reports.connected(connection, performance.now() - startedAt);
    onOpen(connection);
    return undefined;
  }

  #fail(cause: unknown): EvdbError {
    const error = cause instanceof EvdbError ? cause : unexpected(cause);
    if (this.#stopping.signal.aborted) return error;
    this.#failures += 1;
    this.lastError = error;
    this.#options.reports.connectFailed(error);
    // Whoever waits is told at once.
    if (LASTING_CONNECT_FAILURES.has(error.code))
      this.#options.onLastingFailure(() => sameError(error));
    clearTimeout(this.#retryTimer);
    this.#retryTimer = setTimeout(() => {
      this.#retryTimer = undefined;
      this.#options.onRetry();
    }, backOffMs(this.#failures));
    // Whoever waits keeps the process alive with a timer of his own.
    this.#retryTimer.unref();
    return error;
  }
}

/** Everyone gets an error of his own: what one adds to it is not seen by the others. */
function sameError({ code, message, hint, details, cause }: EvdbError): EvdbError {
  return new EvdbError(code, message, { hint, details, cause });
}

/** Each attempt listens to it, and there may be many: Node would take that for a leak. */
function unlimitedController(): AbortController {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal);
  return controller;
}

export function poolClosed(): EvdbError {
  return new EvdbError('POOL_CLOSED', 'the pool is closed', {
    hint: 'Close the pool last, when nothing uses it any longer.',
  });
}

function unexpected(cause: unknown): EvdbError {
  return new EvdbError('INTERNAL', `a connection could not be opened: ${String(cause)}`, { cause });
}

interface OpeningOptions {
  target: ConnectionOptions;
  settings: PoolSettings;
  signal: AbortSignal;
  /** Called once when the opened connection is gone. */
  onClose: (connection: PooledConnection) => void;
}

/**
 * Opens one connection. What its sessions shall hold goes along with the opening, so that
 * `reset all` comes back to it; a pooler that refuses that gets a plain one.
 *
 * @throws {EvdbError} as `openSession`
 */
async function openPooledConnection(options: OpeningOptions): Promise<PooledConnection> {
  const { settings } = options;
  let connection: PooledConnection | undefined;
  const onClose = () => {
    if (!connection) return;
    connection.isDead = true;
    options.onClose(connection);
  };
  const session = await openWithParameters(options, onClose);
  const jitter = 0.9 + Math.random() * 0.2;
  const lifetime = settings.maxLifetimeMillis * jitter;
  connection = new PooledConnection(session, {
    settings,
    expiresAt: lifetime > 0 ? performance.now() + lifetime : Number.POSITIVE_INFINITY,
    prepares: settings.prepare === 'auto' ? !session.facts.isPooled : settings.prepare,
  });
  return connection;
}

async function openWithParameters(
  { target, settings, signal }: OpeningOptions,
  onClose: () => void,
): Promise<StatementSession> {
  // PgBouncer takes the second choice; what stands between may take none.
  const choices = [{ ...READABLE, ...timeLimits(settings) }, DATES, {}];
  for (const parameters of choices) {
    try {
      return await openStatementSession(target, { onClose, signal, parameters }, VALUE_CODEC);
    } catch (error) {
      const isRefused = codeOf((error as Error).cause) === '08P01';
      if (!isRefused || parameters === choices.at(-1)) throw error;
    }
  }
  throw new EvdbError('INTERNAL', 'no way of opening a session was tried');
}

const DATES = { DateStyle: 'ISO' };

/** How the codec expects values, whatever the database or the role is set to. */
const READABLE = { ...DATES, bytea_output: 'hex' };

/** Settings that end what takes too long; behind a pooler they come with each transaction. */
function timeLimits(settings: PoolSettings): Record<string, string> {
  const { statementTimeoutMillis: statement, idleInTransactionTimeoutMillis: idle } = settings;
  return {
    ...(statement > 0 ? { statement_timeout: String(Math.ceil(statement)) } : {}),
    ...(idle > 0 ? { idle_in_transaction_session_timeout: String(Math.ceil(idle)) } : {}),
  };
}
