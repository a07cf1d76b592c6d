import type { ConnectionOptions } from '../connection/options.ts';
import { openSession, type Session } from '../connection/session.ts';
import { changesServer, classifyStatement } from '../sql/kind.ts';
import { advance, openCursor } from '../sql/lexer.ts';
import type { Statement } from '../sql/statements.ts';

/** How a statement can be traced inside a transaction. */
export type Treatment =
  | { kind: 'run'; text: string }
  /** The form without `concurrently`, which PostgreSQL accepts in a transaction. */
  | { kind: 'simulate'; text: string }
  | { kind: 'skip'; reason: string };

/**
 * Decides how a statement is traced. Pure.
 *
 * @param isTarget on the database itself nothing is simulated: the plain form of a concurrent
 *   statement takes the locks that the concurrent one is there to avoid
 */
export function treatmentOf(
  statement: Pick<Statement, 'command' | 'text' | 'copyData' | 'psqlCommand'>,
  isTarget: boolean,
): Treatment {
  if (statement.psqlCommand !== null) return { kind: 'skip', reason: 'it is a command of psql' };
  if (statement.copyData) return { kind: 'skip', reason: 'its rows are not sent' };
  if (changesServer(statement)) {
    return { kind: 'skip', reason: 'it changes the whole server, and not this database alone' };
  }
  const { isTransactionControl, needsNoTransaction, isConcurrently, label } =
    classifyStatement(statement);
  if (isTransactionControl) {
    return { kind: 'skip', reason: 'it would end the transaction of the trace' };
  }
  if (!needsNoTransaction) return { kind: 'run', text: statement.text };
  const plain = isConcurrently ? withoutConcurrently(statement.text) : undefined;
  if (plain === undefined) {
    return { kind: 'skip', reason: `${label} cannot run inside a transaction` };
  }
  if (isTarget) {
    return { kind: 'skip', reason: `${label} cannot be tried without the locks it avoids` };
  }
  return { kind: 'simulate', text: plain };
}

/** The statement in its blocking form; as an option the word stays and is switched off. */
function withoutConcurrently(text: string): string | undefined {
  const cursor = openCursor(text);
  let depth = 0;
  while (advance(cursor)) {
    const token = text.slice(cursor.start, cursor.end);
    if (token === '(') depth++;
    else if (token === ')') depth--;
    else if (cursor.kind === 'word' && token.toLowerCase() === 'concurrently') {
      const instead = depth > 0 ? 'concurrently false' : '';
      return text.slice(0, cursor.start) + instead + restAfter(text, cursor.end, depth > 0);
    }
  }
  return undefined;
}

/** Without the value that an option has. */
function restAfter(text: string, from: number, isOption: boolean): string {
  const rest = text.slice(from);
  return isOption ? rest.replace(/^[^,)]*/, '') : rest;
}

/** A session that keeps what the server says besides its answers. */
export interface TraceSession {
  session: Session;
  /** What was said since the last call. */
  takeMessages(): string[];
}

/**
 * Opens a session for `traceStatements`.
 *
 * @throws {EvdbError} those of `openSession`
 */
export async function openTraceSession(
  connection: ConnectionOptions,
  signal?: AbortSignal,
): Promise<TraceSession> {
  const messages: string[] = [];
  const session = await openSession(connection, {
    signal,
    onNotice: ({ message }) => messages.push(message),
  });
  return { session, takeMessages: () => messages.splice(0) };
}
