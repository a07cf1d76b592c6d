import { expect } from 'vitest';
import { type InvalidObjectRow, readInvalidObjects, renderFix } from '../../src/stats/invalid.ts';
import { inspect, test } from '../support/sessions.ts';
import { eventually } from '../support/waiting.ts';

test('finds an index that a failed build left, and nothing once it is mended', async ({
  emptyDb,
}) => {
  const { sql, url } = emptyDb;
  await sql.unsafe(`create schema "S ""x"""; create table "S ""x"""."T y" (a int, b int);
    insert into "S ""x"""."T y" values (1, 1), (1, 2)`);
  await expect(
    sql.unsafe('create unique index concurrently "I ""z""" on "S ""x"""."T y" (a)'),
  ).rejects.toMatchObject({ code: '23505' });
  const { rows, notes } = await inspect(url, readInvalidObjects);
  expect(rows).toMatchObject([
    {
      kind: 'index',
      schema: 'S "x"',
      table: 'T y',
      name: 'I "z"',
      problem: 'not-ready',
      definition: 'CREATE UNIQUE INDEX "I ""z""" ON "S ""x"""."T y" USING btree (a)',
      build: null,
      fixSql: 'reindex index concurrently "S ""x"""."I ""z""";',
      violationsSql:
        'select a, count(*) from "S ""x"""."T y" where a is not null group by a having count(*) > 1;',
    },
  ]);
  expect(notes).toEqual([]);
  expect(await sql.unsafe(rows[0]?.violationsSql ?? '')).toMatchObject([{ a: 1, count: '2' }]);
  await sql.unsafe('delete from "S ""x"""."T y" where b = 2');
  await sql.unsafe(rows[0]?.fixSql ?? '');
  expect((await inspect(url, readInvalidObjects)).rows).toEqual([]);
});

test('finds the duplicates of a unique index on expressions, on a part of the rows', async ({
  emptyDb,
}) => {
  const { sql, url } = emptyDb;
  await sql.unsafe(`create table t (a text, b int, c int);
    insert into t values ('A', 1, 1), ('a', 1, 1), ('b', 2, 1), ('b', 3, 1), ('n', null, 1), ('n', null, 1)`);
  const build =
    'create unique index concurrently i on t (lower(a), (b / 10), c) include (b) where c = 1 or c = 2';
  await expect(sql.unsafe(build)).rejects.toMatchObject({ code: '23505' });
  const { rows } = await inspect(url, readInvalidObjects);
  const found = await sql.unsafe(rows[0]?.violationsSql ?? '');
  expect(found.map(({ lower, count }) => `${lower} ${count}`).sort()).toEqual(['a 2', 'b 2']);
  expect(renderFix(rows[0] as InvalidObjectRow)).toBe(
    `${rows[0]?.violationsSql} -- resolve these duplicates first, or it fails again; then: reindex index concurrently public.i;`,
  );
});

test('tells an index that is not read from one that a reindex left behind', async ({ emptyDb }) => {
  const { sql, url } = emptyDb;
  await sql.unsafe(`create table t (a int); create index t_a on t (a); create index t_a_ccnew on t (a);
    update pg_index set indisvalid = false where indrelid = 't'::regclass`);
  expect((await inspect(url, readInvalidObjects)).rows).toMatchObject([
    { name: 't_a', problem: 'invalid', fixSql: 'reindex index concurrently public.t_a;' },
    { name: 't_a_ccnew', problem: 'invalid', fixSql: 'drop index concurrently public.t_a_ccnew;' },
  ]);
  await sql.unsafe('drop index concurrently t_a_ccnew');
  await sql.unsafe('reindex index concurrently t_a');
  expect((await inspect(url, readInvalidObjects)).rows).toEqual([]);
});

test('tells a build that is running from one that failed', async ({ emptyDb, sessions, live }) => {
  const { sql, url } = emptyDb;
  await sql.unsafe('create table t (a int)');
  const writer = sessions.open(url);
  await writer.unsafe('begin; insert into t values (1)');
  const builder = sessions.open(url);
  const building = builder.unsafe('create index concurrently t_a on t (a)').execute();
  const row = await eventually(async () => {
    const { rows } = await inspect(url, readInvalidObjects);
    // It is seen in its first phase too, which is a matter of microseconds.
    return rows[0]?.build?.phase.includes('waiting') ? rows[0] : undefined;
  });
  expect(row).toMatchObject({
    name: 't_a',
    problem: 'not-ready',
    build: { pid: expect.any(Number), phase: expect.stringContaining('waiting') },
    fixSql: null,
  });
  expect(row.build?.since).toBeInstanceOf(Date);

  const hidden = await inspect(live.plainUrl, readInvalidObjects);
  expect(hidden.rows).toMatchObject([{ name: 't_a', build: null }]);
  expect(hidden.notes).toMatchObject([
    { level: 'unknown', text: expect.stringMatching(/^1 running build is hidden/) },
  ]);
  expect((await inspect(live.monitorUrl, readInvalidObjects)).rows).toMatchObject([
    { name: 't_a', build: { pid: row.build?.pid } },
  ]);

  await writer.unsafe('commit');
  await building;
  expect((await inspect(url, readInvalidObjects)).rows).toEqual([]);
  expect((await inspect(live.plainUrl, readInvalidObjects)).notes).toEqual([]);
});

