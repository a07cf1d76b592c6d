import { describe, expect } from 'vitest';
import { openSession } from '../../../src/connection/session.ts';
import { type EvdbError, migrateDown, migrateUp } from '../../../src/index.ts';
import { beginSql, resetSessionSql } from '../../../src/migrate/apply/worker-session.ts';
import { isSuperuser, test } from '../../support/migrate-kit.ts';
import { startPgBouncer, whyNoPgBouncer } from '../../support/pgbouncer.ts';

describe('a migration', () => {
  test('leaves nothing in the session for the next one', async ({ stage }) => {
    await stage.migration(
      '001_a',
      `create temp table leftover (id int);
set work_mem = '77MB';
set search_path = pg_catalog;
set timezone = 'Asia/Tokyo';
set my.setting = 'left';
prepare leftover as select 1;
declare leftover cursor with hold for select 1;
create sequence public.numbers;
select nextval('public.numbers');
listen leftover;`,
    );
    await stage.migration(
      '002_b',
      `create table found as select
  to_regclass('pg_temp.leftover') as temp_table,
  current_setting('work_mem') = (select reset_val || 'kB' from pg_settings where name = 'work_mem')
    or current_setting('work_mem') <> '77MB' as has_work_mem,
  current_setting('search_path') as search_path,
  current_setting('timezone') <> 'Asia/Tokyo' as has_timezone,
  nullif(current_setting('my.setting', true), '') as my_setting,
  (select count(*)::int from pg_prepared_statements) as prepared,
  (select count(*)::int from pg_cursors where name = 'leftover') as cursors;`,
    );
    // Listening ends with the transaction that says so.
    await stage.migration('003_c', 'create table heard as select pg_listening_channels();');
    await stage.migration('004_d', 'select lastval();');
    await expect(migrateUp(stage.options)).rejects.toMatchObject({
      code: 'MIGRATION_FAILED',
      server: { sqlstate: '55000' },
    });
    expect(await stage.sql`select * from found`).toEqual([
      {
        temp_table: null,
        has_work_mem: true,
        search_path: 'public, pg_temp',
        has_timezone: true,
        my_setting: null,
        prepared: 0,
        cursors: 0,
      },
    ]);
    expect(await stage.sql`select * from heard`).toEqual([]);
    expect(await stage.ledger()).toEqual(['001 applied', '002 applied', '003 applied']);
  });

  test('has its text in UTF8 behind a pooler too, whatever encoding the database asks for', async ({
    stage,
    skip,
  }) => {
    const reason = whyNoPgBouncer();
    skip(reason !== undefined, reason);
    const name = new URL(stage.url).pathname.slice(1);
    await stage.sql.unsafe(`alter database "${name}" set client_encoding = 'LATIN1'`);
    const pooler = await startPgBouncer(stage.url, { poolMode: 'session' });
    try {
      await stage.migration('001_a', `create table t as select 'é' as v;`);
      await stage.migration('002_b', `insert into t values ('ü');`);
      await stage.migration('003_c', `-- evdb: no-transaction\ninsert into t values ('ß');`);
      await migrateUp(await stage.optionsFor(pooler.url));
    } finally {
      await pooler.stop();
    }
    const rows = await stage.sql`select octet_length(v) as bytes from t`;
    expect(rows).toEqual([{ bytes: 2 }, { bytes: 2 }, { bytes: 2 }]);
  });

  test('leaves nothing in the session for the next one without a transaction either', async ({
    stage,
  }) => {
    await stage.migration(
      '001_a',
      `-- evdb: no-transaction
create temp table leftover (id int);
set statement_timeout = '77s';
set search_path = pg_catalog;`,
    );
    await stage.migration(
      '002_b',
      `-- evdb: no-transaction
create table found as select
  to_regclass('pg_temp.leftover') as temp_table,
  current_setting('statement_timeout') as statement_timeout,
  current_setting('search_path') as search_path;`,
    );
    await migrateUp(stage.options);
    expect(await stage.sql`select * from found`).toEqual([
      { temp_table: null, statement_timeout: '0', search_path: 'public, pg_temp' },
    ]);
  });

  test.for(['set role', 'set local role'])(
    'may %s: the ledger is written as who connected, and the next one starts as such',
    async (command, { stage }) => {
      const { name } = await stage.createRole();
      await stage.sql.unsafe(`grant create on schema public to ${name}`);
      await stage.migration('001_a', `${command} ${name}; create table a ();`);
      await stage.migration('002_b', 'create table b as select current_user::text as is;');
      await migrateUp(stage.options);
      expect(await stage.sql`select tableowner from pg_tables where tablename = 'a'`).toEqual([
        { tableowner: name },
      ]);
      expect(await stage.sql`select * from b`).toEqual([{ is: stage.options.connection.user }]);
      expect(await stage.sql`select distinct database_user from evdb.history`).toEqual([
        { database_user: stage.options.connection.user },
      ]);
    },
  );

  test('runs as the owner whom the login role becomes by default, and so are the books kept', async ({
    stage,
  }) => {
    const owner = await stage.createRole();
    const login = await stage.createRole('noinherit');
    await stage.sql.unsafe(`
      create schema app authorization ${owner.name};
      create schema evdb authorization ${owner.name};
      grant ${owner.name} to ${login.name};
      alter role ${login.name} set role = '${owner.name}';`);
    await stage.migration('001_a', 'create table a ();', 'drop table a;');
    await stage.migration('002_b', 'set role none; select 1;', 'select 1;');
    const options = { ...(await stage.optionsFor(login.url)), schema: 'app' };
    await migrateUp(options);
    await migrateDown({ ...options, to: '0' });
    expect(
      await stage.sql`select distinct tableowner from pg_tables where schemaname = 'evdb'`,
    ).toEqual([{ tableowner: owner.name }]);
    expect(await stage.history('app')).toEqual(['up 001', 'up 002', 'down 002', 'down 001']);
  });

  test('names the role in force in a grant, and who logged in', async ({ stage }) => {
    const owner = await stage.createRole();
    const login = await stage.createRole('noinherit');
    await stage.sql.unsafe(`
      create schema app;
      grant ${owner.name} to ${login.name};
      alter role ${login.name} set role = '${owner.name}';`);
    await stage.migration('001_a', 'create table a ();', 'drop table a;');
    const options = { ...(await stage.optionsFor(login.url)), schema: 'app' };
    const refused = await migrateUp(options).catch((error: EvdbError) => error);
    expect(refused).toMatchObject({
      code: 'PERMISSION_DENIED',
      message: `role "${owner.name}" (of session user "${login.name}") may not create the ledger in schema "evdb"`,
    });
    await stage.sql.unsafe(grantIn(refused));
    const again = await migrateUp(options).catch((error: EvdbError) => error);
    expect(again).toMatchObject({ code: 'TARGET_SCHEMA' });
    await stage.sql.unsafe(grantIn(again));
    await migrateUp(options);
    expect(await stage.ledger('app')).toEqual(['001 applied']);
  });

  test('may set the session authorization', async ({ stage, skip }) => {
    skip(!(await isSuperuser(stage.sql)), 'only superusers may');
    const { name } = await stage.createRole();
    await stage.sql.unsafe(`grant create on schema public to ${name}`);
    await stage.migration('001_a', `set session authorization ${name}; create table a ();`);
    await stage.migration('002_b', 'create table b as select session_user::text as is;');
    await migrateUp(stage.options);
    expect(await stage.sql`select tableowner from pg_tables where tablename = 'a'`).toEqual([
      { tableowner: name },
    ]);
    expect(await stage.sql`select * from b`).toEqual([{ is: stage.options.connection.user }]);
    expect(await stage.ledger()).toEqual(['001 applied', '002 applied']);
  });

  test.for([
    'set standard_conforming_strings = off',
    'set search_path = nowhere',
    "set search_path = ''",
    "set client_encoding = 'LATIN1'",
    'set constraints all deferred',
    "set datestyle = 'German, DMY'",
    'set quote_all_identifiers = on',
    'set default_transaction_read_only = on',
    'set session_replication_role = replica',
    'set row_security = off',
    "set plpgsql.extra_errors = 'all'",
    "set statement_timeout = '10s'",
  ])('may %s: the books are kept all the same', async (setting, { stage, skip }) => {
    const isSafe = !setting.includes('session_replication_role');
    skip(!isSafe && !(await isSuperuser(stage.sql)), 'only superusers may');
    await stage.migration('001_a', `create table a (); ${setting};`, `drop table a; ${setting};`);
    await stage.migration('002_b', 'create table "ä""b" (); comment on table "ä""b" is $$é\\$$;');
    await migrateUp(stage.options);
    expect(await stage.ledger()).toEqual(['001 applied', '002 applied']);
    const texts = await stage.sql`select up_text from evdb.migration_text where version = 2`;
    expect(texts).toEqual([{ up_text: expect.stringContaining('is $$é\\$$;') }]);
    await stage.sql`delete from evdb.migration where version = 2`;
    await migrateDown(stage.options);
    expect(await stage.history()).toEqual(['up 001', 'up 002', 'down 001']);
  });

  test('writes nothing outside its transaction, where a cancel hits the message that begins it', async ({
    stage,
  }) => {
    await stage.sql`create table written (n int)`;
    const session = await openSession(stage.options.connection);
    const other = stage.openOther();
    const { facts } = session;
    const begin = beginSql({
      ...{ facts, targetSchema: 'public', searchPath: [], createTarget: false },
      ...{ lockTimeoutMs: 200, statementTimeoutMs: undefined },
    });
    await session.run(resetSessionSql(facts));
    for (let n = 0; n < 300; n++) {
      const cancels = other`select pg_cancel_backend(${facts.pid}) from generate_series(1, 20)`;
      await Promise.allSettled([
        cancels,
        session.run(begin),
        session.run(`insert into written values (${n})`),
      ]);
      await session.run('rollback').catch(() => undefined);
    }
    expect(await stage.sql`select * from written`).toEqual([]);

    await session.run(begin);
    await session.run('insert into written values (1); commit');
    expect(await stage.sql`select * from written`).toEqual([{ n: 1 }]);
    await expect(session.run('insert into written values (2)')).rejects.toMatchObject({
      code: '25006',
    });
    await session.close();
  });

  test('that makes its transaction read-only cannot be recorded, and is rolled back', async ({
    stage,
  }) => {
    await stage.migration('001_a', 'create table a (); set transaction read only;');
    await expect(migrateUp(stage.options)).rejects.toMatchObject({
      code: 'MIGRATION_FAILED',
      server: { sqlstate: '25006' },
    });
    expect(await stage.relations()).toEqual([]);
  });

  test.for(['serializable', 'repeatable read'])(
    'runs read committed where the database prefers %s',
    async (level, { stage }) => {
      const [row] = await stage.sql`select current_database() as name`;
      await stage.sql.unsafe(
        `alter database ${row?.name} set default_transaction_isolation = '${level}'`,
      );
      const found = "select current_setting('transaction_isolation') as level";
      await stage.migration('001_a', `create table a as ${found};`);
      await stage.migration('002_b', `create table b as ${found}; set timezone = 'Asia/Tokyo';`);
      await migrateUp(stage.options);
      expect(await stage.sql`select * from a union all select * from b`).toEqual([
        { level: 'read committed' },
        { level: 'read committed' },
      ]);
    },
  );

  test('runs with the target, the extra schemas and pg_temp on its search_path', async ({
    stage,
  }) => {
    await stage.sql.unsafe('create schema extras; create schema "Weird, one"');
    await stage.migration(
      '001_a',
      "create table a as select current_setting('search_path') as path, current_schema()::text as here",
    );
    await migrateUp({
      ...stage.options,
      schema: 'My target',
      searchPath: ['extras', 'Weird, one'],
    });
    expect(await stage.sql`select * from "My target".a`).toEqual([
      { path: '"My target", extras, "Weird, one", pg_temp', here: 'My target' },
    ]);
  });

  test('commits synchronously although it asked for the contrary', async ({ stage }) => {
    await stage.migration('001_a', 'create table a ();');
    await migrateUp(stage.options);
    // Fires while the transaction commits, behind everything that evdb sends before.
    await stage.sql.unsafe(`
      create table at_commit (setting text);
      create table queue ();
      create function note() returns trigger language plpgsql as $$ begin
        insert into public.at_commit values (current_setting('synchronous_commit'));
        return null;
      end $$;
      create constraint trigger note after insert on queue deferrable initially deferred
        for each row execute function note();
      create function enqueue() returns trigger language plpgsql as $$ begin
        set constraints all deferred;
        insert into public.queue default values;
        return null;
      end $$;
      create trigger enqueue after insert on evdb.history execute function enqueue();`);
    await stage.migration('002_b', 'create table b (); set synchronous_commit = off;');
    await stage.migration('003_c', 'create table c (); set local synchronous_commit = off;');
    await stage.migration('004_d', 'create table d (); set synchronous_commit = local;');
    await migrateUp(stage.options);
    expect(await stage.sql`select setting from at_commit`).toEqual([
      { setting: 'on' },
      { setting: 'on' },
      { setting: 'local' },
    ]);
  });
});

