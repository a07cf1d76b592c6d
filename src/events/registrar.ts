import { createLanes } from './registrar-lanes.ts';
import { type RegistrarOptions, resolveRegistrarOptions } from './registrar-options.ts';
import {
  createBacklog,
  createCounts,
  type RegistrarMetrics,
  type RegistrarPool,
  registrarClosed,
} from './registrar-turn.ts';
import { checkOptions, type RegistrationOptions, requireId } from './registration.ts';
import type { RegistrationResult } from './registration-answer.ts';

export interface Registrar {
  /**
   * Registers a user for an event, together with whoever else asks for the same event meanwhile.
   * A refusal is a result, as of `createRegistrationClient`. With `options` the call keeps its
   * place in the order of arrival, but gets a statement of its own.
   *
   * @throws EvdbError `USAGE`, `REGISTRAR_FULL`, `REGISTRAR_CLOSED`, `LOCK_TIMEOUT` where the
   *   attempts are used up, `OUTCOME_UNKNOWN` where `close` did not wait for the answer, and what
   *   the pool says: after `CONNECTION_LOST` it is not known whether the user was registered
   */
  register(
    userId: number,
    eventId: number,
    options?: RegistrationOptions,
  ): Promise<RegistrationResult>;
  /** What was done since the registrar was made, and what is under way. */
  metrics(): RegistrarMetrics;
  /**
   * Refuses new calls, and resolves when those that are pending are answered, or after
   * `timeoutMillis` (default 10,000), when it rejects the rest. Close it before the pool.
   */
  close(options?: { timeoutMillis?: number }): Promise<void>;
}

/**
 * Merges concurrent calls of `register` for the same event: an event that is idle is served at
 * once, and what arrives while one statement is under way goes with the next one.
 *
 * @throws EvdbError `USAGE` for an option that does not fit
 * @example
 * const registrar = createRegistrar(pool);
 * const result = await registrar.register(userId, eventId);
 * await registrar.close();
 */
export function createRegistrar(pool: RegistrarPool, options: RegistrarOptions = {}): Registrar {
  const settings = resolveRegistrarOptions(options, pool.metrics().max);
  const counts = createCounts(settings.maxBatchSize);
  const backlog = createBacklog(settings, counts, (call) => lanes.add(call));
  const lanes = createLanes(pool, settings, counts, backlog);
  let calls = 0;
  let closing: Promise<void> | undefined;
  return {
    async register(userId, eventId, asked) {
      requireId('userId', userId);
      requireId('eventId', eventId);
      const known = checkOptions(asked);
      if (closing !== undefined) throw registrarClosed();
      return new Promise((resolve, reject) => {
        calls += 1;
        const arrivedAtMs = performance.now();
        const call = { number: calls, userId, eventId, options: known, arrivedAtMs, attempts: 0 };
        backlog.add({ ...call, state: 'queued', resolve, reject });
      });
    },
    metrics() {
      const { pending, waiting } = backlog;
      return counts.summarize({ pending, waiting, inFlight: lanes.inFlight, events: lanes.size });
    },
    close({ timeoutMillis = 10_000 } = {}) {
      closing ??= new Promise((resolve) => {
        const timer = setTimeout(() => {
          backlog.abandon();
          lanes.abandon();
        }, timeoutMillis);
        backlog.onceEmpty(() => {
          clearTimeout(timer);
          resolve();
        });
        lanes.hurry();
      });
      return closing;
    },
  };
}
