import { quoteIdent } from '../sql/quote.ts';
import type { RegistrationOptions } from './registration-arguments.ts';

/** A statement with one row and one column, `answer`: JSON as text, or null. */
export interface Statement {
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
  /** As `register`, but gives up with 55P03 where a lock is not to be had in time. */
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
            params: [userId, eventId, options.joinWaitlist ?? false, options.holdMillis ?? null],
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
