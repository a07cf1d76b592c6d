import type { ConnectionOptions } from '../connection/options.ts';
import type { EvdbError } from '../errors.ts';
import { Connector, type ConnectorReports } from './connector.ts';
import type { DiscardReason } from './metrics.ts';
import type { PoolSettings } from './options.ts';
import type { Slot } from './pooled-connection.ts';

/** What the lender tells about its work; nothing here may throw. */
export interface LenderReports extends ConnectorReports {
  disconnected(slot: Slot, reason: DiscardReason): void;
  reset(): void;
}

interface LenderOptions {
  settings: PoolSettings;
  resolveConnection: () => Promise<ConnectionOptions>;
  reports: LenderReports;
}

/** How long a connection that idled may take to show that it is alive. */
const VALIDATION_MILLIS = 2_000;

/** After this time a new connection is opened beside the one that is tried. */
const SLOW_VALIDATION_MILLIS = 200;

/**
 * Owns all connections and decides who gets which. Each is in one place at a time: opening, idle,
 * being tried, or lent. Whoever waits is served in order of arrival by whichever connection is
 * free first.
 */
export class Lender {
  readonly connector: Connector;
  readonly #options: LenderOptions;
  readonly #line = new WaitingLine();
  /** Every open connection. */
  readonly #slots = new Set<Slot>();
  /** The one used last is lent first, so that the others can go when there is less to do. */
  readonly #idle: Slot[] = [];
  readonly #closing = new Set<Promise<void>>();
  #validating = 0;
  #isClosed = false;
  #onDrained: (() => void) | undefined;

  constructor(options: LenderOptions) {
    this.#options = options;
    this.connector = new Connector({
      ...options,
      onOpen: (slot) => {
        this.#slots.add(slot);
        this.restore(slot);
        this.#serve();
      },
      onLastingFailure: (makeError) => this.#line.rejectAll(makeError),
      onClose: (slot) => this.#notice(slot),
      onRetry: () => this.fill(),
    });
  }

  get counts() {
    const total = this.#slots.size;
    const idle = this.#idle.length;
    return {
      total,
      idle,
      used: total - idle,
      pending: this.#line.size,
      connecting: this.connector.opening,
    };
  }

  get slots(): ReadonlySet<Slot> {
    return this.#slots;
  }

  get idleSlots(): readonly Slot[] {
    return this.#idle;
  }

