// A model of the event schema in plain values, and steps that change the model and a database alike:
// the state, the calls, the statements, then the steps.

import type postgres from 'postgres';
import type { Random } from '../support/random.ts';
import { letEventPass, only } from './event-schema-kit.ts';

type Status = 'confirmed' | 'pending' | 'waitlist' | 'cancelled';

interface ModelEvent {
  capacity: number;
  isActive: boolean;
  isPast: boolean;
}

interface ModelRegistration {
  user: number;
  event: number;
  status: Status;
  /** Order of arrival. */
  since: number;
  isExpired: boolean;
}

/** What the tables hold, as plain values. */
export interface State {
  users: Map<number, { isActive: boolean }>;
  events: Map<number, ModelEvent>;
  registrations: ModelRegistration[];
  clock: number;
}

/** Raised by a statement that the schema refuses; the statement then changes nothing. */
class Refusal extends Error {
  readonly constraint: string;

  constructor(constraint: string) {
    super(constraint);
    this.constraint = constraint;
  }
}

export function countSeats(state: State, event: number) {
  const rows = state.registrations.filter((row) => row.event === event);
  const capacity = state.events.get(event)?.capacity ?? 0;
  const confirmed = rows.filter((row) => row.status === 'confirmed').length;
  const held = rows.filter((row) => row.status === 'pending').length;
  return { confirmed, held, free: capacity - confirmed - held };
}

function isOpen(state: State, event: number): boolean {
  const found = state.events.get(event);
  return found?.isActive === true && !found.isPast;
}

/** Who waits for an event, first come first. */
export function listWaiters(state: State, event: number): ModelRegistration[] {
  return state.registrations
    .filter((row) => row.event === event && row.status === 'waitlist')
    .sort((a, b) => a.since - b.since);
}

/** Confirms active waiters as far as seats are free. */
function promoteWaiters(state: State, event: number): void {
  if (!isOpen(state, event)) return;
  const { free } = countSeats(state, event);
  const waiters = listWaiters(state, event).filter((row) => isActive(state, row.user));
  for (const row of waiters.slice(0, Math.max(0, free))) row.status = 'confirmed';
}

/** Cancels expired holds and gives their seats to waiters; returns how many there were. */
function expireHolds(state: State, event: number): number {
  const expired = state.registrations.filter(
    (row) => row.event === event && row.status === 'pending' && row.isExpired,
  );
  for (const row of expired) setStatus(row, 'cancelled');
  if (expired.length > 0) promoteWaiters(state, event);
  return expired.length;
}

/** What gives seats that became free, or may be, to those who wait. */
function settle(state: State, event: number): void {
  if (expireHolds(state, event) === 0) promoteWaiters(state, event);
}

function isActive(state: State, user: number): boolean {
  return state.users.get(user)?.isActive === true;
}

function setStatus(row: ModelRegistration, status: Status): void {
  if (row.status !== status) row.isExpired = false;
  row.status = status;
}

function find(state: State, user: number, event: number): ModelRegistration | undefined {
  return state.registrations.find((row) => row.user === user && row.event === event);
}

function add(state: State, user: number, event: number, status: Status): ModelRegistration {
  const row = { user, event, status, since: ++state.clock, isExpired: false };
  state.registrations.push(row);
  return row;
}

/**
 * Lets newcomers have `seats` seats, or a place in the queue for none, before their rows are there.
 * Waiters go first, and expired holds give way. Refuses it where the event or the users do not allow it
 * or fewer seats are left.
 */
function admit(state: State, event: number, users: number[], seats: number): void {
  if (seats > 0) promoteWaiters(state, event);
  admitWaiter(state, event, users, seats);
}

/** As {@link admit}, for those who have waited themselves. */
function admitWaiter(state: State, event: number, users: number[], seats: number): void {
  for (;;) {
    const areActive = users.every((user) => isActive(state, user));
    const isRoomy = seats === 0 || countSeats(state, event).free >= seats;
    if (isOpen(state, event) && areActive && isRoomy) return;
    if (expireHolds(state, event) > 0) continue;
    if (!state.events.get(event)?.isActive) throw new Refusal('registrations_event_is_active');
    if (!isOpen(state, event)) throw new Refusal('registrations_event_is_upcoming');
    if (!areActive) throw new Refusal('registrations_user_is_active');
    throw new Refusal('registrations_event_has_seats');
  }
}

