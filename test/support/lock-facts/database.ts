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

/** A database for the tests of a file; `drop` goes into an `afterAll`. */
interface FileDatabase {
  url: string;
  drop(): Promise<void>;
}

/** Makes a database of the corpus on the server of the run. */
export async function createLockFactsDatabase(kind: LockFact['database']): Promise<FileDatabase> {
  const database = await createEmptyDatabase();
  const sql = openSql(database.url, 1);
  await sql.unsafe(readLockFactsDatabase(kind)).simple();
  await closeSql(sql);
  return database;
}

export async function createEmptyDatabase(): Promise<FileDatabase> {
  const name = newDatabaseName();
  await asAdmin((admin) => createDatabase(admin, name));
  return {
    url: withDatabase(inject('adminUrl'), name),
    drop: () => asAdmin((admin) => dropDatabase(admin, name)),
  };
}

async function asAdmin(work: (admin: ReturnType<typeof openSql>) => Promise<void>): Promise<void> {
  const admin = openSql(inject('adminUrl'), 1);
  await work(admin).finally(() => closeSql(admin));
}
