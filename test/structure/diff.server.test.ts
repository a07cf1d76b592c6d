import { describe, expect } from 'vitest';
import { describeDifferences, diffStructures } from '../../src/structure/diff.ts';
import { STRUCTURE_KINDS } from '../../src/structure/structure.ts';
import { type StructureStage, test } from './structure-kit.ts';

/** One change by hand for every kind of object, and what a comparison has to say about it. */
const CHANGES: readonly [statement: string, says: string, since?: number][] = [
  [`create schema "by hand"`, '+ schema "by hand"'],
  [`comment on schema app is 'other'`, '~ schema app'],
  [`revoke usage on schema app from evdb_reader`, '~ schema app'],
  [`create extension "uuid-ossp" schema app`, '+ extension "uuid-ossp"'],
  [`alter extension btree_gist set schema app`, '~ extension btree_gist'],
  [`grant usage on language plx to evdb_writer`, '~ language plx'],
  [`comment on access method app_heap is null`, '~ access method app_heap'],
  [
    `alter foreign data wrapper nowhere options (set kind 'other')`,
    '~ foreign data wrapper nowhere',
  ],
  [`alter server far options (set host 'elsewhere')`, '~ server far'],
  [
    `alter user mapping for evdb_reader server far options (set "user" 'writer')`,
    '~ user mapping for evdb_reader server far',
  ],
  [`drop collation app.plain`, '- collation app.plain'],
  [`drop conversion app.sideways`, '- conversion app.sideways'],
  [`alter type app.mood add value 'angry' before 'ok'`, '~ enum app.mood'],
  [`alter domain app.positive drop default`, '~ domain app.positive'],
  [
    `alter domain app.positive drop constraint positive_check`,
    '- constraint positive_check on app.positive',
  ],
  [`alter type app.person add attribute country text`, '+ column app.person.country'],
  [`grant usage on type app.person to evdb_reader`, '~ composite type app.person'],
  [`comment on type app.span is 'other'`, '~ range app.span'],
  [`comment on type app.number is 'other'`, '~ base type app.number'],
  [
    `drop text search configuration app.search_words`,
    '- text search configuration app.search_words',
  ],
  [`comment on text search parser app.words is null`, '~ text search parser app.words'],
  [
    `comment on text search template app.plain_template is null`,
    '~ text search template app.plain_template',
  ],
  [`alter text search dictionary app.stems (accept = true)`, '~ text search dictionary app.stems'],
  [
    `alter text search configuration app.search drop mapping for int`,
    '~ text search configuration app.search',
  ],
  [
    `create or replace function app.twice(x integer) returns integer language sql immutable parallel safe as 'select x + x'`,
    '~ function app.twice(integer)',
  ],
  [`grant execute on function app.twice(integer) to public`, '~ function app.twice(integer)'],
  [`drop procedure app.work(integer)`, '- procedure app.work(integer)'],
  [`revoke execute on function app.rows() from evdb_reader`, '~ aggregate app.rows(*)'],
  [`drop operator app.!!! (none, integer)`, '- operator app.!!! (none, integer)'],
  [
    `alter operator family app.addresses using btree drop operator 1 (integer, bigint), function 1 (integer, bigint)`,
    '~ operator family app.addresses using btree',
  ],
  [
    `comment on operator class app.address_ops using btree is null`,
    '~ operator class app.address_ops using btree',
  ],
  [`drop cast (app.address as integer)`, '- cast (app.address as integer)'],
  [`drop transform for app.mood language plx`, '- transform for app.mood language plx'],
  [`alter sequence app.numbers cache 6`, '~ sequence app.numbers'],
  [`alter table app.people alter other set increment 7`, '~ identity app."other numbers"'],
  [`alter table app.people set (fillfactor = 80)`, '~ table app.people'],
  [`alter table app.people disable row level security`, '~ table app.people'],
  [`alter table app.unlogged set logged`, '~ table app.unlogged'],
  [`create table app.by_hand (a integer)`, '+ table app.by_hand'],
  [`alter foreign table app.remote options (set table_name 'x')`, '~ foreign table app.remote'],
  [`alter table app.people add column new text`, '+ column app.people.new'],
  [`alter table app.people drop column bits`, '- column app.people.bits'],
  [`alter table app.people alter money type numeric(14, 2)`, '~ column app.people.money'],
  [`alter table app.people alter payload drop default`, '~ column app.people.payload'],
  [`alter table app.people alter payload set not null`, '~ column app.people.payload'],
  [`alter table app.people alter picture set storage main`, '~ column app.people.picture'],
  [`alter table app.people alter "Name" set statistics 5`, '~ column app.people."Name"'],
  [`grant insert ("Name") on app.people to evdb_writer`, '~ column app.people."Name"'],
  [`comment on column app.people."Name" is null`, '~ column app.people."Name"'],
  [`alter table app.people validate constraint later`, '~ constraint later on app.people'],
  [
    `alter table app.children alter constraint children_fkey initially deferred`,
    '~ constraint children_fkey on app.children',
  ],
  [`alter index app.people_pkey set (fillfactor = 33)`, '~ constraint people_pkey on app.people'],
  [`drop index app.people_plain`, '- index app.people_plain'],
  [`alter index app.people_lower alter column 1 set statistics 7`, '~ index app.people_lower'],
  [`alter table app.people set without cluster`, '~ index app.people_other'],
  [
    `alter statistics app.people_statistics set statistics 78`,
    '~ statistics app.people_statistics',
  ],
  [`alter view app.aaa reset (security_barrier)`, '~ view app.aaa'],
  [`alter view app.zero alter mood drop default`, '- column app.zero.mood'],
  [`refresh materialized view app.unfilled`, '~ materialized view app.unfilled'],
  [`alter table app.people enable rule quiet`, '~ rule quiet on app.people'],
  [`alter table app.people disable trigger "a trigger"`, '~ trigger "a trigger" on app.people'],
  [`alter policy write on app.people with check (false)`, '~ policy write on app.people'],
  [`alter event trigger watcher enable`, '~ event trigger watcher'],
  [`alter publication parts drop table app."Odd Table"`, '~ publication parts'],
  [
    `alter default privileges in schema app revoke select on tables from evdb_reader`,
    '- default privileges for role postgres in schema app on tables',
  ],
  [
    `revoke execute on function pg_catalog.pg_sleep(double precision) from public`,
    '+ privileges on function pg_catalog.pg_sleep(double precision)',
  ],
  [
    `grant execute on function public.citext_eq(public.citext, public.citext) to evdb_reader`,
    '+ privileges on function public.citext_eq(public.citext,public.citext)',
  ],
  [
    `alter table app.not_nulls rename constraint "a is there" to renamed`,
    '- constraint "a is there" on app.not_nulls',
    180000,
  ],
  [`alter table app.events detach partition app.events_2024`, '~ table app.events_2024'],
];

