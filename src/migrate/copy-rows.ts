import type { Session } from '../connection/session.ts';
import type { Statement } from '../sql/statements.ts';
import type { Script } from './source.ts';

/** In UTF-16 units: enough that the number of messages does not count. */
const PIECE_LENGTH = 64 * 1024;

/**
 * Sends one statement; a `copy … from stdin` with its rows, and then nothing may be sent behind it
 * before it is done.
 */
export async function sendStatement(
  { text, copyData }: Statement,
  script: Script,
  { worker, signal }: { worker: Session; signal: AbortSignal | undefined },
): Promise<void> {
  if (copyData === null) await worker.run(text);
  else await worker.copyIn(text, withSignal(sliceRows(script.text, copyData), signal));
}

/** The rows of a copy as they stand in the text, in pieces that cut no character in two. */
function* sliceRows(
  text: string,
  { start, end }: { start: number; end: number },
): Generator<Buffer> {
  for (let from = start; from < end; ) {
    let to = Math.min(from + PIECE_LENGTH, end);
    if (to < end && isLeadSurrogate(text.charCodeAt(to - 1))) to--;
    yield Buffer.from(text.slice(from, to));
    from = to;
  }
}

/** Ends the rows where the signal aborts, because a server that waits for rows hears no cancel. */
function* withSignal(rows: Iterable<Buffer>, signal: AbortSignal | undefined): Generator<Buffer> {
  for (const piece of rows) {
    signal?.throwIfAborted();
    yield piece;
  }
}

function isLeadSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff;
}
