// Steps that change the model and a database alike.

import type postgres from 'postgres';
import type { Random } from '../support/random.ts';
import { letEventPass, only } from './event-schema-kit.ts';
import {
  type ModelAnswer,
  modelActivateEvent,
  modelActivateUser,
  modelBatch,
  modelCancelAll,
  modelCapacity,
  modelDelete,
  modelDeleteEvent,
  modelDeleteUser,
  modelExpire,
  modelInsert,
  modelMove,
  modelRegister,
  modelRelease,
  modelSettle,
  modelTime,
  modelUnregister,
  modelUpdate,
  type State,
  type Status,
} from './registration-model.ts';

/** One operation, on the model and on the server; both tell their answer. */
export interface Step {
  text: string;
  onModel(state: State): unknown;
  onServer(sql: postgres.Sql): Promise<unknown>;
}

export const userCount = 8;
export const eventCount = 3;

export function planSteps(random: Random, count: number): Step[] {
  return Array.from({ length: count }, () => random.pick(kinds)(random));
}

const anyUser = (random: Random) => 1 + random.below(userCount);
const anyEvent = (random: Random) => 1 + random.below(eventCount);
const anyStatus = (random: Random) =>
  random.pick<Status>(['confirmed', 'confirmed', 'pending', 'waitlist', 'cancelled']);

/** What of an answer has nothing to do with ids and times. */
function essenceOf(answer: ModelAnswer): ModelAnswer {
  const { success, status, error_code, waitlist_position } = answer;
  return JSON.parse(JSON.stringify({ success, status, error_code, waitlist_position }));
}

async function ask(query: PromiseLike<{ answer: ModelAnswer }[]>) {
  return essenceOf(only((await query)[0]).answer);
}

function registering(random: Random): Step {
  const [user, event, join, hold] = [
    anyUser(random),
    anyEvent(random),
    random.below(2) === 1,
    random.below(3) === 1,
  ];
  const lasting = hold ? '1 hour' : null;
  return {
    text: `register(${user}, ${event}, join ${join}, hold ${hold})`,
    onModel: (state) => modelRegister(state, user, event, { join, hold }),
    onServer: (sql) =>
      ask(
        sql`select safe_event_registration(${user}, ${event}, ${join}, ${lasting}::interval) as answer`,
      ),
  };
}

function unregistering(random: Random): Step {
  const [user, event, keep] = [anyUser(random), anyEvent(random), random.below(2) === 1];
  return {
    text: `unregister(${user}, ${event}, keep ${keep})`,
    onModel: (state) => modelUnregister(state, user, event, keep),
    onServer: (sql) =>
      ask(sql`select safe_event_unregistration(${user}, ${event}, ${keep}) as answer`),
  };
}

function batching(random: Random): Step {
  const users = Array.from({ length: 1 + random.below(5) }, () => anyUser(random));
  const event = anyEvent(random);
  return {
    text: `batch(${users}; ${event})`,
    onModel: (state) => modelBatch(state, users, event),
    onServer: async (sql) => {
      const [row] = await sql<{ details: ModelAnswer[] }[]>`
        select batch_event_registration(${users}, ${event}) -> 'details' as details`;
      return only(row).details.map(essenceOf);
    },
  };
}

function settling(random: Random): Step {
  const event = anyEvent(random);
  return {
    text: `settle(${event})`,
    onModel: (state) => modelSettle(state, event),
    onServer: async (sql) =>
      only((await sql`select settle_event_seats(${event}) as expired`)[0]).expired,
  };
}

const releasing = (): Step => ({
  text: 'release()',
  onModel: (state) => modelRelease(state),
  onServer: async (sql) => only((await sql`select release_expired_holds() as expired`)[0]).expired,
});

function statement(
  text: string,
  onModel: (state: State) => void,
  onServer: (sql: postgres.Sql) => PromiseLike<unknown>,
): Step {
  return { text, onModel, onServer: async (sql) => void (await onServer(sql)) };
}

function inserting(random: Random): Step {
  const users = Array.from({ length: random.pick([1, 1, 1, 2, 3]) }, () => anyUser(random));
  const [event, status] = [anyEvent(random), anyStatus(random)];
  const rows = users.map((user_id) => ({ user_id, event_id: event, status }));
  return statement(
    `insert (${users}; ${event}) ${status}`,
    (state) => modelInsert(state, users, event, status),
    (sql) => sql`insert into registrations ${sql(rows)}`,
  );
}

