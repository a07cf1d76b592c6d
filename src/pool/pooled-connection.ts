import {
  codeOf,
  isConnectionLoss,
  queryError,
  reasonOfLoss,
} from '../connection/connection-error.ts';
import type { StatementAnswer, StatementSession } from '../connection/statement-session.ts';
import { EvdbError } from '../errors.ts';
import { quoteLiteral } from '../sql/quote.ts';
import { controlledByHand } from './handle.ts';
import type { PoolSettings } from './options.ts';
import { CONTROL_TAGS, isKeepable, type StatementFacts, TRACELESS } from './statement-cache.ts';
import type { PoolStatement } from './statement-runner.ts';

/** How long the server gets to end a statement by itself before the connection is given up. */
const GRACE_MILLIS = 5_000;

/** Tags of what a caller prepares by hand: a statement, or a transaction. */
const PREPARES_BY_HAND = /^PREPARE/;

/** The SQLSTATE for a write where nothing may be written. */
const READ_ONLY = '25006';

/** The SQLSTATE for what the server ends because of a time limit, or because somebody asks it to. */
const QUERY_CANCELED = '57014';

/**
 * Resets what a caller may have left. Not `discard all`, which would forget the statements
 * that the driver believes prepared.
 */
const RESET =
  'reset session authorization; reset role; reset all; close all; unlisten *; select pg_catalog.pg_advisory_unlock_all(); discard sequences; discard temp';

/**
 * What the session began with. A pooler sets that on a session of the server which began with nothing,
 * and that is what `reset all` goes back to.
 */
function beginAgain(applicationName: string): string {
  return `; set client_encoding = 'UTF8'; set datestyle = 'ISO'; set application_name = ${quoteLiteral(applicationName)}`;
}

export interface PooledConnectionOptions {
  settings: PoolSettings;
  /** When it is to be replaced; in ms of `performance.now()`, like all times here. */
  expiresAt: number;
  /** Whether its statements may be prepared. */
  prepares: boolean;
}

/** Is told of each statement that came to its end: true, or the SQLSTATE or code of its failure. */
export type StatementReport = (
  connection: PooledConnection,
  statement: PoolStatement,
  durationMs: number,
  outcome: true | string,
) => void;

/** One connection of the pool and what is known about it. */
export class PooledConnection {
  readonly session: StatementSession;
  expiresAt: number;
  /** Whether the connection is gone. */
  isDead: boolean;
  /** When a caller gave it back. */
  idleSince = performance.now();
  /** When the server answered last, also to the pool itself. */
  provenAt = performance.now();
  /** Whether something may have changed the session. */
  needsReset = false;
  /** How long a statement may run; the server gets a little longer to say so. */
  #limitMillis: number;
  readonly #usualLimitMillis: number;
  readonly #allowsExit: boolean;
  #isUnwatched = false;
  #prepares: boolean;
  readonly #usuallyPrepares: boolean;
  #running = 0;
  /** When the server must have answered; one timer for all, the reaper's, is cheaper than one each. */
  #deadlineAt = Number.POSITIVE_INFINITY;
  #endedBy: EvdbError | undefined;

  constructor(
    session: StatementSession,
    { settings, expiresAt, prepares }: PooledConnectionOptions,
  ) {
    this.session = session;
    this.isDead = session.isClosed;
    this.expiresAt = expiresAt;
    this.#prepares = prepares;
    this.#usuallyPrepares = prepares;
    this.#usualLimitMillis = settings.statementTimeoutMillis || Number.POSITIVE_INFINITY;
    this.#limitMillis = this.#usualLimitMillis;
    this.#allowsExit = settings.allowExitOnIdle;
  }

  async query(statement: PoolStatement, report: StatementReport): Promise<StatementAnswer> {
    const { text, values, facts } = statement;
    const prepare = this.#prepares && shouldPrepare(text, facts);
    // It may leave them even where it fails: an advisory lock survives a rollback.
    if (facts.leavesTraces) this.needsReset = true;
    const startedAt = this.#begin();
    let outcome: true | string = true;
    try {
      const answer = await this.session.channel.query(text, values, prepare, facts);
      this.provenAt = performance.now();
      if (!TRACELESS.has(answer.command)) this.#noteTrace(answer.command, facts);
      return answer;
    } catch (error) {
      const explained = this.#explain(error, startedAt);
      outcome = sqlstateOf(explained);
      throw explained;
    } finally {
      const now = performance.now();
      this.#end(now);
      report(this, statement, now - startedAt, outcome);
    }
  }

  /** Runs text without parameters, several statements at will, and returns the last one's tag. */
  async run(text: string): Promise<string> {
    const startedAt = this.#begin();
    try {
      const tag = await this.session.channel.run(text);
      this.provenAt = performance.now();
      return tag;
    } catch (error) {
      throw this.#explain(error, startedAt);
    } finally {
      this.#end(performance.now());
    }
  }

