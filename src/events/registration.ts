import { EvdbError } from '../errors.ts';
import { refuseUnknown } from '../pool/options.ts';
import { quoteIdent } from '../sql/quote.ts';
import { type Answering, schemaMissingOr } from './event-schema.ts';
import {
  type EventStats,
  parseBatch,
  parseRegistration,
  parseStats,
  parseUnregistration,
  type RawBatch,
  type RawEventStats,
  type RawRegistration,
  type RegistrationResult,
  type UnregistrationResult,
  type UserBusy,
  unknownAnswer,
} from './registration-answer.ts';

/** Where the event schema is installed. */
export interface RegistrationClientOptions {
  /** The PostgreSQL schema of the functions, if the connection's search_path does not name it. */
  schema?: string | undefined;
}

/** The registration functions of the event schema as typed calls. */
export interface RegistrationClient {
  /**
   * Registers a user for an event, confirms the user's hold, or restores a cancelled registration.
   * A refusal is a result: `success` is false and `reason` says why.
   *
   * @throws EvdbError `USAGE` for an invalid ID; the error of the server or the connection
   */
  register(
    userId: number,
    eventId: number,
    options?: RegistrationOptions,
  ): Promise<RegistrationResult>;
  /**
   * Removes a registration, a hold or a place on the waiting list; with `keep` the row remains as
   * cancelled.
   *
   * @throws EvdbError as `register`
   */
  unregister(
    userId: number,
    eventId: number,
    options?: UnregistrationOptions,
  ): Promise<UnregistrationResult>;
  /** Seats and registrations of one event; null if it does not exist. */
  eventStats(eventId: number): Promise<EventStats | null>;
}

/**
 * Calls the registration functions of the event schema and returns typed results.
 *
 * @param queryable a pool, or a transaction, which the call then belongs to
 * @example
 * const events = createRegistrationClient(pool);
 * const result = await events.register(userId, eventId, { joinWaitlist: true });
 * if (!result.success && result.reason === 'full') response.writeHead(409).end();
 */
export function createRegistrationClient(
  queryable: Answering,
  options: RegistrationClientOptions = {},
): RegistrationClient {
  refuseUnknown(options, ['schema'], { what: "the registration client's option", code: 'USAGE' });
  const statements = renderStatements(options.schema);
  return {
    async register(userId, eventId, options) {
      requireUserAndEvent(userId, eventId);
      const statement = statements.register(userId, eventId, checkRegistrationOptions(options));
      const raw = await readAnswer<RawRegistration>(queryable, statement);
      return parseRegistration(raw, { userId, eventId });
    },
    async unregister(userId, eventId, options) {
      requireUserAndEvent(userId, eventId);
      const raw = await readAnswer<RawRegistration>(
        queryable,
        statements.unregister(userId, eventId, checkKeep(options)),
      );
      return parseUnregistration(raw, { userId, eventId });
    },
    async eventStats(eventId) {
      requireIds('event', [eventId]);
      const raw = await readOptional<RawEventStats>(queryable, statements.stats(eventId));
      return raw === null ? null : parseStats(raw);
    },
  };
}

const searched = renderStatements();

/**
 * The JSON of `safe_event_registration` as the database returns it, with its `snake_case` names.
 *
 * @throws {EvdbError} EVENT_SCHEMA_MISSING; QueryError as the database returns it
 * @example
 * const answer = await safeEventRegistration(pool, userId, eventId);
 * if (!answer.success) console.error(answer.error_code);
 */
export async function safeEventRegistration(
  queryable: Answering,
  userId: number,
  eventId: number,
): Promise<RawRegistration> {
  requireUserAndEvent(userId, eventId);
  return readAnswer(queryable, searched.register(userId, eventId));
}

/**
 * The JSON of `safe_event_unregistration` as the database returns it.
 *
 * @throws {EvdbError} EVENT_SCHEMA_MISSING; QueryError as the database returns it
 * @example
 * const answer = await safeEventUnregistration(pool, userId, eventId);
 */
export async function safeEventUnregistration(
  queryable: Answering,
  userId: number,
  eventId: number,
): Promise<RawRegistration> {
  requireUserAndEvent(userId, eventId);
  return readAnswer(queryable, searched.unregister(userId, eventId));
}

