import { isConflict } from '../connection/retry.ts';
import { EvdbError } from '../errors.ts';
import type { Queryable, QueryResult, ResultRow } from '../pool/handle.ts';
import type { Answering } from './event-schema.ts';
import {
  type RegistrationOptions,
  type RegistrationStatements,
  readAnswer,
  registerBatch,
} from './registration.ts';
import {
  parseRegistration,
  type RawRegistration,
  type RegistrationResult,
  type UserBusy,
} from './registration-answer.ts';

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

/** What the registrar needs from a pool. */
export interface RegistrarPool extends Queryable {
  query<T = ResultRow>(
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

/** How a statement is withdrawn while it waits for a connection, and who is told when it goes out. */
export interface Sending {
  signal: AbortSignal;
  onSend: () => void;
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
    // The statement left nothing.
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
  if (options !== undefined || (calls.length === 1 && !isRetry)) {
    const statement = statements.registerSoon(userId, eventId, options);
    const raw = await ask(pool, sending, isRetry, (answering) =>
      readAnswer<RawRegistration>(answering, statement),
    );
    return [{ kind: 'answer', result: parseRegistration(raw, { userId, eventId }) }];
  }
  const userIds = calls.map((call) => call.userId);
  const answers = await ask(pool, sending, isRetry, (answering) =>
    registerBatch(answering, statements, userIds, eventId),
  );
  return answers.map(outcomeOf);
}

/**
 * One statement needs no transaction of its own, which would cost two round trips while the event is
 * locked. Where sessions begin at a stricter level, the retry says which one it wants.
 */
function ask<T>(
  pool: RegistrarPool,
  sending: Sending,
  isRetry: boolean,
  read: (answering: Answering) => Promise<T>,
): Promise<T> {
  if (!isRetry) return read({ query: (text, params) => pool.query(text, params, sending) });
  return pool.withTransaction(
    (transaction) => {
      sending.onSend();
      return read(transaction);
    },
    { isolation: 'read committed', retries: 0, signal: sending.signal },
  );
}

function outcomeOf(answer: RegistrationResult | UserBusy): Outcome {
  return !answer.success && answer.errorCode === '55P03'
    ? { kind: 'try-again', error: userLocked(answer) }
    : { kind: 'answer', result: answer };
}

function userLocked({ userId, eventId }: UserBusy): EvdbError {
  return new EvdbError(
    'LOCK_TIMEOUT',
    `another transaction keeps changing user ${userId} or the registration for event ${eventId}`,
    {
      hint: 'Nothing was changed. Try again later, and keep transactions that change users short.',
      details: { sqlstate: '55P03', userId, eventId },
    },
  );
}
