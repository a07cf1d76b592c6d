import { EventEmitter } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  TRANSACTION_CONFLICTS,
  transactionConflict,
  withConflictRetries,
} from '../connection/retry.ts';
import { timerMs } from '../text/units.ts';
import { Checkouts } from './checkout.ts';
import { ConnectionSet } from './connection-set.ts';
import { connectionSource } from './connection-source.ts';
import { poolClosed } from './connector.ts';
import {
  type PoolConnection,
  type Queryable,
  type QueryResult,
  type ResultRow,
  returned,
  withTemplate,
} from './handle.ts';
import { type PoolHealth, probeHealth, startHealthChecks } from './health.ts';
import {
  createPoolMetrics,
  type PoolEvents,
  type PoolMetrics,
  reportTo,
  type Tell,
} from './metrics.ts';
import {
  type PoolOptions,
  type PoolSettings,
  refuseUnknown,
  resolvePoolSettings,
} from './options.ts';
import type { PooledConnection } from './pooled-connection.ts';
import { cancellable, createStatementRunner, type StatementRunner } from './statement-runner.ts';
import {
  planBegin,
  requireTime,
  runTransaction,
  type Transaction,
  type TransactionOptions,
} from './transaction.ts';

/** Options of one statement, or one callback. */
export interface QueryOptions {
  /** Cancels the statement, or ends the waiting for a connection; default: nothing does. */
  signal?: AbortSignal | undefined;
  /** How long a statement may run instead of the pool's limit, in ms; 0 for no limit. */
  statementTimeoutMillis?: number | undefined;
  /** Called just before the statement is sent; default none. */
  onSend?: (() => void) | undefined;
}

const CONNECTION_OPTIONS = ['signal', 'statementTimeoutMillis'];
const QUERY_OPTIONS = [...CONNECTION_OPTIONS, 'onSend'];
const NONE: QueryOptions = {};

function checkOptions(options: QueryOptions | undefined, known: readonly string[]): QueryOptions {
  if (options === undefined || options === null) return NONE;
  refuseUnknown(options, known, { what: "the call's option", code: 'USAGE' });
  requireTime('statementTimeoutMillis', options.statementTimeoutMillis);
  return options;
}

const DEFAULT_RETRIES = 3;
/** A transaction of an application is short: whoever was in the way is soon done. */
const TRANSACTION_BACK_OFF = { firstMs: 15, longestMs: 3_000 };
const DEFAULT_CLOSE_MILLIS = 10_000;

/**
 * A pool of connections for applications. It opens no connection before the first use, survives the
 * loss of any, and never gives out one that is inside a transaction.
 *
 * @throws {EvdbError} CONFIG_INVALID for options that cannot be used
 * @example
 * const pool = new DatabasePool({ connectionString: process.env.DATABASE_URL, max: 10 });
 * const { rows } = await pool.query('select * from events where id = $1', [1]);
 * await pool.withTransaction(async (tx) => {
 *   await tx.query('update users set name = $1 where id = $2', ['Ann', 7]);
 * });
 * await pool.close();
 */
export class DatabasePool extends EventEmitter<PoolEvents> implements Queryable {
  readonly #settings: PoolSettings;
  readonly #connections: ConnectionSet;
  readonly #checkouts: Checkouts;
  readonly #runner: StatementRunner;
  readonly #metrics;
  readonly #stopTimers: () => void;
  readonly #ending = new AbortController();
  #closing: Promise<void> | undefined;

