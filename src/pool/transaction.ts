import { isConnectionLoss } from '../connection/connection-error.ts';
import { EvdbError } from '../errors.ts';
import { quoteLiteral } from '../sql/quote.ts';
import { type PoolConnection, type QueryResult, returned, withTemplate } from './handle.ts';
import { describeGiven, type PoolSettings, refuseUnknown } from './options.ts';
import type { PooledConnection } from './pooled-connection.ts';
import type { PoolStatement, StatementRunner } from './statement-runner.ts';

/** What the callback of `withTransaction` works with. */
export interface Transaction extends PoolConnection {
  /**
   * Runs work that may fail separately: what it did is rolled back, the rest of the transaction
   * remains. One at a time; they can be nested.
   */
  savepoint<T>(work: (transaction: Transaction) => Promise<T>): Promise<T>;
}

interface TransactionRun<T> {
  connection: PooledConnection;
  begin: Begin;
  work: (transaction: Transaction) => Promise<T>;
  runner: StatementRunner;
  /** Rejects when the callback is not waited for any longer; the connection is closed by then. */
  abandoned: Promise<never>;
}

/**
 * Runs a callback between `begin` and `commit` on a connection of the caller's.
 *
 * @throws what the callback throws; {EvdbError} TRANSACTION_ROLLED_BACK where a statement had failed
 *   and nobody said so, OUTCOME_UNKNOWN where the connection broke during commit
 */
export async function runTransaction<T>({
  connection,
  begin,
  work,
  runner,
  abandoned,
}: TransactionRun<T>): Promise<T> {
  const scope = new TransactionScope(connection, runner);
  const runWork = async () => {
    const value = await work(scope.transaction);
    await scope.settle();
    return value;
  };
  try {
    const begun = connection.run(begin(connection.session.facts.isPooled));
    await Promise.race([begun, abandoned]);
    const value = await Promise.race([runWork(), abandoned]);
    scope.close();
    if (scope.refusal) throw rolledBack(scope.refusal);
    await commit(connection, scope.failure);
    return value;
  } catch (error) {
    scope.close();
    if (!connection.isDead) await rollBack(connection);
    throw error;
  }
}

async function commit(connection: PooledConnection, failure: unknown): Promise<void> {
  // Without having been told to commit, the server has rolled back.
  if (connection.isDead) throw failure ?? lostBeforeCommit();
  let tag: string;
  try {
    tag = await connection.run('commit');
  } catch (error) {
    if (isConnectionLoss(error) || connection.isDead) throw outcomeUnknown(error);
    throw error;
  }
  if (tag !== 'COMMIT') throw rolledBack(failure);
}

function rolledBack(cause: unknown): EvdbError {
  return new EvdbError(
    'TRANSACTION_ROLLED_BACK',
    'the transaction was rolled back because one of its statements had failed',
    {
      hint: 'Let the error of a statement leave the callback, or run the statement in a savepoint.',
      cause,
    },
  );
}

async function rollBack(connection: PooledConnection): Promise<void> {
  try {
    await connection.run('rollback');
  } catch {
    connection.destroy();
  }
}

/** What a callback was given: the transaction, or one of its savepoints. */
interface Level {
  readonly outer: Level | undefined;
  isOver: boolean;
  /** The one that is open inside. */
  savepoint: Promise<unknown> | undefined;
}

function isOver({ isOver: isEnded, outer }: Level): boolean {
  return isEnded || (outer !== undefined && isOver(outer));
}

/** Keeps account of what runs in one transaction, and ends its use when it is over. */
class TransactionScope {
  readonly #connection: PooledConnection;
  readonly #runner: StatementRunner;
  readonly #pending = new Set<Promise<unknown>>();
  readonly #level: Level = { outer: undefined, isOver: false, savepoint: undefined };
  #depth = 0;
  /** What failed first and was not rolled back to a savepoint. */
  failure: unknown;
  /** Why a statement was not even sent. */
  refusal: EvdbError | undefined;

  constructor(connection: PooledConnection, runner: StatementRunner) {
    this.#connection = connection;
    this.#runner = runner;
  }

  get transaction(): Transaction {
    return this.#makeTransaction(this.#level);
  }

