import { randomBytes } from 'node:crypto';
import postgres from 'postgres';

const prefix = 'evdb_test_';
const dayMs = 24 * 60 * 60 * 1000;

/** A name no other test has; it holds the day, so that forgotten databases can be told apart. */
export function newDatabaseName(): string {
  return `${prefix}${dayOf(Date.now())}_${randomBytes(6).toString('hex')}`;
}

/** The same server with another database. */
export function withDatabase(url: string, database: string): string {
  const changed = new URL(url);
  changed.pathname = `/${database}`;
  return changed.href;
}

/** The same server and database with another login. */
export function withLogin(url: string, user: string, password: string): string {
  const changed = new URL(url);
  changed.username = encodeURIComponent(user);
  changed.password = encodeURIComponent(password);
  return changed.href;
}

/** Opens a driver instance for tests: silent about notices, at most `max` connections (default 4). */
export function openSql(url: string, max = 4): postgres.Sql {
  return postgres(url, {
    max,
    onnotice: () => undefined,
    connection: { application_name: 'evdb-test' },
  });
}

/** Ends a driver instance; the driver itself waits for ever for a connection that was lost. */
export async function closeSql(sql: postgres.Sql): Promise<void> {
  await sql.end({ timeout: 1 });
}

/** Creates a database, from `template` where one is given. */
export async function createDatabase(
  admin: postgres.Sql,
  name: string,
  template = 'template0',
): Promise<void> {
  await admin`create database ${admin(name)} template ${admin(template)}`;
}

/** Drops a database and ends whatever is still connected to it. */
export async function dropDatabase(admin: postgres.Sql, name: string): Promise<void> {
  await admin`drop database if exists ${admin(name)} with (force)`;
}

/** Runs work with an empty database of its own, beside the one that a URL names, and drops it. */
export async function withEmptyDatabase<T>(
  serverUrl: string,
  work: (sql: postgres.Sql, url: string) => Promise<T>,
): Promise<T> {
  const admin = openSql(serverUrl, 1);
  const name = newDatabaseName();
  await createDatabase(admin, name);
  const url = withDatabase(serverUrl, name);
  const sql = openSql(url, 1);
  try {
    return await work(sql, url);
  } finally {
    await closeSql(sql);
    await dropDatabase(admin, name);
    await closeSql(admin);
  }
}

/** A role of one test: roles belong to the server, so each has a name of its own. */
export interface TestRole {
  name: string;
  /** URL of the test's database with this role. */
  url: string;
  /** Drops the role with all that it owns in the database. */
  remove(): Promise<void>;
}

/** Creates a role that logs in to a database; `attributes` are those of `create role`. */
export async function createRole(
  { sql, url }: { sql: postgres.Sql; url: string },
  attributes = '',
  password = randomBytes(12).toString('hex'),
): Promise<TestRole> {
  const name = `${prefix}${randomBytes(6).toString('hex')}`;
  await sql.unsafe(`create role ${name} login password '${password}' ${attributes}`);
  const remove = async () => {
    await sql.unsafe(`drop owned by ${name} cascade; drop role ${name}`).simple();
  };
  return { name, url: withLogin(url, name, password), remove };
}

/** Names of the test databases that exist on the server. */
export async function listTestDatabases(adminUrl: string): Promise<string[]> {
  const admin = openSql(adminUrl, 1);
  try {
    const rows = await admin<{ datname: string }[]>`
      select datname from pg_database where starts_with(datname, ${prefix}) order by datname`;
    return rows.map((row) => row.datname);
  } finally {
    await closeSql(admin);
  }
}

/** Drops the databases that failed tests of two days ago or earlier left behind. */
export async function removeOldTestDatabases(adminUrl: string): Promise<void> {
  const yesterday = dayOf(Date.now() - dayMs);
  const old = (await listTestDatabases(adminUrl)).filter(
    (name) => name.slice(prefix.length, prefix.length + yesterday.length) < yesterday,
  );
  const admin = openSql(adminUrl, 1);
  try {
    for (const name of old) await dropDatabase(admin, name);
  } finally {
    await closeSql(admin);
  }
}

function dayOf(timeMs: number): string {
  return new Date(timeMs).toISOString().slice(0, 10).replaceAll('-', '');
}
