import { setTimeout as sleep } from 'node:timers/promises';
import { codeOf, isConnectionLoss } from '../../connection/connection-error.ts';
import { liftTimeLimitsSql, SERVER_START_SQL, synchronousSql } from '../../connection/options.ts';
import { doubledMs } from '../../connection/retry.ts';
import {
  openSession,
  type Row,
  type Session,
  type SessionFacts,
} from '../../connection/session.ts';
import { EvdbError } from '../../errors.ts';
import type { LedgerKey } from '../ledger/ledger.ts';
import { fenceSql, isFenced, leaseLost } from '../ledger/lock.ts';

/**
 * The second session of a runner: it looks on from outside, and keeps the books of what runs outside
 * of any transaction. It idles while the first one works, so it is kept alive, and opened anew where
 * it is lost all the same.
 */
export interface Observer {
  /** Backends that it has had; the last one is the present one. */
  readonly pids: readonly number[];
  /** Asks something; where the session is being opened anew that waits for a moment only. */
  run(text: string): Promise<Row[]>;
  /**
   * Writes something that must be written, and goes on trying where the session is lost. Behind the
   * fence of the runner's lock, where it has one.
   *
   * @param isWritten a condition by which a new session finds out whether the lost one wrote it
   * @returns the rows of the writing; one empty row where the lost session had written it
   */
  record(sql: string, isWritten: string): Promise<Row[]>;
  /** Whose lock lets it write from now on. */
  fence(key: LedgerKey): void;
  close(): Promise<void>;
}

/** What stands between may end a connection that is silent for half a minute. */
const KEEP_ALIVE_MS = 10_000;
/** Past it the network has swallowed the question. */
const ANSWER_DEADLINE_MS = 15_000;
/** How long a question waits for a session that is being opened anew. */
const SHORT_PATIENCE_MS = 2_000;
/** How long the books do. The worker's session is sound meanwhile. */
const PATIENCE_MS = 60_000;
const PAUSES = { firstMs: 100, longestMs: 5_000 };

/** By what the first session said of itself: the server that both are known to be on. */
const knownServers = new WeakMap<SessionFacts, unknown>();

/**
 * Opens it, or where one stood beside the same kept session before, lets it be opened by who asks it
 * something: most members of a fleet never do.
 *
 * @param worker the first session, on the same server
 * @throws {EvdbError} TOO_MANY_CONNECTIONS where the server, the role or a pooler gives one only;
 *   else as `openSession`
 */
export async function openObserver(
  worker: Session,
  signal: AbortSignal | undefined,
): Promise<Observer> {
  const observer = new LastingSession(worker, signal);
  if (!knownServers.has(worker.facts)) await observer.start();
  return observer;
}

