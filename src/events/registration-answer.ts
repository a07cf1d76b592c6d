import { EvdbError } from '../errors.ts';
import { commandLine } from '../text/command-line.ts';

const REASONS = {
  P0001: 'event-not-found',
  P0002: 'event-past',
  P0003: 'already-registered',
  P0004: 'full',
  P0005: 'not-registered',
  P0006: 'user-not-found',
} as const;

type RefusalCode = keyof typeof REASONS;

/** Why the database refused. `message` is for people; match on `reason` or `errorCode`. */
export type RegistrationRefusal<Code extends RefusalCode> = {
  [K in Code]: {
    success: false;
    errorCode: K;
    reason: (typeof REASONS)[K];
    userId: number;
    eventId: number;
    message: string;
  };
}[Code];

/** The user got a seat, a hold or a place on the waiting list. */
export type SuccessfulRegistration = {
  success: true;
  registrationId: number;
  eventId: number;
  userId: number;
  registeredAt: Date;
  message: string;
} & (
  | { status: 'confirmed' }
  | { status: 'pending'; holdExpiresAt: Date }
  /** The position is null if the waiter got a seat at that moment. */
  | { status: 'waitlist'; waitlistPosition: number | null }
);

/** A registration, or why the database refused it. */
export type RegistrationResult =
  | SuccessfulRegistration
  | RegistrationRefusal<'P0001' | 'P0002' | 'P0003' | 'P0004' | 'P0006'>;

/** A registration that was removed, or why the database refused to. */
export type UnregistrationResult =
  | {
      success: true;
      registrationId: number;
      eventId: number;
      userId: number;
      unregisteredAt: Date;
      message: string;
    }
  | RegistrationRefusal<'P0001' | 'P0002' | 'P0005' | 'P0006'>;

/** The seats and registrations of one event; seats whose hold has expired count as available. */
export interface EventStats {
  eventId: number;
  title: string;
  dateTime: Date;
  capacity: number;
  currentRegistrations: number;
  confirmedRegistrations: number;
  waitlistRegistrations: number;
  pendingRegistrations: number;
  cancelledRegistrations: number;
  totalRegistrations: number;
  heldSeats: number;
  availableSpots: number;
  isFull: boolean;
  isActive: boolean;
}

/** The database's answer about one registration, unchanged. */
export interface RawRegistration {
  success: boolean;
  registration_id?: number;
  event_id?: number;
  user_id?: number;
  registered_at?: string;
  unregistered_at?: string;
  status?: string;
  hold_expires_at?: string;
  waitlist_position?: number | null;
  message?: string;
  error_code?: string;
  error_message?: string;
}

/** The database's answer about one event, unchanged. */
export interface RawEventStats {
  event_id: number;
  title: string;
  date_time: string;
  capacity: number;
  current_registrations: number;
  confirmed_registrations: number;
  waitlist_registrations: number;
  pending_registrations: number;
  cancelled_registrations: number;
  total_registrations: number;
  held_seats: number;
  available_spots: number;
  is_full: boolean;
  is_active: boolean;
}

/** Who asked for what: a refusal does not say it. */
export interface Asked {
  userId: number;
  eventId: number;
}

/**
 * Reads the answer of `safe_event_registration`, or one entry of a batch's.
 *
 * @throws EvdbError `UNKNOWN_ANSWER` where it is none that this version knows
 */
export function parseRegistration(raw: RawRegistration | null, asked: Asked): RegistrationResult {
  if (raw === null) throw unknownAnswer(raw);
  if (!raw.success) return parseRefusal(raw, asked, ['P0001', 'P0002', 'P0003', 'P0004', 'P0006']);
  const common = {
    success: true as const,
    registrationId: required(raw.registration_id, raw),
    ...asked,
    registeredAt: parseTime(raw.registered_at, raw),
    message: raw.message ?? '',
  };
  switch (raw.status) {
    case 'confirmed':
      return { ...common, status: raw.status };
    case 'pending':
      return { ...common, status: raw.status, holdExpiresAt: parseTime(raw.hold_expires_at, raw) };
    case 'waitlist':
      return { ...common, status: raw.status, waitlistPosition: raw.waitlist_position ?? null };
    default:
      throw unknownAnswer(raw);
  }
}

