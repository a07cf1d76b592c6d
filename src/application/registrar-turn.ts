import { EvdbError } from '../errors.ts';
import type { Queryable, QueryResult, Row } from '../pool/handle.ts';
import type { Call } from './registrar-call.ts';
import { readAnswer } from './registration.ts';
import {
  parseRegistration,
  type RawRegistration,
  type RegistrationResult,
  unknownAnswer,
} from './registration-answer.ts';
import type { RegistrationStatements } from './registration-statements.ts';

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

/** Lock not available, serialisation failure, deadlock: the statement left nothing. */
const WORTH_RETRYING = new Set(['55P03', '40001', '40P01']);

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
    const kind = WORTH_RETRYING.has(sqlstateOf(error) ?? '') ? 'try-again' : 'failure';
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

function sqlstateOf(error: unknown): string | undefined {
  if (error instanceof EvdbError) return error.details.sqlstate as string | undefined;
  return (error as { code?: string } | undefined)?.code;
}