class LastingSession implements Observer {
  readonly pids: number[] = [];
  readonly #worker: Session;
  readonly #signal: AbortSignal | undefined;
  #session: Session | undefined;
  #opening: Promise<Session> | undefined;
  /** Why it could not be opened anew. */
  #failure: unknown;
  #key: LedgerKey | undefined;
  #isEnded = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(worker: Session, signal: AbortSignal | undefined) {
    this.#worker = worker;
    this.#signal = signal;
  }

  async start(): Promise<void> {
    const session = await openSession(this.#worker.options, { signal: this.#signal }).catch(
      (error: unknown) => {
        throw needsTwo(error);
      },
    );
    knownServers.set(this.#worker.facts, await prepare(session));
    this.#take(session);
  }

  #take(session: Session): void {
    this.#session = session;
    this.pids.push(session.facts.pid);
    this.#timer ??= setInterval(() => this.#keepAlive(), KEEP_ALIVE_MS).unref();
  }

  async run(text: string): Promise<Row[]> {
    return inTime(await this.#ensure(SHORT_PATIENCE_MS), text);
  }

  fence(key: LedgerKey): void {
    this.#key = key;
  }

  async record(sql: string, isWritten: string): Promise<Row[]> {
    const fence = this.#key ? fenceSql(this.#key) : '';
    const until = performance.now() + PATIENCE_MS;
    let mayBeWritten = false;
    for (;;) {
      const session = await this.#ensure(PATIENCE_MS);
      const wasWritten = async () => {
        if (!mayBeWritten) return false;
        const [row] = await inTime(session, `select ${isWritten} as "isWritten"`);
        return row?.isWritten === true;
      };
      try {
        if (await wasWritten()) return [{}];
        const rows = await inTime(session, `${fence}${sql}`);
        return rows.length === 0 && (await wasWritten()) ? [{}] : rows;
      } catch (error) {
        if (isConnectionLoss(error) && performance.now() < until) {
          mayBeWritten = true;
          continue;
        }
        // the lost session may have been at it still
        if (!session.isClosed) await session.run('rollback').catch(() => undefined);
        if (await wasWritten()) return [{}];
        throw this.#key && isFenced(error, this.#key) ? leaseLost() : error;
      }
    }
  }

  async close(): Promise<void> {
    this.#isEnded = true;
    clearInterval(this.#timer);
    await this.#opening?.catch(() => undefined);
    await this.#session?.close({ force: this.#signal?.aborted === true });
  }

  #keepAlive(): void {
    const session = this.#present();
    const isUp = session ? inTime(session, 'select 1') : this.#open();
    isUp.catch(() => undefined);
  }

  #present(): Session | undefined {
    return this.#session?.isClosed ? undefined : this.#session;
  }

  /** @throws what keeps it from being opened for so long */
  async #ensure(patienceMs: number): Promise<Session> {
    const until = performance.now() + (this.#signal?.aborted ? SHORT_PATIENCE_MS : patienceMs);
    for (let tries = 1; ; tries++) {
      const session = this.#present();
      if (session) return session;
      const leftMs = until - performance.now();
      if (this.#worker.isClosed || this.#isEnded || leftMs <= 0) throw cannotReopen(this.#failure);
      await within(leftMs, this.#open());
      if (!this.#present()) await sleep(Math.min(doubledMs(tries, PAUSES), leftMs));
    }
  }

  #open(): Promise<Session> {
    this.#opening ??= this.#connect().finally(() => {
      this.#opening = undefined;
    });
    return this.#opening;
  }

  async #connect(): Promise<Session> {
    try {
      const session = await openSession(this.#worker.options);
      const server = await prepare(session);
      if (server !== knownServers.get(this.#worker.facts)) {
        await session.close();
        throw otherServer();
      }
      this.#take(session);
      return session;
    } catch (error) {
      this.#failure = error;
      throw error;
    }
  }
}

/**
 * What it writes of a statement has to be on disk before that one begins. And what it still had to
 * write when its runner was killed must not wait for a lock, and arrive late.
 */
async function prepare({ facts, run }: Session): Promise<unknown> {
  const watch = facts.canCheckClient ? "set client_connection_check_interval = '2s';" : '';
  const [row] = await run(
    `${liftTimeLimitsSql(facts)} set statement_timeout = 0; ${watch} select ${synchronousSql(false)}, ${SERVER_START_SQL} as "server"`,
  );
  return row?.server;
}

/** Waits for work to end, however it does, and not for longer. */
async function within(ms: number, work: Promise<unknown>): Promise<void> {
  const stop = new AbortController();
  const late = sleep(ms, undefined, { signal: stop.signal }).catch(() => undefined);
  await Promise.race([work.catch(() => undefined), late]);
  stop.abort();
}

/** A connection that is half open never answers. */
async function inTime(session: Session, text: string): Promise<Row[]> {
  const giveUp = () => void session.close({ force: true, cancel: true });
  const timer = setTimeout(giveUp, ANSWER_DEADLINE_MS);
  try {
    return await session.run(text);
  } finally {
    clearTimeout(timer);
  }
}

function cannotReopen(cause: unknown): EvdbError {
  const reason = cause instanceof Error ? `: ${cause.message}` : '';
  return new EvdbError(
    'CONNECTION_LOST',
    `the second session, which keeps the journal, was lost and could not be opened again${reason}`,
    { hint: 'Run the command again: it continues from there.', cause },
  );
}

function otherServer(): EvdbError {
  return new EvdbError(
    'CONNECTION_LOST',
    'the address leads to another server than the one that the first session works on',
    { hint: 'Run the command again.' },
  );
}

/** One connection is there already, so what is missing is the second one. */
function needsTwo(error: unknown): unknown {
  const code = codeOf(error);
  if (!(error instanceof EvdbError)) return error;
  if (code !== 'TOO_MANY_CONNECTIONS' && code !== 'CONNECT_TIMEOUT') return error;
  return new EvdbError(
    'TOO_MANY_CONNECTIONS',
    `evdb needs two connections at a time, and got only one: ${error.message}`,
    {
      hint: 'Raise the connection limit of the role or the database, or the pool size of a pooler in between, to at least 2.',
      cause: error,
    },
  );
}
