import { expect } from 'vitest';
import { readIndexes } from '../../src/stats/indexes.ts';
import { useInOwnSession } from '../event-schema/index-usage-kit.ts';
import { test as eventTest } from '../support/fixture.ts';
import { inspect, test } from '../support/sessions.ts';
import { eventually } from '../support/waiting.ts';

test('shows for each index what it costs, what it is for and whether it is used', async ({
  emptyDb,
}) => {
  const { sql, url } = emptyDb;
  await sql.unsafe(`
    create schema "Odd ""one""";
    set search_path = "Odd ""one""";
    create table "Parent T" (id int primary key, "Code X" text unique);
    create table child (id int, parent_id int references "Parent T", during int4range,
      exclude using gist (during with &&));
    create index on child (parent_id);
    create index "never %I" on child (id) where id > 0;
    create index ordered on child (id desc);
    cluster child using ordered;
    insert into "Parent T" select n, n from generate_series(1, 1000) n;
    analyze`);
  await useInOwnSession(url, [
    'set enable_seqscan = off',
    'select * from "Odd ""one"""."Parent T" where id = 7',
    'insert into "Odd ""one""".child values (1, 7), (2, 8)',
  ]);
  const rows = await eventually(async () => {
    const report = await inspect(url, (session) => readIndexes(session, { schema: 'Odd "one"' }));
    const byName = new Map(report.rows.map((row) => [row.index, row]));
    const writes = byName.get('never %I')?.tableWrites ?? 0;
    return (byName.get('Parent T_pkey')?.scans ?? 0) > 2 && writes > 1 ? byName : undefined;
  });
  expect(rows.get('Parent T_pkey')).toMatchObject({
    schema: 'Odd "one"',
    table: 'Parent T',
    method: 'btree',
    isUnique: true,
    isPrimary: true,
    constraint: 'Parent T_pkey',
    isSizeEstimated: false,
    isValid: true,
    supportsForeignKeys: [],
    partitions: 0,
  });
  const used = rows.get('Parent T_pkey');
  // Before 15, building an index counts as a scan of the table.
  expect(used?.usageRatio).toBe((used?.scans ?? 0) / (used?.tableScans ?? 0));
  expect(used?.usageRatio).toBeGreaterThan(0.5);
  expect(rows.get('Parent T_Code X_key')?.usageRatio).toBe(0);
  expect(used?.sizeBytes).toBeGreaterThan(8192);
  expect(rows.get('Parent T_Code X_key')).toMatchObject({
    isUnique: true,
    isPrimary: false,
    scans: 0,
  });
  expect(rows.get('child_during_excl')).toMatchObject({
    method: 'gist',
    constraint: 'child_during_excl',
    isUnique: false,
  });
  expect(rows.get('child_parent_id_idx')).toMatchObject({
    constraint: null,
    supportsForeignKeys: ['child_parent_id_fkey'],
    tableWrites: 2,
  });
  expect(rows.get('never %I')).toMatchObject({
    definition: 'CREATE INDEX "never %I" ON "Odd ""one""".child USING btree (id) WHERE (id > 0)',
    isClustered: false,
    supportsForeignKeys: [],
  });
  expect(rows.get('ordered')).toMatchObject({ isClustered: true });
  const [version] = await sql`select current_setting('server_version_num')::int >= 160000 as keeps`;
  const lastScan = rows.get('Parent T_pkey')?.lastScan;
  expect(lastScan instanceof Date).toBe(version?.keeps);
});

test('lets a partitioned index stand for its parts', async ({ emptyDb }) => {
  const { sql, url } = emptyDb;
  await sql.unsafe(`
    create table log (id int, at date) partition by range (at);
    create table log_1 partition of log for values from ('2026-01-01') to ('2026-02-01');
    create table log_2 partition of log for values from ('2026-02-01') to ('2026-03-01');
    create index log_id_idx on log (id);
    create index only_here on log_1 (at);
    insert into log select n, '2026-01-05' from generate_series(1, 100) n`);
  const { rows } = await inspect(url, readIndexes);
  expect(rows.map(({ index, partitions }) => ({ index, partitions }))).toEqual([
    { index: 'log_id_idx', partitions: 2 },
    { index: 'only_here', partitions: 0 },
  ]);
  const [sizes] = await sql`
    select (pg_relation_size('log_1_id_idx') + pg_relation_size('log_2_id_idx'))::float8 as bytes`;
  expect(rows[0]?.sizeBytes).toBe(sizes?.bytes);
});

test('estimates the size of what somebody holds exclusively instead of waiting', async ({
  emptyDb,
  sessions,
}) => {
  const { sql, url } = emptyDb;
  await sql.unsafe(`
    create table held (id int primary key); create table free (id int primary key);
    insert into held select generate_series(1, 5000)`);
  await sql.unsafe('vacuum analyze held');
  const holder = sessions.open(url);
  await holder.unsafe('begin; truncate held');
  const { rows, notes } = await inspect(url, readIndexes);
  const held = rows.find(({ index }) => index === 'held_pkey');
  expect(held).toMatchObject({ definition: null, isSizeEstimated: true });
  expect(held?.sizeBytes).toBeGreaterThan(50_000);
  expect(rows.find(({ index }) => index === 'free_pkey')).toMatchObject({
    definition: 'CREATE UNIQUE INDEX free_pkey ON public.free USING btree (id)',
    isSizeEstimated: false,
  });
  expect(notes.map(({ text }) => text)).toEqual([
    'the size of 1 index is an estimate, because another session holds a lock',
  ]);
  await holder.unsafe('rollback');
  const after = await inspect(url, readIndexes);
  expect(after.notes).toEqual([]);
});

test('refuses a schema that does not exist, and finds nothing in an empty one', async ({
  emptyDb,
}) => {
  await emptyDb.sql.unsafe('create table elsewhere (id int primary key); create schema empty');
  await expect(
    inspect(emptyDb.url, (session) => readIndexes(session, { schema: 'Public' })),
  ).rejects.toMatchObject({ code: 'USAGE', message: expect.stringContaining('schema "Public"') });
  const { rows } = await inspect(emptyDb.url, (session) =>
    readIndexes(session, { schema: 'empty' }),
  );
  expect(rows).toEqual([]);
});

eventTest('agrees with the function of the event schema', async ({ db }) => {
  const { rows } = await inspect(db.url, readIndexes);
  const usage = await db.sql`
    select indexname as index, index_size_bytes::float8 as "sizeBytes",
      supports_foreign_key as "supportsForeignKey", is_valid as "isValid"
    from get_index_usage_stats() order by indexname`;
  expect(usage.length).toBeGreaterThan(10);
  expect(
    rows
      .map(({ index, sizeBytes, supportsForeignKeys, isValid }) => {
        return { index, sizeBytes, supportsForeignKey: supportsForeignKeys.length > 0, isValid };
      })
      .sort((a, b) => (a.index < b.index ? -1 : 1)),
  ).toEqual([...usage].sort((a, b) => (a.index < b.index ? -1 : 1)));
});