  /** Whether the server answers at all; a connection that gives no answer is closed. */
  async probe(limitMillis: number): Promise<void> {
    const timer = setTimeout(() => {
      this.#endedBy ??= noAnswer();
      void this.session.close({ force: true });
    }, limitMillis);
    try {
      await this.run('select 1');
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * Lets statements run for so long until the connection is given back; 0 for ever. It is told to the
   * server here, but behind a pooler, where the next client would have it too, and in a transaction,
   * which says it itself.
   */
  async limitStatements(limitMillis: number, isTold: boolean): Promise<void> {
    this.#limitMillis = limitMillis || Number.POSITIVE_INFINITY;
    if (isTold || this.session.facts.isPooled) return;
    this.needsReset = true;
    await this.run(`set statement_timeout = ${Math.ceil(limitMillis)}`);
  }

  /** Has the server parse every statement until the connection is given back. */
  prepareNothing(): void {
    this.#prepares = false;
  }

  /** Goes back to how it usually runs statements. */
  restoreUsual(): void {
    this.#limitMillis = this.#usualLimitMillis;
    this.#prepares = this.#usuallyPrepares;
  }

  /** Whether it keeps the process alive: not while nobody has it, where that is wished. */
  setWatched(isWatched: boolean): void {
    if (!this.#allowsExit || this.#isUnwatched !== isWatched) return;
    this.#isUnwatched = !isWatched;
    this.session.keepAlive(isWatched);
  }

  async reset(): Promise<void> {
    const { facts, options, channel } = this.session;
    // Without a transaction the server would log a warning each time.
    const rollback = channel.isInTransaction ? 'rollback; ' : '';
    const again = facts.isPooled ? beginAgain(options.applicationName) : '';
    await this.run(rollback + RESET + again);
    this.needsReset = false;
  }

  /** Ends the connection; what runs on it is cancelled on the server, and fails with `reason`. */
  destroy(reason?: EvdbError): void {
    this.#endedBy ??= reason;
    void this.session.close({ force: true, cancel: this.#running > 0 });
  }

  close(): Promise<void> {
    return this.session.close();
  }

  /** Gives the connection up where the server has not answered in time. */
  checkDeadline(now: number): void {
    if (this.#running > 0 && now > this.#deadlineAt) this.destroy(noAnswer());
  }

  #begin(): number {
    const now = performance.now();
    this.#running += 1;
    // Statements that were sent along with another one have its time too.
    if (this.#running === 1) this.#deadlineAt = now + this.#limitMillis + GRACE_MILLIS;
    return now;
  }

  #end(now: number): void {
    this.#running -= 1;
    if (this.#running > 0) this.#deadlineAt = now + this.#limitMillis + GRACE_MILLIS;
  }

  #noteTrace(command: string, facts: StatementFacts): void {
    this.needsReset = true;
    if (!facts.isTransactionControl && CONTROL_TAGS.has(command)) {
      // The text hid it behind comments.
      this.destroy();
      throw controlledByHand('a statement');
    }
    // It cannot be undone: `deallocate all` would take what the driver prepared along.
    if (PREPARES_BY_HAND.test(command)) this.expiresAt = 0;
  }

  #explain(error: unknown, startedAt: number): unknown {
    // The server waits for rows, or sends some: the connection is of no use any more.
    if (codeOf(error) === 'COPY_UNSUPPORTED') this.destroy();
    if (!isConnectionLoss(error)) {
      // After a failover this may be the former primary: the next connection looks for the new one.
      if (codeOf(error) === READ_ONLY && wantsPrimary(this.session)) this.expiresAt = 0;
      const isLate = performance.now() - startedAt >= this.#limitMillis;
      return isLate && codeOf(error) === QUERY_CANCELED ? tookTooLong(error) : queryError(error);
    }
    this.destroy();
    return this.#endedBy ?? lostWhileRunning(error);
  }
}

function sqlstateOf(error: unknown): string {
  const { details, code } = error as EvdbError;
  return typeof details?.sqlstate === 'string' ? details.sqlstate : (code ?? codeOf(error) ?? '');
}

function wantsPrimary({ options }: StatementSession): boolean {
  const { targetSessionAttrs } = options;
  return targetSessionAttrs === 'read-write' || targetSessionAttrs === 'primary';
}

/** Only what comes again: a text that is made anew for each call would fill the server's memory. */
function shouldPrepare(text: string, facts: StatementFacts): boolean {
  if (facts.uses < 2) return false;
  facts.isKeepable ??= isKeepable(text);
  return facts.isKeepable;
}

function tookTooLong(cause: unknown): EvdbError {
  return new EvdbError(
    'STATEMENT_TIMEOUT',
    'the statement took too long, and the server ended it',
    {
      hint: 'It had no effect. statementTimeoutMillis allows longer.',
      cause,
      details: { sqlstate: QUERY_CANCELED },
    },
  );
}

function lostWhileRunning(cause: unknown): EvdbError {
  const message = `the connection was lost while a statement ran${reasonOfLoss(cause)}`;
  return new EvdbError('CONNECTION_LOST', message, {
    hint: 'Whether it had an effect is unknown: read before you write again.',
    cause,
    details: { cause: codeOf(cause) },
  });
}

function noAnswer(): EvdbError {
  return new EvdbError(
    'STATEMENT_TIMEOUT',
    'the server did not answer in time, and the connection was closed',
    {
      hint: 'Whether the statement had an effect is unknown. statementTimeoutMillis allows longer.',
    },
  );
}
