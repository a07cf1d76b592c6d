import { withConflictRetries } from '../connection/retry.ts';
import type { Session } from '../connection/session.ts';
import { EvdbError } from '../errors.ts';
import { type EventSchemaTarget, onEventSchema, type SchemaNeed } from './event-schema.ts';

/** What became of one user. */
export type RegistrationOutcome =
  | {
      success: true;
      userId: number;
      registrationId: number;
      /** `removed` or, where the row was to be kept, `cancelled` for a registration that was given back. */
      status: 'confirmed' | 'pending' | 'waitlist' | 'cancelled' | 'removed';
      /** Null where the place in the queue turned into a seat at once. */
      waitlistPosition?: number | null;
      /** ISO 8601. */
      holdExpiresAt?: string;
      message: string;
    }
  | {
      success: false;
      userId: number;
      /** `P0001` to `P0006`, or `55P03` where others were changing the user all the time. */
      errorCode: string;
      message: string;
    };

export interface RegistrationReport {
  eventId: number;
  succeeded: number;
  refused: number;
  /** One for each user that was named, in that order. */
  results: RegistrationOutcome[];
}

export interface RegisterUsersOptions extends EventSchemaTarget {
  eventId: number;
  userIds: readonly number[];
  /** Wait where no seat is free. Default false. */
  joinWaitlist?: boolean | undefined;
  /** Hold the seat for so long, at most a day, instead of confirming it. */
  holdMs?: number | undefined;
  signal?: AbortSignal | undefined;
}

interface RawOutcome {
  success: boolean;
  user_id?: number;
  registration_id?: number;
  status?: 'confirmed' | 'pending' | 'waitlist';
  waitlist_position?: number | null;
  hold_expires_at?: string;
  message?: string;
  error_code?: string;
  error_message?: string;
}

const REGISTER_NEED: SchemaNeed = {
  functions: {
    safe_event_registration: ['p_join_waitlist', 'p_hold'],
    batch_event_registration: ['p_user_ids'],
  },
  access: 'application',
};
const UNREGISTER_NEED: SchemaNeed = {
  functions: { safe_event_unregistration: ['p_user_id', 'p_keep'] },
  access: 'application',
};

export interface UnregisterUsersOptions extends EventSchemaTarget {
  eventId: number;
  userIds: readonly number[];
  /** Keep the rows with the status `cancelled` instead of removing them. Default false. */
  keep?: boolean | undefined;
  signal?: AbortSignal | undefined;
}

const MAX_ID = 2_147_483_647;
const MAX_HOLD_MS = 86_400_000;
/** Others are in the way for moments only. */
const ATTEMPTS = 6;

/**
 * Refuses what cannot be the id of a user or an event, before anything is sent.
 *
 * @throws {EvdbError} USAGE
 */
export function requireIds(what: 'event' | 'user', ids: readonly number[]): void {
  const wrong = ids.find((id) => !Number.isInteger(id) || id < 1 || id > MAX_ID);
  if (wrong === undefined) return;
  throw new EvdbError(
    'USAGE',
    `${wrong} is not the id of ${what === 'event' ? 'an' : 'a'} ${what}`,
    {
      hint: `Nothing was changed. Ids are whole numbers from 1 to ${MAX_ID}.`,
    },
  );
}

/**
 * Registers users for an event. Several go in one batch, which takes exactly the seats that are
 * left; with a waiting list or holds they go one by one. A refusal is a result and no error.
 *
 * @param session one that may write
 * @throws {EvdbError} USAGE; INTERRUPTED with the results so far; those of `onEventSchema`
 * @example
 * const { refused } = await registerUsers(session, { eventId: 42, userIds: [1, 2, 3] });
 */
export async function registerUsers(
  session: Session,
  options: RegisterUsersOptions,
): Promise<RegistrationReport> {
  const { eventId, userIds, joinWaitlist = false, holdMs, signal } = options;
  requireIds('event', [eventId]);
  requireIds('user', userIds);
  requireHold(holdMs);
  const isPlain = !joinWaitlist && holdMs === undefined;
  return onEventSchema(session, options, REGISTER_NEED, async (prefix) => {
    if (isPlain && userIds.length > 1) {
      return report(eventId, await registerBatch(session, prefix, options));
    }
    const hold = holdMs === undefined ? 'null' : `interval '${holdMs} milliseconds'`;
    return oneByOne(eventId, userIds, signal, (userId) =>
      call(
        session,
        `${prefix}safe_event_registration(p_user_id => ${userId}, p_event_id => ${eventId}, p_join_waitlist => ${joinWaitlist}, p_hold => ${hold})`,
        signal,
      ).then((raw) => parseOutcome(raw as RawOutcome, userId)),
    );
  });
}

