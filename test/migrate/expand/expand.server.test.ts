import { readdir } from 'node:fs/promises';
import { describe, expect } from 'vitest';
import {
  type ExpandRequest,
  migrateDown,
  migrateUp,
  parseThrottle,
  planExpansion,
  writeExpansion,
} from '../../../src/index.ts';
import { type MigrateStage, test } from '../../support/migrate-kit.ts';
import { failureOf } from '../../support/waiting.ts';

async function start(stage: MigrateStage, sql: string): Promise<void> {
  await stage.migration('001_start', sql);
  await migrateUp(stage.options);
}

/** Writes the migrations, runs them up, down and up again, with rows in the tables. */
async function runExpansion(stage: MigrateStage, request: ExpandRequest) {
  const expansion = await writeExpansion({ ...stage.options, request });
  expect(expansion).toMatchObject({ isProven: true, findings: [] });
  const options = { ...stage.options, backfill: { throttle: parseThrottle('off') } };
  await migrateUp(options);
  await migrateDown({ ...options, to: '001' });
  await migrateUp(options);
  return expansion;
}

const RENAME = { recipe: 'rename-column', column: 'events.location', to: 'venue' } as const;

describe('what evdb migrate expand writes', () => {
  test('gives a renamed column all that the old one had', async ({ stage }) => {
    await start(
      stage,
      `create table places (name varchar(40) primary key);
create table events (
    id bigint generated always as identity,
    location varchar(40) collate "C" not null default 'Hall' references places on delete cascade,
    "Day" date,
    constraint events_pkey primary key (id),
    constraint events_location_check check (location <> 'location' and length(location) < 30),
    constraint events_location_key unique ("Day", location) deferrable
);
create index events_lower_location on events (lower(location)) include (id) where location <> 'x';
comment on column events.location is 'Where it''s';
comment on constraint events_location_check on events is 'short';
comment on index events_lower_location is 'for search';
alter table events alter column location set statistics 500;
grant select (location) on events to public;
insert into places values ('Hall'), ('Room');
insert into events (location, "Day") values ('Hall', now()), ('Room', now());`,
    );
    await runExpansion(stage, RENAME);
    const constraints = await stage.sql`
      select conname as name, pg_get_constraintdef(oid) as said, convalidated as valid, obj_description(oid) as comment
      from pg_constraint where conrelid = 'events'::regclass and contype <> 'n' order by 1`;
    expect(constraints.map((row) => ({ ...row }))).toEqual([
      { name: 'events_pkey', said: 'PRIMARY KEY (id)', valid: true, comment: null },
      {
        name: 'events_venue_check',
        said: "CHECK ((((venue)::text <> 'location'::text) AND (length((venue)::text) < 30)))",
        valid: true,
        comment: 'short',
      },
      {
        name: 'events_venue_fkey',
        said: 'FOREIGN KEY (venue) REFERENCES places(name) ON DELETE CASCADE',
        valid: true,
        comment: null,
      },
      {
        name: 'events_venue_key',
        said: 'UNIQUE ("Day", venue) DEFERRABLE',
        valid: true,
        comment: null,
      },
    ]);
    const [index] = await stage.sql`
      select pg_get_indexdef(indexrelid) as said, obj_description(indexrelid) as comment
      from pg_index where indexrelid = 'events_lower_venue'::regclass`;
    expect(index).toEqual({
      said: `CREATE INDEX events_lower_venue ON public.events USING btree (lower((venue)::text)) INCLUDE (id) WHERE ((venue)::text <> 'x'::text)`,
      comment: 'for search',
    });
    const [column] = await stage.sql`
      select format_type(atttypid, atttypmod) as type, collname as collation, attnotnull as required,
        pg_get_expr(adbin, adrelid) as standard, attstattarget::int as target, attacl::text as acl, col_description(attrelid, attnum) as comment
      from pg_attribute
      join pg_collation as c on c.oid = attcollation
      join pg_attrdef on adrelid = attrelid and adnum = attnum
      where attrelid = 'events'::regclass and attname = 'venue'`;
    expect(column).toMatchObject({
      ...{ type: 'character varying(40)', collation: 'C', required: true, target: 500 },
      ...{ standard: "'Hall'::character varying", comment: "Where it's" },
      acl: expect.stringMatching(/=r\//),
    });
    expect(await stage.sql`select venue from events order by id`).toHaveLength(2);
  });

  test('moves a serial key with its sequence, and types that cannot be compared', async ({
    stage,
  }) => {
    await start(
      stage,
      `create table docs (id serial primary key, body json, parent integer references docs);
insert into docs (body) values ('{"a": 1}');`,
    );
    await runExpansion(stage, { recipe: 'change-type', column: 'docs.id', type: 'bigint' });
    await stage.sql`select setval('docs_id_seq', 3000000000)`;
    await stage.sql`insert into docs (body) values ('{}')`;
    expect(await stage.sql`select max(id)::text as id from docs`).toEqual([{ id: '3000000001' }]);
    const { migrations } = await writeExpansion({
      ...stage.options,
      request: { recipe: 'change-type', column: 'docs.body', type: 'jsonb' },
    });
    await migrateUp(stage.options);
    expect(migrations.map(({ name }) => name)).toEqual([
      'add_docs_body_new',
      'fill_docs_body_new',
      'change_type_of_docs_body',
    ]);
    expect(await stage.sql`select body->>'a' as a from docs where id = 1`).toEqual([{ a: '1' }]);
  });

  test('keeps all that an identity says of its numbers', async ({ stage }) => {
    await start(
      stage,
      `create table a (id int generated by default as identity (start 5 increment 3 maxvalue 1000 cycle) primary key);
create table b (id smallint generated always as identity (increment -2 minvalue -300 cache 4) primary key);
insert into a default values;
insert into b default values;`,
    );
    for (const name of ['a', 'b']) {
      await runExpansion(stage, { recipe: 'change-type', column: `${name}.id`, type: 'bigint' });
      await stage.sql.unsafe(`insert into ${name} default values`);
    }
    const sequences = await stage.sql`
      select seqtypid::regtype::text as type, seqstart::int as start, seqincrement::int as step,
        seqmin::text as min, seqmax::text as max, seqcycle as cycle
      from pg_sequence where seqrelid in ('a_id_seq'::regclass, 'b_id_seq'::regclass) order by seqrelid::regclass::text`;
    expect(sequences.map((row) => ({ ...row }))).toEqual([
      { type: 'bigint', start: 5, step: 3, min: '1', max: '1000', cycle: true },
      { type: 'bigint', start: -1, step: -2, min: '-300', max: '-1', cycle: false },
    ]);
    expect(await stage.sql`select max(id)::int as a from a`).toEqual([{ a: 8 }]);
  });

  test('takes a column back with the name of its not-null constraint', async ({ stage }) => {
    await start(
      stage,
      `create table users (id int primary key, nick text not null, said text not null);
alter table users rename column nick to handle;
alter table users rename column said to words;
insert into users values (1, 'a', 'b c');`,
    );
    const names = async () =>
      (await stage.sql`select conname from pg_constraint where contype = 'n' order by 1`).map(
        ({ conname }) => conname,
      );
    const before = await names();
    await runExpansion(stage, { ...RENAME, column: 'users.handle', to: 'name' });
    await runExpansion(stage, {
      recipe: 'split-column',
      column: 'users.words',
      into: ["first = split_part(words, ' ', 1)", "second = split_part(words, ' ', 2)"],
      join: "concat_ws(' ', first, second)",
    });
    await migrateDown({ ...stage.options, to: '001' });
    expect(await names()).toEqual(before);
  });

  test('works in another schema, with names that need quotes and triggers on the table', async ({
    stage,
  }) => {
    await start(
      stage,
      `create schema "Odd One";
create table "Odd One"."2 Items" (
    "Id" int, "No" int, "Full Name" text not null default 'x', count int, primary key ("Id", "No"));
create unique index "Full ix" on "Odd One"."2 Items" ("Full Name", "Id") where count > 0;
create index on "Odd One"."2 Items" (lower("Full Name"));
comment on index "Odd One"."Full ix" is 'once each';
create function keep() returns trigger language plpgsql as 'begin return new; end';
create trigger zzz before insert or update on "Odd One"."2 Items" for each row execute function keep();
create table kinds (id int primary key);
insert into "Odd One"."2 Items" values (1, 1, 'a', 1), (1, 2, 'b', 1);`,
    );
    const table = '"Odd One"."2 Items"';
    await runExpansion(stage, {
      ...({ recipe: 'rename-column', column: `${table}."Full Name"`, to: 'Title' } as const),
    });
    await stage.sql`insert into "Odd One"."2 Items" (title, "Id", "No") values ('c', 2, 1)`;
    const key = { recipe: 'add-foreign-key', column: `${table}.count` } as const;
    await writeExpansion({ ...stage.options, request: { ...key, references: 'kinds.id' } });
    await stage.sql`insert into kinds values (1)`;
    await migrateUp(stage.options);
    const indexes = await stage.sql`
      select indexname as name, obj_description(format('%I.%I', schemaname, indexname)::regclass) as comment
      from pg_indexes where tablename = '2 Items' order by 1`;
    expect(indexes.map((row) => ({ ...row }))).toEqual([
      { name: '2 Items_lower_idx', comment: null },
      { name: '2 Items_pkey', comment: null },
      { name: 'Full ix', comment: 'once each' },
      { name: '_2_items_count_idx', comment: null },
    ]);
    await migrateDown({ ...stage.options, to: '001' });
  });

  test('forbids null, adds keys and checks, and takes it all back', async ({ stage }) => {
    await start(
      stage,
      `create table users (id uuid primary key default gen_random_uuid(), email text, locale text);
create table notes (user_id uuid, place integer);
insert into users (email) values ('a'), ('b');
insert into notes select id, 1 from users;`,
    );
    await runExpansion(stage, {
      ...{ recipe: 'set-not-null', column: 'users.locale', default: "'en'" },
    });
    for (const request of [
      { recipe: 'set-not-null', column: 'users.email' },
      {
        ...({ recipe: 'add-foreign-key', column: 'notes.user_id' } as const),
        ...({ references: 'users.id', onDelete: 'cascade' } as const),
      },
      { recipe: 'add-unique', columns: 'notes.user_id,place' },
      { recipe: 'add-check', table: 'notes', condition: 'place > 0' },
    ] satisfies ExpandRequest[]) {
      expect(await writeExpansion({ ...stage.options, request })).toMatchObject({
        ...{ isProven: true, findings: [] },
      });
    }
    await migrateUp(stage.options);
    expect(await stage.sql`select distinct locale from users`).toEqual([{ locale: 'en' }]);
    const said = await stage.sql`
      select conrelid::regclass || ' ' || pg_get_constraintdef(oid) as said from pg_constraint
      where conrelid in ('users'::regclass, 'notes'::regclass) and contype <> 'n' order by 1`;
    expect(said.map((row) => row.said)).toEqual([
      'notes CHECK ((place > 0))',
      'notes FOREIGN KEY (user_id) REFERENCES users(id) ON DELETE CASCADE',
      'notes UNIQUE (user_id, place)',
      'users PRIMARY KEY (id)',
    ]);
    await migrateDown({ ...stage.options, to: '001' });
    expect(await stage.relations()).toEqual(['notes', 'users', 'users_pkey']);
  });
});

/** What old and new column are after a write of one build, of the other, or of both. */
test('the side that a build wrote wins, and the new one where both were written', async ({
  stage,
}) => {
  await start(stage, `create table events (id int primary key, location text default 'here');`);
  const { migrations } = await writeExpansion({ ...stage.options, request: RENAME });
  await migrateUp({ ...stage.options, to: migrations[0]?.version });
  const after = async (...statements: string[]) => {
    await stage.sql`truncate events`;
    for (const statement of statements) await stage.sql.unsafe(statement);
    const [row] = await stage.sql`select location, venue from events`;
    return [row?.location, row?.venue];
  };
  const insert = (columns: string) =>
    `insert into events (id, location, venue) values (1, ${columns})`;
  expect(await after('insert into events values (1)')).toEqual(['here', 'here']);
  expect(await after(insert("'a', default"))).toEqual(['a', 'a']);
  expect(await after(insert("default, 'b'"))).toEqual(['b', 'b']);
  expect(await after(insert('null, default'))).toEqual([null, null]);
  expect(await after(insert('default, null'))).toEqual([null, null]);
  expect(await after(insert("'a', 'b'"))).toEqual(['b', 'b']);
  const changed = (set: string) => after(insert("'a', default"), `update events set ${set}`);
  expect(await changed("location = 'c'")).toEqual(['c', 'c']);
  expect(await changed("venue = 'c'")).toEqual(['c', 'c']);
  expect(await changed('location = null')).toEqual([null, null]);
  expect(await changed('venue = null')).toEqual([null, null]);
  expect(await changed("location = 'c', venue = 'd'")).toEqual(['d', 'd']);
  expect(await changed("location = 'c', venue = venue")).toEqual(['c', 'c']);
  expect(await changed('id = 2')).toEqual(['a', 'a']);
});

describe('an expansion is refused', () => {
  const SETUP = `create table events (id int primary key, location text, title text, twice int generated always as (id * 2) stored);
create view places as select location from events;
create policy mine on events using (title = 'mine');
create table parts (id int, day date, location text, primary key (id, day)) partition by range (day);
create table loose (location text);`;
  test.for([
    [RENAME, 'this uses column location of events, and would be lost with it: view places'],
    [
      { ...RENAME, column: 'events.title' },
      'this uses column title of events, and would be lost with it: policy mine',
    ],
    [
      { ...RENAME, column: 'events.id' },
      'this uses column id of events, and would be lost with it: generated column twice',
    ],
    [{ ...RENAME, column: 'events.twice' }, 'column twice of events is generated from others'],
    [{ ...RENAME, to: 'title', column: 'events.nothing' }, 'table events has no column nothing'],
    [{ ...RENAME, column: 'nowhere.x' }, 'there is no table nowhere in schema "public"'],
    [{ ...RENAME, column: 'location' }, '"location" is not a column of a table'],
    [
      { ...RENAME, column: 'parts.location' },
      'table parts cannot be expanded: it is partitioned, and PostgreSQL builds no index of a partitioned table concurrently',
    ],
    [
      { ...RENAME, column: 'loose.location' },
      'table loose has no primary key, and no unique key whose columns are not null',
    ],
    [
      { recipe: 'change-type', column: 'events.title', type: 'nothing' },
      'there is no type nothing',
    ],
    [
      { recipe: 'split-column', column: 'events.title', into: ['a', 'b'], join: 'a || b' },
      '"a" is not a column and what it becomes',
    ],
    [
      { recipe: 'add-check', table: 'events', condition: 'true); drop table events; --' },
      '"true); drop table events; --" is not an SQL expression',
    ],
    [
      { recipe: 'add-foreign-key', column: 'events.title', references: 'loose.location' },
      'location of loose is not unique, so nothing can refer to it',
    ],
  ] satisfies [ExpandRequest, string][])('%j: %s', async ([request, message], { stage }) => {
    await stage.sql.unsafe(SETUP);
    await stage.migration('001_start', 'select 1;');
    expect(await failureOf(planExpansion({ ...stage.options, request }))).toMatchObject({
      message,
    });
  });

  test('where a trigger always fires last', async ({ stage }) => {
    await stage.sql.unsafe(`create table t (id int primary key, said text);
create function f() returns trigger language plpgsql as 'begin return new; end';
create trigger "~last" before update on t for each row execute function f();`);
    await stage.migration('001_start', 'select 1;');
    expect(
      await failureOf(
        planExpansion({ ...stage.options, request: { ...RENAME, column: 't.said' } }),
      ),
    ).toMatchObject({
      message: 'trigger ~last of t fires after every trigger that evdb could name',
    });
  });

  test('where types change by no cast, or by one that the session decides', async ({ stage }) => {
    await stage.sql`create table t (id int primary key, at timestamp, said text)`;
    await stage.migration('001_start', 'select 1;');
    const message = async (column: string, type: string) =>
      (
        await failureOf<Error>(
          planExpansion({ ...stage.options, request: { recipe: 'change-type', column, type } }),
        )
      ).message;
    expect(await message('t.said', 'integer')).toBe('text does not become integer by itself');
    expect(await message('t.at', 'timestamptz')).toContain('depends on settings of the session');
  });
});

test('a type that may lose values is named with the query that counts them', async ({ stage }) => {
  await start(
    stage,
    `create domain short as text check (length(value) < 3);
create table t (id int primary key, total numeric(10, 2), at timestamptz, said text, far double precision, code varchar(5), body json, near real, n bigint);
insert into t values (1, 1.50, '2026-01-01 10:00Z', 'too long', 0.1, 'a', '{ }', 1, 9007199254740993), (2, 2, '2026-01-01 00:00Z', 'fits', 0.5, 'b', '[]', 1, 1);`,
  );
  // Not tried in a scratch database, so that this does not take minutes.
  const role = await stage.createRole();
  await stage.sql.unsafe(
    `grant select on t to ${role.name}; grant usage on schema public, evdb to ${role.name}; grant select on all tables in schema evdb to ${role.name}`,
  );
  const options = await stage.optionsFor(role.url);
  const lossOf = async (column: string, type: string, given: object = {}) => {
    const request = { recipe: 'change-type', column: `t.${column}`, type, ...given } as const;
    const { notes, migrations } = await planExpansion({ ...options, request });
    const [note] = notes;
    if (note === undefined) return 'keeps all';
    const query = note.slice(note.indexOf('select count(*)'));
    expect(note).toContain(`${type} may not hold every value of ${column}: `);
    expect(migrations[1]?.files[0]?.text).toContain(`\n-- ${query}\n`);
    const [row] = await stage.sql.unsafe(query);
    return Number(row?.count);
  };
  expect(await lossOf('total', 'integer')).toBe(1);
  expect(await lossOf('at', 'date', { using: "(at at time zone 'UTC')::date" })).toBe(1);
  expect(
    await lossOf('total', 'bigint', { using: 'round(total * 100)', back: 'total_new / 100.0' }),
  ).toBe(0);
  expect(await lossOf('said', 'varchar(5)')).toBe(1);
  expect(await lossOf('far', 'real')).toBe(1);
  expect(await lossOf('n', 'double precision')).toBe(1);
  expect(await lossOf('body', 'jsonb')).toBe(1);
  expect(await lossOf('code', 'short')).toBe(0);
  expect(await lossOf('code', 'char(4)')).toBe(0);
  expect(await lossOf('total', 'numeric(10,3)')).toBe(0);
  expect(await lossOf('total', 'numeric(11,3)')).toBe('keeps all');
  expect(await lossOf('total', 'numeric')).toBe('keeps all');
  expect(await lossOf('total', 'text')).toBe('keeps all');
  expect(await lossOf('code', 'varchar(9)')).toBe('keeps all');
  expect(await lossOf('code', 'text')).toBe('keeps all');
  expect(await lossOf('near', 'double precision')).toBe('keeps all');
  expect(await lossOf('id', 'bigint')).toBe('keeps all');
});

test('nothing is written where the migrations fail in the scratch database', async ({ stage }) => {
  await start(stage, 'create table t (id int primary key, said text);');
  const request = {
    ...({ recipe: 'change-type', column: 't.said', type: 'integer' } as const),
    ...{ using: 'length(said, 1, 2)', back: 'said_new::text' },
  };
  expect(await failureOf(writeExpansion({ ...stage.options, request }))).toMatchObject({
    code: 'EXPAND_UNPROVEN',
    message: expect.stringContaining('function length(text, integer, integer) does not exist'),
  });
  expect(await readdir(stage.options.directory)).toEqual(['001_start.sql']);
});

test('a second expansion of a column is refused while the first one is not applied', async ({
  stage,
}) => {
  await start(stage, 'create table events (id int primary key, location text);');
  const written = await writeExpansion({ ...stage.options, request: RENAME });
  const names = written.migrations.map(({ version, name }) => `${version}_${name}`);
  const refusal = async (request: ExpandRequest) =>
    failureOf(planExpansion({ ...stage.options, request }));
  expect(await refusal(RENAME)).toMatchObject({
    code: 'EXPAND_REFUSED',
    message: expect.stringContaining(`some are not applied: ${names.join(', ')}`),
  });
  const type = { recipe: 'change-type', column: 'events.location', type: 'varchar(40)' } as const;
  expect(await refusal(type)).toMatchObject({
    code: 'EXPAND_REFUSED',
    message: expect.stringContaining(`one is not applied: ${names.at(-1)}`),
  });
  await migrateUp({ ...stage.options, to: names[0]?.slice(0, 3) });
  expect(await refusal({ ...RENAME, to: 'place' })).toMatchObject({ code: 'EXPAND_REFUSED' });
  await migrateUp(stage.options);
  const again = { ...RENAME, column: 'events.venue', to: 'location' };
  expect(await planExpansion({ ...stage.options, request: again })).toMatchObject({
    isProven: true,
  });
});

test('a role that may not create databases writes them too, and says that they were not tried', async ({
  stage,
}) => {
  const role = await stage.createRole();
  await start(
    stage,
    `create table t (id int primary key, said text); grant select on t to ${role.name};`,
  );
  await stage.sql.unsafe(
    `grant usage on schema public, evdb to ${role.name}; grant select on all tables in schema evdb to ${role.name}`,
  );
  const options = await stage.optionsFor(role.url);
  const request = { ...RENAME, column: 't.said' };
  expect(await writeExpansion({ ...options, request })).toMatchObject({
    isProven: false,
    unprovenReason: expect.stringContaining('may not create databases'),
  });
});