/** Runs `change`; where that is refused, the state is what it was before. Returns why. */
export function attempt(state: State, change: () => void): string | undefined {
  const before = structuredClone(state);
  try {
    change();
    return undefined;
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    Object.assign(state, before);
    return error.constraint;
  }
}

/** What a call answers, without ids and times. */
interface ModelAnswer {
  success: boolean;
  status?: Status;
  error_code?: string;
  waitlist_position?: number;
}

const refused = (error_code: string): ModelAnswer => ({ success: false, error_code });

function countExpired(state: State, event: number): number {
  return state.registrations.filter((row) => row.event === event && row.isExpired).length;
}

/** What the event or the user says against any registration. */
function objectionTo(state: State, user: number, event: number): string | undefined {
  const found = state.events.get(event);
  if (!found?.isActive) return 'P0001';
  if (found.isPast) return 'P0002';
  return isActive(state, user) ? undefined : 'P0006';
}

function modelRegister(
  state: State,
  user: number,
  event: number,
  { join, hold }: { join: boolean; hold: boolean },
): ModelAnswer {
  const objection = objectionTo(state, user, event);
  if (objection) return refused(objection);
  const status = find(state, user, event)?.status;
  const isExpired = find(state, user, event)?.isExpired === true;
  const hasSeat = countSeats(state, event).free > 0 || countExpired(state, event) > 0;
  if (status === 'confirmed' || (status === 'pending' && hold && !isExpired))
    return refused('P0003');
  if (status === 'pending' && !isExpired) return place(state, user, event, 'confirmed');
  if (status === 'waitlist' && hasSeat) {
    modelSettle(state, event);
    if (find(state, user, event)?.status === 'confirmed') return answerOf(state, user, event);
  } else if (hasSeat) {
    if (isExpired) giveUp(state, user, event);
    const wanted = hold ? 'pending' : 'confirmed';
    const refusal = attempt(state, () => {
      admit(state, event, [user], 1);
      place(state, user, event, wanted);
    });
    if (!refusal) return answerOf(state, user, event);
    if (!join) modelSettle(state, event);
  }
  if (!join) return refused('P0004');
  if (find(state, user, event)?.status !== 'waitlist') {
    place(state, user, event, 'waitlist');
    settle(state, event);
  }
  return answerOf(state, user, event);
}

/** A hold that has expired is given back first, and others may have waited for the seat. */
function giveUp(state: State, user: number, event: number): void {
  const row = find(state, user, event);
  if (row) setStatus(row, 'cancelled');
  promoteWaiters(state, event);
}

/** Who comes back comes anew; who waited or held a seat has been here since then. */
function place(state: State, user: number, event: number, status: Status): ModelAnswer {
  const row = find(state, user, event) ?? add(state, user, event, status);
  if (row.status === 'cancelled') row.since = ++state.clock;
  setStatus(row, status);
  return answerOf(state, user, event);
}

function answerOf(state: State, user: number, event: number): ModelAnswer {
  const status = find(state, user, event)?.status;
  if (status !== 'waitlist') return status ? { success: true, status } : refused('none');
  const place = listWaiters(state, event).findIndex((row) => row.user === user) + 1;
  return { success: true, status, waitlist_position: place };
}

function modelUnregister(state: State, user: number, event: number, keep: boolean): ModelAnswer {
  const found = state.events.get(event);
  if (!found?.isActive) return refused('P0001');
  if (found.isPast) return refused('P0002');
  if (!state.users.has(user)) return refused('P0006');
  const row = find(state, user, event);
  if (!row || row.status === 'cancelled') return refused('P0005');
  const hadSeat = row.status !== 'waitlist';
  if (keep) setStatus(row, 'cancelled');
  else state.registrations.splice(state.registrations.indexOf(row), 1);
  if (hadSeat) promoteWaiters(state, event);
  return { success: true };
}

