import type { Session } from '../connection/session.ts';
import type { Statement } from '../sql/statements.ts';
import { sliceRows } from './copy-rows.ts';
import type { Script } from './source.ts';

/**
 * Sends one statement; a `copy … from stdin` with its rows, and then nothing may be sent behind it
 * before it is done.
 *
 * @param rows of the copy; default: those in the script's text
 */
export async function sendStatement(
  { text, copyData }: Statement,
  { script, rows }: { script: Script; rows?: Iterable<Buffer> | undefined },
  { worker, signal }: { worker: Session; signal: AbortSignal | undefined },
): Promise<void> {
  if (copyData === null) await worker.run(text);
  else await worker.copyIn(text, withSignal(rows ?? sliceRows(script.text, copyData), signal));
}

/** Ends the rows where the signal aborts, because a server that waits for rows hears no cancel. */
function* withSignal(rows: Iterable<Buffer>, signal: AbortSignal | undefined): Generator<Buffer> {
  for (const piece of rows) {
    signal?.throwIfAborted();
    yield piece;
  }
}
