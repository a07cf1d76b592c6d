import {
  add,
  admit,
  attempt,
  countSeats,
  expireHolds,
  find,
  isActive,
  isOpen,
  listWaiters,
  promoteWaiters,
  type State,
  type Status,
  setStatus,
  settle,
} from './model.ts';

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