function modelBatch(state: State, users: number[], event: number): ModelAnswer[] {
  const waiting = isOpen(state, event)
    ? listWaiters(state, event).filter(
        (row) => isActive(state, row.user) && !users.includes(row.user),
      ).length
    : 0;
  let answers: ModelAnswer[] = [];
  const fill = (expired: number) => () => {
    const free = Math.max(0, countSeats(state, event).free + expired - waiting);
    answers = fillBatch(state, users, event, free);
  };
  if (attempt(state, fill(countExpired(state, event)))) fill(0)();
  if (waiting > 0) modelSettle(state, event);
  return answers;
}

/** Serves those who wait first, in the order in which they came, and then the others as they are named. */
function fillBatch(state: State, users: number[], event: number, free: number): ModelAnswer[] {
  const named = [...new Set(users)];
  const waiters = listWaiters(state, event).map((row) => row.user);
  const byTurn = [
    ...waiters.filter((user) => named.includes(user)),
    ...named.filter((user) => !waiters.includes(user)),
  ];
  const answers = new Map<number, ModelAnswer>();
  const served: number[] = [];
  let left = free;
  for (const user of byTurn) {
    const status = find(state, user, event)?.status;
    const objection = objectionTo(state, user, event);
    if (objection) answers.set(user, refused(objection));
    else if (status === 'confirmed') answers.set(user, refused('P0003'));
    else if (status !== 'pending' && left <= 0) answers.set(user, refused('P0004'));
    else {
      if (status !== 'pending') left -= 1;
      served.push(user);
      answers.set(user, { success: true, status: 'confirmed' });
    }
  }
  seat(state, served, event);
  const seen = new Set<number>();
  return users.map((user) => {
    const answer = answers.get(user) ?? refused('none');
    const isAgain = seen.has(user);
    seen.add(user);
    return isAgain && answer.success ? refused('P0003') : answer;
  });
}

function seat(state: State, users: number[], event: number): void {
  const newcomers = users.filter((user) => find(state, user, event)?.status !== 'pending');
  for (const user of users) {
    const row = find(state, user, event);
    // No waiter any more, and not counted yet.
    if (row?.status === 'waitlist') row.status = 'cancelled';
    if (row?.status === 'pending') setStatus(row, 'confirmed');
  }
  if (newcomers.length > 0) admit(state, event, newcomers, newcomers.length);
  for (const user of newcomers) place(state, user, event, 'confirmed');
}

/** Returns how many holds had expired. */
function modelSettle(state: State, event: number): number {
  const expired = expireHolds(state, event);
  promoteWaiters(state, event);
  return expired;
}

function modelRelease(state: State): number {
  return [...state.events.keys()].reduce((sum, event) => sum + expireHolds(state, event), 0);
}

const seatsOf = (status: Status) => (status === 'confirmed' || status === 'pending' ? 1 : 0);

function modelInsert(state: State, users: number[], event: number, status: Status): void {
  if (users.some((user) => find(state, user, event)) || new Set(users).size < users.length) {
    throw new Refusal('registrations_user_id_event_id_key');
  }
  refuseStrangers(state, users, event);
  if (status !== 'cancelled') admit(state, event, users, seatsOf(status) * users.length);
  for (const user of users) add(state, user, event, status);
  if (status === 'waitlist') settle(state, event);
}

function refuseStrangers(state: State, users: number[], event: number): void {
  if (users.some((user) => !state.users.has(user))) throw new Refusal('registrations_user_id_fkey');
  if (!state.events.has(event)) throw new Refusal('registrations_event_id_fkey');
}

