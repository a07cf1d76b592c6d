import { expect } from 'vitest';
import { type ValidateOptions, validateMigrations } from '../../../src/index.ts';
import { type MigrateStage, test } from '../../support/migrate-kit.ts';
import { listScratchSessions, POLL } from '../../support/waiting.ts';

const UP = `
  create table users (id integer primary key, name text);
  create function touch() returns trigger language plpgsql as $$ begin return new; end $$;`;
const DOWN = 'drop table users; drop function touch();';

/** What the proof says of the migrations, in one line each. */
async function prove(stage: MigrateStage, options: Partial<ValidateOptions> = {}) {
  const { findings, proven } = await validateMigrations({
    ...stage.options,
    shadow: {},
    ...options,
  });
  const said = findings
    .filter(({ code }) => ['DOWN_INCOMPLETE', 'DOWN_FAILED', 'REPLAY_FAILED'].includes(code))
    .map(({ severity, code, message, location, details }) => ({
      ...{ severity, code, message },
      ...{ file: location?.file, diff: details?.diff },
    }));
  return { said, proven };
}

test('proves that a down script undoes its migration', async ({ stage }) => {
  await stage.migration('001_users', UP, DOWN);
  await stage.migration(
    '002_phone',
    'alter table users add phone text',
    'alter table users drop phone',
  );
  expect(await prove(stage)).toEqual({ said: [], proven: ['001_users', '002_phone'] });
  expect(await stage.relations()).toEqual([]);
});

for (const [what, up, down, diff] of [
  [
    'a column',
    'alter table users add phone text, add fax text',
    'alter table users drop phone',
    '+ column public.users.fax: text',
  ],
  [
    'a grant',
    'alter table users add phone text; grant select on users to pg_monitor',
    'alter table users drop phone',
    '~ table public.users\n+   grants: grant select to pg_monitor',
  ],
  [
    'a comment',
    `create table x (); comment on table users is 'people'`,
    'drop table x',
    '~ table public.users\n+   comment: people',
  ],
  [
    'a trigger',
    'create table x (); create trigger touch before update on users for each row execute function touch()',
    'drop table x',
    '+ trigger touch on public.users: CREATE TRIGGER touch BEFORE UPDATE ON public.users FOR EACH ROW EXECUTE FUNCTION public.touch()',
  ],
  [
    'an owner',
    'create table x (); alter table users owner to pg_monitor',
    'drop table x',
    '~ table public.users\n-   owner: postgres\n+   owner: pg_monitor',
  ],
  [
    'something in another schema',
    'create schema other; create table other.t (a integer)',
    'drop table other.t',
    '+ schema other',
  ],
  [
    'what it took away too much',
    'create index on users (name)',
    'drop index users_name_idx; alter table users drop constraint users_pkey',
    '- constraint users_pkey on public.users: PRIMARY KEY (id)',
  ],
] as const) {
  test(`a down script that forgets ${what} is caught with the difference`, async ({ stage }) => {
    await stage.migration('001_users', UP, DOWN);
    await stage.migration('002_more', up, down);
    await stage.migration('003_last', 'create table last (a integer)', 'drop table last');
    const { said, proven } = await prove(stage);
    expect(said).toEqual([
      {
        severity: 'error',
        code: 'DOWN_INCOMPLETE',
        message:
          'after up and down of 002_more the database is not what it was (+ is left, - is gone):',
        file: expect.stringMatching(/002_more\.down\.sql$/),
        diff: expect.stringContaining(diff),
      },
    ]);
    // what comes behind is proven all the same
    expect(proven).toEqual(['001_users', '003_last']);
  });
}

test('a column that comes back at the end is told, but is no error', async ({ stage }) => {
  await stage.migration('001_users', UP, DOWN);
  await stage.migration(
    '002_drop',
    'alter table users drop id',
    'alter table users add id integer primary key',
  );
  const { said } = await prove(stage);
  expect(said).toMatchObject([{ severity: 'info', code: 'DOWN_INCOMPLETE' }]);
});

test('a down script that fails is told with its place', async ({ stage }) => {
  await stage.migration('001_users', UP, 'drop table nobody');
  await stage.migration('002_next', 'create table t ()', 'drop table t');
  expect(await prove(stage)).toMatchObject({
    said: [{ code: 'DOWN_FAILED', file: expect.stringMatching(/001_users\.down\.sql$/) }],
    proven: ['002_next'],
  });
});

test('a migration that does not run ends the proof', async ({ stage }) => {
  await stage.migration('001_users', 'create table t (a nothing)', 'drop table t');
  await stage.migration('002_next', 'create table u ()', 'drop table u');
  expect(await prove(stage)).toMatchObject({ said: [{ code: 'REPLAY_FAILED' }], proven: [] });
});

