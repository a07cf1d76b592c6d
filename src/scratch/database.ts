import { randomInt } from 'node:crypto';
import { codeOf, isConnectionLoss, queryError } from '../connection/connection-error.ts';
import { type ConnectionOptions, liftTimeLimitsSql } from '../connection/options.ts';
import { describeUser, openSession, type Session } from '../connection/session.ts';
import { EvdbError } from '../errors.ts';
import { quoteIdent, quoteLiteral } from '../sql/quote.ts';
import { commandLine } from '../text/command-line.ts';

/** On which server to create a scratch database. */
export interface ScratchDatabaseOptions {
  /**
   * The database whose server, encoding and locale to use; without one it is created on the
   * embedded server.
   */
  beside?: ConnectionOptions | undefined;
  /**
   * The folder of the embedded server, used if there is no target, or if the role may not create
   * databases. Default: that is an error.
   */
  embeddedDirectory?: string | undefined;
  /** Called with a sentence for the user, such as that the embedded server is used. */
  onProgress?: ((message: string) => void) | undefined;
  /** Prevents its creation; `work` handles the signal itself. It is dropped in any case. */
  signal?: AbortSignal | undefined;
}

/** A database that lasts as long as the work in it. */
export interface ScratchDatabase {
  connection: ConnectionOptions;
  name: string;
  /** As in server_version_num. */
  serverVersion: number;
  /** Whether it is on the embedded server instead of the target's. */
  isEmbedded: boolean;
}

/** `evdb_scratch_` and seven digits, which are also the number of its lock. */
const NAME = /^evdb_scratch_([0-9a-f]{7})$/;
/** "evds" in ASCII. */
const LOCK_CLASS = 0x65766473;

/**
 * Provides an empty database, created from `template0` with the target's encoding and locale, and
 * always drops it. Databases that a killed process left are dropped first; an advisory lock, which
 * the creator holds from before the database exists, shows whether its process is still alive.
 *
 * @throws {EvdbError} SCRATCH_UNAVAILABLE, those of `pingDatabase` and `ensureEmbeddedServer`, and
 *   whatever `work` throws
 * @example
 * await withScratchDatabase({ beside: connection }, async (scratch) => {
 *   await migrateUp({ ...options, connection: scratch.connection });
 * });
 */
export async function withScratchDatabase<T>(
  options: ScratchDatabaseOptions,
  work: (scratch: ScratchDatabase) => Promise<T>,
): Promise<T> {
  options.signal?.throwIfAborted();
  const { keeper, name, isEmbedded } = await makeDatabase(options);
  try {
    return await work({
      connection: {
        ...keeper.options,
        database: name,
        // with several hosts it must be the one where it was made
        targetSessionAttrs: 'read-write',
      },
      name,
      serverVersion: keeper.facts.serverVersion,
      isEmbedded,
    });
  } finally {
    await dropScratch(keeper, name, options.onProgress);
  }
}

interface Made {
  /** Holds the lock; connected to the database beside. */
  keeper: Session;
  name: string;
  isEmbedded: boolean;
}

async function makeDatabase(options: ScratchDatabaseOptions): Promise<Made> {
  const { beside } = options;
  if (!beside) return makeEmbedded(options, new Refusal('no database is configured', ELSEWHERE));
  try {
    return { ...(await makeBeside(beside, options.signal)), isEmbedded: false };
  } catch (error) {
    if (!(error instanceof Refusal)) throw queryError(error);
    return makeEmbedded(options, error);
  }
}

/** Why the target's server cannot have one. */
class Refusal extends EvdbError {
  constructor(message: string, hint: string, cause?: unknown) {
    super('SCRATCH_UNAVAILABLE', message, { hint, cause });
  }
}

const ELSEWHERE = 'Name a server with --url, or use the embedded one with --embedded.';

function refusalOf(error: unknown, { facts }: Session): Refusal | undefined {
  switch (codeOf(error)) {
    case '42501':
      return new Refusal(
        `${describeUser(facts)} may not create databases`,
        `Let an administrator run: alter role ${quoteIdent(facts.user)} createdb;`,
        error,
      );
    case '25006':
      return new Refusal('the server or the connection is read-only', ELSEWHERE, error);
    default:
      return undefined;
  }
}

