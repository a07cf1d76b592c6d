import { EvdbError } from '../errors.ts';
import type { Queryable } from '../pool/handle.ts';
import { commandLine } from '../text/command-line.ts';
import {
  type EventStats,
  parseRegistration,
  parseStats,
  parseUnregistration,
  type RawEventStats,
  type RawRegistration,
  type RegistrationResult,
  type UnregistrationResult,
  unknownAnswer,
} from './registration-answer.ts';
import {
  checkKeep,
  checkOptions,
  type RegistrationOptions,
  requireId,
  type UnregistrationOptions,
} from './registration-arguments.ts';
import { renderStatements, type Statement } from './registration-statements.ts';

export interface RegistrationClientOptions {
  /** The PostgreSQL schema of the functions, where the connection's search_path does not name it. */
  schema?: string | undefined;
}

export interface RegistrationClient {
  /**
   * Registers a user for an event, confirms the user's hold, or brings a cancelled registration
   * back. A refusal is a result: `success` is false and `reason` says why.
   *
   * @throws EvdbError `USAGE` for what is not an id; what the server or the connection raised
   */
  register(
    userId: number,
    eventId: number,
    options?: RegistrationOptions,
  ): Promise<RegistrationResult>;
  /**
   * Removes a registration, a hold or a place in the queue; with `keep` the row stays as cancelled.
   *
   * @throws EvdbError as `register`
   */
  unregister(
    userId: number,
    eventId: number,
    options?: UnregistrationOptions,
  ): Promise<UnregistrationResult>;
  /** Seats and registrations of one event; null where it does not exist. */
  eventStats(eventId: number): Promise<EventStats | null>;
}

/**
 * Calls the registration functions of the event schema and gives typed results.
 *
 * @param queryable a pool, or a transaction, which the call is then part of
 * @example
 * const events = createRegistrationClient(pool);
 * const result = await events.register(userId, eventId, { joinWaitlist: true });
 * if (!result.success && result.reason === 'full') offerAnother();
 */
export function createRegistrationClient(
  queryable: Queryable,
  { schema }: RegistrationClientOptions = {},
): RegistrationClient {
  const statements = renderStatements(schema);
  return {
    async register(userId, eventId, options) {
      requireId('userId', userId);
      requireId('eventId', eventId);
      const statement = statements.register(userId, eventId, checkOptions(options));
      const raw = await readAnswer<RawRegistration>(queryable, statement);
      return parseRegistration(raw, { userId, eventId });
    },
    async unregister(userId, eventId, options) {
      requireId('userId', userId);
      requireId('eventId', eventId);
      const raw = await readAnswer<RawRegistration>(
        queryable,
        statements.unregister(userId, eventId, checkKeep(options)),
      );
      return parseUnregistration(raw, { userId, eventId });
    },
    async eventStats(eventId) {
      requireId('eventId', eventId);
      const raw = await readRow<RawEventStats>(queryable, statements.stats(eventId));
      return raw === null ? null : parseStats(raw);
    },
  };
}

const searched = renderStatements();

/** The JSON of `safe_event_registration` as the database gives it, with its `snake_case` names. */
export async function safeEventRegistration(
  queryable: Queryable,
  userId: number,
  eventId: number,
): Promise<RawRegistration> {
  requireId('userId', userId);
  requireId('eventId', eventId);
  return readAnswer(queryable, searched.register(userId, eventId));
}

/** The JSON of `safe_event_unregistration` as the database gives it. */
export async function safeEventUnregistration(
  queryable: Queryable,
  userId: number,
  eventId: number,
): Promise<RawRegistration> {
  requireId('userId', userId);
  requireId('eventId', eventId);
  return readAnswer(queryable, searched.unregister(userId, eventId));
}

/** The JSON of `get_event_registration_stats` as the database gives it; null for no such event. */
export async function getEventStats(
  queryable: Queryable,
  eventId: number,
): Promise<RawEventStats | null> {
  requireId('eventId', eventId);
  return readRow(queryable, searched.stats(eventId));
}

/** Runs one of the statements and reads its JSON. */
export async function readAnswer<T>(queryable: Queryable, statement: Statement): Promise<T> {
  const answer = await readRow<T>(queryable, statement);
  if (answer === null) throw unknownAnswer(null);
  return answer;
}

/** As `readAnswer`, null where there is no row. */
async function readRow<T>(queryable: Queryable, { text, params }: Statement): Promise<T | null> {
  const asked = queryable.query<{ answer: string | null }>(text, params);
  const { rows } = await asked.catch((error: unknown) => {
    throw isMissing(error) ? schemaMissing(error) : error;
  });
  const answer = rows[0]?.answer ?? null;
  return answer === null ? null : (JSON.parse(answer) as T);
}

/** No such function, no such schema; with a context it is something inside of ours that is missing. */
function isMissing(error: unknown): boolean {
  const said = (error instanceof EvdbError ? error.cause : error) as {
    code?: string;
    where?: string;
  };
  return (said?.code === '42883' || said?.code === '3F000') && said.where === undefined;
}

function schemaMissing(cause: unknown): EvdbError {
  return new EvdbError(
    'EVENT_SCHEMA_MISSING',
    'the database does not hold the registration functions of the event schema',
    {
      hint: `Apply the migrations: ${commandLine('migrate up')} (in a new project: ${commandLine('init')} first). Where they are in another schema, name it with the option schema.`,
      cause,
      details: cause instanceof EvdbError ? cause.details : {},
    },
  );
}
