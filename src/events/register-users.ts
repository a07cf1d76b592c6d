import { withConflictRetries } from '../connection/retry.ts';
import type { Session } from '../connection/session.ts';
import { EvdbError } from '../errors.ts';
import {
  type EventSchemaTarget,
  type InstalledEventSchema,
  onEventSchema,
  type SchemaNeed,
} from './event-schema.ts';
import {
  checkRegistrationOptions,
  createRegistrationClient,
  type RegistrationOptions,
  registerBatch,
  renderStatements,
  requireIds,
} from './registration.ts';
import type { RegistrationResult, UnregistrationResult, UserBusy } from './registration-answer.ts';

/** The result for one user. */
export type RegistrationOutcome =
  | {
      success: true;
      userId: number;
      registrationId: number;
      /** `removed`, or `cancelled` if the row was kept, for a registration that was cancelled. */
      status: 'confirmed' | 'pending' | 'waitlist' | 'cancelled' | 'removed';
      /** Null if the user got a seat at once. */
      waitlistPosition?: number | null;
      /** ISO 8601. */
      holdExpiresAt?: string;
      message: string;
    }
  | {
      success: false;
      userId: number;
      /** `P0001` to `P0006`, or `55P03` if others kept changing the user. */
      errorCode: string;
      message: string;
    };

/** The result for each user, in the given order. */
export interface RegistrationReport {
  eventId: number;
  succeeded: number;
  refused: number;
  /** One for each user that was named, in that order. */
  results: RegistrationOutcome[];
}

/** Whom to register for which event, and with which options. */
export interface RegisterUsersOptions extends EventSchemaTarget, RegistrationOptions {
  eventId: number;
  userIds: readonly number[];
  /**
   * Stops between two users and throws INTERRUPTED with the results so far; default: nothing does.
   */
  signal?: AbortSignal | undefined;
}

/** Whose registrations of which event to remove. */
export interface UnregisterUsersOptions extends EventSchemaTarget {
  eventId: number;
  userIds: readonly number[];
  /** Keep the rows with the status `cancelled` instead of removing them. Default false. */
  keep?: boolean | undefined;
  /** Stops between two users and throws INTERRUPTED with the results so far; default: nothing does. */
  signal?: AbortSignal | undefined;
}

const REGISTER_NEED: SchemaNeed = {
  functions: {
    safe_event_registration: ['p_join_waitlist', 'p_hold'],
    batch_event_registration: ['p_user_ids'],
  },
  access: 'application',
};

/**
 * Registers users for an event. Several go in one batch, which takes exactly the seats that are
 * left; with a waiting list or holds they are registered one by one. A refusal is a result, not an
 * error.
 *
 * @param session one that may write
 * @throws {EvdbError} USAGE; INTERRUPTED with the results so far; EVENT_SCHEMA_MISSING,
 *   PERMISSION_DENIED
 * @example
 * const { refused } = await registerUsers(session, { eventId: 42, userIds: [1, 2, 3] });
 */
export async function registerUsers(
  session: Session,
  options: RegisterUsersOptions,
): Promise<RegistrationReport> {
  const { eventId, userIds, joinWaitlist, holdMs, signal } = options;
  requireIds('event', [eventId]);
  requireIds('user', userIds);
  const asked = checkRegistrationOptions({ joinWaitlist, holdMs });
  return onEventSchema(session, options, REGISTER_NEED, async (installed) => {
    if (asked === undefined && userIds.length > 1) return registerTogether(installed, options);
    const { register } = createRegistrationClient(installed, { schema: installed.schema });
    return oneByOne(options, async (userId) =>
      outcomeOf(await patiently(() => register(userId, eventId, asked), signal)),
    );
  });
}

const UNREGISTER_NEED: SchemaNeed = {
  functions: { safe_event_unregistration: ['p_user_id', 'p_keep'] },
  access: 'application',
};

