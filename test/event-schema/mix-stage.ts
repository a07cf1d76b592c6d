import type postgres from 'postgres';
import type { Random } from '../support/event-schema-random.ts';
import { addEvent, addUsers, only } from './event-schema-stage.ts';
import type { Operation } from './mix-crowd.ts';

/** The people and events of a mix. */
export interface Cast {
  /** Everybody works on them at once; so do they on `events`. */
  users: number[];
  events: number[];
  /** They may be deleted at any moment, and are made again as others. */
  doomedUsers: number[];
  doomedEvents: number[];
  /** Each of them takes part in one operation and nothing else, so that it is known what became of it. */
  ownUsers: number[];
}

export async function castOf(sql: postgres.Sql, ownUserCount: number): Promise<Cast> {
  const ids = await addUsers(sql, 100 + ownUserCount);
  const cast: Cast = {
    users: ids.slice(0, 40),
    doomedUsers: ids.slice(40, 100),
    ownUsers: ids.slice(100),
    events: [],
    doomedEvents: [],
  };
  for (let i = 0; i < 5; i++) {
    cast.events.push(await addEvent(sql, { capacity: 20, createdBy: cast.doomedUsers[i] ?? null }));
  }
  for (let i = 0; i < 30; i++) {
    cast.doomedEvents.push(await addEvent(sql, { capacity: 3, createdBy: cast.users[i] ?? null }));
  }
  return cast;
}

/**
 * One of everything that changes registrations. Statements over several rows name them in order, and no
 * statement changes several events: those can deadlock in any table, whatever its triggers do.
 */
export function chaosOf(cast: Cast, random: Random): Operation {
  const [a, b] = twoOf(cast.users, random);
  const [e, f] = twoOf(cast.events, random);
  const seats = 12 + random.below(16);
  return random.pick([...callsOf(a, b, e), ...statementsOf(a, b, e, f), ...changesOf(a, e, seats)]);
}

function callsOf(a: number, b: number, e: number): Operation[] {
  return [
    (sql) => sql`select safe_event_registration(${a}, ${e})`,
    (sql) => sql`select safe_event_registration(${b}, ${e}, p_join_waitlist => true)`,
    (sql) => sql`select safe_event_registration(${b}, ${e}, true, interval '10 minutes')`,
    (sql) => sql`select safe_event_registration(${a}, ${e}, false, interval '1 millisecond')`,
    (sql) => sql`select safe_event_unregistration(${a}, ${e})`,
    (sql) => sql`select safe_event_unregistration(${b}, ${e})`,
    (sql) => sql`select batch_event_registration(${[b, a, b, b + 1]}::int[], ${e})`,
    (sql) => sql`select settle_event_seats(${e})`,
    (sql) => sql`select release_expired_holds()`,
    (sql) => sql`select get_event_registration_stats(${e})`,
  ];
}

function statementsOf(a: number, b: number, e: number, f: number): Operation[] {
  return [
    (sql) => sql`insert into registrations (user_id, event_id) values (${a}, ${e})`,
    (sql) => sql`
      insert into registrations (user_id, event_id, status)
      values (${a}, ${e}, 'waitlist'), (${a}, ${f}, 'pending'), (${b}, ${f}, 'confirmed')
      on conflict (user_id, event_id) do nothing`,
    (sql) => sql`
      insert into registrations (user_id, event_id) values (${a}, ${e}), (${b}, ${e})
      on conflict (user_id, event_id) do update set status = 'confirmed'`,
    (sql) => sql`update registrations set status = 'cancelled' where user_id = ${a}`,
    (sql) => sql`
      update registrations set status = 'confirmed' where user_id = ${b} and event_id = ${e}`,
    (sql) => sql`
      update registrations set status = 'waitlist' where user_id = ${b} and event_id = ${f}`,
    (sql) => sql`
      update registrations set hold_expires_at = now() where user_id = ${a} and status = 'pending'`,
    (sql) => sql`update registrations set event_id = ${f} where user_id = ${a} and event_id = ${e}`,
    (sql) => sql`update registrations set user_id = ${b} where user_id = ${a} and event_id = ${e}`,
    (sql) => sql`delete from registrations where user_id = ${b} and event_id = ${f}`,
    (sql) => sql`delete from registrations where user_id = ${a}`,
  ];
}

function changesOf(a: number, e: number, seats: number): Operation[] {
  return [
    (sql) => sql`update events set capacity = ${seats} where id = ${e}`,
    (sql) => sql`update events set is_active = not is_active where id = ${e}`,
    (sql) => sql`update events set is_active = true, title = 'again' where id = ${e}`,
    (sql) => sql`
      update events set date_time = date_time + interval '1 minute' where id = ${e}`,
    (sql) => sql`update users set is_active = not is_active where id = ${a}`,
    (sql) => sql`update users set is_active = true where id = ${a}`,
    (sql) => sql`update users set email = 'moved' || random() || '@example.com' where id = ${a}`,
  ];
}

/** Deletions, and those who come and go with what is deleted. */
export function deletionOf(cast: Cast, random: Random): Operation {
  const user = random.pick(cast.doomedUsers);
  const event = random.pick(cast.doomedEvents);
  const other = random.pick(cast.users);
  const known = random.pick(cast.events);
  return random.pick<Operation>([
    (sql) => sql`select safe_event_registration(${user}, ${event}, true)`,
    (sql) => sql`select safe_event_registration(${user}, ${known}, true)`,
    (sql) => sql`select safe_event_registration(${other}, ${event}, true)`,
    (sql) => sql`select batch_event_registration(${[user, other]}::int[], ${event})`,
    (sql) => sql`insert into registrations (user_id, event_id) values (${user}, ${known})`,
    (sql) => sql`insert into registrations (user_id, event_id) values (${other}, ${event})`,
    (sql) => sql`update registrations set status = 'cancelled' where user_id = ${user}`,
    (sql) =>
      sql`delete from users where id in (${user}, ${user + 1}) and id = any (${cast.doomedUsers})`,
    (sql) => sql`delete from events where id = ${event}`,
  ]);
}

/** Two of a list that is in order, the smaller one first. */
function twoOf(list: number[], random: Random): [number, number] {
  const first = random.below(list.length - 1);
  const second = first + 1 + random.below(list.length - 1 - first);
  return [only(list[first]), only(list[second])];
}
