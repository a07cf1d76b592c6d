import { isConflict } from '../connection/retry.ts';
import { EvdbError } from '../errors.ts';
import type { Queryable, QueryResult, Row } from '../pool/handle.ts';
import type { Call, RegistrarSettings } from './registrar.ts';
import { type RegistrationStatements, readAnswer } from './registration.ts';
import {
  parseRegistration,
  type RawRegistration,
  type RegistrationResult,
  unknownAnswer,
} from './registration-answer.ts';

/** How a statement is taken back while it waits for a connection, and who is told when it goes out. */
export interface Sending {
  signal: AbortSignal;
  onSend: () => void;
}

/** What the registrar needs of a pool. */
export interface RegistrarPool extends Queryable {
  query<T = Row>(
    text: string,
    params?: readonly unknown[],
    sending?: Sending,
  ): Promise<QueryResult<T>>;
  withTransaction<T>(
    work: (transaction: Queryable) => Promise<T>,
    options: { isolation: 'read committed'; retries: number; signal?: AbortSignal },
  ): Promise<T>;
  metrics(): { max: number };
}

/** What became of one call of a turn. */
export type Outcome =
  | { kind: 'answer'; result: RegistrationResult }
  | { kind: 'try-again'; error: unknown }
  | { kind: 'failure'; error: unknown };

/** `isWhole` tells that the event, and not one user, was in the way. */
export interface TurnResult {
  outcomes: Outcome[];
  isWhole: boolean;
}

/**
 * Sends the calls of one event with one statement. It never throws: each call gets an outcome.
 *
 * @param calls of one event; one with options must be alone
 */
export async function runTurn(
  pool: RegistrarPool,
  statements: RegistrationStatements,
  calls: readonly Call[],
  sending: Sending,
): Promise<TurnResult> {
  try {
    return { outcomes: await sendCalls(pool, statements, calls, sending), isWhole: false };
  } catch (error) {
    // the statement left nothing
    const kind = isConflict(error) ? 'try-again' : 'failure';
    return { outcomes: calls.map(() => ({ kind, error })), isWhole: calls.length > 1 };
  }
}

async function sendCalls(
  pool: RegistrarPool,
  statements: RegistrationStatements,
  calls: readonly Call[],
  sending: Sending,
): Promise<Outcome[]> {
  const [first] = calls;
  if (first === undefined) return [];
  const { userId, eventId, options } = first;
  const isRetry = calls.some(({ attempts }) => attempts > 0);
  // A batch of one takes about twice the time of the single call. That one waits for locks, though,
  // and all who come after it for the same event would wait with it: hence "soon", and once only.
  const isSingle = options !== undefined || (calls.length === 1 && !isRetry);
  const statement = isSingle
    ? statements.registerSoon(userId, eventId, options)
    : statements.registerBatch(
        calls.map((call) => call.userId),
        eventId,
      );
  // One statement needs no transaction of its own, which would cost two round trips while the event
  // is locked. Where sessions begin at a stricter level, the retry says which one it wants.
  const answer = isRetry
    ? await pool.withTransaction(
        (transaction) => {
          sending.onSend();
          return readAnswer(transaction, statement);
        },
        { isolation: 'read committed', retries: 0, signal: sending.signal },
      )
    : await readAnswer({ query: (text, params) => pool.query(text, params, sending) }, statement);
  return isSingle
    ? [
        {
          kind: 'answer',
          result: parseRegistration(answer as RawRegistration, { userId, eventId }),
        },
      ]
    : readBatch(answer as { details?: RawRegistration[] } | null, calls);
}

/** One entry for each call, in the order sent; each is checked to be of the user who called. */
function readBatch(
  answer: { details?: RawRegistration[] } | null,
  calls: readonly Call[],
): Outcome[] {
  const details = answer?.details;
  if (!Array.isArray(details) || details.length !== calls.length) throw unknownAnswer(answer);
  // A user may ask twice, and both calls go again where the first has to: else the second would
  // be told of a registration that is not there yet.
  const locked = new Set<number>();
  return calls.map(({ userId, eventId }, index) => {
    const entry = details[index];
    if (entry === undefined || entry.user_id !== userId) throw unknownAnswer(entry);
    if (entry.error_code === '55P03') locked.add(userId);
    return locked.has(userId)
      ? { kind: 'try-again', error: userLocked(userId, eventId) }
      : { kind: 'answer', result: parseRegistration(entry, { userId, eventId }) };
  });
}

function userLocked(userId: number, eventId: number): EvdbError {
  return new EvdbError(
    'LOCK_TIMEOUT',
    `another transaction keeps changing user ${userId} or the registration for event ${eventId}`,
    {
      hint: 'Nothing was changed. Try again later, and keep transactions that change users short.',
      details: { sqlstate: '55P03', userId, eventId },
    },
  );
}

/** All calls that are not answered yet, and the limit to them. */
export interface Backlog {
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
export function createBacklog(
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
  // The lanes take back what the pool has not sent, and the pool says so at once. One that knows
  // nothing of taking back may have sent it.
  setImmediate(() => {
    for (const call of [...pending]) reject(call, outcomeUnknown(call));
  });
}

/** A call that comes too late, or that was not sent before the deadline. */
export function registrarClosed(): EvdbError {
  return new EvdbError('REGISTRAR_CLOSED', 'the registrar is closed; the call was not sent', {
    hint: 'Nobody was registered by this call. Send it to an instance that runs.',
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

/** How many batches were of which size. */
export interface BatchSizes {
  count: number;
  /** Calls in all of them. */
  sum: number;
  /** Ascending; each counts the sizes above the bucket before it. */
  buckets: { upTo: number; count: number }[];
}

export interface RegistrarMetrics {
  /** Calls that were accepted, since the registrar was made. */
  calls: number;
  /** Calls that ended with a registration, with a refusal, with an error. */
  registered: number;
  refused: number;
  failed: number;
  /** Calls turned away because of `maxPending`. */
  turnedAway: number;
  /** Statements sent, of whatever size. */
  batches: number;
  batchSizes: BatchSizes;
  /** Times that a call was put back to be tried again. */
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

export interface RegistrarCounts {
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
export function createCounts(maxBatchSize: number): RegistrarCounts {
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
