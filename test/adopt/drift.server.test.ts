import { expect } from 'vitest';
import { readDrift, undoAdoption } from '../../src/index.ts';
import { describeDifferences } from '../../src/structure/diff.ts';
import { test } from './adopt-kit.ts';

test('the table of the adopted tool is no drift, until the adoption is undone', async ({
  adoption,
}) => {
  await adoption.write(
    'migrations/1_first.sql',
    '-- +goose Up\ncreate table a (id integer);\n-- +goose Down\ndrop table a;\n',
  );
  await adoption.sql.unsafe(`
    create table a (id integer);
    create table goose_db_version (
      id serial primary key, version_id bigint not null, is_applied boolean not null, tstamp timestamp default now()
    );
    create index of_the_tool on goose_db_version (tstamp);
    insert into goose_db_version (version_id, is_applied) values (0, true), (1, true)`);
  await adoption.adopt('goose');
  const drift = await readDrift(adoption.options);
  expect(drift).toMatchObject({
    differences: [],
    adoptedTables: ['public.goose_db_version'],
  });
  await adoption.sql.unsafe('alter table a add b integer; create table by_hand (a integer)');
  expect(describeDifferences((await readDrift(adoption.options)).differences)).toEqual([
    '+ table public.by_hand: a',
    '+ column public.a.b: integer',
  ]);
  await undoAdoption(adoption.options);
  expect((await readDrift(adoption.options)).adoptedTables).toEqual([]);
});

test('a schema that the tool made for itself is no drift either', async ({ adoption }) => {
  await adoption.write('migrations/1_first.sql', '-- +goose Up\ncreate table a (id integer);\n');
  await adoption.sql.unsafe(`
    create table a (id integer);
    create schema "Its own";
    create table "Its own".versions (
      id integer primary key generated always as identity, version_id bigint not null, is_applied boolean not null, tstamp timestamp default now()
    );
    insert into "Its own".versions (version_id, is_applied) values (0, true), (1, true)`);
  await adoption.adopt('goose', { table: 'Its own.versions' });
  expect(await readDrift({ ...adoption.options, allSchemas: true })).toMatchObject({
    differences: [],
    adoptedTables: ['"Its own".versions'],
  });
});