/** A user of a batch whom another transaction keeps changing: nothing was done, and it can go again. */
export interface UserBusy {
  success: false;
  errorCode: '55P03';
  userId: number;
  eventId: number;
  message: string;
}

/** What the database answers about a batch, as it is; other keys are sums. */
export interface RawBatch {
  details?: RawRegistration[];
}

/**
 * Reads the answer of `batch_event_registration`: one entry for each user, in the order sent. Each is
 * checked to be of the user who was asked for.
 *
 * @throws EvdbError `UNKNOWN_ANSWER`
 */
export function parseBatch(
  raw: RawBatch | null,
  userIds: readonly number[],
  eventId: number,
): (RegistrationResult | UserBusy)[] {
  const details = raw?.details;
  if (!Array.isArray(details) || details.length !== userIds.length) throw unknownAnswer(raw);
  // A user may be asked for twice, and both go again where the first has to: else the second would
  // be told of a registration that is not there yet.
  const busy = new Map<number, UserBusy>();
  return userIds.map((userId, index) => {
    const entry = details[index];
    if (entry === undefined || entry.user_id !== userId) throw unknownAnswer(entry);
    if (entry.error_code === '55P03' && !busy.has(userId)) {
      const message = entry.error_message ?? '';
      busy.set(userId, { success: false, errorCode: '55P03', userId, eventId, message });
    }
    return busy.get(userId) ?? parseRegistration(entry, { userId, eventId });
  });
}

/** As `parseRegistration`, for `safe_event_unregistration`. */
export function parseUnregistration(
  raw: RawRegistration | null,
  asked: Asked,
): UnregistrationResult {
  if (raw === null) throw unknownAnswer(raw);
  if (!raw.success) return parseRefusal(raw, asked, ['P0001', 'P0002', 'P0005', 'P0006']);
  return {
    success: true,
    registrationId: required(raw.registration_id, raw),
    ...asked,
    unregisteredAt: parseTime(raw.unregistered_at, raw),
    message: raw.message ?? '',
  };
}

/** Reads the answer of `get_event_registration_stats`. */
export function parseStats(raw: RawEventStats): EventStats {
  return {
    eventId: raw.event_id,
    title: raw.title,
    dateTime: parseTime(raw.date_time, raw),
    capacity: raw.capacity,
    currentRegistrations: raw.current_registrations,
    confirmedRegistrations: raw.confirmed_registrations,
    waitlistRegistrations: raw.waitlist_registrations,
    pendingRegistrations: raw.pending_registrations,
    cancelledRegistrations: raw.cancelled_registrations,
    totalRegistrations: raw.total_registrations,
    heldSeats: raw.held_seats,
    availableSpots: raw.available_spots,
    isFull: raw.is_full,
    isActive: raw.is_active,
  };
}

/** An answer that does not fit what was asked, as of functions that somebody changed. */
export function unknownAnswer(answer: unknown): EvdbError {
  return new EvdbError(
    'UNKNOWN_ANSWER',
    `the registration functions gave an answer that evdb does not know: ${JSON.stringify(answer).slice(0, 200)}`,
    { hint: `Compare the installed schema with the migrations: ${commandLine('migrate status')}` },
  );
}

function parseRefusal<Code extends RefusalCode>(
  raw: RawRegistration,
  asked: Asked,
  expected: readonly Code[],
): RegistrationRefusal<Code> {
  const errorCode = expected.find((code) => code === raw.error_code);
  if (errorCode === undefined) throw unknownAnswer(raw);
  const reason = REASONS[errorCode];
  const message = raw.error_message ?? '';
  // The code and its reason belong together, which the compiler cannot follow through a lookup.
  return { success: false, errorCode, reason, ...asked, message } as RegistrationRefusal<Code>;
}

function required<T>(value: T | undefined, raw: unknown): T {
  if (value === undefined) throw unknownAnswer(raw);
  return value;
}

function parseTime(text: string | undefined, raw: unknown): Date {
  const time = new Date(required(text, raw));
  if (Number.isNaN(time.getTime())) throw unknownAnswer(raw);
  return time;
}
