import { describe, expect, it } from 'vitest';
import { lint, script } from './lint-kit.ts';

/** What was there before, for the scripts below. */
const BEFORE = `
create schema shop;
create type mood as enum ('sad');
create domain bounded as integer check (value > 0);
create domain plain as text;
create table r (id bigint primary key);
create table t (
    id bigint primary key,
    a integer,
    b varchar(10),
    c char(5),
    j text,
    nn integer not null,
    m mood
);
create index t_a_idx on t (a);
create unique index t_nn_idx on t (nn);
create table referencing (id bigint, r_id bigint, constraint referencing_r_fkey foreign key (r_id) references r (id));
create table parted (id bigint, at date) partition by range (at);
create table parted_default partition of parted default;
create table candidate (id bigint, at date);
create materialized view mv as select 1 as one;
`;

/** The rules that find something which fails or warns; information fails nothing. */
function found(text: string, options: Parameters<typeof lint>[1] = {}): string[] {
  const { findings } = lint(text, { before: BEFORE, isHistoryWhole: true, ...options });
  return findings.filter(({ severity }) => severity !== 'info').map(({ rule }) => rule);
}

describe('what other linters flag without a reason is not flagged', () => {
  it.each([
    [
      'an index on a table of the same file',
      'create table n (id bigint primary key, a integer); create index on n (a);',
    ],
    [
      'a column type that is changed in the file that made the table',
      'create table n (id bigint primary key, a integer); alter table n alter column a type bigint;',
    ],
    [
      'a not-null column of a table of the same file',
      'create table n (id bigint primary key, a integer); alter table n alter column a set not null;',
    ],
    [
      'a check on a table of the same file',
      'create table n (id bigint primary key, a integer); alter table n add constraint n_check check (a > 0);',
    ],
    [
      'a unique constraint on a table of the same file',
      'create table n (id bigint primary key, a integer); alter table n add unique (a);',
    ],
    [
      'a rename in the file that made the table',
      'create table n (id bigint primary key, a integer); alter table n rename column a to b;',
    ],
    [
      'an index on a table that is made if it is not there, and no migration made before',
      'create table if not exists n (id bigint primary key, a integer); create index if not exists n_a_idx on n (a);',
    ],
    ['an index on a temporary table', 'create temp table n (a integer); create index on n (a);'],
    ['a constant default', 'alter table t add column x integer default 5;'],
    [
      'a constant default of a column that may not be null',
      "alter table t add column x text not null default '';",
    ],
    ['a stable default', 'alter table t add column x timestamptz default now();'],
    [
      'current_timestamp as a default',
      'alter table t add column x timestamptz not null default current_timestamp;',
    ],
    [
      'jsonb_build_object() as a default',
      'alter table t add column x jsonb default jsonb_build_object();',
    ],
    ['an immutable function as a default', "alter table t add column x text default lower('A');"],
    ['varchar(10) made longer', 'alter table t alter column b type varchar(20);'],
    ['varchar(10) made text', 'alter table t alter column b type text;'],
    ['a column of a domain without a check', 'alter table t add column x plain;'],
    [
      'a check that is not validated',
      'alter table t add constraint t_a_check check (a > 0) not valid;',
    ],
    [
      'a not-null constraint that is not validated',
      'alter table t add constraint t_a_nn not null a not valid;',
      { settings: { serverVersion: 180_000 } },
    ],
    [
      'a virtual column on PostgreSQL 18',
      'alter table t add column x integer generated always as (a * 2) virtual;',
      { settings: { serverVersion: 180_000 } },
    ],
    [
      'a reference of a new column without a default',
      'alter table t add column r_id bigint references r (id);',
      { choices: { rules: { 'fk-without-index': 'off' as const }, groups: {}, only: [] } },
    ],
    [
      'a concurrent index alone in its file',
      '-- evdb: no-transaction\ncreate index concurrently i on t (j);',
    ],
    [
      'several concurrent indexes in a no-transaction file',
      '-- evdb: no-transaction\ncreate index concurrently i on t (j);\ncreate index concurrently k on t (b);',
    ],
    [
      'a domain constraint that is not validated',
      'alter domain plain add constraint short check (length(value) < 9) not valid;',
    ],
    ['a missing lock timeout, which the runner sets', 'alter table t add column x integer;'],
    [
      'a missing "if not exists", which the journal makes needless',
      '-- evdb: no-transaction\ndrop index concurrently t_a_idx;',
    ],
  ] as [string, string, Parameters<typeof lint>[1]?][])('%s', (_, text, options) => {
    expect(found(text, options)).toEqual([]);
  });

  it('set not null after a check that proves it was validated in an earlier migration', () => {
    const before = `${BEFORE}
      alter table t add constraint t_a_check check (a is not null) not valid;
      alter table t validate constraint t_a_check;`;
    expect(found('alter table t alter column a set not null;', { before })).toEqual([]);
  });

  it('a primary key that takes an index on a column which holds no null', () => {
    const before = `${BEFORE} create table k (id bigint not null); create unique index k_id_idx on k (id);`;
    const text = 'alter table k add constraint k_pkey primary key using index k_id_idx;';
    expect(found(text, { before })).toEqual([]);
  });

  it('a type change to timestamptz in a session that is in UTC', () => {
    const before = `${BEFORE} create table clock (at timestamp);`;
    const text = "set local timezone to 'UTC'; alter table clock alter column at type timestamptz;";
    expect(found(text, { before })).toEqual([]);
  });
});