/**
 * Removes registrations, holds and places in the queue, one user after the other.
 *
 * @throws {EvdbError} as `registerUsers`
 */
export async function unregisterUsers(
  session: Session,
  options: UnregisterUsersOptions,
): Promise<RegistrationReport> {
  const { eventId, userIds, keep = false, signal } = options;
  requireIds('event', [eventId]);
  requireIds('user', userIds);
  return onEventSchema(session, options, UNREGISTER_NEED, (prefix) =>
    oneByOne(eventId, userIds, signal, async (userId) => {
      const raw = (await call(
        session,
        `${prefix}safe_event_unregistration(p_user_id => ${userId}, p_event_id => ${eventId}, p_keep => ${keep})`,
        signal,
      )) as RawOutcome;
      const outcome = parseOutcome(raw, userId);
      return outcome.success ? { ...outcome, status: keep ? 'cancelled' : 'removed' } : outcome;
    }),
  );
}

function requireHold(holdMs: number | undefined): void {
  if (holdMs === undefined || (holdMs >= 1 && holdMs <= MAX_HOLD_MS)) return;
  throw new EvdbError('USAGE', `a hold cannot last ${holdMs} ms`, {
    hint: 'Nothing was changed. A hold lasts for a day at most.',
  });
}

async function oneByOne(
  eventId: number,
  userIds: readonly number[],
  signal: AbortSignal | undefined,
  register: (userId: number) => Promise<RegistrationOutcome>,
): Promise<RegistrationReport> {
  const results: RegistrationOutcome[] = [];
  try {
    for (const userId of userIds) {
      signal?.throwIfAborted();
      results.push(await register(userId));
    }
  } catch (error) {
    if (signal?.aborted) throw interrupted(error, report(eventId, results));
    throw error;
  }
  return report(eventId, results);
}

/** Users whom somebody was changing are asked for again, and keep their place in the answer. */
async function registerBatch(
  session: Session,
  prefix: string,
  { eventId, userIds, signal }: RegisterUsersOptions,
): Promise<RegistrationOutcome[]> {
  const results: RegistrationOutcome[] = [];
  let places = userIds.map((_, index) => index);
  const attempt = async () => {
    const ids = places.map((place) => userIds[place]);
    const raw = await call(
      session,
      `${prefix}batch_event_registration(p_user_ids => '{${ids}}'::integer[], p_event_id => ${eventId})`,
      signal,
    );
    for (const [index, detail] of (raw as { details: RawOutcome[] }).details.entries()) {
      const place = places[index] ?? 0;
      results[place] = parseOutcome(detail, userIds[place] ?? 0);
    }
    places = places.filter((place) => {
      const outcome = results[place];
      return outcome?.success === false && outcome.errorCode === '55P03';
    });
    if (places.length > 0) throw Object.assign(new Error('busy'), { code: '55P03' });
  };
  try {
    await withConflictRetries(attempt, { attempts: ATTEMPTS, signal });
  } catch (error) {
    if (signal?.aborted) throw interrupted(error, report(eventId, results));
    // The answer tells of those who stayed busy.
    if (results.length < userIds.length || places.length === 0) throw error;
  }
  return results;
}

function call(
  session: Session,
  expression: string,
  signal: AbortSignal | undefined,
): Promise<unknown> {
  return withConflictRetries(
    async () => (await session.run(`select ${expression} as "answer"`))[0]?.answer,
    { attempts: ATTEMPTS, signal },
  );
}

function parseOutcome(raw: RawOutcome, userId: number): RegistrationOutcome {
  if (!raw.success) {
    const { error_code: errorCode = '', error_message: message = '' } = raw;
    return { success: false, userId, errorCode, message };
  }
  return {
    success: true,
    userId,
    registrationId: raw.registration_id ?? 0,
    status: raw.status ?? 'confirmed',
    ...(raw.waitlist_position === undefined ? {} : { waitlistPosition: raw.waitlist_position }),
    ...(raw.hold_expires_at === undefined ? {} : { holdExpiresAt: raw.hold_expires_at }),
    message: raw.message ?? '',
  };
}

function report(eventId: number, results: RegistrationOutcome[]): RegistrationReport {
  const succeeded = results.filter(({ success }) => success).length;
  return { eventId, succeeded, refused: results.length - succeeded, results };
}

function interrupted(cause: unknown, done: RegistrationReport): EvdbError {
  return new EvdbError('INTERRUPTED', `interrupted after ${done.results.length} users`, {
    hint: 'What is done stays done, and what was under way was rolled back.',
    cause,
    details: { done },
  });
}
