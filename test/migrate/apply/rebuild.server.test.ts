import { expect } from 'vitest';
import { migrateUp } from '../../../src/index.ts';
import { readDatabaseStructure } from '../../../src/structure/read/structure.ts';
import { failUp, type MigrateStage, test } from '../../support/migrate-kit.ts';
import { failureOf } from '../../support/waiting.ts';

const USERS = 'create table users (id int primary key, name text, active boolean);';
const view = (columns: string) =>
  `create or replace view active_users as select ${columns} from users where active;\n`;

async function applyView(stage: MigrateStage, columns: string): Promise<void> {
  await stage.migration('repeatable/active_users', view(columns));
  await migrateUp(stage.options);
}

/** What a role can see of the database, but for the one view. */
async function structureOf(stage: MigrateStage) {
  const { objects } = await readDatabaseStructure(stage.options.connection, { owners: true });
  return objects.filter(({ kind, name, of }) => {
    const key = of ?? `${kind} ${name}`;
    return key !== 'view public.active_users' || kind === 'trigger';
  });
}

test('makes what depends on a view again as it was where its columns change', async ({ stage }) => {
  await stage.migration('001_users', USERS);
  await applyView(stage, 'id, name');
  const { name: reader } = await stage.createRole();
  const { name: owner } = await stage.createRole();
  const { name: other } = await stage.createRole();
  await stage.sql.unsafe(`
    create schema other;
    grant select on active_users to ${reader}, ${owner};
    create view other.names with (security_barrier) as select id from public.active_users;
    alter view other.names owner to ${owner};
    create view more as select names.id, 1 as one from other.names;
    comment on view more is 'It''s more';
    comment on column more.one is 'One';
    grant select on more to ${reader} with grant option;
    grant select (id), update (one) on more to public;
    alter view more alter column one set default 7;
    create materialized view kept with (fillfactor = 70) as select id, count(*) as n from more group by 1;
    create unique index kept_id on kept (id);
    alter materialized view kept cluster on kept_id;
    grant select on kept to ${reader};
    create function first_of(u active_users) returns int language sql immutable return (u).id;
    revoke execute on function first_of(active_users) from public;
    grant execute on function first_of(active_users) to ${reader};
    create function write_it() returns trigger language plpgsql as $$ begin return new; end $$;
    create trigger write_it instead of insert on active_users for each row execute function write_it();
    create trigger write_more instead of update on more for each row execute function write_it();
    create rule log_it as on insert to other.names do instead nothing;
    comment on view active_users is 'Who is here';
    comment on column active_users.id is 'Who';
    alter default privileges grant select on tables to ${other};
    alter default privileges grant execute on functions to ${other};
    insert into users values (1, 'a', true)`);
  await stage.sql`refresh materialized view kept`;
  const before = await structureOf(stage);
  await applyView(stage, 'active, id');
  expect(await structureOf(stage)).toEqual(before);
  expect(await stage.sql`select * from kept`).toMatchObject([{ id: 1 }]);
  expect(
    await stage.sql`
    select obj_description('active_users'::regclass) as said,
      has_table_privilege(${reader}, 'active_users', 'select') as may,
      has_table_privilege(${other}, 'active_users', 'select') as other`,
  ).toEqual([{ said: 'Who is here', may: true, other: false }]);
  const rebuilt = stage.heard.find(({ kind }) => kind === 'rebuilt');
  expect(rebuilt).toMatchObject({
    objects: expect.arrayContaining(['view other.names', 'materialized view public.kept']),
  });
});

