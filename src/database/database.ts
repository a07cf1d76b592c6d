import { codeOf, queryError } from '../connection/connection-error.ts';
import type { ConnectionOptions } from '../connection/options.ts';
import { describeUser, openSession, type Session } from '../connection/session.ts';
import { EvdbError } from '../errors.ts';
import { quoteIdent, quoteLiteral } from '../sql/quote.ts';
import { sameCommand } from '../text/command-line.ts';

/** A session that is connected to a database. */
export interface DatabaseSession {
  pid: number;
  user: string | null;
  application: string;
  /** Null for a Unix socket, and if the role may not see it. */
  client: string | null;
}

/** The server's own: tools connect to them to get at the others. */
const OWN = ['postgres', 'template1'];
const NOT_OURS: ReadonlySet<string> = new Set([...OWN, 'template0']);

/**
 * Creates the configured database unless it exists. It is a copy of the server's `template1`, and
 * belongs to the user who connects.
 *
 * @throws {EvdbError} PERMISSION_DENIED if the role may not create databases; as `pingDatabase`
 * @example
 * const { created } = await ensureDatabase(connection);
 */
export async function ensureDatabase(
  connection: ConnectionOptions,
): Promise<{ database: string; created: boolean }> {
  const { database } = connection;
  return withOwnDatabase(connection, async (session) => {
    if (await existsDatabase(session, database)) return { database, created: false };
    try {
      await session.run(`create database ${quoteIdent(database)}`);
      return { database, created: true };
    } catch (error) {
      // somebody was faster, seen before (42P04) or after (23505) the name was looked up
      if (['42P04', '23505'].includes(codeOf(error) ?? '')) return { database, created: false };
      if (codeOf(error) === '42501') throw mayNot(error, 'create databases', 'createdb', session);
      throw error;
    }
  });
}

/** The consent that dropping a database needs. */
export interface DropDatabaseOptions {
  /** Must be true: a dropped database cannot be restored. */
  confirm: boolean;
  /** Ends connected sessions. Default false: they make it fail. */
  force?: boolean | undefined;
}

/**
 * Drops the configured database if it exists, with all its data.
 *
 * @throws {EvdbError} CONFIRM_REQUIRED; USAGE for the server's own databases; DATABASE_IN_USE,
 *   which names the connected sessions; PERMISSION_DENIED; as `pingDatabase`
 * @example
 * const { dropped } = await dropDatabase(connection, { confirm: true });
 */
export async function dropDatabase(
  connection: ConnectionOptions,
  { confirm, force = false }: DropDatabaseOptions,
): Promise<{ database: string; dropped: boolean; endedSessions: DatabaseSession[] }> {
  const { database } = connection;
  if (NOT_OURS.has(database)) {
    throw new EvdbError('USAGE', `database "${database}" belongs to the server itself`, {
      hint: 'Nothing was changed. Name the database that you mean, for example with --url.',
    });
  }
  if (!confirm) {
    throw new EvdbError('CONFIRM_REQUIRED', `this drops database "${database}" and all its data`, {
      hint: `Nothing was changed. If that is intended: ${sameCommand('db drop', { confirm: true })}`,
    });
  }
  return withOwnDatabase(connection, async (session) => {
    if (!(await existsDatabase(session, database))) {
      return { database, dropped: false, endedSessions: [] };
    }
    const connected = await listSessions(session, database);
    if (connected.length > 0 && !force) throw inUse(database, connected);
    try {
      await session.run(`drop database ${quoteIdent(database)}${force ? ' with (force)' : ''}`);
    } catch (error) {
      if (codeOf(error) === '55006') throw inUse(database, connected, error);
      if (codeOf(error) === '42501') throw notOwner(error, database, session);
      throw error;
    }
    return { database, dropped: true, endedSessions: connected };
  });
}

/** Runs work in a database of the server's own: another one can be neither made nor dropped from within. */
export async function withOwnDatabase<T>(
  connection: ConnectionOptions,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  const session = await openOwnDatabase(connection);
  try {
    return await work(session);
  } catch (error) {
    throw queryError(error);
  } finally {
    await session.close();
  }
}

async function openOwnDatabase(connection: ConnectionOptions): Promise<Session> {
  const [first = '', second = ''] = OWN;
  try {
    return await openSession({ ...connection, database: first });
  } catch (error) {
    const isOther =
      error instanceof EvdbError && ['DATABASE_MISSING', 'PERMISSION_DENIED'].includes(error.code);
    if (!isOther) throw error;
    return openSession({ ...connection, database: second });
  }
}

async function existsDatabase(session: Session, name: string): Promise<boolean> {
  const rows = await session.run(
    `select from pg_catalog.pg_database where datname = ${quoteLiteral(name)}`,
  );
  return rows.length > 0;
}

async function listSessions(session: Session, name: string): Promise<DatabaseSession[]> {
  const rows = await session.run(`
    select pid, usename::text as "user", application_name as "application",
        pg_catalog.host(client_addr) as "client"
    from pg_catalog.pg_stat_activity
    where datname = ${quoteLiteral(name)} and backend_type = 'client backend'
    order by backend_start, pid`);
  return rows as unknown as DatabaseSession[];
}

function inUse(name: string, sessions: DatabaseSession[], cause?: unknown): EvdbError {
  const who = sessions.slice(0, 5).map(({ pid, user, application, client }) => {
    const from = client === null ? '' : ` from ${client}`;
    return `pid ${pid} (${[user, application].filter(Boolean).join(', ')}${from})`;
  });
  const more = sessions.length > 5 ? ` and ${sessions.length - 5} more` : '';
  const said = who.length > 0 ? `: ${who.join('; ')}${more}` : '';
  return new EvdbError('DATABASE_IN_USE', `database "${name}" is in use${said}`, {
    hint: `Nothing was changed. Stop them, or end their sessions with it: ${sameCommand('db drop', { confirm: true, force: true })}`,
    cause,
    details: { sessions },
  });
}

function mayNot(cause: unknown, what: string, attribute: string, { facts }: Session): EvdbError {
  return new EvdbError('PERMISSION_DENIED', `${describeUser(facts)} may not ${what}`, {
    hint: `Let an administrator run: alter role ${quoteIdent(facts.user)} ${attribute};`,
    cause,
  });
}

function notOwner(cause: unknown, database: string, { facts }: Session): EvdbError {
  return new EvdbError(
    'PERMISSION_DENIED',
    `${describeUser(facts)} may not drop database "${database}", or end the sessions in it`,
    { hint: 'Its owner or an administrator may.', cause },
  );
}
