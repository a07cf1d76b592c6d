import { readFileSync } from 'node:fs';
import { codeOf, isConnectionLoss } from '../../connection/connection-error.ts';
import type { ConnectionOptions } from '../../connection/options.ts';
import { openSession, type Session } from '../../connection/session.ts';
import { EvdbError } from '../../errors.ts';
import {
  type ScratchDatabase,
  type ScratchOptions,
  withScratchDatabase,
} from '../../scratch/server.ts';
import { quoteIdent, quoteLiteral } from '../../sql/quote.ts';
import { splitStatements } from '../../sql/statements.ts';
import { type ReadStructureOptions, readStructure } from '../../structure/read/structure.ts';
import { renderStructure } from '../../structure/render/structure.ts';
import type { Structure, StructureKind, StructureObject } from '../../structure/structure.ts';
import { commandLine } from '../../text/command-line.ts';
import { listMigrations, type MigrationFile, readScript } from '../files/source.ts';
import { ledgerKey, type MigrateOptions } from '../options.ts';
import { fullName } from '../plan/plan.ts';
import { readStanding, requireMigrations, withSession } from '../plan/read.ts';
import { REPLAY_HINT, replayApplied, runScript } from './scratch-replay.ts';

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

interface CopyStructureOptions {
  /** Left out, as nothing of the ledger is migrated. */
  ledgerSchema: string;
  /** Whether it is on another server, which has other roles. */
  isEmbedded: boolean;
  signal?: AbortSignal | undefined;
}

/** So many statements go in one message: all at once would need more locks than a server has room for. */
const APPLY_BATCH = 200;

/**
 * Makes the structure of a database again in an empty one, without its rows. What cannot be made there,
 * such as an extension that the server does not have, is left out.
 *
 * @returns a sentence for each thing that was left out
 * @throws {EvdbError} those of `readStructure` and `openSession`
 */
export async function copyStructure(
  from: Session,
  to: ConnectionOptions,
  { ledgerSchema, isEmbedded, signal }: CopyStructureOptions,
): Promise<string[]> {
  const structure = await readStructure(from, { exceptSchemas: [ledgerSchema] });
  const statements = splitStatements(renderStructure(withoutOthers(structure, isEmbedded)));
  const texts = statements.map(({ text }) => text);
  const session = await openSession(to, { signal });
  const abort = () => void session.close({ force: true, cancel: true });
  signal?.addEventListener('abort', abort, { once: true });
  try {
    // nobody needs it after a crash
    await session.run('set synchronous_commit = off');
    const problems: string[] = [];
    for (let start = 0; start < texts.length; start += APPLY_BATCH) {
      problems.push(...(await runBatch(session, texts.slice(start, start + APPLY_BATCH))));
    }
    return problems;
  } finally {
    signal?.removeEventListener('abort', abort);
    await session.close();
  }
}

/** In one message; where something in it fails, one by one. */
async function runBatch(session: Session, texts: string[]): Promise<string[]> {
  if ((await problemOf(session, texts.join(';\n'))) === undefined) return [];
  const problems: string[] = [];
  for (const text of texts) {
    const problem = await problemOf(session, text);
    if (problem !== undefined) problems.push(problem);
  }
  return problems;
}

async function problemOf(session: Session, text: string): Promise<string | undefined> {
  try {
    await session.run(text);
    return undefined;
  } catch (error) {
    if (isConnectionLoss(error) || codeOf(error) === undefined) throw error;
    return error instanceof Error ? error.message : String(error);
  }
}

/** They lock nothing, and need roles or servers that a scratch database has no use for. */
const USELESS: ReadonlySet<StructureKind> = new Set([
  ...(['user mapping', 'publication', 'default privileges'] as const),
]);

function withoutOthers(structure: Structure, isEmbedded: boolean): Structure {
  const objects = structure.objects.filter(({ kind }) => !USELESS.has(kind));
  return { ...structure, objects: isEmbedded ? objects.map(withoutRoles) : objects };
}

function withoutRoles(object: StructureObject): StructureObject {
  const { grants: _, ...parts } = object.parts;
  if (object.kind === 'policy') delete parts.to;
  return { ...object, parts };
}

/**
 * Makes the roles of a server on the embedded one, so that migrations can grant something to them.
 * They may not log in, and stay: they belong to no database.
 */
async function copyRoles(
  from: ConnectionOptions,
  scratch: Session,
  signal: AbortSignal | undefined,
): Promise<void> {
  const target = await openSession(from, { signal });
  try {
    const rows = await target.run(
      `select rolname::text as "name" from pg_catalog.pg_roles where rolname !~ '^pg_' order by 1`,
    );
    for (const { name } of rows) await ensureRole(scratch, String(name));
  } finally {
    await target.close();
  }
}

async function ensureRole(scratch: Session, name: string): Promise<void> {
  const known = await scratch.run(
    `select from pg_catalog.pg_roles where rolname = ${quoteLiteral(name)}`,
  );
  if (known.length === 0) await scratch.run(`create role ${quoteIdent(name)} nologin`);
}
