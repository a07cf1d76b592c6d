import { createHash } from 'node:crypto';
import type { Session } from '../connection/session.ts';
import { EvdbError } from '../errors.ts';
import { type EventSchemaTarget, onEventSchema, type SchemaNeed } from './event-schema.ts';
import { createRegistrationClient } from './registration.ts';
import type { EventStats } from './registration-answer.ts';

/** One event of a list or a search. */
export interface EventRow {
  id: number;
  title: string;
  dateTime: Date;
  location: string | null;
  capacity: number;
  /** Free seats; one whose hold has expired is free. */
  availableSpots: number;
  isActive: boolean;
  /** How well it fits, for searches; 0 in lists. */
  rank: number;
  /** HTML, with marks around the matches; null in lists. */
  headline: string | null;
}

/** A page of events; `next` is where the next one begins, null at the end. */
export interface EventPage {
  rows: EventRow[];
  /** One opaque word that requests the next page; null on the last one. */
  next: string | null;
}

/** Which events to find; all given conditions must match. */
export interface FindEventsOptions extends EventSchemaTarget {
  /** What a person typed; without it all events of the period, the soonest first. */
  words?: string | undefined;
  /** The earliest time; null for no bound, which shows past events too. Default: now. */
  from?: Date | null | undefined;
  /** Before, not included. */
  until?: Date | undefined;
  /** Words that the location must contain. */
  location?: string | undefined;
  /** Also events that are called off. Default false. */
  withInactive?: boolean | undefined;
  /** Only events with free seats. Default false. */
  onlyFree?: boolean | undefined;
  /** From 1 to 100; default 20. */
  limit?: number | undefined;
  /** `next` of the page before, with the same words and filters. */
  after?: string | undefined;
}

const SEARCH_NEED: SchemaNeed = {
  functions: { search_events: ['p_query', 'p_after', 'p_headline'] },
  access: 'application',
};

/**
 * Finds events by what a person typed, or lists them by time.
 *
 * @throws {EvdbError} EVENT_SCHEMA_MISSING, PERMISSION_DENIED; USAGE if `after` is not a cursor, or
 *   comes from a search for something else
 * @example
 * const { rows, next } = await findEvents(session, { words: 'jazz berlin' });
 */
export async function findEvents(
  session: Session,
  options: FindEventsOptions = {},
): Promise<EventPage> {
  const { words, from, until, location, after, limit = 20 } = options;
  const cursor = after === undefined ? undefined : decodeCursor(after, options);
  const defaultFrom = from === undefined ? 'now()' : 'null';
  return onEventSchema(session, options, SEARCH_NEED, async ({ prefix, query }) => {
    const { rows: found } = await query<EventRow & { cursor: string }>(
      `select s.event_id as "id", s.title, s.date_time as "dateTime", s.location, s.capacity,
        s.available_spots as "availableSpots", s.is_active as "isActive", s.rank, s.headline,
        s.row_cursor as "cursor"
      from ${prefix}search_events(
        p_query => $1::text, p_from => coalesce($2::text::timestamptz, ${defaultFrom}), p_until => $3::text::timestamptz,
        p_location => $4::text, p_only_active => $5::text::boolean, p_only_free => $6::text::boolean,
        p_limit => $7::integer, p_after => $8::text, p_headline => $9::text::boolean) s`,
      [
        ...[words, from, until, location, !options.withInactive, options.onlyFree ?? false],
        ...[limit, cursor, words !== undefined],
      ],
    );
    // A full page may have been the last one; asking again is answered with no row.
    const last = found.length < limit ? undefined : found.at(-1);
    const next = last === undefined ? null : encodeCursor(last.cursor, options);
    return { rows: found.map(({ cursor, ...event }) => event), next };
  });
}

/** What a page is one of: a cursor goes on with the same words only. */
type SearchedFor = Pick<FindEventsOptions, 'words' | 'location'>;

/** The cursor of the database is JSON, which no shell takes as a word. */
function encodeCursor(cursor: string, search: SearchedFor): string {
  return Buffer.from(JSON.stringify([digestOf(search), cursor])).toString('base64url');
}

