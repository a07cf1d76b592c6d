import { AsyncLocalStorage } from 'node:async_hooks';
import { setMaxListeners } from 'node:events';
import { EvdbError } from '../errors.ts';
import type { ConnectionSet } from './connection-set.ts';
import { poolClosed } from './connector.ts';
import type { PoolMetricsRecorder, Tell } from './metrics.ts';
import type { PoolSettings } from './options.ts';
import type { PooledConnection } from './pooled-connection.ts';

interface CheckoutOptions {
  isTransaction: boolean;
  signal?: AbortSignal | undefined;
  /** How long the callback may take, in ms. */
  timeoutMillis?: number | undefined;
}

interface CheckoutParts {
  settings: PoolSettings;
  connections: ConnectionSet;
  metrics: PoolMetricsRecorder;
  tell: Tell;
}

/** Gives connections to callers, for a statement or for a callback, and knows who holds one. */
export class Checkouts {
  readonly held = createHeldCheckouts();
  readonly #parts: CheckoutParts;
  #isClosed = false;

  constructor(parts: CheckoutParts) {
    this.#parts = parts;
  }

  /** Gives none from now on. */
  stop(): void {
    this.#isClosed = true;
  }

  /**
   * @throws {EvdbError} ACQUIRE_TIMEOUT, POOL_CLOSED, and what lastingly keeps connections from
   *   being opened
   */
  acquire(signal?: AbortSignal): PooledConnection | Promise<PooledConnection> {
    if (this.#isClosed) throw poolClosed();
    signal?.throwIfAborted();
    // Many callers may share one, such as that of a request: Node would take that for a leak.
    if (signal) setMaxListeners(0, signal);
    const { connections, settings } = this.#parts;
    const idle = connections.takeIdle();
    if (idle) return idle;
    const taken = connections.take({
      timeoutMillis: settings.acquireTimeoutMillis,
      signal,
      explainTimeout: this.#explainTimeout,
    });
    this.held.noteWaiting(taken);
    return taken;
  }

  /**
   * Notes that somebody has what they acquired.
   *
   * @param since when they began to wait, if they did
   * @returns the time
   */
  begin(connection: PooledConnection, since: number | undefined): number {
    const { metrics, tell } = this.#parts;
    const now = performance.now();
    const waitMs = since === undefined ? 0 : now - since;
    metrics.recordAcquire(waitMs);
    tell('acquire', () => ({ pid: connection.session.facts.pid, waitMs }));
    return now;
  }

  release(connection: PooledConnection, checkedOutAt: number): void {
    const { connections, metrics, tell } = this.#parts;
    const now = performance.now();
    const useMs = now - checkedOutAt;
    metrics.recordRelease(useMs);
    tell('release', () => ({ pid: connection.session.facts.pid, useMs }));
    connections.release(connection, now);
  }

  /** Gives a connection for as long as a callback runs, or until that is no longer waited for. */
  async withConnection<T>(
    options: CheckoutOptions,
    use: (connection: PooledConnection, abandoned: Promise<never>) => Promise<T>,
  ): Promise<T> {
    const { isTransaction, signal, timeoutMillis = 0 } = options;
    const caller = this.#parts.settings.leakThresholdMillis > 0 ? new Error() : undefined;
    const askedAt = performance.now();
    const taken = this.acquire(signal);
    const connection = taken instanceof Promise ? await taken : taken;
    const checkedOutAt = this.begin(connection, taken === connection ? undefined : askedAt);
    const end = abandonment(connection);
    const checkout = this.held.add({ connection, isTransaction, abandon: end.abandon });
    const leakTimer = caller && this.#watchLeak(connection, checkedOutAt, caller);
    const timer =
      timeoutMillis > 0
        ? setTimeout(() => end.abandon(tookTooLong(timeoutMillis)), timeoutMillis)
        : undefined;
    const abort = () => end.abandon(signal?.reason);
    signal?.addEventListener('abort', abort, { once: true });
    try {
      // In the meantime, when nothing listened yet.
      signal?.throwIfAborted();
      return await this.held.runAs(checkout, () => use(connection, end.promise));
    } finally {
      signal?.removeEventListener('abort', abort);
      clearTimeout(timer);
      clearTimeout(leakTimer);
      this.held.remove(checkout);
      this.release(connection, checkedOutAt);
    }
  }

  #watchLeak(connection: PooledConnection, checkedOutAt: number, caller: Error): NodeJS.Timeout {
    const { settings, metrics, tell } = this.#parts;
    const timer = setTimeout(() => {
      metrics.recordLeak();
      tell('leak', () => ({
        pid: connection.session.facts.pid,
        heldMs: performance.now() - checkedOutAt,
        stack: (caller.stack ?? '').replace(/^.*\n/, ''),
      }));
    }, settings.leakThresholdMillis);
    return timer.unref();
  }

