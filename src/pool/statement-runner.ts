import type { EncodedValue } from '../connection/driver.ts';
import { copyUnsupported } from '../connection/statement-session.ts';
import { EvdbError } from '../errors.ts';
import { controlledByHand, type QueryResult } from './handle.ts';
import type { PoolMetricsRecorder, Tell } from './metrics.ts';
import type { PoolSettings } from './options.ts';
import type { PooledConnection, StatementReport } from './pooled-connection.ts';
import { createStatementCache, type StatementFacts } from './statement-cache.ts';
import { encodeParameters } from './values.ts';

/** A statement, its parameters as they are sent, and what is known of its text. */
export interface PoolStatement {
  text: string;
  values: readonly EncodedValue[];
  facts: StatementFacts;
}

/** Runs statements on connections, counts and measures them. */
export interface StatementRunner {
  /**
   * Makes what is sent. It comes first of all: whoever gives what cannot be sent is told at once, and
   * what they do to a value afterwards changes nothing.
   *
   * @throws {EvdbError} USAGE where it is no statement, COPY_UNSUPPORTED
   */
  parseAny(text: string, params: readonly unknown[]): PoolStatement;
  /** The same, but not for what begins or ends a transaction. @throws TRANSACTION_CONTROL */
  parse(text: string, params: readonly unknown[]): PoolStatement;
  run<T>(
    connection: PooledConnection,
    statement: PoolStatement,
    signal?: AbortSignal,
  ): Promise<QueryResult<T>>;
}

export function createStatementRunner({
  settings,
  metrics,
  tell,
}: {
  settings: PoolSettings;
  metrics: PoolMetricsRecorder;
  tell: Tell;
}): StatementRunner {
  const cache = createStatementCache();
  const parseAny = (text: string, params: readonly unknown[]) => {
    if (typeof text !== 'string' || !Array.isArray(params)) throw noStatement();
    // In a message it would be the end of the text, and the rest another message's beginning.
    if (text.includes('\0')) throw holdsNul();
    const facts = cache(text);
    if (facts.isCopy) throw copyUnsupported();
    return { text, values: encodeParameters(text, params), facts };
  };
  const { slowQueryMillis } = settings;
  const report: StatementReport = (connection, { text }, durationMs, outcome) => {
    metrics.recordOperation(durationMs, outcome);
    if (slowQueryMillis > 0 && durationMs >= slowQueryMillis) {
      metrics.recordSlowQuery();
      tell('slowQuery', () => ({ pid: connection.session.facts.pid, text, durationMs }));
    }
  };

  return {
    parseAny,
    parse: (text, params) => {
      const statement = parseAny(text, params);
      if (statement.facts.isTransactionControl) throw controlledByHand('a statement');
      return statement;
    },
    run: <T>(connection: PooledConnection, statement: PoolStatement, signal?: AbortSignal) => {
      // One that has aborted tells nobody any more.
      signal?.throwIfAborted();
      // What the rows hold is the caller's word.
      const answer = connection.query(statement, report) as Promise<QueryResult<T>>;
      return signal ? cancellable(connection, signal, answer) : answer;
    },
  };
}

function noStatement(): EvdbError {
  return new EvdbError('USAGE', 'a statement is a text and an array of parameters', {
    hint: "Call query('select … where id = $1', [id]).",
  });
}

function holdsNul(): EvdbError {
  return new EvdbError('USAGE', 'the statement holds a NUL character', {
    hint: 'PostgreSQL has none in texts: take it out of what the statement is made of.',
  });
}

/** Gives up the connection where the caller gives up what runs on it. */
export async function cancellable<T>(
  connection: PooledConnection,
  signal: AbortSignal,
  answer: Promise<T>,
): Promise<T> {
  const abort = () => connection.destroy();
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await answer;
  } catch (error) {
    throw signal.aborted ? signal.reason : error;
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
