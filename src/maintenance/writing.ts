import type { ConnectionOptions } from '../connection/options.ts';
import { openSession, type Session } from '../connection/session.ts';

export interface WritingOptions {
  /** How long a statement may wait for a lock, in ms; default 10,000. Not behind a pooler. */
  lockTimeoutMs?: number | undefined;
  signal?: AbortSignal | undefined;
}

/** A server that does not even answer a cancel is not waited for. */
const CANCEL_DEADLINE_MS = 5_000;

/**
 * Runs work on a session of its own that may write. Names have to be qualified: the search path is
 * empty. Behind a pooler nothing is set. When the signal aborts, what runs is cancelled, so that the server rolls it back at once,
 * and the work hears of that as the statement's error (57014).
 *
 * @throws {EvdbError} as `openSession`
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
