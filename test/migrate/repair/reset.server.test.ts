import { describe, expect } from 'vitest';
import { migrateUp, resetSchema } from '../../../src/index.ts';
import { holdRunnerLock, isSuperuser, type MigrateStage, test } from '../../support/migrate-kit.ts';

const confirm = true;

/** One of each kind of object that PostgreSQL keeps in a schema. */
const EVERYTHING = `
create table plain (id integer generated always as identity primary key, word text);
create table numbered (id serial primary key, plain_id int references plain);
create index numbered_plain_id_idx on numbered (plain_id);
create statistics correlated on id, plain_id from numbered;
create table parted (day date not null, constraint parted_pkey primary key (day)) partition by range (day);
create table parted_2026 partition of parted for values from ('2026-01-01') to ('2027-01-01');
create table child (extra text) inherits (plain);
create view shown as select id from plain;
create materialized view kept as select id from shown;
create sequence counter;
create type pair as (a int, b text);
create type mood as enum ('good', 'bad');
create type span as range (subtype = float8);
create domain positive as int check (value > 0);
create function double(int) returns int language sql immutable as 'select $1 * 2';
create function no_argument() returns int language sql immutable as 'select 1';
create procedure work(inout done int) language plpgsql as 'begin done := 1; end';
create aggregate total(int) (sfunc = int4pl, stype = int, initcond = '0');
create aggregate counted(*) (sfunc = int8inc, stype = bigint, initcond = '0');
create function same(pair, pair) returns boolean language sql immutable as 'select ($1).a = ($2).a';
create operator === (leftarg = pair, rightarg = pair, function = same);
create operator |@| (rightarg = int, function = double);
create operator family by_size using btree;
create operator class pair_ops for type pair using hash as operator 1 ===;
create cast (mood as int) with function length_of_mood(mood);
create collation plain_bytes (locale = 'C');
create conversion latin for 'LATIN1' to 'UTF8' from iso8859_1_to_utf8;
create text search dictionary words (template = simple);
create text search configuration english_only (copy = simple);
create function touch() returns trigger language plpgsql as 'begin return new; end';
create trigger touches before update on plain for each row execute function touch();
create policy everybody on plain using (true);
create rule quiet as on delete to numbered do instead nothing;
`.replace(
  'create cast',
  "create function length_of_mood(mood) returns int language sql immutable as 'select 1';\ncreate cast",
);

async function listObjects({ sql }: MigrateStage, schema = 'public'): Promise<string[]> {
  const rows = await sql`
    select i.type || ' ' || i.identity as object
    from pg_depend as d
    cross join lateral pg_identify_object(d.classid, d.objid, 0) as i
    where d.refclassid = 'pg_namespace'::regclass
      and d.refobjid = ${schema}::regnamespace
      and d.deptype = 'n'
    order by 1`;
  return rows.map(({ object }) => object);
}