test('pending ones are proven on a copy of the database, with --all every one', async ({
  stage,
}) => {
  const { migrateUp } = await import('../../../src/index.ts');
  await stage.migration('001_users', UP, 'drop table users');
  await migrateUp(stage.options);
  await stage.sql.unsafe('create table by_hand (id integer primary key)');
  await stage.migration(
    '002_uses_it',
    'create table t (by_hand_id integer references by_hand)',
    'drop table t',
  );
  expect(await prove(stage)).toEqual({ said: [], proven: ['002_uses_it'] });
  const all = await prove(stage, { shadow: { all: true } });
  expect(all.said.map(({ code, file }) => [code, file?.split('/').at(-1)])).toEqual([
    ['DOWN_INCOMPLETE', '001_users.down.sql'],
    ['REPLAY_FAILED', '002_uses_it.sql'],
  ]);
});

test('a migration that fails because the copy lacks something says what', async ({ stage }) => {
  const { migrateUp } = await import('../../../src/index.ts');
  await stage.migration(
    '001_numbers',
    `create table z (v integer);
     create function f(integer) returns integer language sql immutable as 'select v from z';
     create table g (a integer, b integer generated always as (f(a)) stored)`,
  );
  await migrateUp(stage.options);
  await stage.migration('002_more', 'alter table g add c integer', 'alter table g drop c');
  const { said } = await prove(stage);
  expect(said.map(({ code }) => code)).toEqual(['REPLAY_FAILED']);
  expect(said[0]?.message).toContain('relation "g" does not exist');
  expect(said[0]?.message).toContain(
    '(not all of the database could be copied: relation "z" does not exist',
  );
});

test('statements without a transaction and rows of a copy are run too', async ({ stage }) => {
  await stage.migration(
    '001_users',
    `${UP}\ncopy users (id, name) from stdin;\n1\tAnn\n\\.\n`,
    DOWN,
  );
  await stage.migration(
    '002_index',
    '-- evdb: no-transaction\ncreate unique index concurrently users_name on users (name)',
    '-- evdb: no-transaction\ndrop index concurrently users_name',
  );
  expect(await prove(stage)).toEqual({ said: [], proven: ['001_users', '002_index'] });
});

test('roles of the server stay as they are', async ({ stage }) => {
  const role = await stage.createRole();
  await stage.migration(
    '001_roles',
    `create table t (); alter role ${role.name} connection limit 3;
     do $$ begin execute 'drop role ${role.name}'; end $$`,
    `drop table t; drop role ${role.name};`,
  );
  expect(await prove(stage)).toEqual({ said: [], proven: ['001_roles'] });
  expect(await stage.sql`select rolconnlimit from pg_roles where rolname = ${role.name}`).toEqual([
    { rolconnlimit: -1 },
  ]);
});

test('an interruption ends it, and drops the scratch database', async ({ stage, emptyDb }) => {
  const mark = `/* ${emptyDb.name} */`;
  await stage.migration(
    '001_slow',
    `create table t (); select pg_sleep(60 ${mark})`,
    'drop table t',
  );
  const controller = new AbortController();
  const work = prove(stage, { signal: controller.signal });
  const rejected = expect(work).rejects.toThrow('interrupted');
  const sleeping = () => listScratchSessions(stage.sql, mark);
  await expect.poll(sleeping, POLL).toHaveLength(1);
  const [scratch] = await sleeping();
  controller.abort(new Error('interrupted'));
  await rejected;
  const left = await stage.sql`select from pg_database where datname = ${scratch?.datname ?? ''}`;
  expect(left).toEqual([]);
});

/** A role that no server has, made and used in every way that a migration may write. */
function usingRole(role: string): string {
  return `
    create role "${role}" nologin;
    create table orders (id int, owner text);
    alter table orders enable row level security;
    create policy own on orders to "${role}" using (owner = current_user);
    grant select on orders to group "${role}";
    alter default privileges in schema public grant select on tables to "${role}";
    create schema authorization "${role}";
    alter table orders owner to "${role}";
    set role "${role}";
    create table ${role}.mine ();
    reset role;
    grant pg_monitor to "${role}";`;
}

test('stands in for a role that the migrations make and the server lacks', async ({ stage }) => {
  const role = `evdb_lacks_${process.pid}_${Date.now() % 100_000}`;
  await stage.migration(
    '001_role',
    usingRole(role),
    `drop table ${role}.mine, orders; drop schema ${role};
     alter default privileges in schema public revoke select on tables from "${role}"; drop role "${role}";`,
  );
  await stage.migration(
    '002_later',
    `create table later (); grant insert on later to ${role};`,
    'drop table later;',
  );
  await stage.migration(
    '003_block',
    `do $$ begin if not exists (select from pg_roles where rolname = '${role}_b') then create role ${role}_b; end if; end $$;
     grant select on later to ${role}_b;`,
    `revoke select on later from ${role}_b;`,
  );
  expect(await prove(stage, { shadow: { all: true } })).toEqual({
    said: [],
    proven: ['001_role', '002_later', '003_block'],
  });
  const made = await stage.sql`select rolname from pg_roles where rolname like ${`${role}%`}`;
  expect(made).toEqual([]);
});