/**
 * The JSON of `get_event_registration_stats` as the database returns it; null if there is no such
 * event.
 *
 * @throws {EvdbError} EVENT_SCHEMA_MISSING; QueryError as the database returns it
 * @example
 * const stats = await getEventStats(pool, eventId);
 * console.log(stats?.available_spots);
 */
export async function getEventStats(
  queryable: Answering,
  eventId: number,
): Promise<RawEventStats | null> {
  requireIds('event', [eventId]);
  return readOptional(queryable, searched.stats(eventId));
}

/**
 * Registers several users with one statement, which takes exactly the seats that are left.
 *
 * @returns one entry for each of them, in that order
 */
export async function registerBatch(
  answering: Answering,
  statements: RegistrationStatements,
  userIds: readonly number[],
  eventId: number,
): Promise<(RegistrationResult | UserBusy)[]> {
  const statement = statements.registerBatch(userIds, eventId);
  return parseBatch(await readAnswer<RawBatch>(answering, statement), userIds, eventId);
}

/**
 * Runs one of the statements and reads its JSON.
 *
 * @throws EvdbError `EVENT_SCHEMA_MISSING`; `UNKNOWN_ANSWER` where there is none
 */
export async function readAnswer<T>(answering: Answering, statement: Statement): Promise<T> {
  const answer = await readOptional<T>(answering, statement);
  if (answer === null) throw unknownAnswer(null);
  return answer;
}

/** As `readAnswer`, null where there is no row. */
async function readOptional<T>(
  answering: Answering,
  { text, params }: Statement,
): Promise<T | null> {
  const asked = answering.query<{ answer: string | null }>(text, params);
  const { rows } = await asked.catch((error: unknown) => {
    throw schemaMissingOr(error);
  });
  const answer = rows[0]?.answer ?? null;
  return answer === null ? null : (JSON.parse(answer) as T);
}

/** A statement with one row and one column, `answer`: JSON as text, or null. */
interface Statement {
  text: string;
  params: unknown[];
}

/**
 * The calls of the registration functions. The text depends on nothing but the schema, so each is
 * prepared once a connection. The answer is read as text, so that it does not matter how the
 * connection reads JSON.
 */
export interface RegistrationStatements {
  register(userId: number, eventId: number, options?: RegistrationOptions): Statement;
  /** As `register`, but gives up with 55P03 where it cannot acquire a lock in time. */
  registerSoon(userId: number, eventId: number, options?: RegistrationOptions): Statement;
  registerBatch(userIds: readonly number[], eventId: number): Statement;
  unregister(userId: number, eventId: number, keep?: boolean): Statement;
  stats(eventId: number): Statement;
}

/** A batch of hundreds keeps an event for some 20 ms; whoever keeps a user longer is at something else. */
const SOON = '200ms';

/**
 * Renders the calls.
 *
 * @param schema the schema of the functions; left out, the search_path finds them
 * @throws EvdbError `INVALID_NAME` for a name that cannot be quoted
 */
export function renderStatements(schema?: string): RegistrationStatements {
  const prefix = schema === undefined ? '' : `${quoteIdent(schema)}.`;
  const plain = `${prefix}safe_event_registration($1::integer, $2::integer)::text as answer`;
  const withOptions = `${prefix}safe_event_registration($1::integer, $2::integer, p_join_waitlist => $3::boolean, p_hold => $4::double precision * interval '1 millisecond')::text as answer`;
  const batch = `select ${prefix}batch_event_registration($1::integer[], $2::integer)::text as answer`;
  const unregister = `select ${prefix}safe_event_unregistration($1::integer, $2::integer)::text as answer`;
  // Of an event that is there: the function raises an error otherwise, which would end a transaction.
  const stats = `select ${prefix}get_event_registration_stats(e.id)::text as answer from ${prefix}events e where e.id = $1::integer`;
  // The setting ends with the statement's own transaction; the scan sets it before the call.
  const soon = (call: string) =>
    `with patience as materialized (select set_config('lock_timeout', '${SOON}', true)) select ${call} from patience`;
  const render =
    (wrap: (call: string) => string) =>
    (userId: number, eventId: number, options?: RegistrationOptions): Statement =>
      options === undefined
        ? { text: wrap(plain), params: [userId, eventId] }
        : {
            text: wrap(withOptions),
            params: [userId, eventId, options.joinWaitlist ?? false, options.holdMs ?? null],
          };
  return {
    register: render((call) => `select ${call}`),
    registerSoon: render(soon),
    // As text, because drivers differ in how they write arrays.
    registerBatch: (userIds, eventId) => ({ text: batch, params: [`{${userIds}}`, eventId] }),
    unregister: (userId, eventId, keep = false) => ({
      text: keep ? unregister.replace('$2::integer', '$2::integer, p_keep => true') : unregister,
      params: [userId, eventId],
    }),
    stats: (eventId) => ({ text: stats, params: [eventId] }),
  };
}

