import type { Session } from '../connection/session.ts';
import { liftTimeLimitsSql } from '../connection/time-limits.ts';
import type { Statement } from '../sql/statements.ts';
import { sliceRows } from './copy-rows.ts';
import type { Notices } from './notices.ts';
import type { Script } from './source.ts';

interface Sending {
  worker: Session;
  signal: AbortSignal | undefined;
  /** Default: what the server says beside its answer is dropped. */
  notices?: Notices | undefined;
}

/** They bring back the time limits of the role, under which the session would not live long. */
const BRING_LIMITS_BACK = new Set(['reset', 'discard']);

/**
 * Sends one statement; a `copy … from stdin` with its rows, and then nothing may be sent behind it
 * before it is done.
 *
 * @param rows of the copy; default: those in the script's text
 */
export async function sendStatement(
  statement: Statement,
  { script, rows }: { script: Script; rows?: Iterable<Buffer> | undefined },
  { worker, signal, notices }: Sending,
): Promise<void> {
  const { text, copyData, command } = statement;
  notices?.expect(statement, script);
  if (copyData === null) {
    const done = worker.run(text);
    if (!BRING_LIMITS_BACK.has(command)) return void (await done);
    const lifted = worker.run(liftTimeLimitsSql(worker.facts));
    await Promise.all([done, lifted]);
  } else await worker.copyIn(text, withSignal(rows ?? sliceRows(script.text, copyData), signal));
}

/** Ends the rows where the signal aborts, because a server that waits for rows hears no cancel. */
function* withSignal(rows: Iterable<Buffer>, signal: AbortSignal | undefined): Generator<Buffer> {
  for (const piece of rows) {
    signal?.throwIfAborted();
    yield piece;
  }
}
