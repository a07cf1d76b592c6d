import { AsyncLocalStorage } from 'node:async_hooks';
import { setMaxListeners } from 'node:events';
import { EvdbError } from '../errors.ts';
import type { Lender } from './connection-set.ts';
import { poolClosed } from './connector.ts';
import type { PoolMetricsRecorder, Tell } from './metrics.ts';
import type { PoolSettings } from './options.ts';
import type { Slot } from './pooled-connection.ts';

interface LendOptions {
  isTransaction: boolean;
  signal?: AbortSignal | undefined;
  /** How long the borrower may keep it, in ms. */
  timeoutMillis?: number | undefined;
}

interface BorrowingParts {
  settings: PoolSettings;
  lender: Lender;
  metrics: PoolMetricsRecorder;
  tell: Tell;
}

/** Lends connections for a statement or for a callback, and keeps account of who has them. */
export class Borrowing {
  readonly loans = createLoanBook();
  readonly #parts: BorrowingParts;
  #isClosed = false;

  constructor(parts: BorrowingParts) {
    this.#parts = parts;
  }

  /** Lends to nobody from now on. */
  stop(): void {
    this.#isClosed = true;
  }

  /**
   * @throws {EvdbError} ACQUIRE_TIMEOUT, POOL_CLOSED, and what lastingly keeps connections from
   *   being opened
   */
  acquire(signal?: AbortSignal): Slot | Promise<Slot> {
    if (this.#isClosed) throw poolClosed();
    signal?.throwIfAborted();
    // Many callers may share one, such as that of a request: Node would take that for a leak.
    if (signal) setMaxListeners(0, signal);
    const slot = this.#parts.lender.takeIdle();
    return slot ? this.#lent(slot, 0) : this.#wait(signal);
  }

  #wait(signal: AbortSignal | undefined): Promise<Slot> {
    const { lender, settings } = this.#parts;
    const startedAt = performance.now();
    const lent = lender.take({
      timeoutMillis: settings.acquireTimeoutMillis,
      signal,
      explainTimeout: this.#explainTimeout,
    });
    this.loans.noteWaiting(lent);
    return lent.then((slot) => this.#lent(slot, performance.now() - startedAt));
  }

  #lent(slot: Slot, waitMs: number): Slot {
    const { metrics, tell } = this.#parts;
    metrics.recordAcquire(waitMs);
    tell('acquire', () => ({ pid: slot.session.facts.pid, waitMs }));
    return slot;
  }

  release(slot: Slot, borrowedAt: number): void {
    const { lender, metrics, tell } = this.#parts;
    const useMs = performance.now() - borrowedAt;
    metrics.recordRelease(useMs);
    tell('release', () => ({ pid: slot.session.facts.pid, useMs }));
    lender.giveBack(slot);
  }

  /** Lends a connection for as long as a callback runs, or until it is no longer waited for. */
  async lend<T>(
    options: LendOptions,
    use: (slot: Slot, abandoned: Promise<never>) => Promise<T>,
  ): Promise<T> {
    const { isTransaction, signal, timeoutMillis = 0 } = options;
    const borrower = this.#parts.settings.leakThresholdMillis > 0 ? new Error() : undefined;
    const slot = await this.acquire(signal);
    const borrowedAt = performance.now();
    const end = abandonment(slot);
    const loan = this.loans.open({ slot, isTransaction, abandon: end.abandon });
    const leakTimer = borrower && this.#watchLeak(slot, borrowedAt, borrower);
    const timer =
      timeoutMillis > 0
        ? setTimeout(() => end.abandon(tookTooLong(timeoutMillis)), timeoutMillis)
        : undefined;
    const abort = () => end.abandon(signal?.reason);
    signal?.addEventListener('abort', abort, { once: true });
    try {
      return await this.loans.runAs(loan, () => use(slot, end.promise));
    } finally {
      signal?.removeEventListener('abort', abort);
      clearTimeout(timer);
      clearTimeout(leakTimer);
      this.loans.close(loan);
      this.release(slot, borrowedAt);
    }
  }