test('a structure does not differ from itself', async ({ stage }) => {
  await stage.makeEveryKind();
  expect(diffStructures(await stage.read(), await stage.read())).toEqual([]);
});

test('a change by hand of every kind of object is found', async ({ stage }) => {
  await stage.makeEveryKind();
  const [server] =
    await stage.sql`select current_setting('server_version_num')::integer as version`;
  let before = await stage.read();
  for (const [statement, says, since = 0] of CHANGES) {
    if (server?.version < since) continue;
    await stage.sql.unsafe(statement);
    const after = await stage.read();
    const heads = describeDifferences(diffStructures(before, after)).map(
      (line) => line.split(': ')[0],
    );
    expect(heads, statement).toContain(says);
    before = after;
  }
});

test('the changes by hand are of every kind', () => {
  const changed = CHANGES.map(([, says]) => says.slice(2));
  const missing = STRUCTURE_KINDS.filter(
    (kind) => !changed.some((name) => name.startsWith(`${kind} `)),
  );
  expect(missing).toEqual([]);
});

describe('what is said of a difference', () => {
  async function differences(
    stage: StructureStage,
    before: string,
    after: string,
  ): Promise<string[]> {
    await stage.sql.unsafe(before);
    const from = await stage.read({ schemas: ['public'] });
    await stage.sql.unsafe(after);
    return describeDifferences(diffStructures(from, await stage.read({ schemas: ['public'] })));
  }

  test('is one line for a table that is new or gone', async ({ stage }) => {
    expect(
      await differences(
        stage,
        'create table gone (id integer primary key, a text default 1)',
        'drop table gone; create table new (id integer primary key)',
      ),
    ).toEqual(['- table public.gone: id, a', '+ table public.new: id']);
  });

  test('is the type with what belongs to it for a column', async ({ stage }) => {
    expect(
      await differences(
        stage,
        'create table t (a integer)',
        `alter table t add b text not null default 'x', alter a type bigint`,
      ),
    ).toEqual([
      '~ column public.t.a',
      '-   type: integer',
      '+   type: bigint',
      "+ column public.t.b: text default 'x'::text not null",
    ]);
  });

  test('is the lines of a body that changed', async ({ stage }) => {
    const body = (line: string) =>
      `create or replace function f() returns integer language plpgsql as $$\nbegin\n    -- one\n    -- two\n    -- three\n    ${line}\nend\n$$`;
    expect(await differences(stage, body('return 1;'), body('return 2;'))).toEqual([
      '~ function public.f()',
      '  definition:',
      '          -- two',
      '          -- three',
      '-         return 1;',
      '+         return 2;',
      '      end',
      '      $function$',
    ]);
  });

  test('is the privilege that changed, and not those that stayed', async ({ stage }) => {
    expect(
      await differences(
        stage,
        'create table t (a integer); grant select on t to pg_monitor',
        'grant delete on t to pg_read_all_stats',
      ),
    ).toEqual(['~ table public.t', '+   grants: grant delete to pg_read_all_stats']);
  });

  test('is nothing where a column only moved because others came and went', async ({ stage }) => {
    expect(
      await differences(
        stage,
        'create table t (a integer, b integer, c integer)',
        'alter table t drop b, add d integer',
      ),
    ).toEqual(['- column public.t.b: integer', '+ column public.t.d: integer']);
  });

  test('is the new order where columns changed places', async ({ stage }) => {
    expect(
      await differences(
        stage,
        'create table t (a integer, b integer)',
        'alter table t drop a; alter table t add a integer',
      ),
    ).toEqual(['~ table public.t', '-   order of columns: a, b', '+   order of columns: b, a']);
  });
});