async function makeEmbedded(
  options: ScratchDatabaseOptions,
  { message, hint, cause }: Refusal,
): Promise<Made> {
  const { embeddedDirectory, onProgress, signal } = options;
  if (embeddedDirectory === undefined) {
    const text = `no scratch database can be made: ${message}`;
    throw new EvdbError('SCRATCH_UNAVAILABLE', text, { hint, cause });
  }
  const reason = options.beside ? `${message}: ` : '';
  onProgress?.(`${reason}the scratch database is made on the embedded PostgreSQL`);
  const { ensureEmbeddedServer } = await import('../embedded/server.ts');
  const server = await ensureEmbeddedServer({ directory: embeddedDirectory, onProgress, signal });
  if (server.started) {
    onProgress?.(`the embedded PostgreSQL stays up; \`${commandLine('server stop')}\` ends it`);
  }
  return { ...(await makeBeside(server.connection, signal)), isEmbedded: true };
}

async function makeBeside(
  beside: ConnectionOptions,
  signal: AbortSignal | undefined,
): Promise<Omit<Made, 'isEmbedded'>> {
  const keeper = await openSession(beside, { signal });
  try {
    // a limit of the target must not end the session that keeps the lock
    await keeper.run(`set statement_timeout = 0; ${liftTimeLimitsSql(keeper.facts)}`);
    await removeLeftovers(keeper);
    const number = randomInt(0x10000000);
    const name = `evdb_scratch_${number.toString(16).padStart(7, '0')}`;
    await keeper.run(`select pg_catalog.pg_advisory_lock(${LOCK_CLASS}, ${number})`);
    await createLike(keeper, name);
    return { keeper, name };
  } catch (error) {
    await keeper.close({ force: true });
    throw refusalOf(error, keeper) ?? error;
  }
}

async function createLike(keeper: Session, name: string): Promise<void> {
  const version = keeper.facts.serverVersion;
  const [row] = await keeper.run(`
    select pg_catalog.pg_encoding_to_char(encoding) as "encoding",
        datcollate::text as "collate",
        datctype::text as "ctype",
        ${version >= 150000 ? 'datlocprovider::text' : "'c'"} as "provider",
        ${version >= 170000 ? 'datlocale' : version >= 150000 ? 'daticulocale' : 'null'} as "locale"
    from pg_catalog.pg_database
    where datname = pg_catalog.current_database()`);
  const { encoding, collate, ctype, provider, locale } = row as Record<string, string | null>;
  const parts = [
    `encoding ${quoteLiteral(encoding ?? 'UTF8')}`,
    `lc_collate ${quoteLiteral(collate ?? 'C')}`,
    `lc_ctype ${quoteLiteral(ctype ?? 'C')}`,
  ];
  // said as well, because that of the template may be another one
  if (provider === 'c' && version >= 150000) parts.push('locale_provider libc');
  if (provider === 'i') parts.push(`locale_provider icu icu_locale ${quoteLiteral(locale ?? '')}`);
  if (provider === 'b')
    parts.push(`locale_provider builtin builtin_locale ${quoteLiteral(locale ?? '')}`);
  await keeper.run(`create database ${quoteIdent(name)} template template0 ${parts.join(' ')}`);
}

/** A maker that lives holds the lock of its database, in whatever database it is connected to. */
async function removeLeftovers(keeper: Session): Promise<void> {
  const rows = await keeper.run(`
    select d.datname::text as "name"
    from pg_catalog.pg_database as d
    where d.datname like 'evdb\\_scratch\\_%'
        and pg_catalog.pg_has_role(d.datdba, 'member')`);
  const locks = await keeper.run(`
    select objid::bigint::text as "number"
    from pg_catalog.pg_locks
    where locktype = 'advisory' and classid = ${LOCK_CLASS}`);
  const held = new Set(locks.map(({ number }) => Number(number)));
  for (const { name } of rows) {
    const digits = NAME.exec(String(name))?.[1];
    if (digits === undefined || held.has(Number.parseInt(digits, 16))) continue;
    // another process may be at it, and who still looks into it may go on
    await keeper.run(`drop database if exists ${quoteIdent(String(name))}`).catch(() => undefined);
  }
}

/** object_in_use */
const IN_USE = '55006';

/** By force only where somebody stays: who is about to leave would be ended, which the server logs as fatal. */
async function dropBy(session: Session, name: string): Promise<void> {
  const drop = `drop database if exists ${quoteIdent(name)}`;
  await session.run(drop).catch(async (error: unknown) => {
    if (codeOf(error) !== IN_USE) throw error;
    await session.run(`${drop} with (force)`);
  });
}

async function dropScratch(
  keeper: Session,
  name: string,
  onProgress: ScratchDatabaseOptions['onProgress'],
): Promise<void> {
  try {
    await dropBy(keeper, name).catch(async (error: unknown) => {
      if (!isConnectionLoss(error)) throw error;
      const again = await openSession(keeper.options);
      await dropBy(again, name).finally(() => again.close());
    });
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error);
    onProgress?.(
      `the scratch database ${name} could not be dropped (${said}); the next one that is made drops it`,
    );
  } finally {
    await keeper.close();
  }
}
