import type { ConnectionOptions } from '../connection/options.ts';
import type { EvdbError } from '../errors.ts';
import { Connector, type ConnectorReports } from './connector.ts';
import type { DiscardReason } from './metrics.ts';
import type { PoolSettings } from './options.ts';
import type { PooledConnection } from './pooled-connection.ts';

/** What the set tells about its work; nothing here may throw. */
export interface ConnectionSetReports extends ConnectorReports {
  disconnected(connection: PooledConnection, reason: DiscardReason): void;
  reset(): void;
}

interface ConnectionSetOptions {
  settings: PoolSettings;
  resolveConnection: () => Promise<ConnectionOptions>;
  reports: ConnectionSetReports;
}

/** How long a connection that idled may take to show that it is alive. */
const VALIDATION_MILLIS = 2_000;

/** After this time a new connection is opened beside the one that is tried. */
const SLOW_VALIDATION_MILLIS = 200;

/**
 * Owns all connections and decides who gets which. Each is in one state at a time: opening, idle,
 * being tried, or in use. Whoever waits is served in order of arrival by whichever connection is
 * free first.
 */
export class ConnectionSet {
  readonly connector: Connector;
  readonly #options: ConnectionSetOptions;
  readonly #queue = new WaitQueue();
  /** Every open connection. */
  readonly #open = new Set<PooledConnection>();
  /** The one used last is taken first, so that the others can go when there is less to do. */
  readonly #idle: PooledConnection[] = [];
  readonly #closing = new Set<Promise<void>>();
  #validating = 0;
  #isClosed = false;
  #onDrained: (() => void) | undefined;

  constructor(options: ConnectionSetOptions) {
    this.#options = options;
    this.connector = new Connector({
      ...options,
      onOpen: (connection) => {
        this.#open.add(connection);
        this.restore(connection);
        this.#serveWaiters();
      },
      onLastingFailure: (makeError) => this.#queue.rejectAll(makeError),
      onClose: (connection) => this.#removeLost(connection),
      onRetry: () => this.fill(),
    });
  }

  get counts() {
    const total = this.#open.size;
    const idle = this.#idle.length;
    return {
      total,
      idle,
      used: total - idle,
      pending: this.#queue.size,
      connecting: this.connector.opening,
    };
  }

  get open(): ReadonlySet<PooledConnection> {
    return this.#open;
  }

  get idle(): readonly PooledConnection[] {
    return this.#idle;
  }

