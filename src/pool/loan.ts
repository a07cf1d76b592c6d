import { AsyncLocalStorage } from 'node:async_hooks';
import { EvdbError } from '../errors.ts';
import type { Slot } from './slot.ts';

/** A connection in somebody's hands for longer than one statement. */
export interface Loan {
  readonly slot: Slot;
  readonly isTransaction: boolean;
  /** Lets go of its holder with an error; the connection is closed. */
  readonly abandon: (error: unknown) => void;
  isOver: boolean;
  /** How many further connections of the same pool its holder waits for. */
  waiting: number;
}

/** Knows which loans are out, and which of them the running code holds. */
export interface LoanBook {
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
export function createLoanBook(): LoanBook {
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
