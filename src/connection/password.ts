/** Passwords that are asked for when a connection is opened. */

import { EvdbError } from '../errors.ts';
import { maskUrlsIn } from '../text/harmless.ts';
import type { ConnectionOptions, HostAddress } from './options.ts';

/** A sign-in of a cloud may take its time; beyond that it waits for somebody. */
const TIME_LIMIT_MS = 30_000;

/**
 * Puts the password in, for one connection.
 *
 * @throws {EvdbError} PASSWORD_UNAVAILABLE where the function throws, takes too long or gives no text
 */
export async function withPassword(
  options: ConnectionOptions,
  address: HostAddress,
  signal: AbortSignal | undefined,
): Promise<ConnectionOptions> {
  const { password: ask, user, database } = options;
  if (typeof ask !== 'function') return options;
  const password = await withinTime(signal, async (stop) =>
    ask({ ...address, user, database, signal: stop }),
  );
  if (typeof password === 'string' && password !== '') return { ...options, password };
  throw unavailable(`the function for the password gave ${describe(password)}`);
}

/** The message of a function is its author's own, as that of a config file is. */
function failed(cause: unknown): never {
  if (cause instanceof EvdbError) throw cause;
  const said = cause instanceof Error ? cause.message : String(cause);
  throw unavailable(`the function for the password failed: ${maskUrlsIn(said)}`, { cause });
}

function describe(value: unknown): string {
  if (value === '') return 'an empty text';
  return value === undefined || value === null ? 'nothing' : `a ${typeof value}, not a text`;
}

/** Runs the function, and tells it where nobody waits for it any more. */
async function withinTime(
  signal: AbortSignal | undefined,
  ask: (stop: AbortSignal) => Promise<string>,
): Promise<string> {
  const stopping = new AbortController();
  const onAbort = () => stopping.abort(signal?.reason);
  signal?.addEventListener('abort', onAbort, { once: true });
  const late = unavailable(
    `the function for the password took longer than ${TIME_LIMIT_MS / 1000} s`,
  );
  const timer = setTimeout(() => stopping.abort(late), TIME_LIMIT_MS);
  const stopped = new Promise<never>((_, reject) => {
    stopping.signal.addEventListener('abort', () => reject(stopping.signal.reason));
  });
  try {
    return await Promise.race([ask(stopping.signal).catch(failed), stopped]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  }
}

function unavailable(message: string, options: { hint?: string; cause?: unknown } = {}): EvdbError {
  return new EvdbError('PASSWORD_UNAVAILABLE', message, {
    hint: 'It must return the password, or a promise of it, as a text.',
    ...options,
  });
}