  /** A handle for a callback, of use until its level is over. */
  #makeTransaction(level: Level): Transaction {
    return {
      ...withTemplate((text, params) => {
        if (isOver(level)) return Promise.reject(returned('transaction'));
        // It would be rolled back with the savepoint, although its sender was told that it is done.
        if (level.savepoint) return this.#refuse(besideSavepoint());
        return this.#query(text, params);
      }),
      savepoint: (work) => {
        if (isOver(level)) return Promise.reject(returned('transaction'));
        if (level.savepoint) return Promise.reject(besideSavepoint());
        const savepoint = this.#runSavepoint(work, level);
        level.savepoint = savepoint;
        return savepoint;
      },
    };
  }

  /** Nobody may await the statement: without it the transaction must not be committed. */
  #refuse(error: EvdbError): Promise<never> {
    this.refusal ??= error;
    const refused = Promise.reject(error);
    refused.catch(() => undefined);
    return refused;
  }

  /**
   * Waits for what the callback did not await. Of a savepoint that fails then nobody has heard: so its
   * failure is that of what it is part of.
   */
  async settle(level = this.#level): Promise<void> {
    do {
      await level.savepoint?.catch((error) => {
        throw rolledBack(error);
      });
      await this.#settleStatements();
    } while (level.savepoint);
  }

  async #settleStatements(): Promise<void> {
    while (this.#pending.size > 0) await Promise.allSettled(this.#pending);
  }

  close(level = this.#level): void {
    level.isOver = true;
    // What it was part of has failed, and its caller heard of that.
    level.savepoint?.catch(() => undefined);
  }

  #query<T>(text: string, params: readonly unknown[] = []): Promise<QueryResult<T>> {
    let statement: PoolStatement;
    try {
      statement = this.#runner.parse(text, params);
    } catch (error) {
      this.failure ??= error;
      const failed = Promise.reject(error);
      failed.catch(() => undefined);
      return failed;
    }
    const answer: Promise<QueryResult<T>> = this.#run(statement, () => answer);
    this.#pending.add(answer);
    return answer;
  }

  async #run<T>(statement: PoolStatement, answer: () => Promise<unknown>): Promise<QueryResult<T>> {
    try {
      return await this.#runner.run<T>(this.#connection, statement);
    } catch (error) {
      // Nobody need await a statement: its failure makes the transaction fail. Said any earlier, it
      // would take the frames of who awaits the answer out of the stack of its error.
      answer().catch(() => undefined);
      this.failure ??= error;
      throw error;
    } finally {
      this.#pending.delete(answer());
    }
  }

  async #runSavepoint<T>(work: (inner: Transaction) => Promise<T>, outer: Level): Promise<T> {
    const failedBefore = this.failure;
    this.#depth += 1;
    const name = `evdb_${this.#depth}`;
    const level: Level = { outer, isOver: false, savepoint: undefined };
    try {
      await this.#connection.run(`savepoint ${name}`);
      const value = await work(this.#makeTransaction(level));
      await this.settle(level);
      if (this.failure !== failedBefore) throw rolledBack(this.failure);
      if (isOver(level)) throw returned('transaction');
      level.isOver = true;
      await this.#connection.run(`release savepoint ${name}`);
      return value;
    } catch (error) {
      this.close(level);
      await this.#settleStatements();
      if (!isOver(outer) && !this.#connection.isDead) {
        await this.#connection.run(`rollback to savepoint ${name}; release savepoint ${name}`);
        this.failure = failedBefore;
      }
      throw error;
    } finally {
      this.#depth -= 1;
      outer.savepoint = undefined;
    }
  }
}

function besideSavepoint(): EvdbError {
  return new EvdbError('TRANSACTION_CONTROL', 'a savepoint of this transaction is still open', {
    hint: 'Use the transaction that the callback of the savepoint is given, or await the savepoint.',
  });
}

function lostBeforeCommit(): EvdbError {
  return new EvdbError(
    'CONNECTION_LOST',
    'the connection was lost before the commit: the transaction was rolled back',
    { hint: 'Run it again.' },
  );
}

function outcomeUnknown(cause: unknown): EvdbError {
  return new EvdbError(
    'OUTCOME_UNKNOWN',
    'the connection was lost during commit: the transaction is either committed whole or not at all',
    { hint: 'Read what it would have written before doing it again.', cause },
  );
}

