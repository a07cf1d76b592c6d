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
  /** A set keeps the order and lets go of anybody at the same cost. */
  readonly #waiters = new Set<Waiter>();
  #timer: NodeJS.Timeout | undefined;
  #timerAt = Number.POSITIVE_INFINITY;

  get size(): number {
    return this.#waiters.size;
  }

  join({ timeoutMillis, signal, explainTimeout }: WaitOptions): Promise<Slot> {
    return new Promise((resolve, reject) => {
      const deadlineAt = performance.now() + timeoutMillis;
      const abort = signal && (() => this.#dismiss(waiter, signal.reason));
      const waiter = { deadlineAt, explainTimeout, signal, abort, resolve, reject };
      if (abort) signal.addEventListener('abort', abort, { once: true });
      if (this.#waiters.size === 0) this.#timer?.ref();
      this.#waiters.add(waiter);
      if (deadlineAt < this.#timerAt) this.#arm(deadlineAt, timeoutMillis);
    });
  }

  /** Hands a connection to whoever came first; false where nobody waits. */
  serve(slot: Slot): boolean {
    for (const first of this.#waiters) {
      this.#remove(first);
      first.resolve(slot);
      return true;
    }
    return false;
  }

  /** Sends everybody away. */
  rejectAll(makeError: () => EvdbError): void {
    for (const waiter of [...this.#waiters]) this.#dismiss(waiter, makeError());
  }

  #dismiss(waiter: Waiter, error: unknown): void {
    this.#remove(waiter);
    waiter.reject(error);
  }

  #remove(waiter: Waiter): void {
    this.#waiters.delete(waiter);
    if (waiter.abort) waiter.signal?.removeEventListener('abort', waiter.abort);
    // Only those who wait keep the process alive.
    if (this.#waiters.size === 0) this.#timer?.unref();
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