test('finds constraints that were not validated, on tables and domains', async ({ emptyDb }) => {
  const { sql, url } = emptyDb;
  await sql.unsafe(`
    create domain "Pos x" as int; create table p (id int primary key);
    create table t (a int check (a > 0), b int, d "Pos x");
    alter table t add constraint "b small" check (b < 10) not valid;
    alter table t add constraint t_b_fkey foreign key (b) references p not valid;
    alter domain "Pos x" add constraint positive check (value > 0) not valid`);
  const { rows } = await inspect(url, readInvalidObjects);
  expect(rows.map(({ kind, table, name, problem }) => ({ kind, table, name, problem }))).toEqual(
    expect.arrayContaining([
      { kind: 'constraint', table: 't', name: 'b small', problem: 'not-validated' },
      { kind: 'constraint', table: 't', name: 't_b_fkey', problem: 'not-validated' },
      { kind: 'constraint', table: 'Pos x', name: 'positive', problem: 'not-validated' },
    ]),
  );
  expect(rows).toHaveLength(3);
  for (const { fixSql } of rows) await sql.unsafe(fixSql ?? '');
  expect((await inspect(url, readInvalidObjects)).rows).toEqual([]);
});

test('finds the rows that keep constraints from being validated', async ({ emptyDb }) => {
  const { sql, url } = emptyDb;
  await sql.unsafe(`create table p (x int, "Y" int, primary key (x, "Y")); insert into p values (1, 1);
    create table t (id int, x int, "Y" int);
    insert into t values (1, 1, 1), (2, 1, 2), (3, null, 2), (-4, null, null);
    alter table t add constraint positive check (id > 0) not valid;
    alter table t add constraint refers foreign key (x, "Y") references p not valid`);
  const { rows } = await inspect(url, readInvalidObjects);
  const found: Record<string, unknown[]> = {};
  for (const { name, violationsSql } of rows) {
    found[name] = (await sql.unsafe(violationsSql ?? '')).map(({ id }) => id);
  }
  expect(found).toEqual({ positive: [-4], refers: [2] });
});

test('tells a constraint that is not enforced, where the server has such', async ({ emptyDb }) => {
  const { sql, url } = emptyDb;
  await sql.unsafe('create table t (a int)');
  const [version] = await sql`select current_setting('server_version_num')::int as number`;
  if (version?.number < 180000) {
    expect((await inspect(url, readInvalidObjects)).rows).toEqual([]);
    return;
  }
  await sql.unsafe('alter table t add constraint loose check (a > 0) not enforced');
  expect((await inspect(url, readInvalidObjects)).rows).toMatchObject([
    { name: 'loose', problem: 'not-enforced', fixSql: null },
  ]);
});

test('finds an index of a partitioned table that a partition lacks', async ({ emptyDb }) => {
  const { sql, url } = emptyDb;
  await sql.unsafe(`
    create table log (id int, at date) partition by range (at);
    create table log_1 partition of log for values from ('2026-01-01') to ('2026-02-01');
    create index log_id on only log (id)`);
  expect((await inspect(url, readInvalidObjects)).rows).toMatchObject([
    { name: 'log_id', problem: 'parts-missing', fixSql: null },
  ]);
  await sql.unsafe(
    'create index log_1_id on log_1 (id); alter index log_id attach partition log_1_id',
  );
  expect((await inspect(url, readInvalidObjects)).rows).toEqual([]);
});

test('does not wait for what is locked', async ({ emptyDb, sessions }) => {
  const { sql, url } = emptyDb;
  await sql.unsafe('create table t (a int); insert into t values (1), (1)');
  await sql.unsafe('create unique index concurrently t_a on t (a)').catch(() => undefined);
  await sql.unsafe('alter table t add constraint c check (a > 0) not valid');
  const holder = sessions.open(url);
  await holder.unsafe('begin; truncate t');
  expect((await inspect(url, readInvalidObjects)).rows).toMatchObject([
    { name: 't_a', definition: null, isSizeEstimated: true },
    { name: 'c', definition: null },
  ]);
});
