import { EvdbError } from '../errors.ts';
import type { Call } from './registrar-call.ts';
import type { RegistrarCounts } from './registrar-counts.ts';
import type { RegistrarSettings } from './registrar-options.ts';
import type { RegistrationResult } from './registration-answer.ts';

/** All calls that are not answered yet, and the limit to them. */
export interface Backlog {
  readonly pending: number;
  readonly waiting: number;
  /**
   * Takes a call up, now or when there is room.
   *
   * @throws EvdbError `REGISTRAR_FULL`
   */
  add(call: Call): void;
  /** Answers a call; what was answered before stays as it was. */
  resolve(call: Call, result: RegistrationResult): void;
  reject(call: Call, error: unknown): void;
  /** Calls back once, when nothing is left. */
  onceEmpty(callback: () => void): void;
  /** Rejects whatever is left, saying what is known of it. */
  abandon(): void;
}

/** @param admit takes a call that is pending from now on */
export function createBacklog(
  { maxPending, whenFull }: RegistrarSettings,
  counts: RegistrarCounts,
  admit: (call: Call) => void,
): Backlog {
  const pending = new Set<Call>();
  // A set is a queue from whose middle a call can go, too.
  const waiting = new Set<Call>();
  let announceEmpty: (() => void) | undefined;
  const isEmpty = () => pending.size === 0 && waiting.size === 0;

  const accept = (call: Call): void => {
    counts.calls += 1;
    pending.add(call);
    admit(call);
  };
  const settle = (call: Call, answer: () => void): void => {
    if (call.state === 'settled') return;
    call.state = 'settled';
    if (!waiting.delete(call)) pending.delete(call);
    answer();
    const [next] = waiting;
    if (next !== undefined && pending.size < maxPending) {
      waiting.delete(next);
      accept(next);
    }
    if (isEmpty()) announceEmpty?.();
  };
  const reject = (call: Call, error: unknown): void =>
    settle(call, () => {
      counts.failed += 1;
      call.reject(error);
    });

  return {
    get pending() {
      return pending.size;
    },
    get waiting() {
      return waiting.size;
    },
    add(call) {
      if (pending.size < maxPending) {
        accept(call);
      } else if (whenFull === 'wait') {
        waiting.add(call);
      } else {
        counts.turnedAway += 1;
        throw registrarFull(maxPending);
      }
    },
    resolve: (call, result) =>
      settle(call, () => {
        counts[result.success ? 'registered' : 'refused'] += 1;
        call.resolve(result);
      }),
    reject,
    onceEmpty(callback) {
      announceEmpty = callback;
      if (isEmpty()) callback();
    },
    abandon: () => abandon(waiting, pending, reject),
  };
}

function abandon(
  waiting: ReadonlySet<Call>,
  pending: ReadonlySet<Call>,
  reject: (call: Call, error: unknown) => void,
): void {
  // Who waits goes first: else the room that the others leave would let him in.
  for (const call of [...waiting]) reject(call, registrarClosed());
  for (const call of [...pending]) {
    if (call.state === 'queued') reject(call, registrarClosed());
    if (call.state === 'sent') reject(call, outcomeUnknown(call));
  }
  // The lanes take back what the pool has not sent, and the pool says so at once. One that knows
  // nothing of taking back may have sent it.
  setImmediate(() => {
    for (const call of [...pending]) reject(call, outcomeUnknown(call));
  });
}

/** A call that comes too late, or that was not sent before the deadline. */
export function registrarClosed(): EvdbError {
  return new EvdbError('REGISTRAR_CLOSED', 'the registrar is closed; the call was not sent', {
    hint: 'Nobody was registered by this call. Send it to an instance that runs.',
  });
}

function registrarFull(maxPending: number): EvdbError {
  return new EvdbError('REGISTRAR_FULL', `${maxPending} registrations are waiting already`, {
    hint: 'Ask the user to try again in a moment (HTTP 503), or raise maxPending.',
    details: { maxPending },
  });
}

function outcomeUnknown({ userId, eventId }: Call): EvdbError {
  return new EvdbError(
    'OUTCOME_UNKNOWN',
    `the registrar was closed while it registered user ${userId} for event ${eventId}`,
    {
      hint: 'Look the registration up before trying again.',
      details: { userId, eventId },
    },
  );
}
