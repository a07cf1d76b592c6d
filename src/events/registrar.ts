import { EvdbError } from '../errors.ts';
import { describeGiven } from '../pool/options.ts';
import { timerMs } from '../text/units.ts';
import { createLanes } from './registrar-lanes.ts';
import type { Call, RegistrarPool } from './registrar-turn.ts';
import {
  checkRegistrationOptions,
  type RegistrationOptions,
  requireUserAndEvent,
} from './registration.ts';
import type { RegistrationResult } from './registration-answer.ts';

/** Merges concurrent registrations for the same event into batches, see `createRegistrar`. */
export interface Registrar {
  /**
   * Registers a user for an event, together with all other calls for the same event that arrive
   * meanwhile. A refusal is a result, as in `createRegistrationClient`. With `options` the call
   * keeps its place in the order of arrival, but runs as a separate statement.
   *
   * @throws EvdbError `USAGE`, `REGISTRAR_FULL`, `REGISTRAR_CLOSED`, `LOCK_TIMEOUT` if the attempts
   *   are used up, `OUTCOME_UNKNOWN` if `close` did not wait for the answer, and the pool's errors:
   *   after `CONNECTION_LOST` it is not known whether the user was registered
   */
  register(
    userId: number,
    eventId: number,
    options?: RegistrationOptions,
  ): Promise<RegistrationResult>;
  /** What was done since the registrar was created, and what is running. */
  metrics(): RegistrarMetrics;
  /**
   * Refuses new calls, and resolves when those that are pending are answered, or after
   * `timeoutMs` (default 10,000), when it rejects the rest. Close it before the pool.
   */
  close(options?: { timeoutMs?: number }): Promise<void>;
}

/**
 * Merges concurrent calls of `register` for the same event: an idle event is served at once, and
 * calls that arrive while a statement runs go with the next one.
 *
 * @throws EvdbError `USAGE` for an invalid option
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
      requireUserAndEvent(userId, eventId);
      const known = checkRegistrationOptions(asked);
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
    close({ timeoutMs = 10_000 } = {}) {
      closing ??= new Promise((resolve) => {
        const timer = setTimeout(() => {
          backlog.abandon();
          lanes.abandon(registrarClosed());
        }, timerMs(timeoutMs));
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

/** Limits of a registrar. */
export interface RegistrarOptions {
  /** The PostgreSQL schema of the functions, if the connections' search_path does not name it. */
  schema?: string | undefined;
  /** The highest number of calls in one batch; default 256, at most 10,000. */
  maxBatchSize?: number | undefined;
  /** How long a call may wait for others to share a batch with, in ms; default 0. */
  maxDelayMs?: number | undefined;
  /** The highest number of accepted calls without an answer, over all events; default 10,000. */
  maxPending?: number | undefined;
  /**
   * What happens to a call beyond `maxPending`: `reject` at once with `REGISTRAR_FULL` (default),
   * or `wait` for room.
   */
  whenFull?: 'reject' | 'wait' | undefined;
  /**
   * The highest number of connections in use, over all events; default half of the pool's, at least
   * one.
   */
  maxInFlight?: number | undefined;
  /** How often a call is tried if locks or other transactions block it; default 6. */
  maxAttempts?: number | undefined;
}

interface RegistrarSettings {
  schema: string | undefined;
  maxBatchSize: number;
  maxDelayMs: number;
  maxPending: number;
  whenFull: 'reject' | 'wait';
  maxInFlight: number;
  maxAttempts: number;
}

const LIMITS = {
  // An event holds no more.
  maxBatchSize: [1, 10_000],
  maxDelayMs: [0, 60_000],
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
    maxDelayMs: options.maxDelayMs ?? 0,
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
      throw misused(name, describeGiven(value), `a whole number from ${least} to ${most}`);
    }
  }
  if (settings.whenFull !== 'reject' && settings.whenFull !== 'wait') {
    throw misused('whenFull', describeGiven(settings.whenFull), `'reject' or 'wait'`);
  }
  return settings;
}

function misused(name: string, what: string, expected: string): EvdbError {
  return new EvdbError('USAGE', `the registrar's option ${name} is ${what}`, {
    hint: `Expected: ${expected}.`,
  });
}

/** All calls that are not answered yet, and the limit to them. */
interface Backlog {
  readonly pending: number;
  readonly waiting: number;
  /**
   * Takes a call up, now or when there is room.
   *
   * @throws EvdbError `REGISTRAR_FULL`
   */
  add(call: Call): void;
  /** Answers a call; what was answered before stays as it was. */
  resolve(call: Call, result: RegistrationResult): void;
  reject(call: Call, error: unknown): void;
  /** Calls back once, when nothing is left. */
  onceEmpty(callback: () => void): void;
  /** Rejects whatever is left, saying what is known of it. */
  abandon(): void;
}

