import { EvdbError } from '../../errors.ts';
import type { ConnectionOptions } from '../options.ts';
import type { Session } from '../session.ts';
import { diskFull } from './disk.ts';

const MAX_NAME_BYTES = 63;
const SQLSTATE_DISK_FULL = '53100';
const SQLSTATE_DUPLICATE_DATABASE = '42P04';
const SQLSTATE_UNIQUE_VIOLATION = '23505';

export interface EnsuredDatabase {
  /** Names the folder of the database in the data folder. */
  oid: number;
  /** Such as `18.4`. */
  serverVersion: string;
}

/**
 * Creates the database of a connection where it is missing.
 *
 * @throws {EvdbError} CONFIG_INVALID for an impossible name, DISK_FULL, EMBEDDED_START_FAILED
 */
export async function ensureDatabase(
  connection: ConnectionOptions,
  signal: AbortSignal | undefined,
): Promise<EnsuredDatabase> {
  requireName(connection.database);
  const { openSession } = await import('../session.ts');
  const session = await openSession({ ...connection, database: 'postgres' }, { signal });
  try {
    const find = `select oid::int8::text as "oid" from pg_catalog.pg_database
      where datname = ${quoteLiteral(connection.database)}`;
    let [found] = await session.run(find);
    if (!found) {
      await createUnlessPresent(session, connection.database);
      [found] = await session.run(find);
    }
    const { serverVersion } = session.facts;
    return {
      oid: Number(found?.oid),
      serverVersion: `${Math.floor(serverVersion / 10_000)}.${serverVersion % 10_000}`,
    };
  } catch (error) {
    throw createError(error, connection.database);
  } finally {
    await session.close();
  }
}

/** A caller that was killed meanwhile leaves a session that is still creating the same database. */
async function createUnlessPresent(session: Session, database: string): Promise<void> {
  try {
    await session.run(`create database ${quoteIdentifier(database)}`);
  } catch (error) {
    const { code } = error as { code?: string };
    if (code !== SQLSTATE_DUPLICATE_DATABASE && code !== SQLSTATE_UNIQUE_VIOLATION) throw error;
  }
}

function requireName(name: string): void {
  const length = Buffer.byteLength(name);
  if (length > 0 && length <= MAX_NAME_BYTES && !name.includes('\0')) return;
  throw new EvdbError('CONFIG_INVALID', `"${name.slice(0, 80)}" cannot be the name of a database`, {
    hint: `PostgreSQL takes names of 1 to ${MAX_NAME_BYTES} bytes.`,
  });
}

function createError(cause: unknown, database: string): EvdbError {
  if (cause instanceof EvdbError) return cause;
  const { code, message } = cause as { code?: string; message?: string };
  const details = { database, sqlState: code };
  if (code === SQLSTATE_DISK_FULL) {
    return diskFull(`cannot create the database "${database}": the disk is full`, {
      cause,
      details,
    });
  }
  return new EvdbError(
    'EMBEDDED_START_FAILED',
    `cannot create the database "${database}": ${message}`,
    { hint: 'Read server.log in the .evdb folder, and try again.', cause, details },
  );
}

function quoteLiteral(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
