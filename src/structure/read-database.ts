import { queryError } from '../connection/connection-error.ts';
import type { ConnectionOptions } from '../connection/options.ts';
import { openSession } from '../connection/session.ts';
import { type ReadStructureOptions, readStructure } from './read-structure.ts';
import type { Structure } from './structure.ts';

export interface ReadDatabaseOptions extends ReadStructureOptions {
  /** Ends the reading, and throws its reason. */
  signal?: AbortSignal | undefined;
}

/**
 * `readStructure` on a session of its own.
 *
 * @throws {EvdbError} those of `openSession` and `readStructure`
 * @example
 * const structure = await readDatabaseStructure(connection, { schemas: ['public'] });
 */
export async function readDatabaseStructure(
  connection: ConnectionOptions,
  { signal, ...options }: ReadDatabaseOptions = {},
): Promise<Structure> {
  const session = await openSession(connection, { signal });
  const abort = () => void session.close({ force: true, cancel: true });
  signal?.addEventListener('abort', abort, { once: true });
  try {
    return await readStructure(session, options);
  } catch (error) {
    throw signal?.aborted ? signal.reason : queryError(error);
  } finally {
    signal?.removeEventListener('abort', abort);
    await session.close();
  }
}