  /** A connection that can be used at once, if there is one and nobody came before. */
  takeIdle(): PooledConnection | undefined {
    if (this.#queue.size > 0) return undefined;
    const connection = this.#idle.at(-1);
    if (!connection || !this.#isFresh(connection)) return undefined;
    this.#idle.pop();
    connection.setWatched(true);
    return connection;
  }

  /** Waits for a connection. */
  take(options: WaitOptions): Promise<PooledConnection> {
    const taken = this.#queue.wait(options);
    if (this.#idle.length > 0) this.#serveWaiters();
    else this.fill();
    return taken;
  }

  /** Takes a connection back from a caller; it is cleaned first where that is needed. */
  release(connection: PooledConnection, now: number): void {
    connection.idleSince = now;
    connection.restoreUsual();
    if (!connection.needsReset || connection.isDead) {
      this.restore(connection, now);
      return;
    }
    this.#options.reports.reset();
    connection.reset().then(
      () => this.restore(connection),
      () => this.discard(connection, 'reset'),
    );
  }

  /** Puts a connection that is clean where it is needed: to who waits first, or to the idle ones. */
  restore(connection: PooledConnection, now = performance.now()): void {
    if (connection.isDead) this.#remove(connection, 'lost');
    else if (now >= connection.expiresAt) this.retire(connection, 'lifetime');
    else if (this.#giveToFirst(connection)) return;
    else if (this.#isClosed) this.retire(connection, 'closed');
    else this.#keepIdle(connection);
  }

  /** Takes an idle connection out, to be used by the pool itself; it comes back by `restore`. */
  withdraw(connection: PooledConnection): boolean {
    const index = this.#idle.indexOf(connection);
    if (index >= 0) this.#idle.splice(index, 1);
    return index >= 0;
  }

  /** Ends a connection in an orderly way. */
  retire(connection: PooledConnection, reason: DiscardReason): void {
    this.#remove(connection, reason);
    const closing = connection.close().catch(() => connection.destroy());
    this.#closing.add(closing);
    void closing.finally(() => this.#closing.delete(closing));
  }

  /** Ends a connection at once. */
  discard(connection: PooledConnection, reason: DiscardReason, error?: EvdbError): void {
    this.#remove(connection, reason);
    connection.destroy(error);
  }

  /** Opens what is missing for those who wait and for `min`. */
  fill(): void {
    const { max, min } = this.#options.settings;
    const { opening } = this.connector;
    const total = this.#open.size + opening;
    const forWaiters = this.#queue.size - opening - this.#validating;
    const forMinimum = this.#isClosed ? 0 : min - total;
    const wanted = Math.min(max - total, Math.max(forWaiters, forMinimum));
    if (wanted > 0) this.connector.open(wanted);
  }

  /**
   * Connects, and opens what `min` asks for.
   *
   * @throws {EvdbError} as `openSession`
   */
  async warm(): Promise<void> {
    const wanted = Math.max(this.#options.settings.min, 1);
    this.fill();
    while (this.#open.size < wanted) await this.connector.connect();
  }

  /** Serves nobody from now on but those who wait already. */
  stop(): void {
    this.#isClosed = true;
    for (const connection of this.#idle.splice(0)) this.retire(connection, 'closed');
  }

  /** Ends every connection and sends everybody away; resolves when the connections are closed. */
  async end(makeError: () => EvdbError): Promise<void> {
    this.#isClosed = true;
    const stopped = this.connector.stop();
    this.#queue.rejectAll(makeError);
    for (const connection of [...this.#open]) this.discard(connection, 'closed', makeError());
    await stopped;
    await Promise.all(this.#closing);
  }

  /** False where nobody waits. */
  #giveToFirst(connection: PooledConnection): boolean {
    if (this.#queue.size === 0) return false;
    connection.setWatched(true);
    return this.#queue.serve(connection);
  }

  #keepIdle(connection: PooledConnection): void {
    connection.setWatched(false);
    this.#idle.push(connection);
  }

  #isFresh(connection: PooledConnection): boolean {
    const { validateAfterIdleMillis } = this.#options.settings;
    return !connection.isDead && performance.now() - connection.provenAt <= validateAfterIdleMillis;
  }

  /** Brings together who waits and what is idle, trying what idled for long. */
  #serveWaiters(): void {
    while (this.#queue.size > this.#validating && this.#idle.length > 0) {
      const connection = this.#idle.pop() as PooledConnection;
      if (this.#isFresh(connection)) this.#giveToFirst(connection);
      else void this.#validate(connection);
    }
    this.fill();
  }

  async #validate(connection: PooledConnection): Promise<void> {
    this.#validating += 1;
    let counts = true;
    const countNoLonger = () => {
      if (counts) this.#validating -= 1;
      counts = false;
    };
    const timer = setTimeout(() => {
      countNoLonger();
      this.fill();
    }, SLOW_VALIDATION_MILLIS);
    try {
      await connection.probe(
        Math.min(VALIDATION_MILLIS, this.#options.settings.connectionTimeoutMillis),
      );
    } catch {
      this.discard(connection, 'validation');
      // What idled as long may be as dead, and each would take as long to show it.
      for (const other of [...this.#idle]) {
        if (!this.#isFresh(other)) this.discard(other, 'validation');
      }
    }
    clearTimeout(timer);
    countNoLonger();
    // Before more are opened, so that none is opened for who gets this one.
    if (this.#open.has(connection)) this.restore(connection);
    this.#serveWaiters();
  }

  /** Resolves when every connection came back and nobody waits, after `stop`. */
  drained(): Promise<void> {
    return new Promise((resolve) => {
      this.#onDrained = resolve;
      this.#checkDrained();
    });
  }

  #checkDrained(): void {
    if (this.#open.size === 0 && this.#queue.size === 0) this.#onDrained?.();
  }

  /** An idle connection went away by itself: the others may be as dead without knowing. */
  #removeLost(connection: PooledConnection): void {
    if (!this.withdraw(connection)) return;
    this.#remove(connection, 'lost');
    for (const other of this.#idle) other.provenAt = Number.NEGATIVE_INFINITY;
  }

  #remove(connection: PooledConnection, reason: DiscardReason): void {
    if (!this.#open.delete(connection)) return;
    this.withdraw(connection);
    this.#options.reports.disconnected(connection, reason);
    this.fill();
    this.#checkDrained();
  }
}

/** Somebody who waits for a connection. */
interface Waiter {
  /** In ms of `performance.now()`; it is set once. */
  deadlineAt: number;
  explainTimeout: () => EvdbError;
  signal: AbortSignal | undefined;
  abort: (() => void) | undefined;
  resolve: (connection: PooledConnection) => void;
  reject: (error: unknown) => void;
}

interface WaitOptions {
  /** One absolute deadline, in ms from now; it is never armed again. */
  timeoutMillis: number;
  signal?: AbortSignal | undefined;
  /** Makes the error for the deadline. */
  explainTimeout: () => EvdbError;
}

/**
 * Those who wait, in the order of their arrival. One timer stands for the earliest deadline: a timer
 * for each, set and cleared, would cost every query more than the rest of the waiting.
 */
class WaitQueue {
  /** Not a set, see `watchConnection` of the driver; leaving the queue early is rare and may cost more. */
  readonly #waiters: Waiter[] = [];
  #timer: NodeJS.Timeout | undefined;
  #timerAt = Number.POSITIVE_INFINITY;

  get size(): number {
    return this.#waiters.length;
  }

  wait({ timeoutMillis, signal, explainTimeout }: WaitOptions): Promise<PooledConnection> {
    return new Promise((resolve, reject) => {
      const deadlineAt = performance.now() + timeoutMillis;
      const abort = signal && (() => this.#dismiss(waiter, signal.reason));
      const waiter = { deadlineAt, explainTimeout, signal, abort, resolve, reject };
      if (abort) signal.addEventListener('abort', abort, { once: true });
      if (this.#waiters.length === 0) this.#timer?.ref();
      this.#waiters.push(waiter);
      if (deadlineAt < this.#timerAt) this.#arm(deadlineAt, timeoutMillis);
    });
  }

  /** Gives a connection to whoever came first; false where nobody waits. */
  serve(connection: PooledConnection): boolean {
    const first = this.#waiters.shift();
    if (!first) return false;
    this.#letGo(first);
    first.resolve(connection);
    return true;
  }

  /** Sends everybody away. */
  rejectAll(makeError: () => EvdbError): void {
    for (const waiter of [...this.#waiters]) this.#dismiss(waiter, makeError());
  }

  #dismiss(waiter: Waiter, error: unknown): void {
    this.#waiters.splice(this.#waiters.indexOf(waiter), 1);
    this.#letGo(waiter);
    waiter.reject(error);
  }

  #letGo(waiter: Waiter): void {
    if (waiter.abort) waiter.signal?.removeEventListener('abort', waiter.abort);
    // Only those who wait keep the process alive.
    if (this.#waiters.length === 0) this.#timer?.unref();
  }

  #arm(at: number, delayMillis: number): void {
    clearTimeout(this.#timer);
    this.#timerAt = at;
    this.#timer = setTimeout(() => this.#dismissLate(), delayMillis);
  }

  #dismissLate(): void {
    this.#timer = undefined;
    this.#timerAt = Number.POSITIVE_INFINITY;
    const now = performance.now();
    let next = Number.POSITIVE_INFINITY;
    for (const waiter of [...this.#waiters]) {
      if (waiter.deadlineAt <= now) this.#dismiss(waiter, waiter.explainTimeout());
      else next = Math.min(next, waiter.deadlineAt);
    }
    if (next < Number.POSITIVE_INFINITY) this.#arm(next, next - now);
  }
}
