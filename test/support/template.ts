import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type postgres from 'postgres';
import { splitStatements } from '../../src/sql/statements.ts';
import { closeSql, createDatabase, dropDatabase, openSql, withDatabase } from './databases.ts';

interface MigrationText {
  file: string;
  text: string;
}

const migrationsDir = fileURLToPath(new URL('../../migrations/', import.meta.url));

/**
 * Makes sure that the database which holds the complete event schema exists, and returns its
 * name. The name is a hash of the migrations, so a changed file means a new template; it is marked
 * as a template last, so one that was only half made is known and made again.
 */
export async function ensureTemplate(adminUrl: string): Promise<string> {
  const migrations = await readMigrations();
  const name = `evdb_tpl_${hashOf(migrations)}`;
  // One connection: the lock belongs to the session that takes it.
  const admin = openSql(adminUrl, 1);
  try {
    if (await isComplete(admin, name)) return name;
    await admin`select pg_advisory_lock(hashtextextended(${name}, 0))`;
    if (await isComplete(admin, name)) return name;
    await dropDatabase(admin, name);
    await createDatabase(admin, name);
    await applyPlainly(withDatabase(adminUrl, name), migrations);
    // A template can only be copied while nobody is connected to it.
    await admin`alter database ${admin(name)} with is_template true allow_connections false`;
    return name;
  } finally {
    await closeSql(admin);
  }
}

async function isComplete(admin: postgres.Sql, name: string): Promise<boolean> {
  const [row] = await admin`select datistemplate from pg_database where datname = ${name}`;
  return row?.datistemplate === true;
}

async function readMigrations(): Promise<MigrationText[]> {
  const files = (await readdir(migrationsDir))
    .filter((file) => /^\d+_.*\.sql$/.test(file) && !file.endsWith('.down.sql'))
    .sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10));
  return Promise.all(
    files.map(async (file) => ({ file, text: await readFile(migrationsDir + file, 'utf8') })),
  );
}

function hashOf(migrations: MigrationText[]): string {
  const hash = createHash('sha256');
  for (const { file, text } of migrations) hash.update(`${file}\0${text}\0`);
  return hash.digest('hex').slice(0, 16);
}

/** Without the migrator, so that a fault in it cannot hide behind the fixture. */
async function applyPlainly(url: string, migrations: MigrationText[]): Promise<void> {
  const sql = openSql(url, 1);
  try {
    for (const migration of migrations) await applyOne(sql, migration);
  } finally {
    await closeSql(sql);
  }
}

async function applyOne(sql: postgres.Sql, { file, text }: MigrationText): Promise<void> {
  try {
    await sql`set search_path to public, pg_temp`;
    if (/^-- evdb: no-transaction/m.test(text)) {
      for (const statement of splitStatements(text)) await sql.unsafe(statement.text).simple();
    } else {
      await sql.begin((transaction) => transaction.unsafe(text).simple());
    }
  } catch (cause) {
    throw new Error(`the template database could not be made: ${file}: ${String(cause)}`, {
      cause,
    });
  }
}
