import type { EvdbError } from '../errors.ts';
import type { Slot } from './slot.ts';

/** Somebody who waits for a connection. */
interface Waiter {
  resolve(slot: Slot): void;
  reject(error: unknown): void;
}

export interface WaitOptions {
  /** One absolute deadline, in ms from now; it is never armed again. */
  timeoutMillis: number;
  signal?: AbortSignal | undefined;
  /** Makes the error for the deadline. */
  explainTimeout: () => EvdbError;
}

/** Those who wait, in the order of their arrival. */
export interface WaitingLine {
  readonly size: number;
  join(options: WaitOptions): Promise<Slot>;
  /** Hands a connection to whoever came first; false where nobody waits. */
  serve(slot: Slot): boolean;
  /** Sends everybody away. */
  rejectAll(makeError: () => EvdbError): void;
}

/** Makes an empty line. A set keeps the order and lets go of anybody at the same cost. */
export function createWaitingLine(): WaitingLine {
  const waiters = new Set<Waiter>();
  const shift = (): Waiter | undefined => {
    for (const first of waiters) return first;
    return undefined;
  };
  return {
    get size() {
      return waiters.size;
    },
    join: ({ timeoutMillis, signal, explainTimeout }) =>
      new Promise((resolve, reject) => {
        const leave = () => {
          waiters.delete(waiter);
          clearTimeout(timer);
          signal?.removeEventListener('abort', abort);
        };
        const waiter: Waiter = {
          resolve: (slot) => {
            leave();
            resolve(slot);
          },
          reject: (error) => {
            leave();
            reject(error);
          },
        };
        const abort = () => waiter.reject(signal?.reason);
        const timer = setTimeout(() => waiter.reject(explainTimeout()), timeoutMillis);
        signal?.addEventListener('abort', abort, { once: true });
        waiters.add(waiter);
      }),
    serve: (slot) => {
      const first = shift();
      first?.resolve(slot);
      return first !== undefined;
    },
    rejectAll: (makeError) => {
      for (const waiter of [...waiters]) waiter.reject(makeError());
    },
  };
}
