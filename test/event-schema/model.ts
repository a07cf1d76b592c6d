export type Status = 'confirmed' | 'pending' | 'waitlist' | 'cancelled';

interface ModelEvent {
  capacity: number;
  isActive: boolean;
  isPast: boolean;
}

export interface ModelRegistration {
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
export class Refusal extends Error {
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

export function isOpen(state: State, event: number): boolean {
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
export function promoteWaiters(state: State, event: number): void {
  if (!isOpen(state, event)) return;
  const { free } = countSeats(state, event);
  const waiters = listWaiters(state, event).filter((row) => isActive(state, row.user));
  for (const row of waiters.slice(0, Math.max(0, free))) row.status = 'confirmed';
}

/** Cancels expired holds and gives their seats to waiters; returns how many there were. */
export function expireHolds(state: State, event: number): number {
  const expired = state.registrations.filter(
    (row) => row.event === event && row.status === 'pending' && row.isExpired,
  );
  for (const row of expired) setStatus(row, 'cancelled');
  if (expired.length > 0) promoteWaiters(state, event);
  return expired.length;
}

/** What gives seats that became free, or may be, to those who wait. */
export function settle(state: State, event: number): void {
  if (expireHolds(state, event) === 0) promoteWaiters(state, event);
}

export function isActive(state: State, user: number): boolean {
  return state.users.get(user)?.isActive === true;
}

export function setStatus(row: ModelRegistration, status: Status): void {
  if (row.status !== status) row.isExpired = false;
  row.status = status;
}

export function find(state: State, user: number, event: number): ModelRegistration | undefined {
  return state.registrations.find((row) => row.user === user && row.event === event);
}

export function add(state: State, user: number, event: number, status: Status): ModelRegistration {
  const row = { user, event, status, since: ++state.clock, isExpired: false };
  state.registrations.push(row);
  return row;
}

/**
 * Lets newcomers have `seats` seats, or a place in the queue for none, before their rows are there.
 * Waiters go first, and expired holds give way. Refuses it where the event or the users do not allow it
 * or fewer seats are left.
 */
export function admit(state: State, event: number, users: number[], seats: number): void {
  if (seats > 0) promoteWaiters(state, event);
  admitWaiter(state, event, users, seats);
}

/** As {@link admit}, for those who have waited themselves. */
export function admitWaiter(state: State, event: number, users: number[], seats: number): void {
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
