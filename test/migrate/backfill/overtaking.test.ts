import { expect, it } from 'vitest';
import { listNeeded } from '../../../src/migrate/backfill/overtaking.ts';
import { readBackfill } from '../../../src/migrate/backfill/statement.ts';
import { scriptFromText } from '../../../src/migrate/files/source.ts';
import { loadSqlParser } from '../../../src/sql/parser.ts';
import { splitStatements } from '../../../src/sql/statements.ts';

const parser = await loadSqlParser();

function read(text: string) {
  const script = scriptFromText('migrations/015_next.sql', text);
  const statements = splitStatements(text);
  const [statement] = statements;
  const directive = script.directives.backfill;
  if (!directive || !statement) return { version: '15', script, statements };
  const found = readBackfill(directive, statement, parser);
  if ('problem' in found) throw new Error(found.problem.message);
  return { version: '15', script, statements, backfill: found.backfill };
}

const { backfill } = read(
  '-- evdb: backfill events\nupdate events set slug = slugify(title) from venues v where slug is null',
);
if (!backfill) throw new Error('no backfill');
const postponed = [{ version: '14', backfill }];

it.each([
  ['create table speakers (id int primary key, user_id int references users)'],
  ['create index on users (email); comment on table users is $$x$$'],
  ['alter table users add column nick text, add constraint c check (nick <> $$$$) not valid'],
  ["create type mood as enum ('a')"],
  ["create function other() returns int language sql as 'select 1'"],
  ['-- evdb: no-transaction\ncreate index concurrently i on users (email)'],
  ['-- evdb: backfill users\nupdate users set nick = email where nick is null'],
  ['-- evdb: after backfill 013\ncreate table a ()'],
  ['-- evdb: require-build api >= 2\ncreate table a ()'],
  ["set lock_timeout = '1s'; grant select on users to reader"],
])('goes first: %s', (text) => {
  expect(listNeeded(read(text), postponed, parser)).toEqual([]);
});

it.each([
  ['-- evdb: after backfill 014\ncreate table a ()'],
  ['-- evdb: contract\ncreate table a ()'],
  ['-- evdb: require select true\ncreate table a ()'],
  ['-- evdb: ensure select true\ncreate table a ()'],
  ['alter table events add column x int'],
  ['create index on app.venues (id)'],
  ['create table notes (event_id int references events)'],
  ['create view v as select * from (select id from events) e'],
  ['create trigger t after insert on events for each row execute function f()'],
  ["create function slugify(a text, b int default 1) returns text language sql as 'select a'"],
  ["create or replace function f() returns text language sql as 'select 1'"],
  ['-- evdb: backfill archive\ndelete from archive where id in (select id from events)'],
  ['update users set nick = 1'],
  ['select refresh()'],
  ['do $$ begin end $$'],
  ['drop table old'],
  ['alter table users drop column nick'],
  ['revoke select on users from reader'],
])('waits: %s', (text) => {
  expect(listNeeded(read(text), postponed, parser)).toEqual(postponed);
});