/** @param admit takes a call that is pending from now on */
function createBacklog(
  { maxPending, whenFull }: RegistrarSettings,
  counts: RegistrarCounts,
  admit: (call: Call) => void,
): Backlog {
  const pending = new Set<Call>();
  // A set is a queue from whose middle a call can go, too.
  const waiting = new Set<Call>();
  let announceEmpty: (() => void) | undefined;
  const isEmpty = () => pending.size === 0 && waiting.size === 0;

  const accept = (call: Call): void => {
    counts.calls += 1;
    pending.add(call);
    admit(call);
  };
  const settle = (call: Call, answer: () => void): void => {
    if (call.state === 'settled') return;
    call.state = 'settled';
    if (!waiting.delete(call)) pending.delete(call);
    answer();
    const [next] = waiting;
    if (next !== undefined && pending.size < maxPending) {
      waiting.delete(next);
      accept(next);
    }
    if (isEmpty()) announceEmpty?.();
  };
  const reject = (call: Call, error: unknown): void =>
    settle(call, () => {
      counts.failed += 1;
      call.reject(error);
    });

  return {
    get pending() {
      return pending.size;
    },
    get waiting() {
      return waiting.size;
    },
    add(call) {
      if (pending.size < maxPending) {
        accept(call);
      } else if (whenFull === 'wait') {
        waiting.add(call);
      } else {
        counts.turnedAway += 1;
        throw registrarFull(maxPending);
      }
    },
    resolve: (call, result) =>
      settle(call, () => {
        counts[result.success ? 'registered' : 'refused'] += 1;
        call.resolve(result);
      }),
    reject,
    onceEmpty(callback) {
      announceEmpty = callback;
      if (isEmpty()) callback();
    },
    abandon: () => abandon(waiting, pending, reject),
  };
}

function abandon(
  waiting: ReadonlySet<Call>,
  pending: ReadonlySet<Call>,
  reject: (call: Call, error: unknown) => void,
): void {
  // Who waits goes first: else the room that the others leave would let him in.
  for (const call of [...waiting]) reject(call, registrarClosed());
  for (const call of [...pending]) {
    if (call.state === 'queued') reject(call, registrarClosed());
    if (call.state === 'sent') reject(call, outcomeUnknown(call));
  }
  // The lanes withdraw what the pool has not sent, and the pool says so at once. A pool that cannot
  // withdraw may have sent it.
  setImmediate(() => {
    for (const call of [...pending]) reject(call, outcomeUnknown(call));
  });
}

/** A call that comes too late, or that was not sent before the deadline. */
function registrarClosed(): EvdbError {
  return new EvdbError('REGISTRAR_CLOSED', 'the registrar is closed; the call was not sent', {
    hint: 'This call registered nobody. Send it to a running instance.',
  });
}

function registrarFull(maxPending: number): EvdbError {
  return new EvdbError('REGISTRAR_FULL', `${maxPending} registrations are waiting already`, {
    hint: 'Ask the user to try again in a moment (HTTP 503), or raise maxPending.',
    details: { maxPending },
  });
}

function outcomeUnknown({ userId, eventId }: Call): EvdbError {
  return new EvdbError(
    'OUTCOME_UNKNOWN',
    `the registrar was closed while it registered user ${userId} for event ${eventId}`,
    {
      hint: 'Look the registration up before trying again.',
      details: { userId, eventId },
    },
  );
}

/** How many batches there were of each size. */
export interface RegistrarBatchSizes {
  count: number;
  /** Calls in all of them. */
  sum: number;
  /** Ascending; each counts the sizes above the previous bucket. */
  buckets: { upTo: number; count: number }[];
}

/** What a registrar has done since it was created, and what it is doing. */
export interface RegistrarMetrics {
  /** Accepted calls, since the registrar was created. */
  calls: number;
  /** Calls that ended with a registration, with a refusal, with an error. */
  registered: number;
  refused: number;
  failed: number;
  /** Calls turned away because of `maxPending`. */
  turnedAway: number;
  /** Statements sent, of any size. */
  batches: number;
  batchSizes: RegistrarBatchSizes;
  /** How often a call was queued for another try. */
  retries: number;
  /** Calls that are accepted and not answered yet. */
  pending: number;
  /** Calls that wait to be accepted, with `whenFull: 'wait'`. */
  waiting: number;
  /** Statements under way. */
  inFlight: number;
  /** Events with calls that are not answered yet. */
  events: number;
}

type RegistrarGauges = Pick<RegistrarMetrics, 'pending' | 'waiting' | 'inFlight' | 'events'>;

interface RegistrarCounts {
  calls: number;
  registered: number;
  refused: number;
  failed: number;
  turnedAway: number;
  retries: number;
  recordBatch(size: number): void;
  /** A snapshot: plain JSON that does not change any more. */
  summarize(gauges: RegistrarGauges): RegistrarMetrics;
}

/** @param maxBatchSize the limit of the last bucket; those before it are the powers of two */
function createCounts(maxBatchSize: number): RegistrarCounts {
  const limits: number[] = [];
  for (let limit = 1; limit < maxBatchSize; limit *= 2) limits.push(limit);
  limits.push(maxBatchSize);
  const buckets = limits.map((upTo) => ({ upTo, count: 0 }));
  let count = 0;
  let sum = 0;
  return {
    calls: 0,
    registered: 0,
    refused: 0,
    failed: 0,
    turnedAway: 0,
    retries: 0,
    recordBatch(size) {
      count += 1;
      sum += size;
      const bucket = buckets.find(({ upTo }) => size <= upTo);
      if (bucket !== undefined) bucket.count += 1;
    },
    summarize(gauges) {
      const { calls, registered, refused, failed, turnedAway, retries } = this;
      const batchSizes = { count, sum, buckets: buckets.map((bucket) => ({ ...bucket })) };
      const totals = { calls, registered, refused, failed, turnedAway, batches: count };
      return { ...totals, batchSizes, retries, ...gauges };
    },
  };
}
