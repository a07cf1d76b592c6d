import type postgres from 'postgres';
import type { EvdbError } from '../../src/errors.ts';
import type { RegistrationResult } from '../../src/events/registration-answer.ts';
import { DatabasePool } from '../../src/pool/pool.ts';
import { closeSql, openSql } from '../support/databases.ts';

/** Runs work with a pool, and closes it. */
export async function withPool<T>(
  url: string,
  work: (pool: DatabasePool) => Promise<T>,
  max = 10,
): Promise<T> {
  const pool = new DatabasePool({ connectionString: url, max });
  try {
    return await work(pool);
  } finally {
    await pool.close({ timeoutMillis: 1_000 });
  }
}

/** The URL of sessions that begin with a setting, such as `lock_timeout=50ms`. */
export function withSetting(url: string, setting: string): string {
  return `${url}${url.includes('?') ? '&' : '?'}options=${encodeURIComponent(`-c ${setting}`)}`;
}

export interface OpenTransaction {
  commit(): Promise<void>;
}

/** Runs a statement in a session of its own, which keeps its locks until it commits. */
export async function openTransaction(url: string, statement: string): Promise<OpenTransaction> {
  const sql = openSql(url, 1);
  await sql.unsafe(`begin; ${statement}`);
  return {
    async commit() {
      await sql.unsafe('commit');
      await closeSql(sql);
    },
  };
}

export const lockUser = (url: string, userId: number) =>
  openTransaction(url, `select from users where id = ${userId} for update`);

export const lockEvent = (url: string, eventId: number) =>
  openTransaction(url, `select from events where id = ${eventId} for update`);

/** Pids of the sessions that wait for a lock in a statement that names `what`. */
export async function listBlocked(sql: postgres.Sql, what: string): Promise<number[]> {
  const rows = await sql<{ pid: number }[]>`
    select pid from pg_stat_activity
    where datname = current_database() and wait_event_type = 'Lock'
      and position(${what} in query) > 0 and pid <> pg_backend_pid()`;
  return rows.map(({ pid }) => pid);
}

/** What became of each call: `ok`, the reason of the refusal, or the code of the error. */
export async function fatesOf(calls: Promise<RegistrationResult>[]): Promise<string[]> {
  const settled = await Promise.allSettled(calls);
  return settled.map((one) => {
    if (one.status === 'rejected') return (one.reason as EvdbError).code;
    return one.value.success ? 'ok' : one.value.reason;
  });
}
