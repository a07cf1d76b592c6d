import type { ConnectionOptions } from '../connection/options.ts';
import { openSession, type Session } from '../connection/session.ts';

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
