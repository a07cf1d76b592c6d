import { EvdbError } from '../errors.ts';
import { createLanes } from './registrar-lanes.ts';
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

export interface RegistrarOptions {
  /** The PostgreSQL schema of the functions, where the connections' search_path does not name it. */
  schema?: string | undefined;
  /** Most calls that one batch takes; default 256, at most 10,000. */
  maxBatchSize?: number | undefined;
  /** How long a call may wait for others to share a batch with, in ms; default 0. */
  maxDelayMillis?: number | undefined;
  /** Most calls that are accepted and not answered yet, over all events; default 10,000. */
  maxPending?: number | undefined;
  /**
   * What a call beyond `maxPending` does: `reject` at once with `REGISTRAR_FULL` (default), or
   * `wait` for room.
   */
  whenFull?: 'reject' | 'wait' | undefined;
  /** Most connections in use at a time, over all events; default half of the pool's, at least one. */
  maxInFlight?: number | undefined;
  /** How often a call is tried where locks or other transactions are in its way; default 6. */
  maxAttempts?: number | undefined;
}

export interface RegistrarSettings {
  schema: string | undefined;
  maxBatchSize: number;
  maxDelayMillis: number;
  maxPending: number;
  whenFull: 'reject' | 'wait';
  maxInFlight: number;
  maxAttempts: number;
}

const LIMITS = {
  // An event holds no more.
  maxBatchSize: [1, 10_000],
  maxDelayMillis: [0, 60_000],
  maxPending: [1, 10_000_000],
  maxInFlight: [1, 10_000],
  maxAttempts: [1, 100],
} as const;

/**
 * Fills what is left out.
 *
 * @param poolMax how many connections the pool has at most
 * @throws EvdbError `USAGE` for a value that does not fit, or an option that does not exist
 */
export function resolveRegistrarOptions(
  options: RegistrarOptions,
  poolMax: number,
): RegistrarSettings {
  const settings: RegistrarSettings = {
    schema: options.schema,
    maxBatchSize: options.maxBatchSize ?? 256,
    maxDelayMillis: options.maxDelayMillis ?? 0,
    maxPending: options.maxPending ?? 10_000,
    whenFull: options.whenFull ?? 'reject',
    maxInFlight: options.maxInFlight ?? Math.max(1, Math.floor(poolMax / 2)),
    maxAttempts: options.maxAttempts ?? 6,
  };
  for (const name of Object.keys(options)) {
    if (!(name in settings)) throw misused(name, 'not known', Object.keys(settings).join(', '));
  }
  for (const [name, [least, most]] of Object.entries(LIMITS)) {
    const value = settings[name as keyof typeof LIMITS];
    if (!Number.isInteger(value) || value < least || value > most) {
      throw misused(name, String(value), `a whole number from ${least} to ${most}`);
    }
  }
  if (settings.whenFull !== 'reject' && settings.whenFull !== 'wait') {
    throw misused('whenFull', String(settings.whenFull), `'reject' or 'wait'`);
  }
  return settings;
}

function misused(name: string, what: string, expected: string): EvdbError {
  return new EvdbError('USAGE', `the registrar's option ${name} is ${what}`, {
    hint: `Expected: ${expected}.`,
  });
}

/** One `register` that is not answered yet. */
export interface Call {
  /** Ascending in the order of arrival. */
  readonly number: number;
  readonly userId: number;
  readonly eventId: number;
  /** Only where they ask for more than a batch can do. */
  readonly options: RegistrationOptions | undefined;
  readonly arrivedAtMs: number;
  /** How often it was tried in vain. */
  attempts: number;
  /** `asked`: the pool has it, and may still be looking for a connection. */
  state: 'queued' | 'asked' | 'sent' | 'settled';
  resolve(result: RegistrationResult): void;
  reject(error: unknown): void;
}
