// A mix of everything that clients do at once: the crowd that does it, what it does, and what each of
// them may claim afterwards.

import type postgres from 'postgres';
import { closeSql, openSql } from '../support/databases.ts';
import type { Random } from '../support/random.ts';
import { codeOf } from './clients-kit.ts';
import {
  addEvent,
  addUsers,
  only,
  type RegistrationResult,
  registerBatch,
} from './event-schema-kit.ts';

/** An operation of a mix; what it resolves to does not matter. */
export type Operation = (sql: postgres.Sql) => Promise<unknown>;

/**
 * Runs every operation on one of `clients` connections and returns how often each SQLSTATE (or code of
 * the driver) came up. A client whose connection was lost, or whose statement was
 * cancelled, goes on with a new one.
 */
export async function crowd(
  url: string,
  clients: number,
  operations: Operation[],
): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  const waiting = operations.values();
  const work = async () => {
    let sql = openSql(url, 1);
    // All of them take from the same list.
    for (const operation of waiting) {
      try {
        await operation(sql);
      } catch (error) {
        const { code } = error as { code?: string };
        if (code === undefined) throw error;
        counts[code] = (counts[code] ?? 0) + 1;
        // Refused, or to be tried again: the session is as it was. Otherwise nobody knows.
        if (!/^(23|40)...$/.test(code)) {
          await closeSql(sql);
          sql = openSql(url, 1);
        }
      }
    }
    await closeSql(sql);
  };
  await Promise.all(Array.from({ length: clients }, work));
  return counts;
}

