import type { ConnectionOptions } from '../connection/options.ts';
import { queryError } from '../connection/query-error.ts';
import { openSession, type Session } from '../connection/session.ts';

export interface InspectionOptions {
  /** How long a statement may run, in ms; default 30,000. */
  statementTimeoutMs?: number | undefined;
  signal?: AbortSignal | undefined;
}

/** Whoever only looks must not stand in the way: after this time an estimate has to do. */
const LOCK_TIMEOUT_MS = 50;

/**
 * Runs work on a session that cannot write, does not wait for locks, and resolves no name by
 * accident: the search path is empty, so that every name is qualified.
 *
 * @throws {EvdbError} as `openSession`, and QueryError where a statement is refused
 */
export async function withInspection<T>(
  connection: ConnectionOptions,
  work: (session: Session) => Promise<T>,
  { statementTimeoutMs = 30_000, signal }: InspectionOptions = {},
): Promise<T> {
  const session = await openSession(connection, { signal });
  const abort = () => void session.close({ force: true });
  signal?.addEventListener('abort', abort, { once: true });
  try {
    if (session.facts.isPooled)
      return await work(inspectThroughPooler(session, statementTimeoutMs));
    await session.run(settings('set', statementTimeoutMs));
    return await work(session);
  } catch (error) {
    throw signal?.aborted ? signal.reason : queryError(error);
  } finally {
    signal?.removeEventListener('abort', abort);
    await session.close();
  }
}

function settings(set: 'set' | 'set local', statementTimeoutMs: number): string {
  const readOnly = set === 'set' ? 'set default_transaction_read_only = on; ' : '';
  return `${readOnly}${set} lock_timeout = ${LOCK_TIMEOUT_MS}; ${set} statement_timeout = ${statementTimeoutMs}; ${set} search_path = ''`;
}

/**
 * What is set on a pooler's session, others would get: so each statement is a transaction of its own,
 * one after the other, as a pooler keeps to one server until a transaction ends.
 */
function inspectThroughPooler(session: Session, statementTimeoutMs: number): Session {
  const begin = `begin read only; ${settings('set local', statementTimeoutMs)}`;
  let turn: Promise<unknown> = Promise.resolve();
  const alone = <T>(work: () => Promise<T>): Promise<T> => {
    const done = turn.then(work).catch(async (error: unknown) => {
      if (!session.isClosed) await session.run('rollback');
      throw error;
    });
    turn = done.catch(() => undefined);
    return done;
  };
  const run: Session['run'] = (text) => alone(() => session.run(`${begin}; ${text}; commit`));
  const query: Session['query'] = (...statement) =>
    alone(async () => {
      await session.run(begin);
      const result = await session.query(...statement);
      await session.run('commit');
      return result;
    });
  return Object.create(session, { run: { value: run }, query: { value: query } });
}
