import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { resolveConfig } from '../../src/config/resolve.ts';
import { packagePath } from '../../src/file-system.ts';
import { readMemberStructure } from '../../src/fleet/member-structure.ts';
import { addTenant } from '../../src/fleet/tenants.ts';
import { migrateDown } from '../../src/migrate/apply/commands.ts';
import { migrateOptionsOf } from '../../src/migrate/options.ts';
import { newDatabaseName } from '../support/databases.ts';
import { test as base, type TestDatabase } from '../support/fixture.ts';

interface Tenants {
  db: TestDatabase;
  dir: string;
  write(name: string, up: string): Promise<void>;
  add(schema: string, options?: object): ReturnType<typeof addTenant>;
}

const test = base.extend<{ tenants: Tenants }>({
  tenants: async ({ emptyDb, project }, use) => {
    const configOf = async (schema: string, migrationsDir = join(project.dir, 'migrations')) => ({
      ...(await resolveConfig({ flags: { url: emptyDb.url, migrationsDir }, env: {} })),
      schema,
    });
    await project.migration(
      '001_people',
      `create table people (id bigint generated always as identity primary key, name text not null);
      create index people_name on people (lower(name));
      create view names as select e.name from people as e;
      create function first_name() returns text language sql stable set search_path from current
      as $$ select min(name) from people $$;
      comment on table people is 'Who they are';`,
      'drop function first_name(); drop view names; drop table people;',
    );
    await use({
      db: emptyDb,
      dir: project.dir,
      write: async (name, up) => {
        await project.migration(name, up, 'select 1;');
      },
      add: async (schema, options) =>
        addTenant({ kind: 'schema', config: await configOf(schema), ...options }),
    });
  },
});

test('makes the second schema by one script, and it is what the migrations make', async ({
  tenants,
}) => {
  const { db, add, dir } = tenants;
  const scriptDirectory = join(dir, '.evdb');
  expect(await add('first', { scriptDirectory })).toMatchObject({ from: 'migrations' });
  // An alias in the view is called like this one.
  const second = await add('e', { scriptDirectory });
  expect(second).toMatchObject({ from: 'script', migrations: 1, schema: 'e' });
  expect(await readdir(join(scriptDirectory, 'fleet-scripts'))).toHaveLength(1);
  const config = await resolveConfig({ flags: { url: db.url }, env: {} });
  if (config.connection.kind !== 'server') throw new Error('no server');
  const connection = config.connection.options;
  const [one, other] = await Promise.all(
    ['first', 'e'].map((schema) => readMemberStructure(connection, { schema })),
  );
  expect(other?.objects.length).toBeGreaterThan(8);
  expect(other?.objects.map(({ kind }) => kind)).toEqual(one?.objects.map(({ kind }) => kind));
  await db.sql`insert into e.people (name) values ('Ada')`;
  expect(await db.sql`select e.first_name()`).toEqual([{ first_name: 'Ada' }]);
  expect(await db.sql`select count(*)::int as count from first.people`).toEqual([{ count: 0 }]);
  const ledger = await db.sql`
    select version, label, name, checksum, token_checksum, state, origin, statements_total, up_text, down_text
    from evdb.migration join evdb.migration_text using (target_schema, version)
    order by target_schema`;
  expect(ledger).toHaveLength(2);
  expect(ledger[0]).toEqual(ledger[1]);
  // Another process finds it in the folder; and what one script made goes away by the down scripts.
  const options = { ...migrateOptionsOf({ ...config, schema: 'e' }, {}), connection };
  await migrateDown({ ...options, directory: join(dir, 'migrations'), steps: 1 });
  expect(await db.sql`select from pg_class where relnamespace = 'e'::regnamespace`).toHaveLength(0);
});

test('does not take for its own what others make while it tries the migrations', async ({
  tenants: { db, add, write },
}) => {
  const other = newDatabaseName();
  await write('002_wait', 'select pg_sleep(0.2);');
  let isAdded = false;
  const adding = add('a').finally(() => {
    isAdded = true;
  });
  for (let made = 0; !isAdded && made < 10_000; made += 1) {
    const name = `${other}_${made}`;
    await db.sql.unsafe(
      `create role ${name}; create schema ${name}; create table public.${name} (); drop role ${name}`,
    );
  }
  expect(await adding).toMatchObject({ from: 'migrations' });
  const second = await add('b');
  expect(second.reason ?? second.from).toBe('script');
});

