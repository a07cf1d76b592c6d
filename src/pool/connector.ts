import { setMaxListeners } from 'node:events';
import type { ConnectionOptions } from '../connection/options.ts';
import { backOffMillis } from '../connection/retry.ts';
import { EvdbError, type EvdbErrorCode } from '../errors.ts';
import { openSlot } from './opening.ts';
import type { PoolSettings } from './options.ts';
import type { Slot } from './slot.ts';

/** Waiting does not mend these: whoever waits is told at once. */
const LASTING: ReadonlySet<EvdbErrorCode> = new Set<EvdbErrorCode>([
  'AUTHENTICATION_FAILED',
  'CONFIG_INVALID',
  'DATABASE_MISSING',
  'EMBEDDED_UNAVAILABLE',
  'NOT_CONFIGURED',
  'PERMISSION_DENIED',
  'SERVER_UNSUPPORTED',
  'TLS_FAILED',
]);

/** What is told of attempts to connect; nothing here may throw. */
export interface ConnectorReports {
  connected(slot: Slot, durationMs: number): void;
  connectFailed(error: EvdbError): void;
}

export interface ConnectorOptions {
  settings: PoolSettings;
  /** Asked for each connection. */
  resolveConnection: () => Promise<ConnectionOptions>;
  reports: ConnectorReports;
  onOpen: (slot: Slot) => void;
  onClose: (slot: Slot) => void;
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
    let slot: Slot;
    try {
      const connection = await resolveConnection();
      const { signal } = this.#stopping;
      slot = await openSlot({ connection, settings, onClose, signal });
    } catch (error) {
      onEnd();
      return this.#fail(error);
    }
    onEnd();
    this.#failures = 0;
    this.lastError = undefined;
    reports.connected(slot, performance.now() - startedAt);
    onOpen(slot);
    return undefined;
  }

  #fail(cause: unknown): EvdbError {
    const error = cause instanceof EvdbError ? cause : unexpected(cause);
    if (this.#stopping.signal.aborted) return error;
    this.#failures += 1;
    this.lastError = error;
    this.#options.reports.connectFailed(error);
    if (LASTING.has(error.code)) this.#options.onLastingFailure(() => sameError(error));
    clearTimeout(this.#retryTimer);
    this.#retryTimer = setTimeout(() => {
      this.#retryTimer = undefined;
      this.#options.onRetry();
    }, backOffMillis(this.#failures));
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
