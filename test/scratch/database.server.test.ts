import { expect } from 'vitest';
import { openSession } from '../../src/connection/session.ts';
import { withScratchDatabase } from '../../src/scratch/database.ts';
import { closeSql, newDatabaseName, openSql, withDatabase } from '../support/databases.ts';
import { test } from '../support/migrate-kit.ts';

async function exists(sql: ReturnType<typeof openSql>, name: string): Promise<boolean> {
  return (await sql`select from pg_database where datname = ${name}`).length > 0;
}

test('lends an empty database like the one beside it, and drops it', async ({ stage }) => {
  const { sql } = stage;
  const facts = (name: string) =>
    sql`select encoding, datcollate, datctype from pg_database where datname = ${name}`;
  const beside = stage.options.connection;
  const name = await withScratchDatabase({ beside }, async (scratch) => {
    expect(scratch.name).toMatch(/^evdb_scratch_[0-9a-f]{7}$/);
    expect(await facts(scratch.name)).toEqual(await facts(beside.database));
    const session = await openSession(scratch.connection);
    expect(
      await session.run(`select relname from pg_class where relnamespace = 'public'::regnamespace`),
    ).toEqual([]);
    await session.close();
    return scratch.name;
  });
  expect(await exists(sql, name)).toBe(false);
});

test('drops the database also where the work fails and somebody is connected', async ({
  stage,
}) => {
  let name = '';
  const work = withScratchDatabase({ beside: stage.options.connection }, async (scratch) => {
    name = scratch.name;
    const session = await openSession(scratch.connection);
    await session.run('begin; create table t ()');
    throw new Error('of the work');
  });
  await expect(work).rejects.toThrow('of the work');
  expect(await exists(stage.sql, name)).toBe(false);
});

test('drops what a killed process left, and not what a living one uses', async ({ stage }) => {
  const { sql } = stage;
  const beside = stage.options.connection;
  await sql.unsafe('create database evdb_scratch_0000001');
  await sql.unsafe('create database evdb_scratch_mine');
  await withScratchDatabase({ beside }, async (first) => {
    expect(await exists(sql, 'evdb_scratch_0000001')).toBe(false);
    await withScratchDatabase({ beside }, async () => {
      expect(await exists(sql, first.name)).toBe(true);
    });
  });
  expect(await exists(sql, 'evdb_scratch_mine')).toBe(true);
  await sql.unsafe('drop database evdb_scratch_mine');
});

test('drops the database although the session that made it is gone', async ({ stage }) => {
  const { sql } = stage;
  const name = await withScratchDatabase({ beside: stage.options.connection }, async (scratch) => {
    await sql`select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())`;
    return scratch.name;
  });
  expect(await exists(sql, name)).toBe(false);
});

test('says which privilege is missing', async ({ stage }) => {
  const role = await stage.createRole();
  const { connection } = await stage.optionsFor(role.url);
  await expect(
    withScratchDatabase({ beside: connection }, async () => undefined),
  ).rejects.toMatchObject({
    code: 'SCRATCH_UNAVAILABLE',
    hint: `Let an administrator run: alter role "${role.name}" createdb;`,
  });
});

test('is made on the embedded server where the role may not create databases', async ({
  stage,
  project,
}) => {
  const role = await stage.createRole();
  const { connection } = await stage.optionsFor(role.url);
  const { stopEmbeddedServer } = await import('../../src/embedded/stop.ts');
  const directory = `${project.dir}/.evdb`;
  const said: string[] = [];
  try {
    await withScratchDatabase(
      { beside: connection, embeddedDirectory: directory, onProgress: (m) => said.push(m) },
      async (scratch) => {
        expect(scratch.isEmbedded).toBe(true);
        const session = await openSession(scratch.connection);
        expect(await session.run('select current_database()::text as name')).toEqual([
          { name: scratch.name },
        ]);
        await session.close();
      },
    );
  } finally {
    await stopEmbeddedServer({ directory });
  }
  expect(said[0]).toBe(
    `user "${role.name}" may not create databases: the scratch database is made on the embedded PostgreSQL`,
  );
});

test('makes nothing once it is interrupted', async ({ stage }) => {
  const signal = AbortSignal.abort(new Error('interrupted'));
  await expect(
    withScratchDatabase({ beside: stage.options.connection, signal }, async () => undefined),
  ).rejects.toThrow('interrupted');
});

test('has the locale of a database with one of ICU', async ({ stage, skip }) => {
  const { sql } = stage;
  const [{ has = false } = {}] =
    await sql`select count(*) > 0 and current_setting('server_version_num')::int >= 150000 as has from pg_collation where collprovider = 'i'`;
  if (!has) skip('before PostgreSQL 15 a database has no locale of ICU');
  const name = newDatabaseName();
  await sql.unsafe(
    `create database ${name} template template0 locale_provider icu icu_locale 'de-DE'`,
  );
  const url = withDatabase(stage.url, name);
  const other = openSql(url, 1);
  try {
    const { connection } = await stage.optionsFor(url);
    await withScratchDatabase({ beside: connection }, async (scratch) => {
      expect(
        await other`select datlocprovider from pg_database where datname in (${scratch.name}, ${name})`,
      ).toEqual([{ datlocprovider: 'i' }, { datlocprovider: 'i' }]);
    });
  } finally {
    await closeSql(other);
    await sql.unsafe(`drop database ${name} with (force)`);
  }
});
