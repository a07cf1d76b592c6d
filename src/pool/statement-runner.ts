import { codeOf } from '../connection/query-error.ts';
import { EvdbError } from '../errors.ts';
import type { Tell } from './events.ts';
import { controlledByHand, toQueryResult } from './handle.ts';
import type { PoolMetricsRecorder } from './metrics.ts';
import type { PoolSettings } from './options.ts';
import type { QueryResult } from './result.ts';
import type { Slot } from './slot.ts';
import { CONTROL_TAGS, createStatementBook, type StatementFacts } from './statement-book.ts';

/** A statement and what is known of its text. */
export interface PoolStatement {
  text: string;
  params: readonly unknown[];
  facts: StatementFacts;
}

/** Runs statements on connections, counts and measures them. */
export interface StatementRunner {
  /** What is known of a statement. @throws USAGE where it is none */
  look(text: string, params: readonly unknown[]): StatementFacts;
  /** The same, for where a transaction is not the statement's business. @throws TRANSACTION_CONTROL */
  read(text: string, params: readonly unknown[]): StatementFacts;
  run<T>(slot: Slot, statement: PoolStatement, signal?: AbortSignal): Promise<QueryResult<T>>;
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
  const book = createStatementBook();
  const look = (text: string, params: readonly unknown[]) => {
    if (typeof text !== 'string' || !Array.isArray(params)) throw noStatement();
    return book(text);
  };
  const { slowQueryMillis } = settings;

  const measured = async <T>(slot: Slot, { text, params, facts }: PoolStatement) => {
    const startedAt = performance.now();
    let outcome: true | string = true;
    try {
      const result = await slot.query(text, params, facts);
      if (!facts.isTransactionControl && CONTROL_TAGS.has(result.command ?? '')) {
        // The text hid it behind comments.
        slot.destroy();
        throw controlledByHand('a statement');
      }
      return toQueryResult<T>(result);
    } catch (error) {
      outcome = sqlstateOf(error);
      throw error;
    } finally {
      const durationMs = performance.now() - startedAt;
      metrics.recordOperation(durationMs, outcome);
      if (slowQueryMillis > 0 && durationMs >= slowQueryMillis) {
        metrics.recordSlowQuery();
        tell('slowQuery', () => ({ pid: slot.session.facts.pid, text, durationMs }));
      }
    }
  };

  return {
    look,
    read: (text, params) => {
      const facts = look(text, params);
      if (facts.isTransactionControl) throw controlledByHand('a statement');
      return facts;
    },
    run: (slot, statement, signal) =>
      signal ? cancellable(slot, signal, measured(slot, statement)) : measured(slot, statement),
  };
}

function noStatement(): EvdbError {
  return new EvdbError('USAGE', 'a statement is a text and an array of parameters', {
    hint: "Call query('select … where id = $1', [id]).",
  });
}

/** Gives up the connection where the caller gives up the statement. */
async function cancellable<T>(slot: Slot, signal: AbortSignal, answer: Promise<T>): Promise<T> {
  const abort = () => slot.destroy();
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
