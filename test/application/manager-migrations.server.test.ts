import { expect } from 'vitest';
import { failureOf } from '../support/waiting.ts';
import { test } from './application-kit.ts';

const TABLES = `select array_agg(relname::text order by relname) as names
  from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace`;

test('applies what is pending first, and nothing twice', async ({ manager, project }) => {
  await project.migration('001_one', 'create table one (id integer);');
  const pool = await manager({ migrations: 'up' }).initialize();
  expect((await pool.query(TABLES)).rows).toEqual([{ names: ['one'] }]);
  await project.migration('002_two', 'create table two (id integer);');
  const managers = Array.from({ length: 4 }, () => manager({ migrations: 'up' }));
  await Promise.all(managers.map((one) => one.initialize()));
  expect((await pool.query(TABLES)).rows).toEqual([{ names: ['one', 'two'] }]);
});

test('refuses to start while a migration is pending, and names the first', async ({
  manager,
  project,
  emptyDb,
}) => {
  await project.migration('001_one', 'create table one (id integer);');
  await project.migration('002_two', 'create table two (id integer);');
  const one = manager({ migrations: 'refuse' });
  const error = await failureOf(one.initialize());
  expect(error).toMatchObject({ code: 'MIGRATIONS_PENDING', details: { pending: 2 } });
  expect(error.message).toContain('2 of 2');
  expect(error.message).toContain('one');
  expect(() => one.getPool()).toThrow(expect.objectContaining({ code: 'NOT_INITIALIZED' }));
  expect(await emptyDb.sql`select from pg_namespace where nspname = 'evdb'`).toHaveLength(0);

  await manager({ migrations: 'up' }).initialize();
  await one.initialize();
  await project.migration('003_three', 'create table three (id integer);');
  const next = await failureOf(manager({ migrations: 'refuse' }).initialize());
  expect(next).toMatchObject({ code: 'MIGRATIONS_PENDING', details: { pending: 1, applied: 2 } });
  expect(next.message).toContain('three');
});

test('does not look at migrations by default', async ({ manager, project }) => {
  await project.migration('001_one', 'this is no SQL');
  for (const one of [manager(), manager({ migrations: 'ignore' })]) {
    expect(await (await one.initialize()).sql`select 1 as n`).toEqual([{ n: 1 }]);
  }
});

test('keeps no pool where a migration fails, and can be initialized once it is mended', async ({
  manager,
  project,
}) => {
  await project.migration('001_one', 'create table one (id integer);');
  await project.migration('002_two', 'select 1 / 0;');
  const one = manager({ migrations: 'up' });
  expect(await failureOf(one.initialize())).toMatchObject({ code: 'MIGRATION_FAILED' });
  expect(() => one.getPool()).toThrow(expect.objectContaining({ code: 'NOT_INITIALIZED' }));
  await project.migration('002_two', 'create table two (id integer);');
  const pool = await one.initialize();
  expect((await pool.query(TABLES)).rows).toEqual([{ names: ['one', 'two'] }]);
});

test('refuses changed and missing files where it migrates', async ({ manager, project }) => {
  await project.migration('001_one', 'create table one (id integer);');
  await manager({ migrations: 'up' }).initialize();
  await project.migration('001_one', 'create table one (id bigint);');
  expect(await failureOf(manager({ migrations: 'up' }).initialize())).toMatchObject({
    code: 'CHANGED_MIGRATION',
  });
});

test('finds the folder that it is given, and the one of the config file', async ({
  manager,
  project,
}) => {
  const elsewhere = await project.write(
    'db/changes/001_given.sql',
    'create table given (id integer);',
  );
  const migrationsDir = elsewhere.replace(/\/[^/]*$/, '');
  const pool = await manager({ migrations: 'up', migrationsDir }).initialize();
  expect((await pool.query(TABLES)).rows).toEqual([{ names: ['given'] }]);
  await project.write('evdb.config.json', JSON.stringify({ migrationsDir: 'db/changes' }));
  await manager({ migrations: 'refuse' }).initialize();
  await manager({ migrations: 'refuse', migrationsDir: 'db/changes' }).initialize();
  expect(
    await failureOf(manager({ migrations: 'up', migrationsDir: 'nowhere' }).initialize()),
  ).toMatchObject({ code: 'MIGRATIONS_DIR_MISSING' });
});

test('migrates with the rights of another role where the configuration names one', async ({
  manager,
  project,
  emptyDb,
  admin,
}) => {
  const role = `reader_${emptyDb.name.slice(-12)}`;
  await admin.unsafe(`create role ${role} login password 'secret'`);
  try {
    await project.migration('001_one', 'create table one (id integer);');
    const url = new URL(emptyDb.url);
    url.username = role;
    url.password = 'secret';
    const env = { DATABASE_URL: url.href, EVDB_MIGRATION_URL: emptyDb.url };
    const pool = await manager({ migrations: 'up', env }).initialize();
    expect(await pool.sql`select session_user::text as who`).toEqual([{ who: role }]);
    expect((await pool.query(TABLES)).rows).toEqual([{ names: ['one'] }]);
    await pool.close();
  } finally {
    await emptyDb.sql.unsafe(`drop owned by ${role}`);
    await admin.unsafe(`drop role ${role}`);
  }
});