  constructor(options: PoolOptions = {}) {
    super({ captureRejections: true });
    this.#settings = resolvePoolSettings(options);
    const settings = this.#settings;
    const metrics = createPoolMetrics({ poolName: settings.name });
    const tell: Tell = (name, make) => this.#tell(name, make);
    this.#metrics = metrics;
    this.#connections = new ConnectionSet({
      settings,
      resolveConnection: connectionSource(options),
      reports: reportTo(metrics, tell),
    });
    this.#checkouts = new Checkouts({ settings, connections: this.#connections, metrics, tell });
    this.#runner = createStatementRunner({ settings, metrics, tell });
    this.#stopTimers = this.#startTimers();
  }

  /**
   * Runs one statement on any free connection.
   *
   * @param params values for `$1` and so on
   * @param options.signal removes the caller from the wait queue, or cancels the statement
   * @param options.statementTimeoutMillis how long this one may run, 0 for no limit
   * @param options.onSend called when a connection was found, just before the statement is sent
   * @throws {QueryError} the server's error; {EvdbError} ACQUIRE_TIMEOUT, CONNECTION_LOST,
   *   STATEMENT_TIMEOUT, TRANSACTION_CONTROL, POOL_NESTED inside a transaction's callback,
   *   POOL_CLOSED
   */
  async query<T = ResultRow>(
    text: string,
    params: readonly unknown[] = [],
    options?: QueryOptions,
  ): Promise<QueryResult<T>> {
    const { signal, statementTimeoutMillis, onSend } = checkOptions(options, QUERY_OPTIONS);
    const statement = this.#runner.parse(text, params);
    this.#checkouts.held.refuseInTransaction();
    const askedAt = performance.now();
    const taken = this.#checkouts.acquire(signal);
    const hasWaited = taken instanceof Promise;
    const connection = hasWaited ? await taken : taken;
    const checkedOutAt = this.#checkouts.begin(connection, hasWaited ? askedAt : undefined);
    try {
      if (statementTimeoutMillis !== undefined) {
        const limited = connection.limitStatements(statementTimeoutMillis, false);
        await (signal ? cancellable(connection, signal, limited) : limited);
      }
      signal?.throwIfAborted();
      onSend?.();
      return await this.#runner.run<T>(connection, statement, signal);
    } finally {
      this.#checkouts.release(connection, checkedOutAt);
    }
  }

  /**
   * Runs a tagged template, whose values become parameters, and resolves to the rows.
   *
   * @example const [user] = await pool.sql<User>`select * from users where id = ${id}`;
   */
  sql<T = ResultRow>(strings: TemplateStringsArray, ...values: unknown[]): Promise<T[]> {
    const query: Queryable['query'] = (text, params) => this.query(text, params);
    return withTemplate(query).sql<T>(strings, ...values);
  }

  /**
   * Gives the callback one connection for as long as it runs: for settings, advisory locks and
   * temporary tables, all of which are reset afterwards.
   */
  withConnection<T>(
    work: (connection: PoolConnection) => Promise<T>,
    options?: Omit<QueryOptions, 'onSend'>,
  ): Promise<T> {
    const { signal, statementTimeoutMillis } = checkOptions(options, CONNECTION_OPTIONS);
    return this.#checkouts.withConnection(
      { isTransaction: false, signal },
      async (connection, abandoned) => {
        let isOver = false;
        connection.needsReset = true;
        if (statementTimeoutMillis !== undefined) {
          const limited = connection.limitStatements(statementTimeoutMillis, false);
          await Promise.race([limited, abandoned]);
        }
        const query: Queryable['query'] = async <R = ResultRow>(
          text: string,
          params: readonly unknown[] = [],
        ) => {
          if (isOver) throw returned('connection');
          return this.#runner.run<R>(connection, this.#runner.parseAny(text, params));
        };
        try {
          return await Promise.race([work(withTemplate(query)), abandoned]);
        } finally {
          isOver = true;
        }
      },
    );
  }

  /**
   * Runs a callback between `begin` and `commit`. It is called again, in a new transaction, after a
   * deadlock or a serialization failure: what it does outside the database may happen twice.
   *
   * @throws what the callback throws, after a rollback; {EvdbError} TRANSACTION_ROLLED_BACK,
   *   TRANSACTION_TIMEOUT, OUTCOME_UNKNOWN if the connection broke during commit
   * @example
   * await pool.withTransaction(async (tx) => { … }, { isolation: 'serializable', actor: 'ann' });
   */
  async withTransaction<T>(
    work: (transaction: Transaction) => Promise<T>,
    options: TransactionOptions = {},
  ): Promise<T> {
    const begin = planBegin(options, this.#settings);
    const { signal, timeoutMillis, statementTimeoutMillis } = options;
    let prepares = true;
    const attempt = () =>
      this.#checkouts.withConnection(
        { isTransaction: true, signal, timeoutMillis },
        async (connection, abandoned) => {
          if (!prepares) connection.prepareNothing();
          if (typeof statementTimeoutMillis === 'number') {
            await connection.limitStatements(statementTimeoutMillis, true);
          }
          return runTransaction({ connection, begin, work, runner: this.#runner, abandoned });
        },
      );
    return withConflictRetries(attempt, {
      attempts: 1 + (options.retries ?? DEFAULT_RETRIES),
      isWorthARetry: (error) => transactionConflict(error) !== undefined,
      backOff: TRANSACTION_BACK_OFF,
      onRetry: ({ cause }) => {
        const state = transactionConflict(cause) ?? '';
        this.#metrics.recordRetry(state);
        // What was prepared no longer fits, and would not again where the callback itself is why.
        if (!TRANSACTION_CONFLICTS.includes(state)) prepares = false;
      },
      signal,
    });
  }

  /**
   * Connects, at once and not in the background as `query` does, and opens `min` connections.
   *
   * @throws {EvdbError} why it cannot connect, as `openSession`
   */
  async warm(): Promise<void> {
    if (this.#closing) throw poolClosed();
    await this.#connections.warm();
  }

  /** Tests a connection and returns the state of the pool; never throws. */
  health(): Promise<PoolHealth> {
    return probeHealth(this.#connections, this.#ending.signal);
  }

  /** Whether the database answers. */
  async testConnection(): Promise<boolean> {
    return (await this.health()).latencyMs !== null;
  }

  /** What happened so far; `renderPrometheus` converts it to text. */
  metrics(): PoolMetrics {
    const { max, min } = this.#settings;
    return this.#metrics.snapshot({ ...this.#connections.counts, max, min });
  }

  /** The same as `metrics`. */
  getMetrics(): PoolMetrics {
    return this.metrics();
  }

  /**
   * Gives out no more connections, waits for those in use and for callers that already wait, and
   * closes everything. At the deadline it cancels what still runs. Calling it again does no harm.
   *
   * @param options.timeoutMillis default 10,000
   */
  close({ timeoutMillis = DEFAULT_CLOSE_MILLIS } = {}): Promise<void> {
    this.#closing ??= this.#close(timeoutMillis);
    return this.#closing;
  }

  async #close(timeoutMillis: number): Promise<void> {
    this.#stopTimers();
    this.#checkouts.stop();
    this.#ending.abort(poolClosed());
    const drained = this.#connections.drained();
    this.#connections.stop();
    const controller = new AbortController();
    const limitMillis = timerMs(Math.max(timeoutMillis || 0, 0));
    const deadline = sleep(limitMillis, undefined, { signal: controller.signal });
    await Promise.race([drained, deadline.catch(() => undefined)]);
    controller.abort();
    this.#checkouts.held.abandonAll(poolClosed);
    await this.#connections.end(poolClosed);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #startTimers(): () => void {
    const stopReaper = startReaper(this.#connections, this.#settings);
    const { healthCheckIntervalMillis } = this.#settings;
    const stopChecks = startHealthChecks(healthCheckIntervalMillis, async () => {
      const health = await this.health();
      this.#tell('health', () => health);
    });
    return () => {
      stopReaper();
      stopChecks();
    };
  }

  /** A listener that throws must not break what it listens to. */
  #tell<K extends keyof PoolEvents>(name: K, make: () => PoolEvents[K][0]): void {
    if (this.listenerCount(name) === 0) return;
    try {
      (this as EventEmitter).emit(name, make());
    } catch (error) {
      warnOfListener(name, error);
    }
  }

  /** The same for one that is asynchronous. */
  [Symbol.for('nodejs.rejection')](error: Error, name: string): void {
    warnOfListener(name, error);
  }
}

function warnOfListener(name: string, error: unknown): void {
  process.emitWarning(`a listener of the pool's event ${name} failed: ${String(error)}`);
}

const TICK_MILLIS = 1_000;
const PING_MILLIS = 5_000;

/**
 * Looks after the connections: ends those whose server does not answer, closes what idled too long
 * or is too old, uses the others now and then, and opens what is missing for `min`. Does not keep
 * the process alive.
 *
 * @returns ends it
 */
function startReaper(connections: ConnectionSet, settings: PoolSettings): () => void {
  const smallest = Math.min(
    ...[settings.idleTimeoutMillis, settings.keepaliveIntervalMillis].filter((time) => time > 0),
    TICK_MILLIS,
  );
  const timer = setInterval(() => reap(connections, settings), Math.max(smallest, 10));
  timer.unref();
  return () => clearInterval(timer);
}

function reap(connections: ConnectionSet, settings: PoolSettings): void {
  const { idleTimeoutMillis, keepaliveIntervalMillis, min } = settings;
  const now = performance.now();
  for (const connection of connections.open) connection.checkDeadline(now);
  // The least used come first: those are the ones that can go.
  for (const connection of [...connections.idle]) {
    if (now >= connection.expiresAt) {
      connections.retire(connection, 'lifetime');
    } else if (
      idleTimeoutMillis > 0 &&
      now - connection.idleSince >= idleTimeoutMillis &&
      connections.counts.total > min
    ) {
      connections.retire(connection, 'idle');
    } else if (
      keepaliveIntervalMillis > 0 &&
      now - connection.provenAt >= keepaliveIntervalMillis
    ) {
      if (connections.withdraw(connection)) void ping(connections, connection);
    }
  }
  connections.fill();
}

async function ping(connections: ConnectionSet, connection: PooledConnection): Promise<void> {
  try {
    await connection.probe(PING_MILLIS);
    connections.restore(connection);
  } catch {
    connections.discard(connection, 'validation');
  }
}
