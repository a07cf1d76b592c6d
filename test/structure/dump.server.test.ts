import { expect } from 'vitest';
import { openSession } from '../../src/connection/session.ts';
import { readStructure } from '../../src/structure/read/structure.ts';
import { renderStructure } from '../../src/structure/render/structure.ts';
import { STRUCTURE_KINDS } from '../../src/structure/structure.ts';
import { closeSql, openSql } from '../support/databases.ts';
import { connectionTo } from '../support/sessions.ts';
import { listAwaitedLocks } from '../support/waiting.ts';
import { test } from './structure-kit.ts';

test('a dump with every kind of object makes the same database again', async ({ stage }) => {
  await stage.makeEveryKind();
  const structure = await stage.read();
  const again = await stage.reload(renderStructure(structure));
  expect(renderStructure(again)).toBe(renderStructure(structure));
  expect(again).toEqual(structure);
});

test('a dump of what is entangled makes the same database again', async ({ stage }) => {
  await stage.makeEntangled();
  const structure = await stage.read();
  const again = await stage.reload(renderStructure(structure));
  expect(renderStructure(again)).toBe(renderStructure(structure));
  expect(again).toEqual(structure);
});

test('is told in time when somebody changes what is read', async ({ stage, emptyDb }) => {
  await stage.sql.unsafe('create table t (a integer); create view v as select a from t');
  const other = openSql(emptyDb.url, 1);
  await other.unsafe('begin; lock table t, v in access exclusive mode');
  try {
    await expect(stage.read()).rejects.toMatchObject({ code: 'LOCK_TIMEOUT' });
  } finally {
    await closeSql(other);
  }
});

test('reads again what was dropped while it was read', async ({ stage, emptyDb }) => {
  await stage.sql.unsafe('create table t (a integer); create view v as select a from t');
  const other = openSql(emptyDb.url, 1);
  await other.unsafe('begin; drop view v');
  const read = stage.read();
  await expect.poll(() => listAwaitedLocks(stage.sql)).toHaveLength(1);
  await other.unsafe('commit');
  await closeSql(other);
  expect((await read).objects.map(({ name }) => name)).toEqual([
    ...['public', 'public.t', 'public.t.a'],
  ]);
});

test('the script for that has every kind of object', async ({ stage }) => {
  await stage.makeEveryKind();
  const { objects } = await stage.read();
  const kinds = new Set(objects.map(({ kind }) => kind));
  expect(STRUCTURE_KINDS.filter((kind) => !kinds.has(kind))).toEqual([]);
});

test('a dump with owners makes the same database again', async ({ stage }) => {
  await stage.makeEveryKind();
  await stage.sql.unsafe(`
    alter table app.people owner to evdb_reader;
    alter schema app owner to evdb_writer;
    alter function app.twice(integer) owner to evdb_writer;
    alter aggregate app.middle(float8 order by anyelement) owner to evdb_writer;
    alter type app.mood owner to evdb_reader`);
  const structure = await stage.read({ owners: true });
  const text = renderStructure(structure);
  expect(text).toContain('alter table app.people owner to evdb_reader;');
  const again = await stage.reload(text, { owners: true });
  expect(again).toEqual(structure);
});

test('the dump of the event schema makes it again, and says the same', async ({ db, stage }) => {
  const session = await openSession(await connectionTo(db.url));
  const structure = await readStructure(session, { schemas: ['public'] });
  await session.close();
  const again = await stage.reload(renderStructure(structure), { schemas: ['public'] });
  expect(renderStructure(again)).toBe(renderStructure(structure));
  expect(again).toEqual(structure);
});

test('is the same whatever the order in which things were made', async ({ stage }) => {
  await stage.sql.unsafe(`
    create table b (id integer primary key, gone text, name text);
    create table a (b_id integer references b);
    create view z as select id from b; create view c as select id from z;
    alter table b drop column gone`);
  const text = renderStructure(await stage.read());
  const again = await stage.reload(`
    create table b (id integer, name text, constraint b_pkey primary key (id));
    create view z as select id from b;
    create table a (b_id integer);
    alter table a add constraint a_b_id_fkey foreign key (b_id) references b;
    create view c as select id from z;`);
  expect(renderStructure(again)).toBe(text);
});

test('leaves out what extensions brought, the ledger, and what is temporary', async ({ stage }) => {
  await stage.sql.unsafe(`
    create extension citext;
    create extension btree_gist;
    create schema evdb; create table evdb.migration (a integer);
    create temporary table gone (a integer);
    create table kept (a citext)`);
  const { objects } = await stage.read();
  expect(objects.map(({ kind, name }) => `${kind} ${name}`)).toEqual([
    'schema public',
    'extension btree_gist',
    'extension citext',
    'table public.kept',
    'column public.kept.a',
  ]);
});

test('leaves out what the server keeps among the options, and tells what it does not know', async ({
  stage,
}) => {
  await stage.sql.unsafe(`
    create table t (a integer, b text) with (fillfactor = 70, toast.autovacuum_enabled = off);
    create view v as select a from t;
    alter table t alter column a set (n_distinct = 5)`);
  const before = await stage.read();
  // as Debian's PostgreSQL 15.20 does by itself
  await stage.sql
    .unsafe(`
    set allow_system_table_mods = on;
    update pg_attribute set attoptions = array['pg_attver=' || attnum] || coalesce(attoptions, '{}')
    where attrelid in ('t'::regclass, 'v'::regclass) and attnum > 0`)
    .simple();
  expect(await stage.read()).toEqual(before);
  expect(renderStructure(before)).toContain("alter column a set (n_distinct='5');");
  await stage.sql
    .unsafe("update pg_class set reloptions = '{fillfactor=70,a_stamp=1}' where relname = 't'")
    .simple();
  const text = renderStructure(await stage.read());
  expect(text).toContain("with (fillfactor='70', toast.autovacuum_enabled='off');");
  expect(text).toContain('-- options of table public.t that evdb does not know, left out: a_stamp');
  await stage.reload(text);
});

test('of one schema takes only the extensions that it needs', async ({ stage }) => {
  await stage.sql.unsafe(`
    create schema tools; create extension citext schema tools; create extension btree_gist schema tools;
    create table kept (a tools.citext)`);
  const { objects } = await stage.read({ schemas: ['public'] });
  expect(objects.map(({ kind, name }) => `${kind} ${name}`)).toEqual([
    'schema public',
    'extension citext',
    'table public.kept',
    'column public.kept.a',
  ]);
});

test('never tells the secrets of foreign servers', async ({ stage }) => {
  await stage.makeEveryKind();
  const text = JSON.stringify(await stage.read());
  expect(text).toContain('of wrapper');
  expect(text).not.toMatch(/top secret|hidden/);
});

test('is read by a role that may see nothing of it', async ({ stage, emptyDb }) => {
  await stage.makeEveryKind();
  await stage.sql.unsafe(`create role evdb_stranger_${process.pid} login password 'x'`);
  try {
    const url = new URL(emptyDb.url);
    url.username = `evdb_stranger_${process.pid}`;
    url.password = 'x';
    const session = await openSession(await connectionTo(url.href));
    const seen = await readStructure(session);
    await session.close();
    // options of mappings are only for those whose they are
    const withoutMappings = (text: string) => text.replace(/create user mapping.*\n/g, '');
    expect(withoutMappings(renderStructure(seen))).toBe(
      withoutMappings(renderStructure(await stage.read())),
    );
  } finally {
    await stage.sql.unsafe(`drop role evdb_stranger_${process.pid}`);
  }
});