/** The isolation of a transaction, in the words of PostgreSQL. */
export type IsolationLevel = 'read committed' | 'repeatable read' | 'serializable';

/** How a transaction runs. Times are in ms. */
export interface TransactionOptions {
  /** Default: the database's setting, usually `read committed`. */
  isolation?: IsolationLevel | undefined;
  /** Default: the database's setting, usually false. */
  readOnly?: boolean | undefined;
  /** With `serializable` and `readOnly`: waits for a snapshot that cannot fail. Default false. */
  deferrable?: boolean | undefined;
  /** How often it is retried after a deadlock or a serialization failure; default 3. */
  retries?: number | undefined;
  /** The actor, for the audit log of the event schema. */
  actor?: string | undefined;
  /** After this time it is rolled back, whatever the callback does; in ms, default none. */
  timeoutMillis?: number | undefined;
  /** How long each statement may run instead of the pool's limit, in ms; 0 for no limit. */
  statementTimeoutMillis?: number | undefined;
  /** Rolls back and throws the signal's reason. */
  signal?: AbortSignal | undefined;
}

const OPTIONS = [
  ...['isolation', 'readOnly', 'deferrable', 'retries', 'actor', 'timeoutMillis'],
  ...['statementTimeoutMillis', 'signal'],
];

const ISOLATIONS: readonly unknown[] = ['read committed', 'repeatable read', 'serializable'];

/** The message that opens a transaction, which depends on whether a pooler stands between. */
type Begin = (isPooled: boolean) => string;

/**
 * @throws {EvdbError} USAGE for options that do not fit: they become part of a statement
 */
export function planBegin(options: TransactionOptions, settings: PoolSettings): Begin {
  refuseUnknown(options, OPTIONS, { what: "the transaction's option", code: 'USAGE' });
  const isolation = options.isolation ?? undefined;
  const readOnly = options.readOnly ?? undefined;
  const actor = options.actor ?? undefined;
  const retries = options.retries ?? 0;
  if (isolation !== undefined && !ISOLATIONS.includes(isolation)) {
    throw badOption('isolation', isolation, `Use one of: ${ISOLATIONS.join(', ')}.`);
  }
  if (!Number.isInteger(retries) || retries < 0) {
    throw badOption('retries', retries, 'Use a whole number, 0 for none.');
  }
  requireTime('timeoutMillis', options.timeoutMillis);
  requireTime('statementTimeoutMillis', options.statementTimeoutMillis);
  const modes = [
    isolation && `isolation level ${isolation}`,
    readOnly !== undefined && (readOnly ? 'read only' : 'read write'),
    options.deferrable && 'deferrable',
  ];
  const begin = `begin ${modes.filter(Boolean).join(', ')}`;
  const { idleInTransactionTimeoutMillis: idle } = settings;
  const asked = options.statementTimeoutMillis ?? undefined;
  const statement = asked ?? settings.statementTimeoutMillis;
  const setStatement =
    (statement > 0 || asked !== undefined) &&
    `set local statement_timeout = ${Math.ceil(statement)}`;
  const limits = [
    setStatement,
    idle > 0 && `set local idle_in_transaction_session_timeout = ${Math.ceil(idle)}`,
  ];
  const setActor =
    actor !== undefined &&
    `select pg_catalog.set_config('evdb.actor', ${quoteLiteral(String(actor))}, true)`;
  // Behind a pooler the limits cannot be the session's: the next one gets it would have them too.
  const own = asked === undefined ? [] : [setStatement];
  return (isPooled) => [begin, ...(isPooled ? limits : own), setActor].filter(Boolean).join('; ');
}

/** @throws {EvdbError} USAGE for what is no time */
export function requireTime(name: string, value: unknown): void {
  if (value === undefined || value === null) return;
  if (typeof value === 'number' && value >= 0 && value < 2 ** 31) return;
  throw badOption(name, value, 'Use a number of milliseconds, 0 for none.');
}

function badOption(name: string, value: unknown, hint: string): EvdbError {
  return new EvdbError('USAGE', `the option ${name} is ${describeGiven(value)}`, { hint });
}
