import { EvdbError } from '../errors.ts';
import type { RegistrationOptions } from './registration.ts';
import type { RegistrationResult } from './registration-answer.ts';

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
