import { describe, expect, test } from 'vitest';
import { lintScripts } from '../../src/lint/engine.ts';
import { loadSqlParser } from '../../src/sql/parser.ts';

const setup = `
  create table r (id bigint primary key);
  create table t (id bigint primary key, a integer, name varchar(10), r_id bigint references r (id));
  create index t_r_id on t (r_id);
  create unique index t_a on t (a);
  create table proven (a integer, constraint a_there check (a is not null));
  create unique index proven_a on proven (a);
  create domain positive as integer check (value > 0);
  create domain plain as integer;
  create table plains (p plain);
  create table p (id bigint not null) partition by range (id);
  create table candidate (id bigint not null);
  create materialized view mv as select id from t;
  create type mood as enum ('a', 'b');
  create schema app;
  create function trg() returns trigger language plpgsql as 'begin return new; end';`;

/** Rules and severities of what is found, without information. */
async function verdictsOf(script: string, major = 14): Promise<string[]> {
  const parser = await loadSqlParser();
  const isTransactional = !script.startsWith('-- evdb: no-transaction');
  const { findings } = lintScripts(
    [
      { path: '1.sql', text: setup, direction: 'up', isTransactional: true, isJudged: false },
      { path: '2.sql', text: script, direction: 'up', isTransactional, isJudged: true },
    ],
    { parser, isHistoryWhole: true, settings: { serverVersion: major * 10_000 } },
  );
  return findings
    .filter(({ severity }) => severity !== 'info')
    .map(({ code, severity }) => `${code} ${severity}`);
}

describe('lint says nothing, where other linters complain,', () => {
  test.each([
    [
      'of what is done to a table that the same file makes',
      `create table n (id bigint, name text);
       alter table n add primary key (id);
       alter table n alter column name set not null;
       alter table n add constraint n_name unique (name);
       alter table n add check (name <> '');
       create index on n (name);`,
    ],
    [
      'of a primary key over an index whose columns a check proves',
      'alter table proven add primary key using index proven_a',
    ],
    [
      'of not null behind a validated check of another migration',
      'alter table proven alter column a set not null',
    ],
    [
      'of a stable default',
      "alter table t add column x jsonb not null default jsonb_build_object('a', 1)",
    ],
    ['of a default that is computed once', 'alter table t add column x timestamptz default now()'],
    [
      'of a foreign key of a new column without a default',
      '-- evdb: ignore fk-without-index: it is built next\nalter table t add column x bigint references r (id)',
    ],
    ['of a longer varchar', 'alter table t alter column name type varchar(20)'],
    ['of text instead of varchar', 'alter table t alter column name type text'],
    [
      'of a check of a domain that is not valid',
      'alter domain plain add constraint small check (value < 9) not valid',
    ],
    [
      'of a single concurrent index in its own file',
      '-- evdb: no-transaction\ncreate index concurrently t_name on t (name)',
    ],
    ['of a comment on a table', "comment on table t is 'x'"],
  ])('%s', async (_, script) => {
    expect(await verdictsOf(script)).toEqual([]);
  });

  test('of a virtual column on 18', async () => {
    const script = 'alter table t add column x int generated always as (a * 2) virtual';
    expect(await verdictsOf(script, 18)).toEqual([]);
  });
});

describe('lint finds what other linters are silent on:', () => {
  test.each([
    ['alter table t add column x serial', 'add-column-rewrite error'],
    ['alter table t add column x int check (x > 0)', 'check-validated error'],
    ['alter table t add column x positive', 'add-column-rewrite error'],
    ['update t set a = 1', 'unbatched-dml error'],
    ['delete from t', 'unbatched-dml error'],
    ['-- evdb: no-transaction\nvacuum full t', 'rewrite-command error'],
    ['cluster t using t_a', 'rewrite-command error'],
    ['alter table t set unlogged', 'rewrite-command error'],
    ['refresh materialized view mv', 'index-drop-reindex-blocking warning'],
    ['create table p_1 partition of p for values from (0) to (9)', 'partition-attach warning'],
    [
      'alter table p attach partition candidate for values from (0) to (9)',
      'partition-attach warning',
    ],
    ['lock table t', 'lock-timeout-override error'],
    ['truncate t', 'destructive-change error'],
    ['drop schema app cascade', 'destructive-change error'],
    ["alter type mood rename value 'a' to 'c'", 'breaking-rename error'],
    ['alter table t drop constraint t_r_id_fkey', 'lock-fanout warning'],
    ["do $$ begin execute 'create index on t (name)'; end $$", 'index-not-concurrent error'],
    ['create policy mine on t using (true)', 'lock-fanout warning'],
  ])('%s', async (script, verdict) => {
    expect(await verdictsOf(script)).toContain(verdict);
  });
});
