import { quoteLiteral } from '../sql/quote.ts';
import { queryError } from './connection-error.ts';
import type { ConnectionOptions } from './options.ts';
import { type OpenSessionOptions, openSession, type Session } from './session.ts';

/** Limits of a session that only reads. */
export interface InspectionOptions {
  /** How long a statement may run, in ms; default 30,000. */
  statementTimeoutMs?: number | undefined;
  /** Cancels the statement that runs and throws its reason; default: nothing does. */
  signal?: AbortSignal | undefined;
}

/** Whoever only looks must not stand in the way: after this time an estimate has to do. */
const LOCK_TIMEOUT_MS = 50;

/**
 * Runs work on a session that cannot write, does not wait for locks, and resolves no name by
 * accident: the search path is empty, so that every name is qualified.
 *
 * @throws {EvdbError} as `pingDatabase`, and QueryError if a statement is refused
 * @example
 * const counts = await withInspection(connection, (session) =>
 *   session.run('select count(*) as n from public.users'),
 * );
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

// Queries on the catalog look expensive to the planner: compiling them takes seconds, running them none.
function settings(set: 'set' | 'set local', statementTimeoutMs: number): string {
  const readOnly = set === 'set' ? 'set default_transaction_read_only = on; ' : '';
  return `${readOnly}${set} lock_timeout = ${LOCK_TIMEOUT_MS}; ${set} statement_timeout = ${statementTimeoutMs}; ${set} search_path = ''; ${set} jit = off`;
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

/**
 * Runs work on a session of its own. When the signal aborts, what runs is cancelled, the connection
 * ends so that the server rolls back, and the signal's reason is thrown.
 *
 * @throws {EvdbError} as `openSession`
 */
export async function withAbortableSession<T>(
  connection: ConnectionOptions,
  options: OpenSessionOptions,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  const { signal } = options;
  const session = await openSession(connection, options);
  const abort = () => void session.close({ force: true, cancel: true });
  signal?.addEventListener('abort', abort, { once: true });
  try {
    return await work(session);
  } catch (error) {
    throw signal?.aborted ? signal.reason : error;
  } finally {
    signal?.removeEventListener('abort', abort);
    await session.close();
  }
}

/** Limits of a session that writes. */
export interface WritingOptions {
  /**
   * How long a statement may wait for a lock, in ms; default 10,000. Has no effect behind a pooler.
   */
  lockTimeoutMs?: number | undefined;
  /** Cancels the statement that runs and throws its reason; default: nothing does. */
  signal?: AbortSignal | undefined;
}

/** A server that does not even answer a cancel is not waited for. */
const CANCEL_DEADLINE_MS = 5_000;

/**
 * Runs work on a separate session that may write. Names have to be qualified: the search path is
 * empty. Behind a pooler nothing is set. When the signal aborts, the running statement is
 * cancelled, so that the server rolls it back at once, and the work gets that as the statement's
 * error (57014).
 *
 * @throws {EvdbError} as `pingDatabase`
 * @example
 * await withWriting(connection, (session) => session.run('analyze public.users'), { signal });
 */
export async function withWriting<T>(
  connection: ConnectionOptions,
  work: (session: Session) => Promise<T>,
  { lockTimeoutMs = 10_000, signal }: WritingOptions = {},
): Promise<T> {
  const session = await openSession(connection, { signal });
  let deadline: NodeJS.Timeout | undefined;
  const abort = () => {
    void session.cancel();
    deadline = setTimeout(() => void session.close({ force: true }), CANCEL_DEADLINE_MS);
  };
  signal?.addEventListener('abort', abort, { once: true });
  try {
    // What is set on a pooler's session, others would get.
    if (!session.facts.isPooled) {
      await session.run(`set search_path = ''; set lock_timeout = ${lockTimeoutMs}`);
    }
    return await work(session);
  } finally {
    signal?.removeEventListener('abort', abort);
    clearTimeout(deadline);
    await session.close({ force: signal?.aborted === true });
  }
}

/**
 * Lists the columns that a system view has on this server, because releases and versions of
 * extensions add, rename and drop them.
 *
 * @param relation qualified and quoted where needed, such as `pg_catalog.pg_stat_activity`
 * @returns empty where there is no such relation
 */
export async function listColumns(
  session: Session,
  relation: string,
): Promise<ReadonlySet<string>> {
  const rows = await session.run(`
select attname as "name"
from pg_catalog.pg_attribute
where attrelid = pg_catalog.to_regclass(${quoteLiteral(relation)})
    and attnum > 0
    and not attisdropped`);
  return new Set(rows.map(({ name }) => String(name)));
}
