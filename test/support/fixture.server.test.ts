import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, inject } from 'vitest';
import { closeSql, dropDatabase, listTestDatabases, openSql } from './databases.ts';
import { test } from './fixture.ts';
import { ensureTemplate } from './template.ts';

test('lends a database with the event schema, and an empty one', async ({ db, emptyDb }) => {
  const tables = (sql: typeof db.sql) => sql`
    select table_name from information_schema.tables
    where table_schema = 'public' and table_name in ('users', 'events', 'registrations')
    order by table_name`;
  expect(await tables(db.sql)).toEqual([
    { table_name: 'events' },
    { table_name: 'registrations' },
    { table_name: 'users' },
  ]);
  expect(await tables(emptyDb.sql)).toEqual([]);
});

test('makes the template once and lets nobody connect to it', async ({ admin }) => {
  const four = Array.from({ length: 4 }, () => ensureTemplate(inject('adminUrl')));
  const [name, ...others] = new Set(await Promise.all(four));
  expect(others).toEqual([]);
  expect(
    await admin`
      select datistemplate, datallowconn from pg_database where datname = ${String(name)}`,
  ).toEqual([{ datistemplate: true, datallowconn: false }]);
});

test('removes what a passing test had and keeps what a failing one had', async ({ admin }) => {
  const output = await runProbe();
  const [, database = '', folder = ''] = /passed with (\S+) and (\S+)/.exec(output) ?? [];
  expect(database).toMatch(/^evdb_test_/);
  expect(await listTestDatabases(inject('adminUrl'))).not.toContain(database);
  expect(existsSync(folder)).toBe(false);

  const keptUrl = /kept for a look: (postgres\S+)/.exec(output)?.[1] ?? '';
  const keptFolder = /kept for a look: (\/\S+)/.exec(output)?.[1] ?? '';
  const sql = openSql(keptUrl, 1);
  expect(await sql`select note from mark`).toEqual([{ note: 'failed' }]);
  expect(existsSync(keptFolder)).toBe(true);

  await closeSql(sql);
  await dropDatabase(admin, new URL(keptUrl).pathname.slice(1));
  await rm(keptFolder, { recursive: true });
});

/** Runs tests, one of which fails, in a vitest of their own against the server of this run. */
async function runProbe(): Promise<string> {
  const root = fileURLToPath(new URL('../..', import.meta.url));
  const { EVDB_TEST_REPORT: _, EVDB_TEST_BACKEND: __, ...environment } = process.env;
  const { stdout, stderr } = await promisify(execFile)(
    process.execPath,
    ['node_modules/vitest/vitest.mjs', 'run', '--config', 'test/support/probe/vitest.config.ts'],
    { cwd: root, env: { ...environment, EVDB_TEST_URL: inject('adminUrl') } },
  ).catch((failure: { stdout: string; stderr: string }) => failure);
  return stdout + stderr;
}
