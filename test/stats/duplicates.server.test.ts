import { expect } from 'vitest';
import { readDuplicateIndexes } from '../../src/stats/duplicates.ts';
import { test as eventTest } from '../support/fixture.ts';
import { inspect, test } from '../support/sessions.ts';

async function find(url: string): Promise<string[]> {
  const { rows } = await inspect(url, (session) => readDuplicateIndexes(session));
  return rows.map(({ index, kind, keptIndex }) => `${index}: ${kind} of ${keptIndex}`).sort();
}

test('names duplicates and prefixes, and what to drop of two', async ({ emptyDb }) => {
  const { sql, url } = emptyDb;
  await sql.unsafe(`
    create table t (id int primary key, a int, b int, c text, d varchar(9));
    create index first_a on t (a);
    create index again_a on t (a);
    create index wide_b on t (b, c);
    create index narrow_b on t (b);
    create index plain_id on t (id);
    create index with_d on t (d) include (a);
    create index without_d on t (d);
    create index lower_c on t (lower(c));
    create index lower_again on t (lower(c));
    create index some_c on t (c) where a > 0;
    create index some_again on t (c) where a > 0`);
  expect(await find(url)).toEqual([
    'again_a: duplicate of first_a',
    'lower_again: duplicate of lower_c',
    'narrow_b: prefix of wide_b',
    'plain_id: duplicate of t_pkey',
    'some_again: duplicate of some_c',
    'without_d: prefix of with_d',
  ]);
  const { rows } = await inspect(url, readDuplicateIndexes);
  const row = (name: string) => rows.find(({ index }) => index === name);
  expect(row('plain_id')).toMatchObject({
    reason: 't_pkey has the same columns in the same order, and constraint t_pkey needs it',
    definition: 'CREATE INDEX plain_id ON public.t USING btree (id)',
    keptDefinition: 'CREATE UNIQUE INDEX t_pkey ON public.t USING btree (id)',
    dropSql: 'drop index concurrently public.plain_id;',
  });
  expect(row('narrow_b')?.reason).toBe(
    'wide_b begins with the same columns and serves the same searches',
  );
  for (const { dropSql } of rows) await sql.unsafe(dropSql);
  expect(await find(url)).toEqual([]);
  for (const { revertSql } of rows) await sql.unsafe(revertSql ?? '');
  expect((await find(url)).length).toBe(6);
});

test('calls two equals so where a wider one could replace both', async ({ emptyDb }) => {
  const { sql, url } = emptyDb;
  await sql.unsafe(`
    create table t (a int, b int);
    create index one on t (a);
    create index two on t (a);
    create index wide on t (a, b)`);
  expect(await find(url)).toEqual(['one: prefix of wide', 'two: duplicate of one']);
});

test('takes nothing for the same that differs in anything', async ({ emptyDb }) => {
  const { sql, url } = emptyDb;
  await sql.unsafe(`
    create table t (a int, b int, c text);
    create index i1 on t (a);
    create index i2 on t (a desc);
    create index i3 on t (a nulls first);
    create index i4 on t using hash (a);
    create index i5 on t (a) where b > 0;
    create index i6 on t (a) where b > 1;
    create index i7 on t (b, a);
    create index i8 on t (c);
    create index i9 on t (c collate "C");
    create index i10 on t (c text_pattern_ops);
    create index i11 on t (lower(c));
    create index i12 on t (upper(c));
    create unique index i13 on t (b) include (a)`);
  expect(await find(url)).toEqual([]);
});

