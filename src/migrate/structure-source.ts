import { readFileSync } from 'node:fs';
import { openSession, type Session } from '../connection/session.ts';
import { EvdbError } from '../errors.ts';
import {
  type ScratchDatabase,
  type ScratchOptions,
  withScratchDatabase,
} from '../scratch/server.ts';
import { splitStatements } from '../sql/statements.ts';
import { type ReadStructureOptions, readStructure } from '../structure/read/structure.ts';
import type { Structure } from '../structure/structure.ts';
import { commandLine } from '../text/command-line.ts';
import { ledgerKey, type MigrateOptions } from './options.ts';
import { fullName } from './plan.ts';
import { readStanding, requireMigrations, withSession } from './read.ts';
import { REPLAY_HINT, replayApplied, runScript } from './scratch-replay.ts';
import { copyRoles } from './scratch-roles.ts';
import { listMigrations, type MigrationFile, readScript } from './source.ts';

/** Whose structure is meant. */
export type StructureSource =
  /** The database itself. */
  | { kind: 'live' }
  /** All migrations of the folder, run in a scratch database. */
  | { kind: 'migrations' }
  /** Those that are applied on the database, run in a scratch database. */
  | { kind: 'applied' }
  /** A dump, loaded into a scratch database. */
  | { kind: 'file'; path: string };

export interface StructureSourceOptions extends MigrateOptions {
  /** Read everything instead of the target schema alone; default false. */
  allSchemas?: boolean | undefined;
  /** Read owners too; default false. */
  owners?: boolean | undefined;
  /** The folder of the embedded server, for a role that may not create databases. */
  embeddedDirectory?: string | undefined;
  /** Told in one sentence what a person should know about the scratch database. */
  onScratch?: ((message: string) => void) | undefined;
}

/**
 * Reads the structure of a source. Scratch databases are dropped whatever happens; statements about
 * roles and other things of the whole server are not run in them.
 *
 * @throws {EvdbError} REPLAY_FAILED, FILE_UNREADABLE, and those of `withScratchDatabase`,
 *   `readStructure` and `requireMigrations`
 */
export function readStructureOf(
  source: StructureSource,
  options: StructureSourceOptions,
): Promise<Structure> {
  switch (source.kind) {
    case 'live':
      return withSession(options, (session) => readStructure(session, scopeOf(options)));
    case 'migrations':
      return inScratch(options, (scratch) =>
        runFiles(scratch, requireMigrations(options), options),
      );
    case 'applied':
      return withSession(options, (target) =>
        inScratch(options, (scratch) => runApplied(scratch, target, options)),
      );
    default: {
      const text = readDump(source.path);
      return inScratch(options, (scratch) => loadDump(scratch, text, source.path));
    }
  }
}

function scopeOf(options: StructureSourceOptions): ReadStructureOptions {
  const { targetSchema, ledgerSchema } = ledgerKey(options);
  return {
    schemas: options.allSchemas ? undefined : [targetSchema],
    exceptSchemas: [ledgerSchema],
    owners: options.owners,
  };
}

function inScratch(
  options: StructureSourceOptions,
  fill: (scratch: Session) => Promise<void>,
): Promise<Structure> {
  return withScratchSession(options, async (scratch) => {
    await fill(scratch);
    return readStructure(scratch, scopeOf(options));
  });
}

/** Lends one session on a scratch database; the signal ends what it runs. */
export function withScratchSession<T>(
  options: Pick<StructureSourceOptions, 'embeddedDirectory' | 'onScratch' | 'signal'> & {
    connection?: MigrateOptions['connection'] | undefined;
  },
  work: (scratch: Session, database: ScratchDatabase) => Promise<T>,
): Promise<T> {
  const { connection, embeddedDirectory, signal, onScratch } = options;
  const scratchOptions: ScratchOptions = {
    ...{ beside: connection, embeddedDirectory, signal, onProgress: onScratch },
  };
  return withScratchDatabase(scratchOptions, async (database) => {
    const session = await openSession(database.connection, { signal });
    const close = () => void session.close({ force: true, cancel: true });
    signal?.addEventListener('abort', close, { once: true });
    try {
      if (connection && database.isEmbedded) await copyRoles(connection, session, signal);
      return await work(session, database);
    } catch (error) {
      throw signal?.aborted ? signal.reason : error;
    } finally {
      signal?.removeEventListener('abort', close);
      await session.close();
    }
  });
}

async function runFiles(
  scratch: Session,
  files: MigrationFile[],
  options: StructureSourceOptions,
): Promise<void> {
  for (const file of files) {
    try {
      await runScript(scratch, readScript(file.upPath), { options, createTarget: true });
    } catch (cause) {
      throw replayError(`${fullName(file)} does not run in a scratch database`, cause, options);
    }
  }
}

async function runApplied(
  scratch: Session,
  target: Session,
  options: StructureSourceOptions,
): Promise<void> {
  const files = listMigrations(options.directory);
  const { statuses } = await readStanding(target, options, files);
  await replayApplied(scratch, { target, statuses, options });
}

/** So many statements go in one message: all at once would need more locks than a server has room for. */
const BATCH = 200;

async function loadDump(scratch: Session, text: string, path: string): Promise<void> {
  try {
    const texts = splitStatements(text).map((statement) => statement.text);
    for (let from = 0; from < texts.length; from += BATCH) {
      await scratch.run(texts.slice(from, from + BATCH).join(';\n'));
    }
    await scratch.run('reset all');
  } catch (cause) {
    throw replayError(`${path} cannot be loaded into a scratch database`, cause, {});
  }
}

/** What went wrong in a scratch database; an interruption stays one. */
function replayError(
  message: string,
  cause: unknown,
  { signal }: { signal?: AbortSignal | undefined },
): unknown {
  if (signal?.aborted) return signal.reason;
  if (cause instanceof EvdbError) return cause;
  const said = cause instanceof Error ? cause.message : String(cause);
  return new EvdbError('REPLAY_FAILED', `${message}: ${said}`, { hint: REPLAY_HINT, cause });
}

function readDump(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new EvdbError('FILE_UNREADABLE', `${path} cannot be read: ${(cause as Error).message}`, {
      hint: `\`${commandLine('schema dump', { file: path })}\` writes it.`,
      cause,
    });
  }
}