test('refuses with the list what cannot be made again, and leaves everything', async ({
  stage,
}) => {
  await stage.migration('001_users', USERS);
  await applyView(stage, 'id, name');
  await stage.sql.unsafe(`
    create view names as select name from active_users;
    create view short as select left(name, 1) as first from names;
    create view ids as select id from active_users`);
  await stage.migration('repeatable/active_users', view('id'));
  const error = await failureOf<Error & { details: object }>(migrateUp(stage.options));
  expect(error).toMatchObject({
    code: 'DEPENDENTS_REFUSED',
    location: { line: 1, column: 1 },
    details: {
      dependents: [
        expect.stringMatching(/^view public\.names \(column .*name.* does not exist\)$/),
        'view public.short (it needs one of these)',
      ],
    },
  });
  await stage.sql`create table held (who active_users)`;
  expect(await failUp(stage.options)).toMatchObject({
    code: 'DEPENDENTS_REFUSED',
    location: { line: 1, column: 1 },
    details: { dependents: [expect.stringContaining('public.held.who')] },
  });
  expect(await stage.relations()).toEqual([
    'active_users',
    'held',
    'ids',
    'names',
    'short',
    'users',
    'users_pkey',
  ]);
  expect(await stage.sql`select generation from evdb.repeatable`).toEqual([{ generation: 1 }]);
});

test('lets a dependent that changes in the same run be made in its new form', async ({ stage }) => {
  await stage.migration('001_users', USERS);
  await stage.migration(
    'repeatable/b_names',
    'create or replace view names as select name from active_users;',
  );
  await applyView(stage, 'id, name');
  await stage.sql`create view last as select * from names`;
  await stage.sql`grant select on names to public`;
  await stage.sql`grant select on last to public`;
  await stage.migration(
    'repeatable/b_names',
    'create or replace view names as select title::text as name from active_users;',
  );
  await applyView(stage, 'id, name as title');
  expect(
    await stage.sql`
    select pg_get_viewdef('names'::regclass) like '%title%' as is_new,
      has_table_privilege('pg_monitor', 'names', 'select') as names,
      has_table_privilege('pg_monitor', 'last', 'select') as last`,
  ).toEqual([{ is_new: true, names: true, last: true }]);
});

test('changes what a function returns, with the triggers and views that call it', async ({
  stage,
}) => {
  const fn = (type: string) =>
    `create or replace function label(id int) returns ${type} language sql immutable as $$ select id::${type} $$;\n`;
  await stage.migration('001_users', USERS);
  await stage.migration('repeatable/label', fn('text'));
  await migrateUp(stage.options);
  await stage.sql`create view labels as select label(id)::text as label from users`;
  await stage.sql`revoke execute on function label(int) from public`;
  await stage.migration('repeatable/label', fn('bigint'));
  await migrateUp(stage.options);
  expect(
    await stage.sql`
    select pg_typeof(label(1))::text as type, proacl::text not like '%=X/%,=%' as revoked,
      to_regclass('labels') is not null as there
    from pg_proc where proname = 'label'`,
  ).toMatchObject([{ type: 'bigint', there: true }]);
  expect(
    await stage.sql`select has_function_privilege('pg_monitor', 'label(int)', 'execute') as may`,
  ).toEqual([{ may: false }]);
  await stage.sql`create index on users (label(id))`;
  await stage.migration('repeatable/label', fn('text'));
  expect(await failUp(stage.options)).toMatchObject({
    code: 'DEPENDENTS_REFUSED',
    message: expect.stringContaining('index public.users_label_idx'),
  });
});

test('drops and makes a materialized view again with what reads it', async ({ stage }) => {
  const counts = (column: string) => `drop materialized view if exists counts;
    create materialized view counts as select count(*) as ${column} from users;
    create unique index on counts (${column});\n`;
  await stage.migration('001_users', USERS);
  await stage.migration('repeatable/counts', counts('n'));
  await migrateUp(stage.options);
  await stage.sql`create view twice as select 2 * count(*) as n from counts`;
  await stage.sql`grant select on twice to public`;
  await stage.migration('repeatable/counts', counts('total'));
  await migrateUp(stage.options);
  expect(await stage.sql`select total::int, n::int from counts, twice`).toEqual([
    { total: 0, n: 2 },
  ]);
  expect(
    await stage.sql`select has_table_privilege('pg_monitor', 'twice', 'select') as may`,
  ).toEqual([{ may: true }]);
});