/** Options of a registration. */
export interface RegistrationOptions {
  /** Wait if no seat is free, instead of the refusal `full`. Default false. */
  joinWaitlist?: boolean | undefined;
  /** Hold the seat for this long, at most a day, instead of confirming it. */
  holdMs?: number | undefined;
}

/** Options of an unregistration. */
export interface UnregistrationOptions {
  /** Keep the row with the status `cancelled` instead of removing it. Default false. */
  keep?: boolean | undefined;
}

const MAX_ID = 2_147_483_647;
const MAX_HOLD_MS = 86_400_000;

/**
 * Refuses invalid IDs of users or events, before anything is sent.
 *
 * @throws EvdbError `USAGE`
 * @example
 * requireIds('user', [userId]);
 */
export function requireIds(what: 'event' | 'user', ids: readonly unknown[]): void {
  if (ids.every(isId)) return;
  const wrong = ids.find((id) => !isId(id));
  const article = what === 'event' ? 'an' : 'a';
  const inCode = typeof wrong === 'string' ? ', such as Number(request.params.id)' : '';
  throw new EvdbError('USAGE', `${describe(wrong)} is not the id of ${article} ${what}`, {
    hint: `Nothing was changed. Ids are whole numbers from 1 to ${MAX_ID}${inCode}.`,
  });
}

/** @throws EvdbError `USAGE` */
export function requireUserAndEvent(userId: unknown, eventId: unknown): void {
  requireIds('user', [userId]);
  requireIds('event', [eventId]);
}

function isId(value: unknown): boolean {
  return typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= MAX_ID;
}

/**
 * Refuses invalid options, before anything is sent.
 *
 * @returns the options, or undefined if they ask only for a plain registration
 * @throws EvdbError `USAGE`, also for an option that does not exist
 * @example
 * checkRegistrationOptions({ joinWaitlist: true });
 */
export function checkRegistrationOptions(
  options: RegistrationOptions | undefined,
): RegistrationOptions | undefined {
  if (options === undefined) return undefined;
  refuseUnknown(options, ['joinWaitlist', 'holdMs'], {
    what: "the registration's option",
    code: 'USAGE',
  });
  const { joinWaitlist = false, holdMs } = options;
  if (typeof joinWaitlist !== 'boolean') {
    throw new EvdbError('USAGE', `joinWaitlist is ${describe(joinWaitlist)}, not a boolean`, {
      hint: 'Give true to wait where the event is full.',
    });
  }
  if (holdMs !== undefined && !isHold(holdMs)) {
    const given = typeof holdMs === 'number' ? `${holdMs} ms` : describe(holdMs);
    throw new EvdbError('USAGE', `a hold lasts from 1 ms to a day, not ${given}`, {
      hint: `Nothing was changed. In a program holdMs is a number from 1 to ${MAX_HOLD_MS}, such as 10 * 60_000.`,
    });
  }
  return joinWaitlist || holdMs !== undefined ? { joinWaitlist, holdMs } : undefined;
}

/** @throws EvdbError `USAGE` */
function checkKeep(options: UnregistrationOptions = {}): boolean {
  refuseUnknown(options, ['keep'], { what: "the unregistration's option", code: 'USAGE' });
  const { keep = false } = options;
  if (typeof keep === 'boolean') return keep;
  throw new EvdbError('USAGE', `keep is ${describe(keep)}, not a boolean`, {
    hint: 'Give true to keep the row as cancelled.',
  });
}

function isHold(value: unknown): boolean {
  return typeof value === 'number' && value >= 1 && value <= MAX_HOLD_MS;
}

function describe(value: unknown): string {
  if (typeof value === 'string') return `the text ${JSON.stringify(value.slice(0, 40))}`;
  return typeof value === 'object' && value !== null ? 'an object' : String(value);
}