describe('what other linters say nothing of is found', () => {
  it.each([
    ['a serial column', 'alter table t add column x serial;', 'add-column-rewrite'],
    [
      'an identity column',
      'alter table t add column x bigint generated always as identity;',
      'add-column-rewrite',
    ],
    [
      'a check inside of a new column',
      'alter table t add column x integer check (x > 0);',
      'check-validated',
    ],
    [
      'a column of a domain with a check',
      'alter table t add column x bounded;',
      'add-column-rewrite',
    ],
    ['an update of every row', 'update t set a = 1;', 'unbatched-dml'],
    ['a delete of every row', 'delete from t;', 'unbatched-dml'],
    ['vacuum full', '-- evdb: no-transaction\nvacuum full t;', 'rewrite-command'],
    ['cluster', 'cluster t using t_a_idx;', 'rewrite-command'],
    ['set unlogged', 'alter table t set unlogged;', 'rewrite-command'],
    [
      'a refresh without concurrently',
      'refresh materialized view mv;',
      'index-drop-reindex-blocking',
    ],
    ['reindex', 'reindex table t;', 'index-drop-reindex-blocking'],
    [
      'a partition that is made in place',
      "create table p partition of parted for values from ('2026-01-01') to ('2027-01-01');",
      'partition-attach',
    ],
    [
      'a partition that is attached',
      "alter table parted attach partition candidate for values from ('2026-01-01') to ('2027-01-01');",
      'partition-attach',
    ],
    [
      'an index in a do block',
      'do $$ begin create index i on t (j); end $$;',
      'index-not-concurrent',
    ],
    [
      'an index in a string that a do block runs',
      "do $$ begin execute 'create index i on t (j)'; end $$;",
      'index-not-concurrent',
    ],
    ['lock', 'lock table t;', 'lock-timeout-override'],
    ['truncate', 'truncate t;', 'destructive-change'],
    ['drop schema cascade', 'drop schema shop cascade;', 'destructive-change'],
    [
      'the rename of an enum value',
      "alter type mood rename value 'sad' to 'blue';",
      'breaking-rename',
    ],
    [
      'a foreign key that is dropped, which locks the other table',
      'alter table referencing drop constraint referencing_r_fkey;',
      'lock-fanout',
    ],
    ['char(n) made text', 'alter table t alter column c type text;', 'alter-column-type'],
    [
      'a check that is re-verified by a harmless type change',
      "alter table t add constraint t_b_check check (b <> '') not valid; alter table t validate constraint t_b_check;",
      'validate-same-tx',
    ],
    [
      'a concurrent index beside another statement in a transaction',
      'alter table t add column x integer; create index concurrently i on t (j);',
      'concurrently-in-tx',
    ],
    [
      'drop index concurrently in a transaction',
      'drop index concurrently t_a_idx;',
      'concurrently-in-tx',
    ],
    [
      'a concurrent build that keeps an invalid index',
      '-- evdb: no-transaction\ncreate index concurrently if not exists i on t (j);',
      'invalid-index-masked',
    ],
    [
      'a primary key on an index whose column may be null',
      'create unique index u on candidate (id); alter table candidate add primary key using index u;',
      'pk-nullable-index',
    ],
    [
      'an exclusion constraint',
      'alter table t add exclude using gist (a with =);',
      'exclusion-constraint',
    ],
    [
      'a new enum value that is used at once',
      "alter type mood add value 'glad'; update t set m = 'glad' where id = 1;",
      'enum-value-same-tx',
    ],
    [
      'work under a strong lock',
      'alter table t add column x integer; update t set a = 1 where id = 1;',
      'work-under-strong-lock',
    ],
    [
      'a constraint on a function that a migration calls',
      'create function f() returns void language plpgsql as $$ begin create index i on t (j); end $$; select f();',
      'index-not-concurrent',
    ],
    [
      'a table of another schema by the same name',
      'create table shop.t (id bigint primary key); create index i on public.t (j);',
      'index-not-concurrent',
    ],
    [
      'a validated check on another column than the one that becomes not null',
      'alter table t alter column j set not null;',
      'set-not-null',
    ],
  ])('%s', (_, text, rule) => {
    expect(found(text)).toContain(rule);
  });

  it('a trigger, as information', () => {
    const text = 'create trigger g before insert on t for each row execute function f();';
    const { findings } = lint(text, { before: BEFORE });
    expect(findings).toMatchObject([{ rule: 'lock-fanout', lock: 'ShareRowExclusive' }]);
  });

  it('dynamic SQL, as what nobody can judge', () => {
    const text = "do $$ begin execute format('drop table %I', 't'); end $$;";
    expect(lint(text, { before: BEFORE }).findings).toMatchObject([{ rule: 'opaque-sql' }]);
  });

  it('json, where the style rules are on', () => {
    const choices = { rules: {}, groups: { style: 'error' as const }, only: [] };
    expect(found('alter table t add column x json;', { choices })).toEqual(['prefer-jsonb']);
  });
});

describe('places', () => {
  it('count lines and columns from 1, columns in characters', () => {
    const [finding] = lint("select '😀'; vacuum t;").findings;
    expect(finding).toMatchObject({ line: 1, column: 13, endLine: 1, endColumn: 21 });
  });

  it('give a suppression on the same line its effect, under the name that is reported', () => {
    const text = 'select 1;\ncreate index i on t (j); -- evdb: ignore index-not-concurrent: small';
    expect(found(text)).toEqual([]);
    expect(lint(script(text), { before: BEFORE }).suppressed).toHaveLength(1);
  });
});
