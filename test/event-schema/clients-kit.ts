// Sessions beside that of the test, and what becomes of what they ask.

import type postgres from 'postgres';
import { closeSql, openSql } from '../support/databases.ts';

/** Runs `work` on a session of its own, inside a transaction that is open before and after it. */
export async function withOpenTransaction(
  url: string,
  statement: string,
  work: (other: postgres.Sql) => Promise<void>,
): Promise<void> {
  const other = openSql(url, 1);
  try {
    await other`begin`;
    await other.unsafe(statement);
    await work(other);
    await other`rollback`;
  } finally {
    await closeSql(other);
  }
}

/** One session of which the server's process id is known. */
export interface Client {
  sql: postgres.Sql;
  pid: number;
}

/** Opens `count` sessions, lends them to `work`, and closes them whatever happens. */
export async function withClients<T>(
  url: string,
  count: number,
  work: (...clients: Client[]) => Promise<T>,
): Promise<T> {
  const sessions = Array.from({ length: count }, () => openSql(url, 1));
  try {
    const clients = await Promise.all(
      sessions.map(async (sql) => {
        const [row] = await sql<{ pid: number }[]>`select pg_backend_pid() as pid`;
        if (!row) throw new Error('a session without a process');
        return { sql, pid: row.pid };
      }),
    );
    return await work(...clients);
  } finally {
    await Promise.all(sessions.map(closeSql));
  }
}

/** Waits until a session waits for a lock; throws where it does not come to that. */
export async function untilBlocked(sql: postgres.Sql, client: Client): Promise<void> {
  for (let i = 0; i < 2000; i++) {
    const [row] = await sql`
      select from pg_stat_activity where pid = ${client.pid} and wait_event_type = 'Lock'`;
    if (row) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error(`session ${client.pid} never waited for a lock`);
}

/** `ok`, or the SQLSTATE (or the driver's code) that a query was rejected with. */
export async function outcomeOf(query: PromiseLike<unknown>): Promise<string> {
  try {
    await query;
    return 'ok';
  } catch (error) {
    return codeOf(error);
  }
}

/** The code of an error of the server or the driver; throws anything else. */
export function codeOf(error: unknown): string {
  const code = (error as { code?: unknown }).code;
  if (typeof code !== 'string') throw error;
  return code;
}
