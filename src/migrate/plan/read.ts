import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { queryError } from '../../connection/connection-error.ts';
import { openSession, type Session } from '../../connection/session.ts';
import { EvdbError, mayBeCommitted } from '../../errors.ts';
import { commandLine } from '../../text/command-line.ts';
import { listRepeatables, type RepeatableFile } from '../files/repeatables.ts';
import {
  listMigrations,
  type MigrationFile,
  readChecksum,
  readReplaces,
  readSmallChecksum,
  readTokenChecksum,
} from '../files/source.ts';
import { LEDGER_TABLE, type Ledger, readLedger } from '../ledger/ledger.ts';
import { ledgerKey, type MigrateOptions } from '../options.ts';
import { compareWithLedger, type FileChecksums, type MigrationStatus } from './compare.ts';
import { compareRepeatables, type RepeatableStatus } from './repeatables.ts';

/** Files and ledger, read and put side by side. */
export interface Standing {
  files: MigrationFile[];
  ledger: Ledger;
  statuses: MigrationStatus[];
  repeatables: RepeatableStatus[];
}

/** Opens a session for a command, ends it whatever happens, and lets the signal win. */
export async function withSession<T>(
  options: MigrateOptions,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  let session: Session | undefined;
  try {
    session = await openSession(options.connection, {
      signal: options.signal,
      table: { schema: ledgerKey(options).ledgerSchema, name: LEDGER_TABLE },
    });
    return await work(session);
  } catch (error) {
    // A commit whose outcome is told, or unknown, must not be called interrupted.
    const isInterrupted = options.signal?.aborted && !mayBeCommitted(error);
    throw isInterrupted ? options.signal?.reason : queryError(error);
  } finally {
    await session?.close({ force: options.signal?.aborted === true });
  }
}

/**
 * Lists the migrations of the folder.
 *
 * @throws {EvdbError} MIGRATIONS_DIR_MISSING, MIGRATIONS_DIR_EMPTY, and INVALID_NAME,
 *   DUPLICATE_VERSION, DOWN_WITHOUT_UP
 * @example
 * const files = requireMigrations({ directory: 'migrations' });
 */
export function requireMigrations({
  directory,
  mayBeEmpty = false,
}: Pick<MigrateOptions, 'directory' | 'mayBeEmpty'>): MigrationFile[] {
  const files = listMigrations(directory);
  if (files.length > 0 || listRepeatables(directory).length > 0) return files;
  const hint = foldersHint(directory);
  if (mayBeEmpty && hint === undefined) return files;
  throw new EvdbError('MIGRATIONS_DIR_EMPTY', `the folder ${directory} holds no migration`, {
    hint:
      hint ??
      `Run \`${commandLine('init')}\` to start with the event schema, or \`${commandLine('migrate create', {}, { args: ['first table'] })}\` to start with a table of your own.`,
    details: { directory },
  });
}

/**
 * Whether the folder holds a migration or a repeatable.
 *
 * @throws {EvdbError} those of `requireMigrations` but for a folder that holds neither
 * @example
 * if (!holdsMigrations({ directory: 'migrations' })) console.log('no migrations yet');
 */
export function holdsMigrations({ directory }: Pick<MigrateOptions, 'directory'>): boolean {
  const files = requireMigrations({ directory, mayBeEmpty: true });
  return files.length > 0 || listRepeatables(directory).length > 0;
}

/** Tools that give each migration a folder of its own, by the file in it. */
const TOOL_OF_FILE = [
  ['migration.sql', 'prisma'],
  ['up.sql', 'diesel'],
] as const;

function foldersHint(directory: string): string | undefined {
  const folders = readdirSync(directory, { withFileTypes: true }).filter((one) =>
    one.isDirectory(),
  );
  const found = TOOL_OF_FILE.find(([file]) =>
    folders.some(({ name }) => existsSync(join(directory, name, file))),
  );
  if (!found) return undefined;
  const [file, from] = found;
  const adopt = { from, 'from-dir': directory, 'write-to': 'evdb-migrations' };
  return `It holds folders with ${file} in them: take those over with \`${commandLine('migrate adopt', adopt)}\`.`;
}

/**
 * Reads the ledger and compares the files with it.
 *
 * @param begun the reading of the checksums, where it has begun already, and the ledger, where it is
 *   read
 */
export async function readStanding(
  session: Session,
  options: MigrateOptions,
  files: MigrationFile[],
  begun: { ahead?: ReadAhead | undefined; ledger?: Ledger | undefined } = {},
): Promise<Standing> {
  const again = listRepeatables(options.directory);
  const reading = begun.ahead ?? readAhead([...files, ...again.map(asFile)]);
  try {
    const ledger = begun.ledger ?? (await readLedger(session, ledgerKey(options)));
    const checksums = await reading.checksums;
    const checksumsOf = ({ upPath }: ReadFile): FileChecksums => ({
      checksum: checksums.get(upPath) ?? readChecksum(upPath),
      tokenChecksum: () => readTokenChecksum(upPath),
    });
    return {
      ...{ files, ledger },
      statuses: compareWithLedger(files, ledger.rows, checksumsOf, readReplaces),
      repeatables: compareRepeatables(again, ledger.repeatables, (file) =>
        checksumsOf(asFile(file)),
      ),
    };
  } finally {
    reading.stop();
  }
}

/** What of a file its checksum is read by. */
type ReadFile = Pick<MigrationFile, 'upPath'>;

const asFile = ({ path }: RepeatableFile): ReadFile => ({ upPath: path });

/** Checksums that are read while a server is waited for. */
export interface ReadAhead {
  /** By path. */
  checksums: Promise<Map<string, string>>;
  stop(): void;
}

/** So many files are read before the connection gets its turn. */
const SLICE = 10;

/**
 * Reads the checksums of files beside other work.
 *
 * @param readsAll whether also large files are read, and one that cannot be read is an error;
 *   default false: those are left out
 */
export function readAhead(files: readonly ReadFile[], { readsAll = false } = {}): ReadAhead {
  let isOver = false;
  const read = async () => {
    const checksums = new Map<string, string>();
    for (let from = 0; from < files.length; from += SLICE) {
      // What is to be sent goes first.
      await setImmediate();
      if (isOver) break;
      for (const { upPath } of files.slice(from, from + SLICE)) {
        const checksum = readsAll ? readChecksum(upPath) : readSmallChecksum(upPath);
        if (checksum !== undefined) checksums.set(upPath, checksum);
      }
    }
    return checksums;
  };
  const checksums = read();
  // Whoever fails first, the other must not fail unheard.
  checksums.catch(() => undefined);
  return {
    checksums,
    stop: () => {
      isOver = true;
    },
  };
}
