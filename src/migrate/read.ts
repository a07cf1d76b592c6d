import { queryError } from '../connection/query-error.ts';
import { openSession, type Session } from '../connection/session.ts';
import { EvdbError } from '../errors.ts';
import { compareWithLedger, type FileChecksums, type MigrationStatus } from './compare.ts';
import { type Ledger, readLedger } from './ledger.ts';
import { ledgerKey, type MigrateOptions } from './options.ts';
import { listMigrations, type MigrationFile, readChecksum, readScript } from './source.ts';
import { tokenChecksum } from './token-checksum.ts';

/** Files and ledger, read and put side by side. */
export interface Standing {
  files: MigrationFile[];
  ledger: Ledger;
  statuses: MigrationStatus[];
}

/** Opens a session for a command, ends it whatever happens, and lets the signal win. */
export async function withSession<T>(
  options: MigrateOptions,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  let session: Session | undefined;
  try {
    session = await openSession(options.connection, { signal: options.signal });
    return await work(session);
  } catch (error) {
    throw options.signal?.aborted ? options.signal.reason : queryError(error);
  } finally {
    await session?.close({ force: options.signal?.aborted === true });
  }
}

/**
 * Lists the migrations of the folder.
 *
 * @throws {EvdbError} MIGRATIONS_DIR_MISSING, MIGRATIONS_DIR_EMPTY, and those of `listMigrations`
 */
export function requireMigrations({ directory }: { directory: string }): MigrationFile[] {
  const files = listMigrations(directory);
  if (files.length > 0) return files;
  throw new EvdbError('MIGRATIONS_DIR_EMPTY', `the folder ${directory} holds no migration`, {
    hint: 'Run `evdb init` to start with the event schema, or `evdb migrate create <name>`.',
    details: { directory },
  });
}

/** Reads the ledger and compares the files with it. */
export async function readStanding(
  session: Session,
  options: MigrateOptions,
  files: MigrationFile[],
): Promise<Standing> {
  const ledger = await readLedger(session, ledgerKey(options));
  return { files, ledger, statuses: compareWithLedger(files, ledger.rows, readChecksums) };
}

function readChecksums(file: MigrationFile): FileChecksums {
  return {
    checksum: readChecksum(file.upPath),
    tokenChecksum: () => tokenChecksum(readScript(file.upPath).text),
  };
}