describe('reset', () => {
  test('changes nothing without consent', async ({ stage }) => {
    await stage.migration('001_a', 'create table a ();');
    await migrateUp(stage.options);
    await stage.sql`create table extra ()`;
    await expect(resetSchema({ ...stage.options, confirm: false })).rejects.toMatchObject({
      code: 'CONFIRM_REQUIRED',
      hint: expect.stringContaining('evdb migrate reset --confirm'),
    });
    expect(await stage.relations()).toEqual(['a', 'extra']);
    expect(await stage.history()).toEqual(['up 001']);
  });

  test('drops what lives in the schema, whatever kind it is, and applies all again', async ({
    stage,
    skip,
  }) => {
    skip(!(await isSuperuser(stage.sql)), 'operator classes are for superusers');
    await stage.migration('001_a', 'create table a (id integer generated always as identity);');
    await stage.migration('002_b', 'create table b ();');
    await migrateUp({ ...stage.options, steps: 1 });
    const before = await listObjects(stage);
    await stage.sql.unsafe(EVERYTHING);
    await stage.sql`insert into a default values`;
    const result = await resetSchema({ ...stage.options, confirm });
    expect(result).toMatchObject({
      schema: 'public',
      forgotten: 1,
      steps: [
        { direction: 'up', label: '001' },
        { direction: 'up', label: '002' },
      ],
    });
    expect(await listObjects(stage)).toEqual([...before, 'table public.b'].sort());
    expect(await stage.sql`select * from a`).toEqual([]);
    expect(await stage.ledger()).toEqual(['001 applied', '002 applied']);
    expect(await stage.history()).toEqual(['up 001', 'reset', 'up 001', 'up 002']);
  });

  test('drops the same in a schema whose name needs quotes', async ({ stage }) => {
    await stage.migration('001_a', 'create table "Ä ""b" ();');
    const schema = `it's "odd"`;
    const options = { ...stage.options, schema };
    await migrateUp(options);
    await resetSchema({ ...options, confirm });
    expect(await stage.relations(`"it's ""odd"""`)).toEqual(['Ä "b']);
    expect(await stage.history(schema)).toEqual(['up 001', 'reset', 'up 001']);
  });

  test('keeps the schema itself with its owner, privileges and comment', async ({ stage }) => {
    const { name } = await stage.createRole();
    await stage.migration('001_a', 'create table a ();');
    await stage.sql.unsafe(`create schema app authorization ${name};
      grant usage on schema app to public; comment on schema app is 'kept';`);
    const describe = () => stage.sql`
      select oid, nspowner, nspacl::text, obj_description(oid) from pg_namespace where nspname = 'app'`;
    const before = await describe();
    await resetSchema({ ...stage.options, schema: 'app', confirm });
    expect(await describe()).toEqual(before);
  });

  test('takes along the extensions and schemas that the migrations make anew', async ({
    stage,
    skip,
  }) => {
    const known = await stage.sql`select from pg_available_extensions where name = 'citext'`;
    skip(known.length < 1, 'this server comes without the extensions of contrib');
    await stage.migration(
      '001_a',
      'create schema ext; create extension citext schema ext; create table a (word ext.citext);',
    );
    await stage.migration('002_b', 'create extension if not exists pgcrypto;');
    await migrateUp(stage.options);
    await stage.sql`insert into a values ('x')`;
    const result = await resetSchema({ ...stage.options, confirm });
    expect(result.alsoDropped).toEqual(['extension citext', 'schema ext']);
    const told = result.warnings.filter(({ code }) => code === 'ALSO_DROPPED');
    expect(told).toHaveLength(2);
    expect(await stage.sql`select * from a`).toEqual([]);
    expect(await stage.ledger()).toEqual(['001 applied', '002 applied']);
  });

  test('refuses beforehand where others need what it would take along', async ({ stage }) => {
    await stage.migration('001_a', 'create schema ext; create table a (id int);');
    await migrateUp(stage.options);
    await stage.sql`create table ext.mine ()`;
    await stage.sql`insert into a values (1)`;
    await expect(resetSchema({ ...stage.options, confirm })).rejects.toMatchObject({
      code: 'RESET_BLOCKED',
      message: expect.stringContaining('table ext.mine depends on schema ext'),
    });
    expect(await stage.sql`select * from a`).toEqual([{ id: 1 }]);
    expect(await stage.history()).toEqual(['up 001']);
  });

  test('refuses beforehand where the migrations make what stays behind', async ({ stage }) => {
    const { name } = await stage.createRole();
    await stage.sql`create schema elsewhere`;
    await stage.migration('001_a', 'create table a (id int); create table elsewhere.b ();');
    await stage.migration('002_p', 'create publication everyone;');
    await migrateUp(stage.options);
    await stage.sql`insert into a values (1)`;
    await stage.migration('003_r', `create role "${name}";`);
    await expect(resetSchema({ ...stage.options, confirm })).rejects.toMatchObject({
      code: 'RESET_BLOCKED',
      details: {
        objects: [
          expect.stringMatching(/^relation elsewhere\.b \(.*001_a\.sql:1\)$/),
          expect.stringMatching(/^publication everyone \(.*002_p\.sql:1\)$/),
          expect.stringContaining(`role ${name} (`),
        ],
      },
    });
    expect(await stage.sql`select * from a`).toEqual([{ id: 1 }]);
  });

  test('takes what the migrations drop before they make it for no hindrance', async ({ stage }) => {
    await stage.migration(
      '001_a',
      'drop publication if exists everyone; create publication everyone; create table a ();',
    );
    await migrateUp(stage.options);
    await resetSchema({ ...stage.options, confirm });
    expect(await stage.history()).toEqual(['up 001', 'reset', 'up 001']);
  });

  test('says that the contents are gone where a script fails after the drop', async ({ stage }) => {
    await stage.migration('001_a', 'create table a ();');
    await migrateUp(stage.options);
    await stage.migration('002_b', 'select nothing_of_the_kind;');
    await expect(resetSchema({ ...stage.options, confirm })).rejects.toMatchObject({
      hint: expect.stringContaining('What was in schema "public" was dropped before.'),
    });
  });

  test('revokes default privileges that the migrations give in the schema, and no others', async ({
    stage,
  }) => {
    const { name } = await stage.createRole();
    await stage.sql.unsafe(
      `create schema other; alter default privileges in schema other grant select on tables to "${name}"`,
    );
    await stage.migration(
      '001_a',
      `create table a (); alter default privileges in schema public grant select on tables to "${name}";
       alter default privileges in schema public grant execute on functions to "${name}" with grant option;
       alter default privileges in schema public grant usage on types to "${name}";
       alter default privileges in schema public grant usage on sequences to "${name}";`,
    );
    await stage.migration('002_b', 'create table b ();');
    await migrateUp(stage.options);
    const privileges = () => stage.sql`
      select relname, relacl::text from pg_class
      where relnamespace = 'public'::regnamespace and relkind = 'r' order by relname`;
    const before = await privileges();
    await resetSchema({ ...stage.options, confirm });
    expect(await privileges()).toEqual(before);
    const rest = await stage.sql`
      select defaclnamespace::regnamespace::text as schema, count(*)::int from pg_default_acl group by 1 order by 1`;
    expect(rest).toEqual([
      { schema: 'other', count: 1 },
      { schema: 'public', count: 4 },
    ]);
  });

  test('keeps extensions and what they own', async ({ stage, skip }) => {
    const known = await stage.sql`
      select from pg_available_extensions where name in ('citext', 'pgcrypto')`;
    skip(known.length < 2, 'this server comes without the extensions of contrib');
    await stage.migration('001_a', 'create table a (word citext);');
    await stage.sql`create extension citext schema public`;
    await stage.sql`create extension pgcrypto schema public`;
    await migrateUp(stage.options);
    await stage.sql`insert into a values ('x')`;
    await resetSchema({ ...stage.options, confirm });
    expect(await stage.sql`select extname from pg_extension order by 1`).toEqual([
      { extname: 'citext' },
      { extname: 'pgcrypto' },
      { extname: 'plpgsql' },
    ]);
    expect(await stage.sql`select encode(digest('x', 'sha1'), 'hex') is not null as ok`).toEqual([
      { ok: true },
    ]);
    expect(await stage.sql`select * from a`).toEqual([]);
  });

  test('keeps an extension that a migration creates where it is missing', async ({
    stage,
    skip,
  }) => {
    const known = await stage.sql`select from pg_available_extensions where name = 'citext'`;
    skip(known.length === 0, 'this server comes without citext');
    await stage.migration(
      '001_a',
      'create extension if not exists citext; create table a (b citext);',
    );
    await migrateUp(stage.options);
    await resetSchema({ ...stage.options, confirm });
    expect(await stage.history()).toEqual(['up 001', 'reset', 'up 001']);
  });

  test.for([
    ['a view', 'create view other.v as select id from public.a', 'view other.v'],
    [
      'a foreign key',
      'create table other.t (a_id int references public.a)',
      'table constraint t_a_id_fkey on other.t',
    ],
    ['a column', 'create table other.t (id int, m public.mood)', 'table column other.t.m'],
    [
      'a field',
      'create type other.c as (id int, m public.mood)',
      'composite type column other.c.m',
    ],
    [
      'a default',
      "create table other.t (id int default nextval('public.counter'))",
      'default value for other.t.id',
    ],
    [
      'a trigger',
      'create table other.t (); create trigger tr before insert on other.t for each row execute function public.touch()',
      'trigger tr on other.t',
    ],
    [
      'a partition',
      'create table other.p partition of public.parted for values in (1)',
      'table other.p',
    ],
    [
      'an index',
      'create table other.t (id int); create index t_id_idx on other.t (public.double(id))',
      'index other.t_id_idx',
    ],
    [
      'a function',
      'create function other.f(public.mood) returns int language sql as $$select 1$$',
      'function other.f(public.mood)',
    ],
    [
      'a policy',
      'create table other.t (id int); create policy p on other.t using (public.double(id) > 1)',
      'policy p on other.t',
    ],
    [
      'a cast',
      'create type other.x as enum (); create cast (other.x as int) with function public.length_of_x(other.x)',
      'cast (other.x AS integer)',
    ],
  ])(
    'is blocked by %s of another schema, and changes nothing',
    async ([, sql, object], { stage }) => {
      await stage.migration(
        '001_a',
        `create table a (id int primary key);
       create type mood as enum ('good');
       create sequence counter;
       create table parted (id int) partition by list (id);
       create function double(int) returns int language sql immutable as 'select $1 * 2';
       create function touch() returns trigger language plpgsql as 'begin return new; end';`,
      );
      await migrateUp(stage.options);
      await stage.sql`create schema other`;
      const helper = `create type other.x as enum ();
      create function public.length_of_x(other.x) returns int language sql as 'select 1';`;
      const isCast = object?.startsWith('cast');
      await stage.sql.unsafe(
        isCast ? String(sql).replace('create type other.x as enum ();', helper) : String(sql),
      );
      const before = await listObjects(stage);

      await expect(resetSchema({ ...stage.options, confirm })).rejects.toMatchObject({
        code: 'RESET_BLOCKED',
        message: expect.stringContaining(String(object)),
        details: { objects: expect.arrayContaining([object]) },
      });
      expect(await listObjects(stage)).toEqual(before);
      expect(await stage.ledger()).toEqual(['001 applied']);
      expect(await stage.history()).toEqual(['up 001']);
    },
  );

  test('leaves another tenant and its ledger rows alone', async ({ stage }) => {
    await stage.migration('001_a', 'create table a ();');
    await migrateUp({ ...stage.options, schema: 'one' });
    await migrateUp({ ...stage.options, schema: 'two' });
    await stage.sql`create table two.extra ()`;
    await resetSchema({ ...stage.options, schema: 'one', confirm });
    expect(await stage.relations('two')).toEqual(['a', 'extra']);
    expect(await stage.ledger('two')).toEqual(['001 applied']);
    expect(await stage.history('two')).toEqual(['up 001']);
    expect(await stage.history('one')).toEqual(['up 001', 'reset', 'up 001']);
  });

  test('works where nothing has ever been migrated', async ({ stage }) => {
    await stage.migration('001_a', 'create table a ();');
    await stage.sql`create table a (was_here int)`;
    expect(await resetSchema({ ...stage.options, confirm })).toMatchObject({ forgotten: 0 });
    expect(await stage.sql`select * from a`).toEqual([]);
    expect(await stage.history()).toEqual(['reset', 'up 001']);
  });

  test('gets along with a ledger that is damaged for up', async ({ stage }) => {
    await stage.migration('001_a', 'create table a ();');
    await stage.migration('002_b', 'create table b ();');
    await migrateUp(stage.options);
    await stage.remove('001_a');
    await stage.migration('002_b', 'create table changed ();');
    await expect(migrateUp(stage.options)).rejects.toMatchObject({ code: 'CHANGED_MIGRATION' });
    await resetSchema({ ...stage.options, confirm });
    expect(await stage.relations()).toEqual(['changed']);
  });

  test('drops nothing where a file cannot be applied', async ({ stage }) => {
    await stage.migration('001_a', 'create table a ();');
    await migrateUp(stage.options);
    await stage.migration('002_b', 'create tabel b ();');
    await expect(resetSchema({ ...stage.options, confirm })).rejects.toMatchObject({
      code: 'SYNTAX_ERROR',
    });
    expect(await stage.relations()).toEqual(['a']);
    expect(await stage.history()).toEqual(['up 001']);
  });

  test('is refused while another runner is at work', async ({ stage }) => {
    await stage.migration('001_a', 'create table a ();');
    await migrateUp(stage.options);
    await holdRunnerLock(stage);
    await expect(resetSchema({ ...stage.options, confirm, lockWaitMs: 0 })).rejects.toMatchObject({
      code: 'LOCKED',
    });
    expect(await stage.history()).toEqual(['up 001']);
  });

  test('says so where an object belongs to somebody else', async ({ stage }) => {
    const { name, url } = await stage.createRole();
    await stage.sql.unsafe(`create schema app; grant usage, create on schema app to ${name};
      create schema evdb authorization ${name}; create table app.foreign_one ();`);
    await stage.migration('001_a', 'create table a ();');
    const options = { ...(await stage.optionsFor(url)), schema: 'app' };
    await migrateUp(options);
    await expect(resetSchema({ ...options, confirm })).rejects.toMatchObject({
      code: 'PERMISSION_DENIED',
      message: expect.stringContaining('foreign_one'),
    });
    expect(await stage.relations('app')).toEqual(['a', 'foreign_one']);
  });
});