  #watchLeak(slot: Slot, borrowedAt: number, borrower: Error): NodeJS.Timeout {
    const { settings, metrics, tell } = this.#parts;
    const timer = setTimeout(() => {
      metrics.recordLeak();
      tell('leak', () => ({
        pid: slot.session.facts.pid,
        heldMs: performance.now() - borrowedAt,
        stack: (borrower.stack ?? '').replace(/^.*\n/, ''),
      }));
    }, settings.leakThresholdMillis);
    return timer.unref();
  }

  readonly #explainTimeout = (): EvdbError => {
    const { lender, metrics, settings } = this.#parts;
    metrics.recordTimeout();
    const { total, pending } = lender.counts;
    const { lastError } = lender.connector;
    const waiting = this.loans.waitingHolders;
    const reason = lastError
      ? `: the last attempt to connect failed: ${lastError.message}`
      : `: ${total} of ${settings.max} are in use, ${pending} callers wait`;
    const nested = waiting > 0 ? `, ${waiting} of which hold a connection already` : '';
    return new EvdbError(
      'ACQUIRE_TIMEOUT',
      `no connection was free within ${settings.acquireTimeoutMillis} ms${reason}${nested}`,
      {
        hint: nested
          ? 'Do not ask the pool for a connection while holding one: use the one you hold.'
          : 'Look for statements and transactions that take long, raise max, or wait longer with acquireTimeoutMillis.',
        cause: lastError,
        details: { ...lender.counts, max: settings.max, waitingHolders: waiting },
      },
    );
  };
}

/** A promise that rejects when a borrower is no longer waited for. */
function abandonment(slot: Slot) {
  let abandon = (_error: unknown): void => undefined;
  const promise = new Promise<never>((_, reject) => {
    abandon = (error) => {
      reject(error);
      slot.destroy(error instanceof EvdbError ? error : undefined);
    };
  });
  // Where nobody races against it any more, nobody need hear of it.
  promise.catch(() => undefined);
  return { promise, abandon: (error: unknown) => abandon(error) };
}

function tookTooLong(timeoutMillis: number): EvdbError {
  return new EvdbError(
    'TRANSACTION_TIMEOUT',
    `the transaction was not done after ${timeoutMillis} ms and was rolled back`,
    { hint: 'Do less in one transaction, or raise timeoutMillis.' },
  );
}

/** A connection in somebody's hands for longer than one statement. */
interface Loan {
  readonly slot: Slot;
  readonly isTransaction: boolean;
  /** Lets go of its holder with an error; the connection is closed. */
  readonly abandon: (error: unknown) => void;
  isOver: boolean;
  /** How many further connections of the same pool its holder waits for. */
  waiting: number;
}

/** Knows which loans are out, and which of them the running code holds. */
interface LoanBook {
  open(loan: Pick<Loan, 'slot' | 'isTransaction' | 'abandon'>): Loan;
  close(loan: Loan): void;
  /** Runs code as the holder of a loan, along with everything that the code starts. */
  runAs<T>(loan: Loan, work: () => T): T;
  /** @throws {EvdbError} POOL_NESTED where the running code is inside its own transaction */
  refuseInTransaction(): void;
  /** Notes that the running code, where it holds a connection, waits for another one. */
  noteWaiting(lent: Promise<unknown>): void;
  /** Lets go of all holders. */
  abandonAll(makeError: () => EvdbError): void;
  /** Those who hold a connection and wait for another one. */
  readonly waitingHolders: number;
}

/** Makes the book of one pool. */
function createLoanBook(): LoanBook {
  const loans: Loan[] = [];
  const holder = new AsyncLocalStorage<Loan | undefined>();
  const held = (): Loan | undefined => {
    const loan = holder.getStore();
    return loan?.isOver === false ? loan : undefined;
  };
  return {
    open: (given) => {
      const loan = { ...given, isOver: false, waiting: 0 };
      loans.push(loan);
      return loan;
    },
    close: (loan) => {
      loan.isOver = true;
      loans.splice(loans.indexOf(loan), 1);
    },
    runAs: (loan, work) => holder.run(loan, work),
    refuseInTransaction: () => {
      if (held()?.isTransaction) throw insideTransaction();
    },
    noteWaiting: (lent) => {
      const loan = held();
      if (!loan) return;
      loan.waiting += 1;
      const done = () => {
        loan.waiting -= 1;
      };
      lent.then(done, done);
    },
    abandonAll: (makeError) => {
      for (const loan of [...loans]) loan.abandon(makeError());
    },
    get waitingHolders() {
      return [...loans].filter((loan) => loan.waiting > 0).length;
    },
  };
}

function insideTransaction(): EvdbError {
  return new EvdbError(
    'POOL_NESTED',
    'pool.query was called inside a transaction of the same pool, and would run outside of it',
    {
      hint: 'Use the transaction that the callback is given. What is meant to stay even if the transaction is rolled back goes through pool.withConnection.',
    },
  );
}