describe('the target schema', () => {
  test('is created where it is missing', async ({ stage }) => {
    await stage.migration('001_a', 'create table a ();');
    await migrateUp({ ...stage.options, schema: 'fresh' });
    expect(await stage.relations('fresh')).toEqual(['a']);
    expect(await stage.relations()).toEqual([]);
  });

  test('is not left behind where the first migration fails', async ({ stage }) => {
    await stage.migration('001_a', 'create table a (); select 1/0;');
    await expect(migrateUp({ ...stage.options, schema: 'fresh' })).rejects.toMatchObject({
      code: 'MIGRATION_FAILED',
    });
    expect(await stage.sql`select to_regnamespace('fresh') as fresh`).toEqual([{ fresh: null }]);
  });

  test('may be created by the first migration itself', async ({ stage }) => {
    await stage.migration('001_a', 'create schema if not exists fresh; create table fresh.a ();');
    await migrateUp({ ...stage.options, schema: 'fresh' });
    expect(await stage.relations('fresh')).toEqual(['a']);
  });

  test('cannot be dropped by a migration', async ({ stage }) => {
    await stage.sql`create schema app`;
    await stage.sql`create table app.kept ()`;
    await stage.migration('001_a', 'create table a (); drop schema app cascade;');
    await expect(migrateUp({ ...stage.options, schema: 'app' })).rejects.toMatchObject({
      code: 'TARGET_SCHEMA',
      message: 'the migration removed its own target schema "app"; it was rolled back',
    });
    expect(await stage.relations('app')).toEqual(['kept']);
    expect(await stage.history('app')).toEqual(['failed 001']);
  });

  test('cannot be renamed by a migration', async ({ stage }) => {
    await stage.sql`create schema app`;
    await stage.migration('001_a', 'create table a (); alter schema app rename to other;');
    await expect(migrateUp({ ...stage.options, schema: 'app' })).rejects.toMatchObject({
      code: 'TARGET_SCHEMA',
    });
    expect(await stage.relations('app')).toEqual([]);
  });

  test.for(['create table a ();', '-- evdb: no-transaction\ncreate table a ();'])(
    'that this role may not use is refused, so that nothing lands elsewhere: %s',
    async (text, { stage }) => {
      const { name, url } = await stage.createRole();
      await stage.sql.unsafe(
        `create schema app; create schema evdb authorization ${name}; grant create on schema public to ${name}`,
      );
      await stage.migration('001_a', text);
      const options = { ...(await stage.optionsFor(url)), schema: 'app', searchPath: ['public'] };
      await expect(migrateUp(options)).rejects.toMatchObject({
        code: 'TARGET_SCHEMA',
        message: 'the target schema "app" cannot be used',
        hint: expect.stringContaining('grant usage, create on schema "app"'),
      });
      expect(await stage.relations()).toEqual([]);
      expect(await stage.ledger('app')).toEqual([]);
    },
  );
});

/** The SQL of a hint, to its last semicolon. */
function grantIn(error: unknown): string {
  return /(?:run|privilege): (.*;)/.exec((error as EvdbError).hint ?? '')?.[1] ?? '';
}
