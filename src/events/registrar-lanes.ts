import { AsyncResource } from 'node:async_hooks';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { backOffMs } from '../connection/retry.ts';
import { EvdbError } from '../errors.ts';
import {
  type Call,
  type Outcome,
  type RegistrarPool,
  runTurn,
  type Sending,
  type TurnResult,
} from './registrar-turn.ts';
import { renderStatements } from './registration.ts';
import type { RegistrationResult } from './registration-answer.ts';

/** A lane for each event that has calls, and none for the others. */
interface Lanes {
  readonly size: number;
  /** Statements under way. */
  readonly inFlight: number;
  add(call: Call): void;
  /** Waits for company no more. */
  hurry(): void;
  /** Forgets the calls that are not under way; `reason` is what the pool says of one that waits there. */
  abandon(reason: EvdbError): void;
}

interface LaneSettings {
  schema: string | undefined;
  maxBatchSize: number;
  maxDelayMs: number;
  maxInFlight: number;
  maxAttempts: number;
}

/** What the lanes count. */
interface Counts {
  retries: number;
  recordBatch(size: number): void;
}

/** Who answers the calls. */
interface Answers {
  resolve(call: Call, result: RegistrationResult): void;
  reject(call: Call, error: unknown): void;
}

/** Sends the calls of each event one statement after the other, of all events so many at a time. */
export function createLanes(
  pool: RegistrarPool,
  settings: LaneSettings,
  counts: Counts,
  answers: Answers,
): Lanes {
  const { schema, maxBatchSize, maxDelayMs, maxInFlight, maxAttempts } = settings;
  const statements = renderStatements(schema);
  const slots = createSlots(maxInFlight);
  // Whoever calls may be inside a transaction; the batch, which is for others too, must not be.
  const root = new AsyncResource('EvdbRegistrar');
  const lanes = new Map<number, Lane>();
  const host: LaneHost = {
    maxBatchSize,
    maxDelayMs,
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
      answers.resolve(call, outcome.result);
      return false;
    }
    call.attempts += 1;
    const isRetried = outcome.kind === 'try-again' && call.attempts < maxAttempts;
    if (isRetried) {
      call.state = 'queued';
      counts.retries += 1;
    } else {
      answers.reject(call, errorOf(call, outcome.error));
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
      host.maxDelayMs = 0;
      for (const lane of lanes.values()) lane.hurry();
    },
    abandon(reason) {
      for (const lane of [...lanes.values()]) lane.abandon(reason);
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

/** What the lanes share. */
interface LaneHost {
  maxBatchSize: number;
  /** How long a call may wait for company. */
  maxDelayMs: number;
  slots: Slots;
  /** Sends them with one statement, and never throws. */
  send(calls: readonly Call[], sending: Sending): Promise<TurnResult>;
  /** Answers the calls, and returns those to be tried again. */
  settle(calls: readonly Call[], result: TurnResult): Call[];
  /** Runs work in nobody's asynchronous context, rather than in that of whoever called. */
  runDetached(work: () => void): void;
}

/** The calls for one event: one statement at a time, in the order of arrival. */
class Lane {
  readonly #host: LaneHost;
  readonly #onIdle: () => void;
  #queue: Call[] = [];
  /** Calls of users whom another transaction has locked, until their next try. */
  readonly #delayed = new Map<number, { calls: Call[]; timer: NodeJS.Timeout }>();
  #isRunning = false;
  #isHurried = false;
  #stopWaiting: (() => void) | undefined;
  /** Withdraws the statement that waits for a connection. */
  #taker: AbortController | undefined;

  /** @param onIdle is told that the lane has no calls any more, and may be forgotten */
  constructor(host: LaneHost, onIdle: () => void) {
    this.#host = host;
    this.#onIdle = onIdle;
  }

  add(call: Call): void {
    // Who waits already comes first.
    const delayed = this.#delayed.get(call.userId);
    if (delayed !== undefined) {
      delayed.calls.push(call);
      return;
    }
    this.#queue.push(call);
    if (this.#stopWaiting !== undefined && this.#isReady()) this.#stopWaiting();
    this.#start();
  }

  /** Waits for company no more. */
  hurry(): void {
    this.#isHurried = true;
    this.#stopWaiting?.();
  }

  /** Forgets the calls that are not under way. */
  abandon(reason: EvdbError): void {
    this.#queue = [];
    for (const { timer } of this.#delayed.values()) clearTimeout(timer);
    this.#delayed.clear();
    this.#taker?.abort(reason);
    this.hurry();
    if (!this.#isRunning) this.#onIdle();
  }

  #start(): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    this.#host.runDetached(() => void this.#run());
  }

  async #run(): Promise<void> {
    while (this.#queue.length > 0) {
      await this.#gather();
      const pauseMs = await this.#takeTurn();
      if (pauseMs > 0) await sleep(pauseMs);
    }
    this.#isRunning = false;
    if (this.#delayed.size === 0) this.#onIdle();
  }

  async #gather(): Promise<void> {
    const sinceMs = this.#queue[0]?.arrivedAtMs ?? 0;
    const leftMs = this.#host.maxDelayMs - (performance.now() - sinceMs);
    if (leftMs > 0 && !this.#isReady()) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs);
        this.#stopWaiting = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.#stopWaiting = undefined;
    }
    // Whatever arrives in the same turn of the event loop shares the batch, at no cost.
    await setImmediate();
  }

  #isReady(): boolean {
    return (
      this.#isHurried ||
      this.#queue.length >= this.#host.maxBatchSize ||
      this.#queue.some(({ options }) => options !== undefined)
    );
  }

  /** Returns how long to pause before the next one, in ms. */
  async #takeTurn(): Promise<number> {
    await this.#host.slots.acquire();
    try {
      const calls = this.#queue.splice(0, this.#turnSize());
      if (calls.length === 0) return 0;
      for (const call of calls) call.state = 'asked';
      const taker = new AbortController();
      this.#taker = taker;
      const onSend = () => {
        this.#taker = undefined;
        for (const call of calls) if (call.state === 'asked') call.state = 'sent';
      };
      const result = await this.#host.send(calls, { signal: taker.signal, onSend });
      this.#taker = undefined;
      const again = this.#host.settle(calls, result);
      if (result.isWhole) {
        this.#putBack(again);
        return again.length === 0 ? 0 : pauseMsFor(again);
      }
      for (const ofUser of groupByUser(again)) this.#delay(ofUser);
      return 0;
    } finally {
      this.#host.slots.release();
    }
  }

  /** Only calls without options can share a batch. */
  #turnSize(): number {
    const limit = Math.min(this.#queue.length, this.#host.maxBatchSize);
    const special = this.#queue.findIndex(({ options }) => options !== undefined);
    return special === -1 ? limit : Math.max(1, Math.min(limit, special));
  }

  #putBack(calls: readonly Call[]): void {
    this.#queue = [...calls, ...this.#queue].sort((one, other) => one.number - other.number);
  }

  /** The others go on; what the same user asked for later stays behind these calls. */
  #delay(calls: readonly Call[]): void {
    const userId = calls[0]?.userId ?? 0;
    const isTheirs = (call: Call) => call.userId === userId;
    const all = [...calls, ...this.#queue.filter(isTheirs)];
    this.#queue = this.#queue.filter((call) => !isTheirs(call));
    const timer = setTimeout(() => {
      this.#delayed.delete(userId);
      this.#putBack(all);
      this.#start();
    }, pauseMsFor(calls));
    this.#delayed.set(userId, { calls: all, timer });
  }
}

