import type { Session } from '../connection/session.ts';
import { onEventSchema } from '../events/event-schema.ts';
import { DAY_MS } from '../text/units.ts';

/** Registrations of one day, by what became of them. */
export interface RegistrationsOfDay {
  /** Such as `2026-11-22`, in UTC. */
  day: string;
  confirmed: number;
  waitlist: number;
  pending: number;
  cancelled: number;
}

/** How many of the coming events are how full. */
export interface FillLevel {
  /** Percent of the seats, from this on; 100 for full ones. */
  fromPercent: number;
  events: number;
}

/** A coming event, and how full it is. */
export interface ComingEvent {
  id: number;
  title: string;
  dateTime: Date;
  capacity: number;
  registrations: number;
  heldSeats: number;
  fillPercent: number;
  waitlist: number;
}

/** An event without a free seat, and how long that took. */
export interface SoldOutEvent {
  id: number;
  title: string;
  dateTime: Date;
  capacity: number;
  /** When the last confirmed registration was made. */
  soldOutAt: Date;
  /** Since the event was created. */
  tookMs: number;
}

/** An event that people wait for. */
export interface WaitingList {
  id: number;
  title: string;
  dateTime: Date;
  capacity: number;
  waiting: number;
  /** When the first of them came. */
  since: Date;
}

/** What people register for. */
export interface OverviewRegistrations {
  /** Of the last 90 days, days without a registration left out. */
  days: RegistrationsOfDay[];
  /** From empty to full. */
  fillLevels: FillLevel[];
  /** The soonest 100. */
  coming: ComingEvent[];
  /** The 50 that sold out last. */
  soldOut: SoldOutEvent[];
  /** The 50 longest. */
  waitingLists: WaitingList[];
}

const NEED = {
  functions: { get_event_registration_stats: [] },
  access: 'read-only',
} as const;

const DAYS = 90;

/** Reads what people register for from the tables of the event schema. */
export async function readRegistrations(
  session: Session,
  { schema, now }: { schema: string; now: Date },
): Promise<OverviewRegistrations> {
  return onEventSchema(session, { schema }, NEED, async ({ prefix, query }) => {
    const read = async <T>(text: string, params: readonly unknown[] = []) =>
      (await query<T>(text, params)).rows;
    const since = new Date(now.getTime() - DAYS * DAY_MS);
    return {
      days: await read<RegistrationsOfDay>(daysSql(prefix), [since]),
      fillLevels: await read<FillLevel>(fillSql(prefix)),
      coming: await read<ComingEvent>(comingSql(prefix)),
      soldOut: await read<SoldOutEvent>(soldOutSql(prefix)),
      waitingLists: await read<WaitingList>(waitingSql(prefix)),
    };
  });
}

function daysSql(prefix: string): string {
  const counts = ['confirmed', 'waitlist', 'pending', 'cancelled'].map(
    (status) => `count(*) filter (where r.status::text = '${status}')::float8 as "${status}"`,
  );
  return `select pg_catalog.to_char(r.registered_at at time zone 'UTC', 'YYYY-MM-DD') as "day",
      ${counts.join(', ')}
    from ${prefix}registrations r
    where r.registered_at >= $1::text::timestamptz
    group by 1 order by 1`;
}

const COMING = 'e.is_active and e.date_time >= pg_catalog.now()';

function fillSql(prefix: string): string {
  return `select b.bin::int as "fromPercent",
      count(e.id)::float8 as "events"
    from pg_catalog.generate_series(0, 100, 10) b (bin)
    left join ${prefix}events e on ${COMING}
      and pg_catalog.floor(10.0 * e.current_registrations / e.capacity) * 10 = b.bin
    group by b.bin order by b.bin`;
}

function comingSql(prefix: string): string {
  return `select e.id, e.title, e.date_time as "dateTime", e.capacity::int as "capacity",
      e.current_registrations as "registrations", e.held_seats as "heldSeats",
      (100.0 * e.current_registrations / e.capacity)::float8 as "fillPercent",
      (select count(*) from ${prefix}registrations r
        where r.event_id = e.id and r.status::text = 'waitlist')::float8 as "waitlist"
    from ${prefix}events e
    where ${COMING}
    order by e.date_time, e.id limit 100`;
}

function soldOutSql(prefix: string): string {
  return `select e.id, e.title, e.date_time as "dateTime", e.capacity::int as "capacity",
      l.at as "soldOutAt",
      (extract(epoch from l.at - e.created_at) * 1000)::float8 as "tookMs"
    from ${prefix}events e
    cross join lateral (select max(r.registered_at) as at from ${prefix}registrations r
      where r.event_id = e.id and r.status::text = 'confirmed') l
    where e.current_registrations >= e.capacity and l.at >= e.created_at
    order by l.at desc, e.id limit 50`;
}

function waitingSql(prefix: string): string {
  return `select e.id, e.title, e.date_time as "dateTime", e.capacity::int as "capacity",
      w.waiting, w.since
    from (select r.event_id, count(*)::float8 as waiting, min(r.registered_at) as since
      from ${prefix}registrations r where r.status::text = 'waitlist' group by r.event_id) w
    join ${prefix}events e on e.id = w.event_id
    order by w.waiting desc, e.id limit 50`;
}
