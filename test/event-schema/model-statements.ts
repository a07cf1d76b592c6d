import {
  add,
  admit,
  admitWaiter,
  countSeats,
  find,
  isActive,
  type ModelRegistration,
  promoteWaiters,
  Refusal,
  type State,
  type Status,
  setStatus,
  settle,
} from './model.ts';

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