function groupByUser(calls: readonly Call[]): Call[][] {
  const groups = new Map<number, Call[]>();
  for (const call of calls) {
    const group = groups.get(call.userId);
    if (group === undefined) groups.set(call.userId, [call]);
    else group.push(call);
  }
  return [...groups.values()];
}

/** A registration takes a moment: whoever was in the way is soon done. */
const PAUSES = { firstMs: 20, longestMs: 500 };

function pauseMsFor(calls: readonly Call[]): number {
  return backOffMs(Math.max(...calls.map(({ attempts }) => attempts)), PAUSES);
}

/** Turns at something scarce, first come, first served. */
interface Slots {
  readonly taken: number;
  /** Resolves when it is the caller's turn; `release` must follow. */
  acquire(): Promise<void>;
  release(): void;
}

function createSlots(max: number): Slots {
  let taken = 0;
  const line = new Set<() => void>();
  return {
    get taken() {
      return taken;
    },
    acquire() {
      if (taken < max) {
        taken += 1;
        return Promise.resolve();
      }
      return new Promise((resolve) => {
        line.add(resolve);
      });
    },
    release() {
      const [next] = line;
      if (next === undefined) {
        taken -= 1;
        return;
      }
      // Handed on without being given back, so that nobody can slip in between.
      line.delete(next);
      next();
    },
  };
}