/** The people and events of a mix. */
interface Cast {
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

/** What the answers to one operation say about users who take part in nothing else. */
export interface Claim {
  operation: string;
  event: number;
  /** For each user what may be found in the end; null stands for no row. */
  fates: [user: number, mayBe: (string | null)[]][];
}

type Answer = RegistrationResult & { status?: string };
type Plan = (sql: postgres.Sql, users: Trio, event: number) => Promise<Claim['fates']>;
export type Trio = [number, number, number];

const anything = [null, 'confirmed', 'cancelled', 'pending', 'waitlist'];

/**
 * An operation that adds to `claims` what must have become of the users it is about. It is rejected as
 * its statement is; one that has to be tried again claims nothing yet.
 */
export function claiming(
  claims: Claim[],
  users: Trio,
  event: number,
  random: Random,
  maxCalls = 3,
): Operation {
  const plans = maxCalls === 1 ? singleCalls : { ...singleCalls, ...severalCalls };
  const [operation, plan] = random.pick(Object.entries(plans));
  return async (sql) => {
    try {
      claims.push({ operation, event, fates: await plan(sql, users, event) });
    } catch (error) {
      const code = codeOf(error);
      if (code === '40001' || code === '40P01') throw error;
      // Refused, nothing is left; where the connection was lost, nobody knows.
      const mayBe = code === '23514' || code === '23505' ? [null] : anything;
      claims.push({ operation, event, fates: users.map((user) => [user, mayBe]) });
      throw error;
    }
  };
}

/** The fate of a user whom nobody else changes, `before` being what a refusal leaves. */
function fateOf(answer: Answer, before: (string | null)[] = [null]): (string | null)[] {
  if (!answer.success) return before;
  return answer.status === 'waitlist' ? ['waitlist', 'confirmed'] : [answer.status ?? null];
}

async function ask(query: PromiseLike<{ result: Answer }[]>): Promise<Answer> {
  return only((await query)[0]).result;
}

const join = (sql: postgres.Sql, user: number, event: number) =>
  ask(sql`select safe_event_registration(${user}, ${event}, true) as result`);
const hold = (sql: postgres.Sql, user: number, event: number, lasting: string) =>
  ask(
    sql`select safe_event_registration(${user}, ${event}, false, ${lasting}::text::interval) as result`,
  );
const register = (sql: postgres.Sql, user: number, event: number) =>
  ask(sql`select safe_event_registration(${user}, ${event}) as result`);
const unregister = (sql: postgres.Sql, user: number, event: number) =>
  ask(sql`select safe_event_unregistration(${user}, ${event}) as result`);

const singleCalls: Record<string, Plan> = {
  register: async (sql, [a], event) => [[a, fateOf(await register(sql, a, event))]],
  join: async (sql, [a], event) => [[a, fateOf(await join(sql, a, event))]],
  hold: async (sql, [a], event) => [[a, fateOf(await hold(sql, a, event, '1 hour'))]],
  'hold too short': async (sql, [a], event) => {
    const answer = await hold(sql, a, event, '1 microsecond');
    return [[a, answer.success ? ['pending', 'cancelled'] : [null]]];
  },
  batch: async (sql, [a, b, c], event) => {
    const { details } = await registerBatch(sql, [a, b, a, c], event);
    const fates = details.map((answer): Claim['fates'][number] => [
      only(answer.user_id ?? undefined),
      fateOf(answer),
    ]);
    // The third entry is a second answer about the first user.
    return fates.filter((_, i) => i !== 2);
  },
  insert: async (sql, [a], event) => {
    await sql`insert into registrations (user_id, event_id) values (${a}, ${event})`;
    return [[a, ['confirmed']]];
  },
  'insert three': async (sql, [a, b, c], event) => {
    await sql`
      insert into registrations (user_id, event_id, status)
      values (${a}, ${event}, 'confirmed'), (${b}, ${event}, 'pending'), (${c}, ${event}, 'waitlist')`;
    return [
      [a, ['confirmed']],
      [b, ['pending']],
      [c, ['waitlist', 'confirmed']],
    ];
  },
  'insert twice': async (sql, [a, b], event) => {
    await sql`
      insert into registrations (user_id, event_id)
      values (${a}, ${event}), (${b}, ${event}), (${b}, ${event})`;
    return [[a, ['never']]];
  },
};

const severalCalls: Record<string, Plan> = {
  'join and leave': async (sql, [a], event) => {
    const before = fateOf(await join(sql, a, event));
    return [[a, fateOf(await unregister(sql, a, event), before)]];
  },
  'leave and come back': async (sql, [a], event) => {
    const before = fateOf(await register(sql, a, event));
    const between = fateOf(await unregister(sql, a, event), before);
    return [[a, fateOf(await register(sql, a, event), between)]];
  },
  'hold and confirm': async (sql, [a], event) => {
    const before = fateOf(await hold(sql, a, event, '1 hour'));
    return [[a, fateOf(await register(sql, a, event), before)]];
  },
  'insert and delete': async (sql, [a], event) => {
    await sql`insert into registrations (user_id, event_id) values (${a}, ${event})`;
    await sql`delete from registrations where user_id = ${a}`;
    return [[a, [null]]];
  },
  'roll back': async (sql, [a, b], event) => {
    // In one message: the driver reconnects between two, and would go on outside of the transaction.
    await sql
      .unsafe(`
        begin;
        select safe_event_registration(${a}, ${event}, true);
        select batch_event_registration('{${a},${b}}', ${event});
        rollback`)
      .simple();
    return [
      [a, [null]],
      [b, [null]],
    ];
  },
};

/** Claims that the rows contradict: an acknowledged one that is missing, a refused one that is there. */
export async function listFalseClaims(sql: postgres.Sql, claims: Claim[]): Promise<unknown[]> {
  const rows = await sql<{ user_id: number; event_id: number; status: string }[]>`
    select user_id, event_id, status from registrations`;
  const found = new Map(rows.map((row) => [`${row.user_id} ${row.event_id}`, row.status]));
  return claims.flatMap(({ operation, event, fates }) =>
    fates.flatMap(([user, mayBe]) => {
      const status = found.get(`${user} ${event}`) ?? null;
      return mayBe.includes(status) ? [] : [{ operation, user, event, mayBe, status }];
    }),
  );
}
