// A model of the event schema in plain values: the state, the calls, and the statements.

export type Status = 'confirmed' | 'pending' | 'waitlist' | 'cancelled';

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
export interface ModelAnswer {
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

export function modelRegister(
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

export function modelUnregister(
  state: State,
  user: number,
  event: number,
  keep: boolean,
): ModelAnswer {
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

export function modelBatch(state: State, users: number[], event: number): ModelAnswer[] {
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
export function modelSettle(state: State, event: number): number {
  const expired = expireHolds(state, event);
  promoteWaiters(state, event);
  return expired;
}

export function modelRelease(state: State): number {
  return [...state.events.keys()].reduce((sum, event) => sum + expireHolds(state, event), 0);
}

const seatsOf = (status: Status) => (status === 'confirmed' || status === 'pending' ? 1 : 0);

export function modelInsert(state: State, users: number[], event: number, status: Status): void {
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

export function modelUpdate(state: State, user: number, event: number, status: Status): void {
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

export function modelCancelAll(state: State, user: number): void {
  const rows = state.registrations.filter((row) => row.user === user && row.status !== 'cancelled');
  giveBack(state, rows, () => {
    for (const row of rows) setStatus(row, 'cancelled');
  });
}

export function modelDelete(state: State, where: (row: ModelRegistration) => boolean): void {
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

export function modelMove(state: State, from: [number, number], to: [number, number]): void {
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

export function modelExpire(state: State, user: number, event: number): void {
  const row = find(state, user, event);
  if (row?.status === 'pending') row.isExpired = true;
}

export function modelCapacity(state: State, event: number, capacity: number): void {
  const found = state.events.get(event);
  if (!found) return;
  const { confirmed, held } = countSeats(state, event);
  if (capacity < confirmed + held) throw new Refusal('events_capacity_is_not_exceeded');
  const grows = capacity > found.capacity;
  found.capacity = capacity;
  if (found.isActive && grows) settle(state, event);
}

export function modelActivateEvent(state: State, event: number, isActiveNow: boolean): void {
  const found = state.events.get(event);
  if (!found || found.isActive === isActiveNow) return;
  found.isActive = isActiveNow;
  if (isActiveNow) settle(state, event);
}

/** Puts an event off by a day, or lets it be over. */
export function modelTime(state: State, event: number, isPast: boolean): void {
  const found = state.events.get(event);
  if (!found) return;
  found.isPast = isPast;
  if (!isPast && found.isActive) settle(state, event);
}

export function modelActivateUser(state: State, user: number, isActiveNow: boolean): void {
  const found = state.users.get(user);
  if (!found || isActive(state, user) === isActiveNow) return;
  found.isActive = isActiveNow;
  const waits = state.registrations.filter((row) => row.user === user && row.status === 'waitlist');
  if (isActiveNow) for (const row of waits) promoteWaiters(state, row.event);
}

export function modelDeleteUser(state: State, user: number): void {
  state.users.delete(user);
  modelDelete(state, (row) => row.user === user);
}

export function modelDeleteEvent(state: State, event: number): void {
  state.events.delete(event);
  state.registrations = state.registrations.filter((row) => row.event !== event);
}
