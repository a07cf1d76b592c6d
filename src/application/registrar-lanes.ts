import { AsyncResource } from 'node:async_hooks';
import { EvdbError } from '../errors.ts';
import type { Backlog } from './registrar-backlog.ts';
import type { Call } from './registrar-call.ts';
import type { RegistrarCounts } from './registrar-counts.ts';
import { Lane, type LaneHost } from './registrar-lane.ts';
import type { RegistrarSettings } from './registrar-options.ts';
import { createSlots } from './registrar-slots.ts';
import { type Outcome, type RegistrarPool, runTurn } from './registrar-turn.ts';
import { renderStatements } from './registration-statements.ts';

/** A lane for each event that has calls, and none for the others. */
export interface Lanes {
  readonly size: number;
  /** Statements under way. */
  readonly inFlight: number;
  add(call: Call): void;
  /** Waits for company no more. */
  hurry(): void;
  /** Forgets the calls that are not under way. */
  abandon(): void;
}

export function createLanes(
  pool: RegistrarPool,
  settings: RegistrarSettings,
  counts: RegistrarCounts,
  backlog: Backlog,
): Lanes {
  const { schema, maxBatchSize, maxDelayMillis, maxInFlight, maxAttempts } = settings;
  const statements = renderStatements(schema);
  const slots = createSlots(maxInFlight);
  // Whoever calls may be inside a transaction; the batch, which is for others too, must not be.
  const root = new AsyncResource('EvdbRegistrar');
  const lanes = new Map<number, Lane>();
  const host: LaneHost = {
    maxBatchSize,
    maxDelayMillis,
    slots,
    send(calls, sending) {
      counts.recordBatch(calls.length);
      return runTurn(pool, statements, calls, sending);
    },
    settle: (calls, { outcomes }) => calls.filter((call, index) => settle(call, outcomes[index])),
    runDetached: (work) => root.runInAsyncScope(work),
  };
  /** Returns whether the call is to be tried again. */
  const settle = (call: Call, outcome: Outcome | undefined): boolean => {
    if (call.state === 'settled' || outcome === undefined) return false;
    if (outcome.kind === 'answer') {
      backlog.resolve(call, outcome.result);
      return false;
    }
    call.attempts += 1;
    const isRetried = outcome.kind === 'try-again' && call.attempts < maxAttempts;
    if (isRetried) {
      call.state = 'queued';
      counts.retries += 1;
    } else {
      backlog.reject(call, errorOf(call, outcome.error));
    }
    return isRetried;
  };
  return {
    get size() {
      return lanes.size;
    },
    get inFlight() {
      return slots.taken;
    },
    add(call) {
      const { eventId } = call;
      const lane = lanes.get(eventId) ?? new Lane(host, () => lanes.delete(eventId));
      lanes.set(eventId, lane);
      lane.add(call);
    },
    hurry() {
      host.maxDelayMillis = 0;
      for (const lane of lanes.values()) lane.hurry();
    },
    abandon() {
      for (const lane of [...lanes.values()]) lane.abandon();
    },
  };
}

/**
 * Each caller gets an error object of his own: whoever adds to it, or throws it on, must not
 * change what another caller sees. `cause` is what the pool said to all of the batch.
 */
function errorOf({ userId, eventId }: Call, error: unknown): unknown {
  if (!(error instanceof EvdbError)) return error;
  const { code, message, hint, details } = error;
  const isUnknown = code === 'CONNECTION_LOST' || code === 'OUTCOME_UNKNOWN';
  return new EvdbError(code, `registering user ${userId} for event ${eventId} failed: ${message}`, {
    hint: isUnknown
      ? 'It is not known whether the user was registered: look it up before trying again.'
      : hint,
    cause: error,
    details: { ...details, userId, eventId },
  });
}