  /** A connection that can be lent at once, if there is one and nobody came before. */
  takeIdle(): Slot | undefined {
    if (this.#line.size > 0) return undefined;
    const slot = this.#idle.at(-1);
    if (!slot || !this.#isFresh(slot)) return undefined;
    this.#idle.pop();
    slot.setWatched(true);
    return slot;
  }

  /** Waits in line for a connection. */
  take(options: WaitOptions): Promise<Slot> {
    const lent = this.#line.join(options);
    if (this.#idle.length > 0) this.#serve();
    else this.fill();
    return lent;
  }

  /** Takes a connection back from a borrower; it is cleaned first where that is needed. */
  giveBack(slot: Slot): void {
    slot.idleSince = performance.now();
    slot.returned();
    if (!slot.needsReset || slot.isDead) {
      this.restore(slot);
      return;
    }
    this.#options.reports.reset();
    slot.reset().then(
      () => this.restore(slot),
      () => this.discard(slot, 'reset'),
    );
  }

  /** Puts a connection that is clean where it is needed: to the first in line, or to the idle. */
  restore(slot: Slot): void {
    if (slot.isDead) this.#forget(slot, 'lost');
    else if (performance.now() >= slot.expiresAt) this.retire(slot, 'lifetime');
    else if (this.#hand(slot)) return;
    else if (this.#isClosed) this.retire(slot, 'closed');
    else this.#keep(slot);
  }

  /** Takes an idle connection out, to be used by the pool itself; it comes back by `restore`. */
  withdraw(slot: Slot): boolean {
    const index = this.#idle.indexOf(slot);
    if (index >= 0) this.#idle.splice(index, 1);
    return index >= 0;
  }

  /** Ends a connection in an orderly way. */
  retire(slot: Slot, reason: DiscardReason): void {
    this.#forget(slot, reason);
    const closing = slot.close().catch(() => slot.destroy());
    this.#closing.add(closing);
    void closing.finally(() => this.#closing.delete(closing));
  }

  /** Ends a connection at once. */
  discard(slot: Slot, reason: DiscardReason, error?: EvdbError): void {
    this.#forget(slot, reason);
    slot.destroy(error);
  }

  /** Opens what is missing for those who wait and for `min`. */
  fill(): void {
    const { max, min } = this.#options.settings;
    const { opening } = this.connector;
    const total = this.#slots.size + opening;
    const forWaiters = this.#line.size - opening - this.#validating;
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
    while (this.#slots.size < wanted) await this.connector.connect();
  }

  /** Lends to nobody from now on but to those who wait already. */
  stop(): void {
    this.#isClosed = true;
    for (const slot of this.#idle.splice(0)) this.retire(slot, 'closed');
  }

  /** Ends every connection and sends everybody away; resolves when the connections are closed. */
  async end(makeError: () => EvdbError): Promise<void> {
    this.#isClosed = true;
    const stopped = this.connector.stop();
    this.#line.rejectAll(makeError);
    for (const slot of [...this.#slots]) this.discard(slot, 'closed', makeError());
    await stopped;
    await Promise.all(this.#closing);
  }

  /** Gives it to the first in line; false where nobody waits. */
  #hand(slot: Slot): boolean {
    if (this.#line.size === 0) return false;
    slot.setWatched(true);
    return this.#line.serve(slot);
  }

  #keep(slot: Slot): void {
    slot.setWatched(false);
    this.#idle.push(slot);
  }

  #isFresh(slot: Slot): boolean {
    const { validateAfterIdleMillis } = this.#options.settings;
    return !slot.isDead && performance.now() - slot.provenAt <= validateAfterIdleMillis;
  }

  /** Brings together who waits and what is idle, trying what idled for long. */
  #serve(): void {
    while (this.#line.size > this.#validating && this.#idle.length > 0) {
      const slot = this.#idle.pop() as Slot;
      if (this.#isFresh(slot)) this.#hand(slot);
      else void this.#validate(slot);
    }
    this.fill();
  }

  async #validate(slot: Slot): Promise<void> {
    this.#validating += 1;
    let counts = true;
    const countNoLonger = () => {
      if (counts) this.#validating -= 1;
      counts = false;
      this.fill();
    };
    const timer = setTimeout(countNoLonger, SLOW_VALIDATION_MILLIS);
    try {
      await slot.probe(Math.min(VALIDATION_MILLIS, this.#options.settings.connectionTimeoutMillis));
    } catch {
      this.discard(slot, 'validation');
      // What idled as long may be as dead, and each would take as long to show it.
      for (const other of [...this.#idle]) {
        if (!this.#isFresh(other)) this.discard(other, 'validation');
      }
    }
    clearTimeout(timer);
    countNoLonger();
    if (this.#slots.has(slot)) this.restore(slot);
    this.#serve();
  }

  /** Resolves when every connection came back and nobody waits, after `stop`. */
  drained(): Promise<void> {
    return new Promise((resolve) => {
      this.#onDrained = resolve;
      this.#checkDrained();
    });
  }

  #checkDrained(): void {
    if (this.#slots.size === 0 && this.#line.size === 0) this.#onDrained?.();
  }

  /** An idle connection went away by itself: the others may be as dead without knowing. */
  #notice(slot: Slot): void {
    if (!this.withdraw(slot)) return;
    this.#forget(slot, 'lost');
    for (const other of this.#idle) other.provenAt = Number.NEGATIVE_INFINITY;
  }

  #forget(slot: Slot, reason: DiscardReason): void {
    if (!this.#slots.delete(slot)) return;
    this.withdraw(slot);
    this.#options.reports.disconnected(slot, reason);
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
  resolve: (slot: Slot) => void;
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
class WaitingLine {
  /** Not a set, see `watchLine` of the driver; leaving the line early is rare and may cost more. */
  readonly #waiters: Waiter[] = [];
  #timer: NodeJS.Timeout | undefined;
  #timerAt = Number.POSITIVE_INFINITY;

  get size(): number {
    return this.#waiters.length;
  }

  join({ timeoutMillis, signal, explainTimeout }: WaitOptions): Promise<Slot> {
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

  /** Hands a connection to whoever came first; false where nobody waits. */
  serve(slot: Slot): boolean {
    const first = this.#waiters.shift();
    if (!first) return false;
    this.#letGo(first);
    first.resolve(slot);
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
