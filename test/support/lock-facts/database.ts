import { inject } from 'vitest';
import {
  closeSql,
  createDatabase,
  dropDatabase,
  newDatabaseName,
  openSql,
  withDatabase,
} from '../databases.ts';
import { type LockFact, readLockFactsDatabase } from './facts.ts';

/** Makes a database of the corpus on the server of the run; `drop` goes into an `afterAll`. */
export async function createLockFactsDatabase(
  kind: LockFact['database'],
): Promise<{ url: string; drop(): Promise<void> }> {
  const name = newDatabaseName();
  const url = withDatabase(inject('adminUrl'), name);
  await asAdmin((admin) => createDatabase(admin, name));
  const sql = openSql(url, 1);
  await sql.unsafe(readLockFactsDatabase(kind)).simple();
  await closeSql(sql);
  return { url, drop: () => asAdmin((admin) => dropDatabase(admin, name)) };
}

async function asAdmin(work: (admin: ReturnType<typeof openSql>) => Promise<void>): Promise<void> {
  const admin = openSql(inject('adminUrl'), 1);
  await work(admin).finally(() => closeSql(admin));
}