function updating(random: Random): Step {
  const [user, event, status] = [anyUser(random), anyEvent(random), anyStatus(random)];
  return statement(
    `update (${user}, ${event}) ${status}`,
    (state) => modelUpdate(state, user, event, status),
    (sql) => sql`
      update registrations set status = ${status} where user_id = ${user} and event_id = ${event}`,
  );
}

function expiring(random: Random): Step {
  const [user, event] = [anyUser(random), anyEvent(random)];
  return statement(
    `expire (${user}, ${event})`,
    (state) => modelExpire(state, user, event),
    (sql) => sql`
      update registrations set hold_expires_at = now() - interval '1 second'
      where user_id = ${user} and event_id = ${event} and status = 'pending'`,
  );
}

function moving(random: Random): Step {
  const from: [number, number] = [anyUser(random), anyEvent(random)];
  const to: [number, number] = [anyUser(random), anyEvent(random)];
  return statement(
    `move (${from}) to (${to})`,
    (state) => modelMove(state, from, to),
    (sql) => sql`
      update registrations set user_id = ${to[0]}, event_id = ${to[1]}
      where user_id = ${from[0]} and event_id = ${from[1]}
        and (hold_expires_at is null or hold_expires_at > now())`,
  );
}

function leaving(random: Random): Step {
  const [user, event] = [anyUser(random), anyEvent(random)];
  return random.pick([
    statement(
      `cancel all of user ${user}`,
      (state) => modelCancelAll(state, user),
      (sql) => sql`update registrations set status = 'cancelled' where user_id = ${user}`,
    ),
    statement(
      `delete (${user}, ${event})`,
      (state) => modelDelete(state, (row) => row.user === user && row.event === event),
      (sql) => sql`delete from registrations where user_id = ${user} and event_id = ${event}`,
    ),
    statement(
      `delete all of user ${user}`,
      (state) => modelDelete(state, (row) => row.user === user),
      (sql) => sql`delete from registrations where user_id = ${user}`,
    ),
  ]);
}

function changing(random: Random): Step {
  const [user, event, capacity] = [anyUser(random), anyEvent(random), 1 + random.below(5)];
  const isOn = random.below(2) > 0;
  return random.pick([
    statement(
      `capacity of ${event} becomes ${capacity}`,
      (state) => modelCapacity(state, event, capacity),
      (sql) => sql`update events set capacity = ${capacity} where id = ${event}`,
    ),
    statement(
      `event ${event} becomes ${isOn ? 'active' : 'inactive'}`,
      (state) => modelActivateEvent(state, event, isOn),
      (sql) => sql`update events set is_active = ${isOn} where id = ${event}`,
    ),
    statement(
      `user ${user} becomes ${isOn ? 'active' : 'inactive'}`,
      (state) => modelActivateUser(state, user, isOn),
      (sql) => sql`update users set is_active = ${isOn} where id = ${user}`,
    ),
    statement(
      `event ${event} is put off`,
      (state) => modelTime(state, event, false),
      (sql) => sql`
        update events set date_time = greatest(date_time, now()) + interval '1 day' where id = ${event}`,
    ),
  ]);
}

/** Rare, because little is left to do after them. */
function ending(random: Random): Step {
  const [user, event] = [anyUser(random), anyEvent(random)];
  if (random.below(6) > 0) return random.pick([registering, changing])(random);
  return random.pick([
    statement(
      `event ${event} is over`,
      (state) => modelTime(state, event, true),
      (sql) => letEventPass(sql, event),
    ),
    statement(
      `delete user ${user}`,
      (state) => modelDeleteUser(state, user),
      (sql) => sql`delete from users where id = ${user}`,
    ),
    statement(
      `delete event ${event}`,
      (state) => modelDeleteEvent(state, event),
      (sql) => sql`delete from events where id = ${event}`,
    ),
    statement(
      'truncate',
      (state) => modelDelete(state, () => true),
      (sql) => sql`truncate registrations`,
    ),
  ]);
}

const kinds: ((random: Random) => Step)[] = [
  registering,
  registering,
  registering,
  unregistering,
  batching,
  settling,
  releasing,
  inserting,
  inserting,
  updating,
  updating,
  expiring,
  expiring,
  moving,
  leaving,
  changing,
  changing,
  changing,
  ending,
];
