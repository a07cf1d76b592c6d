import type postgres from 'postgres';

/** For `expect.poll` and `vi.waitUntil`: what takes a moment may take 20 seconds on a busy machine. */
export const POLL = { timeout: 20_000, interval: 10 };

/**
 * Waits until the views show what sessions that have ended counted. Before PostgreSQL 15 a process of
 * its own collects it, and what it shows may be half a second old.
 */
export async function untilCounted(sql: postgres.Sql): Promise<void> {
  const [row] = await sql`select current_setting('server_version_num')::int as version`;
  if (row?.version < 150_000) await new Promise((resolve) => setTimeout(resolve, 1_500));
}

/** The locks that sessions of this database wait for: other tests have theirs on the same server. */
export function listAwaitedLocks(sql: postgres.Sql): postgres.PendingQuery<postgres.Row[]> {
  return sql`
    select locktype from pg_locks
    where not granted
      and database = (select oid from pg_database where datname = current_database())`;
}

/** The sessions in scratch databases whose statement contains `mark`. */
export function listScratchSessions(
  sql: postgres.Sql,
  mark: string,
): postgres.PendingQuery<{ datname: string; pid: number }[]> {
  return sql`
    select datname, pid from pg_stat_activity
    where datname like 'evdb\\_scratch\\_%' and query like ${`%${mark}%`}`;
}

/** Looks until `look` finds something, for at most 20 seconds. */
export async function eventually<T>(look: () => Promise<T | undefined>): Promise<T> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const found = await look();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error('it never happened');
}

/** Asks over and over until the answer is true, for 30 seconds at most. */
export async function until(question: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; i < 3_000; i++) {
    if (await question()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`waited for 30 seconds in vain: ${question}`);
}

/** A promise that is resolved from outside. */
export function gate(): { promise: Promise<void>; open: () => void } {
  let open: () => void = () => undefined;
  const promise = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { promise, open };
}

/** Lets nobody go on before `count` are there. */
export function meeting(count: number): () => Promise<void> {
  const { promise, open } = gate();
  let missing = count;
  return () => {
    missing -= 1;
    if (missing <= 0) open();
    return promise;
  };
}

/** The error with which something ends that must not succeed. */
export async function failureOf<E extends Error = Error & { code: string }>(
  work: Promise<unknown>,
): Promise<E> {
  return work.then(
    (value) => {
      throw new Error(`it did not fail: ${JSON.stringify(value)}`);
    },
    (error) => error,
  );
}