  readonly #explainTimeout = (): EvdbError => {
    const { connections, metrics, settings } = this.#parts;
    metrics.recordTimeout();
    const { total, pending } = connections.counts;
    const { lastError } = connections.connector;
    const waiting = this.held.waitingHolders;
    const reason = lastError
      ? `: the last attempt to connect failed: ${lastError.message}`
      : `: ${total} of ${settings.max} are in use, ${pending} callers wait`;
    const nested = waiting > 0 ? `, ${waiting} of which hold a connection already` : '';
    return new EvdbError(
      'ACQUIRE_TIMEOUT',
      `no connection was free within ${settings.acquireTimeoutMillis} ms${reason}${nested}`,
      {
        hint: nested
          ? 'Do not ask the pool for a connection while holding one: use the one you hold.'
          : 'Look for long statements and transactions, raise max, or wait longer with acquireTimeoutMillis.',
        cause: lastError,
        details: { ...connections.counts, max: settings.max, waitingHolders: waiting },
      },
    );
  };
}

/** A promise that rejects when a callback is no longer waited for. */
function abandonment(connection: PooledConnection) {
  let abandon = (_error: unknown): void => undefined;
  const promise = new Promise<never>((_, reject) => {
    abandon = (error) => {
      reject(error);
      connection.destroy(error instanceof EvdbError ? error : undefined);
    };
  });
  // Where nobody races against it any more, nobody need hear of it.
  promise.catch(() => undefined);
  return { promise, abandon: (error: unknown) => abandon(error) };
}

function tookTooLong(timeoutMillis: number): EvdbError {
  return new EvdbError(
    'TRANSACTION_TIMEOUT',
    `the transaction did not finish within ${timeoutMillis} ms and was rolled back`,
    { hint: 'Do less in one transaction, or raise timeoutMillis.' },
  );
}

/** A connection that a callback holds. */
interface Checkout {
  readonly connection: PooledConnection;
  readonly isTransaction: boolean;
  /** Ends the wait for the callback with an error; the connection is closed. */
  readonly abandon: (error: unknown) => void;
  isOver: boolean;
  /** How many further connections of the same pool the callback waits for. */
  waiting: number;
}

/** Knows which connections are held, and which of them by the running code. */
interface HeldCheckouts {
  add(checkout: Pick<Checkout, 'connection' | 'isTransaction' | 'abandon'>): Checkout;
  remove(checkout: Checkout): void;
  /** Runs code as the holder of a connection, along with everything that the code starts. */
  runAs<T>(checkout: Checkout, work: () => T): T;
  /** @throws {EvdbError} POOL_NESTED where the running code is inside its own transaction */
  refuseInTransaction(): void;
  /** Notes that the running code, where it holds a connection, waits for another one. */
  noteWaiting(taken: Promise<unknown>): void;
  /** Ends the wait for all callbacks. */
  abandonAll(makeError: () => EvdbError): void;
  /** Those who hold a connection and wait for another one. */
  readonly waitingHolders: number;
}

function createHeldCheckouts(): HeldCheckouts {
  const held: Checkout[] = [];
  const running = new AsyncLocalStorage<Checkout | undefined>();
  const current = (): Checkout | undefined => {
    const checkout = running.getStore();
    return checkout?.isOver === false ? checkout : undefined;
  };
  return {
    add: (given) => {
      const checkout = { ...given, isOver: false, waiting: 0 };
      held.push(checkout);
      return checkout;
    },
    remove: (checkout) => {
      checkout.isOver = true;
      held.splice(held.indexOf(checkout), 1);
    },
    runAs: (checkout, work) => running.run(checkout, work),
    refuseInTransaction: () => {
      if (current()?.isTransaction) throw insideTransaction();
    },
    noteWaiting: (taken) => {
      const checkout = current();
      if (!checkout) return;
      checkout.waiting += 1;
      const done = () => {
        checkout.waiting -= 1;
      };
      taken.then(done, done);
    },
    abandonAll: (makeError) => {
      for (const checkout of [...held]) checkout.abandon(makeError());
    },
    get waitingHolders() {
      return held.filter(({ waiting }) => waiting > 0).length;
    },
  };
}

function insideTransaction(): EvdbError {
  return new EvdbError(
    'POOL_NESTED',
    'pool.query was called inside a transaction of the same pool, and would run outside of it',
    {
      hint: 'Use the transaction that the callback is given. What is meant to stay even if the transaction is rolled back goes through pool.withConnection.',
    },
  );
}
