import type { EvdbError } from '../errors.ts';
import type { Slot } from './slot.ts';

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

export interface WaitOptions {
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
export class WaitingLine {
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
