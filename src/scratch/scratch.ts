import { withAbortableSession } from '../connection/inspection.ts';
import type { ConnectionOptions } from '../connection/options.ts';
import type { Session } from '../connection/session.ts';
import { type ScratchDatabase, withScratchDatabase } from './database.ts';
import { copyRoles } from './roles.ts';
import { copyStructure } from './structure.ts';

export interface WithScratchOptions {
  /**
   * The database whose server, encoding and locale to use; without one it is created on the
   * embedded server.
   */
  beside?: ConnectionOptions | undefined;
  /** A session on a database whose structure it gets, but for that of the ledger; default: it is empty. */
  copyOf?: { target: Session; ledgerSchema: string } | undefined;
  /** The folder of the embedded server, for a role that may not create databases. */
  embeddedDirectory?: string | undefined;
  /** Called with a sentence about the scratch database. */
  onScratch?: ((message: string) => void) | undefined;
  /** Ends what runs, drops the database and throws its reason. */
  signal?: AbortSignal | undefined;
}

export interface Scratch {
  /** For the work; the roles of the database beside are there, on the embedded server too. */
  session: Session;
  database: ScratchDatabase;
  /** A sentence for each thing that could not be copied. */
  missing: string[];
}

/**
 * Makes a scratch database, empty or with the structure of another one, lends a session on it, and
 * drops it whatever happens. Everything that proves something on a server begins here: what
 * migrations make (`readStructureOf`), what they roll back (`proveDowns`), what they lock (a trace).
 *
 * @throws {EvdbError} those of `withScratchDatabase` and `copyStructure`, and whatever `work` throws
 * @example
 * const structure = await withScratch({ beside: connection }, async ({ session }) => {
 *   await session.run('create table t (id integer)');
 *   return readStructure(session);
 * });
 */
export function withScratch<T>(
  options: WithScratchOptions,
  work: (scratch: Scratch) => Promise<T>,
): Promise<T> {
  const { beside, copyOf, embeddedDirectory, signal, onScratch } = options;
  const making = { beside, embeddedDirectory, signal, onProgress: onScratch };
  return withScratchDatabase(making, (database) =>
    withAbortableSession(database.connection, { signal }, async (session) => {
      const { isEmbedded } = database;
      if (beside && isEmbedded) await copyRoles(beside, session, signal);
      const missing = copyOf
        ? await copyStructure(copyOf.target, database.connection, { ...copyOf, isEmbedded, signal })
        : [];
      return work({ session, database, missing });
    }),
  );
}
