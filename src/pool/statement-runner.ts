import { codeOf } from '../connection/connection-error.ts';
import type { EncodedValue } from '../connection/driver.ts';
import { copyUnsupported } from '../connection/statement-session.ts';
import { EvdbError } from '../errors.ts';
import { controlledByHand, type QueryResult } from './handle.ts';
import type { PoolMetricsRecorder, Tell } from './metrics.ts';
import type { PoolSettings } from './options.ts';
import type { PooledConnection } from './pooled-connection.ts';
import { CONTROL_TAGS, createStatementCache, type StatementFacts } from './statement-cache.ts';
import { encodeParameters } from './values.ts';

/** A statement, its parameters as they are sent, and what is known of its text. */
export interface PoolStatement {
  text: string;
  values: EncodedValue[];
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

  const measured = async <T>(connection: PooledConnection, statement: PoolStatement) => {
    const { text, facts } = statement;
    const startedAt = performance.now();
    let outcome: true | string = true;
    try {
      const result = await connection.query(statement);
      if (!facts.isTransactionControl && CONTROL_TAGS.has(result.command)) {
        // The text hid it behind comments.
        connection.destroy();
        throw controlledByHand('a statement');
      }
      return result as QueryResult<T>;
    } catch (error) {
      outcome = sqlstateOf(error);
      throw error;
    } finally {
      const durationMs = performance.now() - startedAt;
      metrics.recordOperation(durationMs, outcome);
      if (slowQueryMillis > 0 && durationMs >= slowQueryMillis) {
        metrics.recordSlowQuery();
        tell('slowQuery', () => ({ pid: connection.session.facts.pid, text, durationMs }));
      }
    }
  };

  return {
    parseAny,
    parse: (text, params) => {
      const statement = parseAny(text, params);
      if (statement.facts.isTransactionControl) throw controlledByHand('a statement');
      return statement;
    },
    run: (connection, statement, signal) =>
      signal
        ? cancellable(connection, signal, measured(connection, statement))
        : measured(connection, statement),
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

/** Gives up the connection where the caller gives up the statement. */
async function cancellable<T>(
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

function sqlstateOf(error: unknown): string {
  const { details, code } = error as EvdbError;
  return typeof details?.sqlstate === 'string' ? details.sqlstate : (code ?? codeOf(error) ?? '');
}
