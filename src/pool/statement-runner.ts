import { codeOf } from '../connection/connection-error.ts';
import { type EncodedValue, PROTO_COLUMN, type StatementResult } from '../connection/driver.ts';
import { EvdbError } from '../errors.ts';
import { controlledByHand, type QueryResult, type ResultField } from './handle.ts';
import type { PoolMetricsRecorder, Tell } from './metrics.ts';
import type { PoolSettings } from './options.ts';
import { copyUnsupported, type PooledConnection } from './pooled-connection.ts';
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
      if (!facts.isTransactionControl && CONTROL_TAGS.has(result.command ?? '')) {
        // The text hid it behind comments.
        connection.destroy();
        throw controlledByHand('a statement');
      }
      return toQueryResult<T>(result, facts);
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

/**
 * Leaves behind what only the driver needs, such as the key that cancels statements. A text gives the
 * same columns nearly each time, which all its results share.
 */
function toQueryResult<T>(result: StatementResult, facts: StatementFacts): QueryResult<T> {
  const { columns, command, count } = result;
  // `slice` would ask the driver's class for its species, which costs more than the copy.
  const rows = new Array<T>(result.length);
  for (let i = 0; i < rows.length; i++) rows[i] = result[i] as T;
  let { fields } = facts;
  if (!fields || !isSame(fields, columns)) {
    fields = fieldsOf(columns ?? []);
    facts.fields = fields;
    if (fields.some(({ name }) => name === '__proto__')) rows.forEach(giveProto);
  }
  return { rows, rowCount: count ?? rows.length, command: command ?? '', fields };
}

/** False for those that have a column named `__proto__`, which the driver calls otherwise. */
function isSame(
  fields: readonly ResultField[],
  columns: StatementResult['columns'] | undefined,
): boolean {
  if (fields.length !== (columns?.length ?? 0)) return false;
  for (let i = 0; i < fields.length; i++) {
    const field = fields[i];
    const column = columns?.[i];
    if (field?.name !== column?.name || field?.dataTypeID !== column?.type) return false;
  }
  return true;
}

function fieldsOf(columns: StatementResult['columns']): readonly ResultField[] {
  return Object.freeze(
    columns.map(({ name, type }) =>
      Object.freeze({ name: name === PROTO_COLUMN ? '__proto__' : name, dataTypeID: type }),
    ),
  );
}

/** Makes a property of it like all others. */
function giveProto(row: unknown): void {
  const values = row as Record<string, unknown>;
  const value = values[PROTO_COLUMN];
  delete values[PROTO_COLUMN];
  const property = { value, configurable: true, enumerable: true, writable: true };
  Object.defineProperty(values, '__proto__', property);
}
