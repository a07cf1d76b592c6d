import { liftTimeLimitsSql } from '../connection/options.ts';
import type { Session } from '../connection/session.ts';
import { KEEP_UTF8_SQL, NAMES_ENCODING } from '../sql/quote.ts';
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
 * What resets a setting that is evdb's own affair. The encoding of what is sent is: a script is
 * read as UTF-8, whatever it says of itself as dumps do.
 */
function takeBackSql({ command, text }: Statement, { facts }: Session): string {
  const limits = BRING_LIMITS_BACK.has(command) ? liftTimeLimitsSql(facts) : '';
  return `${limits}${NAMES_ENCODING.test(text) ? KEEP_UTF8_SQL : ''}`;
}

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
  const { text, copyData } = statement;
  notices?.expect(statement, script);
  if (copyData === null) {
    const done = worker.run(text);
    const takeBack = takeBackSql(statement, worker);
    await (takeBack === '' ? done : Promise.all([done, worker.run(takeBack)]));
  } else await worker.copyIn(text, withSignal(rows ?? sliceRows(script.text, copyData), signal));
}

/** Ends the rows where the signal aborts, because a server that waits for rows hears no cancel. */
function* withSignal(rows: Iterable<Buffer>, signal: AbortSignal | undefined): Generator<Buffer> {
  for (const piece of rows) {
    signal?.throwIfAborted();
    yield piece;
  }
}