function modelUpdate(state: State, user: number, event: number, status: Status): void {
  const row = find(state, user, event);
  if (!row || row.status === status) return;
  const before = row.status;
  if (
    before === 'confirmed' ? status !== 'cancelled' : before === 'pending' && status === 'waitlist'
  ) {
    throw new Refusal('registrations_status_may_follow');
  }
  if (status !== 'cancelled' && seatsOf(before) === 0) {
    // Not counted yet, and no waiter any more.
    setStatus(row, 'cancelled');
    const enter = before === 'waitlist' ? admitWaiter : admit;
    enter(state, event, [user], seatsOf(status));
  }
  setStatus(row, status);
  if (status === 'waitlist') settle(state, event);
  if (status === 'cancelled' && seatsOf(before) === 1) promoteWaiters(state, event);
}

function modelCancelAll(state: State, user: number): void {
  const rows = state.registrations.filter((row) => row.user === user && row.status !== 'cancelled');
  giveBack(state, rows, () => {
    for (const row of rows) setStatus(row, 'cancelled');
  });
}

function modelDelete(state: State, where: (row: ModelRegistration) => boolean): void {
  giveBack(state, state.registrations.filter(where), () => {
    state.registrations = state.registrations.filter((row) => !where(row));
  });
}

/** Promotes waiters of every event in which one of `rows` had a seat before `change`. */
function giveBack(state: State, rows: ModelRegistration[], change: () => void): void {
  const events = new Set(rows.filter((row) => seatsOf(row.status) === 1).map((row) => row.event));
  change();
  for (const event of [...events].sort((a, b) => a - b)) promoteWaiters(state, event);
}

function modelMove(state: State, from: [number, number], to: [number, number]): void {
  const row = find(state, ...from);
  if (!row || row.isExpired || String(from) === String(to)) return;
  if (find(state, ...to)) throw new Refusal('registrations_user_id_event_id_key');
  refuseStrangers(state, [to[0]], to[1]);
  const seats = seatsOf(row.status);
  const isSameEvent = from[1] === to[1];
  // Waiters go first, and the row still has its seat.
  if (isSameEvent && seats === 1) promoteWaiters(state, to[1]);
  state.registrations = state.registrations.filter((other) => other !== row);
  for (const event of [...new Set([from[1], to[1]])].sort((a, b) => a - b)) {
    if (event !== to[1]) {
      if (seats === 1) promoteWaiters(state, event);
    } else if (row.status !== 'cancelled') {
      admit(state, event, [to[0]], isSameEvent ? 0 : seats);
    }
  }
  state.registrations.push(Object.assign(row, { user: to[0], event: to[1] }));
  if (row.status === 'waitlist') settle(state, to[1]);
}

function modelExpire(state: State, user: number, event: number): void {
  const row = find(state, user, event);
  if (row?.status === 'pending') row.isExpired = true;
}

function modelCapacity(state: State, event: number, capacity: number): void {
  const found = state.events.get(event);
  if (!found) return;
  const { confirmed, held } = countSeats(state, event);
  if (capacity < confirmed + held) throw new Refusal('events_capacity_is_not_exceeded');
  const grows = capacity > found.capacity;
  found.capacity = capacity;
  if (found.isActive && grows) settle(state, event);
}

function modelActivateEvent(state: State, event: number, isActiveNow: boolean): void {
  const found = state.events.get(event);
  if (!found || found.isActive === isActiveNow) return;
  found.isActive = isActiveNow;
  if (isActiveNow) settle(state, event);
}

/** Puts an event off by a day, or lets it be over. */
function modelTime(state: State, event: number, isPast: boolean): void {
  const found = state.events.get(event);
  if (!found) return;
  found.isPast = isPast;
  if (!isPast && found.isActive) settle(state, event);
}

function modelActivateUser(state: State, user: number, isActiveNow: boolean): void {
  const found = state.users.get(user);
  if (!found || isActive(state, user) === isActiveNow) return;
  found.isActive = isActiveNow;
  const waits = state.registrations.filter((row) => row.user === user && row.status === 'waitlist');
  if (isActiveNow) for (const row of waits) promoteWaiters(state, row.event);
}

function modelDeleteUser(state: State, user: number): void {
  state.users.delete(user);
  modelDelete(state, (row) => row.user === user);
}

function modelDeleteEvent(state: State, event: number): void {
  state.events.delete(event);
  state.registrations = state.registrations.filter((row) => row.event !== event);
}

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