function decodeCursor(token: string, search: SearchedFor): string {
  const [digest, cursor] = readCursor(token);
  if (typeof cursor !== 'string') {
    throw new EvdbError('USAGE', `${JSON.stringify(token)} is not the end of a page of events`, {
      hint: 'Give the cursor of the previous page, with the same words and filters.',
    });
  }
  if (digest === digestOf(search)) return cursor;
  throw new EvdbError('USAGE', 'the cursor comes from a search for something else', {
    hint: 'Give the same words and the same location as for the previous page, or no cursor for the first page.',
  });
}

function readCursor(token: string): unknown[] {
  try {
    const values: unknown = JSON.parse(Buffer.from(token, 'base64url').toString());
    return Array.isArray(values) ? values : [];
  } catch {
    return [];
  }
}

function digestOf({ words = '', location = '' }: SearchedFor): string {
  return createHash('sha256')
    .update(JSON.stringify([words, location]))
    .digest('base64url')
    .slice(0, 8);
}

/** Everything about one event except its attendees. */
export interface EventDetails {
  id: number;
  title: string;
  description: string | null;
  dateTime: Date;
  location: string | null;
  capacity: number;
  currentRegistrations: number;
  heldSeats: number;
  isActive: boolean;
  createdBy: number | null;
  /** Name of the user who created it. */
  creator: string | null;
  createdAt: Date;
  updatedAt: Date;
}

const STATS_NEED: SchemaNeed = {
  functions: { get_event_registration_stats: [] },
  access: 'application',
};

/**
 * Reads one event; null if it does not exist.
 *
 * @throws {EvdbError} EVENT_SCHEMA_MISSING, PERMISSION_DENIED
 * @example
 * const event = await withInspection(connection, (session) => readEvent(session, { eventId }));
 */
export async function readEvent(
  session: Session,
  { eventId, ...target }: EventSchemaTarget & { eventId: number },
): Promise<EventDetails | null> {
  return onEventSchema(session, target, STATS_NEED, async ({ prefix, query }) => {
    const { rows } = await query<EventDetails>(
      `select e.id, e.title, e.description, e.date_time as "dateTime", e.location, e.capacity,
        e.current_registrations as "currentRegistrations", e.held_seats as "heldSeats",
        e.is_active as "isActive", e.created_by as "createdBy", u.name as "creator",
        e.created_at as "createdAt", e.updated_at as "updatedAt"
      from ${prefix}events e
      left join ${prefix}users u on u.id = e.created_by
      where e.id = $1::integer`,
      [eventId],
    );
    return rows[0] ?? null;
  });
}

/** The seats and registrations of one event; seats whose hold has expired count as available. */
export interface EventSeats {
  id: number;
  title: string;
  dateTime: Date;
  capacity: number;
  confirmed: number;
  pending: number;
  waitlist: number;
  cancelled: number;
  total: number;
  heldSeats: number;
  availableSpots: number;
  isFull: boolean;
  isActive: boolean;
}

/**
 * Counts the registrations of one event; null if it does not exist.
 *
 * @throws {EvdbError} EVENT_SCHEMA_MISSING, PERMISSION_DENIED
 * @example
 * const seats = await withInspection(connection, (session) => readEventSeats(session, { eventId }));
 */
export async function readEventSeats(
  session: Session,
  { eventId, ...target }: EventSchemaTarget & { eventId: number },
): Promise<EventSeats | null> {
  return onEventSchema(session, target, STATS_NEED, async (installed) => {
    const stats = await createRegistrationClient(installed, {
      schema: installed.schema,
    }).eventStats(eventId);
    return stats && seatsOf(stats);
  });
}

function seatsOf(stats: EventStats): EventSeats {
  const { title, dateTime, capacity, heldSeats, availableSpots, isFull, isActive } = stats;
  return {
    ...{ id: stats.eventId, title, dateTime, capacity },
    confirmed: stats.confirmedRegistrations,
    pending: stats.pendingRegistrations,
    waitlist: stats.waitlistRegistrations,
    cancelled: stats.cancelledRegistrations,
    total: stats.totalRegistrations,
    ...{ heldSeats, availableSpots, isFull, isActive },
  };
}
