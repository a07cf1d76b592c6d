import { EvdbError } from '../errors.ts';
import type { CliContext } from './context.ts';

/**
 * Runs work that Ctrl-C ends in an orderly way. The work itself tells what was done until then.
 *
 * @param said on stderr at once, such as `rolling back the batch`
 */
export async function withStop<T>(
  context: CliContext,
  said: string,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const stop = context.onInterrupt(() => {
    context.err(`\ninterrupted: ${said} (once more ends evdb at once)\n`);
    controller.abort(new EvdbError('INTERRUPTED', 'interrupted before anything was done'));
  });
  try {
    return await work(controller.signal);
  } finally {
    stop();
  }
}
