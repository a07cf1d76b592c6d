import { expect } from 'vitest';
import { readMissingForeignKeyIndexes } from '../../src/stats/missing-fk.ts';
import { useInOwnSession } from '../event-schema/index-usage-kit.ts';
import { test as eventTest } from '../support/fixture.ts';
import { inspect, test } from '../support/sessions.ts';
import { eventually } from '../support/waiting.ts';

const find = async (url: string) =>
  (await inspect(url, readMissingForeignKeyIndexes)).rows
    .map(({ constraint }) => constraint)
    .sort();

test('names a foreign key without an index, what it costs and the statement that helps', async ({
  emptyDb,
}) => {
  const { sql, url } = emptyDb;
  await sql.unsafe(`
    create schema "S x"; create table "S x"."Parent ""p""" (id int primary key);
    insert into "S x"."Parent ""p""" select generate_series(1, 100);
    create table "S x".child (id int, "Parent id" int
      constraint "fk 1" references "S x"."Parent ""p""" on delete cascade)`);
  await useInOwnSession(url, [
    'insert into "S x".child select n, n from generate_series(1, 50) n',
    'delete from "S x"."Parent ""p""" where id > 90',
  ]);
  await sql.unsafe('analyze "S x".child');
  const row = await eventually(async () => {
    const { rows } = await inspect(url, readMissingForeignKeyIndexes);
    return rows[0] && rows[0].referencedDeletes > 0 && rows[0].tableWrites > 0
      ? rows[0]
      : undefined;
  });
  expect(row).toEqual({
    schema: 'S x',
    table: 'child',
    constraint: 'fk 1',
    columns: ['Parent id'],
    tableBytes: 8192,
    isSizeEstimated: false,
    tableRows: 50,
    tableWrites: 50,
    partitions: 0,
    referencedSchema: 'S x',
    referencedTable: 'Parent "p"',
    referencedDeletes: 10,
    referencedUpdates: 0,
    onDelete: 'cascade',
    fixSql: 'create index concurrently on "S x".child ("Parent id");',
  });
  await sql.unsafe(row.fixSql);
  expect(await find(url)).toEqual([]);
});

test('knows which indexes fit', async ({ emptyDb }) => {
  const { sql, url } = emptyDb;
  await sql.unsafe(`
    create table p1 (a int primary key); create table p2 (a int, b int, primary key (a, b));
    create table c (x int, y int, z int,
      constraint fk_1 foreign key (x) references p1,
      constraint fk_2 foreign key (x, y) references p2)`);
  expect(await find(url)).toEqual(['fk_1', 'fk_2']);
  const fits: [index: string, missing: string[]][] = [
    ['(y, x)', ['fk_1']],
    ['(x, z, y)', ['fk_2']],
    ['(x, y, z)', []],
    ['using hash (x)', ['fk_2']],
    ['(x) include (y)', ['fk_2']],
    ['(x, y) where x is not null', []],
    ['(x, y) where y is not null', ['fk_1']],
    ['(x, y) where z is not null', ['fk_1', 'fk_2']],
    ['(x, y) where x > 0', ['fk_1', 'fk_2']],
    ['((x + 1), y)', ['fk_1', 'fk_2']],
    ['using brin (x, y)', ['fk_1', 'fk_2']],
  ];
  for (const [index, missing] of fits) {
    await sql.unsafe(
      `create index c_i on c ${index.startsWith('using') ? '' : 'using btree '}${index}`,
    );
    expect({ index, missing: await find(url) }).toEqual({ index, missing });
    await sql.unsafe('drop index c_i');
  }
});

test('leaves out a key that is not enforced, where the server has such', async ({ emptyDb }) => {
  const { sql, url } = emptyDb;
  await sql.unsafe('create table p (id int primary key); create table c (p_id int)');
  const [version] = await sql`select current_setting('server_version_num')::int as number`;
  const loose = version?.number >= 180000 ? 'not enforced' : 'not valid';
  await sql.unsafe(`alter table c add constraint loose foreign key (p_id) references p ${loose}`);
  expect(await find(url)).toEqual(loose === 'not enforced' ? [] : ['loose']);
});

test('looks at the partitions of a partitioned table on either side', async ({ emptyDb }) => {
  const { sql, url } = emptyDb;
  await sql.unsafe(`
    create table p (id int primary key) partition by range (id);
    create table p_1 partition of p for values from (0) to (10);
    create table p_2 partition of p for values from (10) to (20);
    create table c (at int, p_id int constraint c_fk references p) partition by range (at);
    create table c_1 partition of c for values from (0) to (10);
    create table c_2 partition of c for values from (10) to (20);
    create table plain (p_id int constraint plain_fk references p)`);
  const { rows } = await inspect(url, readMissingForeignKeyIndexes);
  expect(rows.map(({ constraint, partitions }) => ({ constraint, partitions }))).toEqual([
    { constraint: 'c_fk', partitions: 2 },
    { constraint: 'plain_fk', partitions: 0 },
  ]);
  expect(rows[0]?.fixSql).toBe('create index on public.c (p_id);');
  await useInOwnSession(url, [
    'insert into p values (1), (11), (12)',
    'delete from p where id > 10',
  ]);
  await eventually(async () => {
    const [row] = (await inspect(url, readMissingForeignKeyIndexes)).rows;
    return row?.referencedDeletes === 2 ? row : undefined;
  });
  await sql.unsafe('create index on c_1 (p_id)');
  expect((await inspect(url, readMissingForeignKeyIndexes)).rows[0]).toMatchObject({
    partitions: 1,
  });
  await sql.unsafe('create index on c_2 (p_id); create index on plain (p_id)');
  expect(await find(url)).toEqual([]);
});

test('estimates the size of what is locked', async ({ emptyDb, sessions }) => {
  const { sql, url } = emptyDb;
  await sql.unsafe('create table p (id int primary key); create table c (p_id int references p)');
  const holder = sessions.open(url);
  await holder.unsafe('begin; truncate c');
  const { rows, notes } = await inspect(url, readMissingForeignKeyIndexes);
  expect(rows).toMatchObject([{ isSizeEstimated: true }]);
  expect(notes).toMatchObject([{ level: 'warning' }]);
});

eventTest('finds none missing in the event schema', async ({ db }) => {
  expect(await find(db.url)).toEqual([]);
  await db.sql.unsafe('drop index events_created_by_date_time_idx');
  expect(await find(db.url)).toEqual(['events_created_by_fkey']);
});