test('respects constraints, foreign keys, the replica identity and partitions', async ({
  emptyDb,
}) => {
  const { sql, url } = emptyDb;
  await sql.unsafe(`
    create table t (id int not null, code int not null, other int not null);
    alter table t add constraint t_code_key unique (code);
    alter table t add constraint t_code_again unique (code);
    alter table t add primary key (id);
    alter table t add constraint t_id_key unique (id);
    create unique index t_other_1 on t (other);
    create unique index t_other_2 on t (other);
    alter table t replica identity using index t_other_2;
    create table child (code int references t (code));
    create table log (id int, at date) partition by range (at);
    create table log_1 partition of log for values from ('2026-01-01') to ('2026-02-01');
    create index log_id on log (id);
    create index log_1_extra on log_1 (id)`);
  const { rows } = await inspect(url, readDuplicateIndexes);
  expect(Object.fromEntries(rows.map(({ index, dropSql }) => [index, dropSql]))).toEqual({
    t_code_again: 'alter table public.t drop constraint t_code_again;',
    t_id_key: 'alter table public.t drop constraint t_id_key;',
    t_other_1: 'drop index concurrently public.t_other_1;',
    log_1_extra: 'drop index concurrently public.log_1_extra;',
  });
  for (const { dropSql } of rows) await sql.unsafe(dropSql);
  expect(await find(url)).toEqual([]);
  for (const { revertSql } of rows) await sql.unsafe(revertSql ?? '');
  expect((await find(url)).length).toBe(4);
});

test('tells a deferrable constraint and equal nulls from the ordinary', async ({ emptyDb }) => {
  const { sql, url } = emptyDb;
  await sql.unsafe(`
    create table t (a int, b int);
    alter table t add constraint t_a_later unique (a) deferrable;
    create unique index t_a_now on t (a)`);
  const [version] = await sql`select current_setting('server_version_num')::int as number`;
  if (version?.number >= 150000) {
    await sql.unsafe(`create unique index t_b_1 on t (b);
      create unique index t_b_2 on t (b) nulls not distinct`);
  }
  expect(await find(url)).toEqual([]);
  await sql.unsafe('drop index t_a_now; create index t_a_plain on t (a)');
  expect(await find(url)).toEqual(['t_a_plain: duplicate of t_a_later']);
});

test('works with names that need quoting, in the schema that was asked for', async ({
  emptyDb,
}) => {
  const { sql, url } = emptyDb;
  await sql.unsafe(`
    create schema "O'dd ""s"""; set search_path = "O'dd ""s""";
    create table "T %I" ("a b" int); create index "i ""1""" on "T %I" ("a b"); create index "i 2" on "T %I" ("a b");
    create table public.t (a int); create index on public.t (a); create index on public.t (a)`);
  const { rows } = await inspect(url, (session) =>
    readDuplicateIndexes(session, { schema: `O'dd "s"` }),
  );
  expect(rows).toMatchObject([
    {
      schema: `O'dd "s"`,
      table: 'T %I',
      index: 'i 2',
      keptIndex: 'i "1"',
      reason: '"i ""1""" has the same columns in the same order',
    },
  ]);
  await sql.unsafe(rows[0]?.dropSql ?? '');
  const after = await inspect(url, (session) =>
    readDuplicateIndexes(session, { schema: `O'dd "s"` }),
  );
  expect(after.rows).toEqual([]);
  expect((await inspect(url, readDuplicateIndexes)).rows).toHaveLength(1);
});

test('gives an estimate for what is locked', async ({ emptyDb, sessions }) => {
  const { sql, url } = emptyDb;
  await sql.unsafe('create table t (a int); create index i1 on t (a); create index i2 on t (a)');
  const holder = sessions.open(url);
  await holder.unsafe('begin; truncate t');
  expect((await inspect(url, readDuplicateIndexes)).rows).toMatchObject([
    { index: 'i2', isSizeEstimated: true, definition: null, revertSql: null },
  ]);
  await holder.unsafe('rollback');
  expect((await inspect(url, readDuplicateIndexes)).rows).toMatchObject([
    { isSizeEstimated: false, definition: 'CREATE INDEX i2 ON public.t USING btree (a)' },
  ]);
});

eventTest('agrees with the function of the event schema', async ({ db }) => {
  const own = async () =>
    [
      ...(await db.sql<{ text: string }[]>`
      select indexname || ': ' || kind || ' of ' || kept_index as text from get_duplicate_indexes()`),
    ]
      .map(({ text }) => text)
      .sort();
  expect(await find(db.url)).toEqual(await own());
  await db.sql.unsafe(`create index one on events (created_by);
    create index two on events (created_by, date_time) where is_active;
    create index three on registrations (event_id, user_id);
    create index four on events (created_by);
    create index five on events (created_by, title)`);
  expect(await find(db.url)).toEqual(await own());
  expect((await find(db.url)).length).toBeGreaterThanOrEqual(2);
});