test('makes the event schema by one script', async ({ tenants: { db, add } }) => {
  const config = await resolveConfig({
    flags: { url: db.url, migrationsDir: packagePath('migrations') },
    env: {},
  });
  const made = [];
  for (const schema of ['tenant_a', 'tenant_b'])
    made.push(await add(schema, { config: { ...config, schema } }));
  expect(made.map(({ from, reason }) => reason ?? from)).toEqual(['migrations', 'script']);
  const [row] = await db.sql`
    with made as (
      insert into tenant_b.users (name, email, password_hash) values ('Ada', 'ada@example.org', '$2b$12$' || repeat('a', 53)) returning id
    ), event as (
      insert into tenant_b.events (title, date_time, location, capacity, created_by)
      select 'Talk', now() + interval '1 day', 'Here', 1, id from made returning id
    )
    select id from event`;
  const [{ answer } = {}] = await db.sql`
    select tenant_b.safe_event_registration((select id from tenant_b.users), ${row?.id}) as answer`;
  expect(answer).toMatchObject({ success: true });
});

describe('applies the migrations and says why', () => {
  test.for([
    ['rows', `insert into people (name) values ('Ada');`, 'they write rows to people'],
    [
      'numbers of a sequence',
      `create sequence numbers; select nextval('numbers');`,
      'they write rows to numbers',
    ],
    [
      'a table elsewhere',
      `insert into public.plans (name) values (current_schema());`,
      'they use or change public.plans',
    ],
    [
      'a reference elsewhere',
      `alter table people add column plan text references public.plans (name);`,
      'they use or change public.plans',
    ],
    [
      'a function elsewhere',
      `create or replace function public.shared() returns int language sql as 'select 1';`,
      'they use or change public.shared',
    ],
    [
      'its own name',
      `do $$ begin execute format('create function me() returns text language sql as %L', 'select ' || quote_literal(current_schema())); end $$;`,
      'what they make names its own schema',
    ],
    [
      'no transaction',
      `-- evdb: no-transaction\ncreate index concurrently more on people (name);`,
      '002_more does not run in one transaction',
    ],
  ] as const)('%s', async ([, up, reason], { tenants: { db, add, write } }) => {
    await db.sql`create table public.plans (name text primary key)`;
    await write('002_more', up);
    expect(await add('a')).toMatchObject({ from: 'migrations', migrations: 2 });
    const second = await add('b');
    expect(second).toMatchObject({ from: 'migrations', migrations: 2 });
    expect(second.reason).toContain(reason);
    expect(await db.sql`select from pg_namespace where nspname ~ 'evdb_trial'`).toHaveLength(0);
  });

  test('a role for each schema', async ({ tenants: { db, add, write } }) => {
    const role = `${newDatabaseName()}_`;
    const make = `do $$ begin execute format('create role %I', '${role}' || current_schema()); end $$;`;
    await write('002_role', make);
    try {
      await add('a');
      expect((await add('b')).reason).toBe('they make or change a role');
      const trials = await db.sql`select from pg_roles where rolname like ${`${role}evdb%`}`;
      expect(trials).toHaveLength(0);
    } finally {
      await db.sql.unsafe(`drop role if exists "${role}a", "${role}b"`);
    }
  });

  test('a name that needs quotes', async ({ tenants: { add } }) => {
    await add('a');
    for (const name of ['Tenant A', 'user']) {
      const added = await add(name);
      expect(added).toMatchObject({ from: 'migrations', reason: `the name ${name} needs quotes` });
    }
  });
});

test('does without a script that makes something else now, and learns again', async ({
  tenants: { db, add },
}) => {
  await add('a');
  const second = await add('b');
  expect(second.reason ?? second.from).toBe('script');
  await db.sql.unsafe(`
    create function public.mark() returns event_trigger language plpgsql as $$
    declare r record;
    begin
      for r in select * from pg_event_trigger_ddl_commands() where object_type = 'table' loop
        execute format('alter table %s set (fillfactor = 50)', r.object_identity);
      end loop;
    end $$;
    create event trigger mark on ddl_command_end when tag in ('CREATE TABLE') execute function public.mark();`);
  const added = await add('c');
  expect(added).toMatchObject({ from: 'migrations', migrations: 1 });
  expect(added.reason).toContain('does not fit any more: it makes something else now');
  const [row] = await db.sql`select reloptions from pg_class where oid = 'c.people'::regclass`;
  expect(row).toEqual({ reloptions: ['fillfactor=50'] });
});