/**
 * Removes registrations, holds and places on the waiting list, one user after the other.
 *
 * @throws {EvdbError} as `registerUsers`
 * @example
 * const { results } = await withWriting(connection, (session) =>
 *   unregisterUsers(session, { eventId, userIds: [userId] }),
 * );
 */
export async function unregisterUsers(
  session: Session,
  options: UnregisterUsersOptions,
): Promise<RegistrationReport> {
  const { eventId, userIds, keep = false, signal } = options;
  requireIds('event', [eventId]);
  requireIds('user', userIds);
  return onEventSchema(session, options, UNREGISTER_NEED, async (installed) => {
    const { unregister } = createRegistrationClient(installed, { schema: installed.schema });
    return oneByOne(options, async (userId) => {
      const result = await patiently(() => unregister(userId, eventId, { keep }), signal);
      if (!result.success) return outcomeOf(result);
      const { registrationId, message } = result;
      const status = keep ? 'cancelled' : 'removed';
      return { success: true, userId, registrationId, status, message };
    });
  });
}

/** Others are in the way for moments only. */
const ATTEMPTS = 6;

function patiently<T>(attempt: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  return withConflictRetries(attempt, { attempts: ATTEMPTS, signal });
}

async function oneByOne(
  { eventId, userIds, signal }: RegisterUsersOptions | UnregisterUsersOptions,
  change: (userId: number) => Promise<RegistrationOutcome>,
): Promise<RegistrationReport> {
  const results: RegistrationOutcome[] = [];
  try {
    for (const userId of userIds) {
      signal?.throwIfAborted();
      results.push(await change(userId));
    }
  } catch (error) {
    if (signal?.aborted) throw interrupted(error, report(eventId, results));
    throw error;
  }
  return report(eventId, results);
}

/** Users whom somebody was changing are asked for again, and keep their place in the answer. */
async function registerTogether(
  installed: InstalledEventSchema,
  { eventId, userIds, signal }: RegisterUsersOptions,
): Promise<RegistrationReport> {
  const statements = renderStatements(installed.schema);
  const results: RegistrationOutcome[] = [];
  let left = userIds.map((userId, place) => ({ userId, place }));
  const attempt = async () => {
    const ids = left.map(({ userId }) => userId);
    const answers = await registerBatch(installed, statements, ids, eventId);
    left = left.filter(({ place }, index) => {
      const answer = answers[index];
      if (answer !== undefined) results[place] = outcomeOf(answer);
      return answer?.success === false && answer.errorCode === '55P03';
    });
    if (left.length > 0) throw Object.assign(new Error('busy'), { code: '55P03' });
  };
  try {
    await patiently(attempt, signal);
  } catch (error) {
    if (signal?.aborted) throw interrupted(error, report(eventId, results));
    // The answer tells of those who stayed busy.
    if (results.length < userIds.length || left.length === 0) throw error;
  }
  return report(eventId, results);
}

function outcomeOf(
  result: RegistrationResult | UserBusy | Extract<UnregistrationResult, { success: false }>,
): RegistrationOutcome {
  const { userId, message } = result;
  if (!result.success) return { success: false, userId, errorCode: result.errorCode, message };
  const { registrationId, status } = result;
  return {
    ...{ success: true, userId, registrationId, status },
    ...(status === 'waitlist' ? { waitlistPosition: result.waitlistPosition } : {}),
    ...(status === 'pending' ? { holdExpiresAt: result.holdExpiresAt.toISOString() } : {}),
    message,
  };
}

function report(eventId: number, results: RegistrationOutcome[]): RegistrationReport {
  const succeeded = results.filter(({ success }) => success).length;
  return { eventId, succeeded, refused: results.length - succeeded, results };
}

function interrupted(cause: unknown, done: RegistrationReport): EvdbError {
  return new EvdbError('INTERRUPTED', `interrupted after ${done.results.length} users`, {
    hint: 'What was completed is kept, and what was under way was rolled back.',
    cause,
    details: { done },
  });
}
