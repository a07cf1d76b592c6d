import { expect } from 'vitest';
import { readTables } from '../../src/stats/tables.ts';
import { useInOwnSession } from '../event-schema/index-usage-kit.ts';
import { test as eventTest } from '../support/fixture.ts';
import { inspect, test } from '../support/sessions.ts';
import { eventually } from '../support/waiting.ts';

/** What the schema takes for a password hash. */
const HASH = `$2b$12$${'a'.repeat(53)}`;

test('shows rows, exact sizes and the last maintenance', async ({ emptyDb }) => {
  const { sql, url } = emptyDb;
  await sql.unsafe(`
    create schema "S ""x"""; create table "S ""x"""."T y" (id int primary key, note text);
    alter table "S ""x"""."T y" alter note set storage external;
    create materialized view counted as select count(*) from "S ""x"""."T y"`);
  await useInOwnSession(url, [
    `insert into "S ""x"""."T y" select n, repeat('x', case when n % 10 = 0 then 5000 else 10 end) from generate_series(1, 1000) n`,
    'delete from "S ""x"""."T y" where id <= 100',
  ]);
  const before = await eventually(async () => {
    const { rows } = await inspect(url, readTables);
    return rows.find(({ table, deadRows }) => table === 'T y' && deadRows > 0);
  });
  const [sizes] = await sql`
    select pg_total_relation_size(c.oid)::float8 as total, pg_indexes_size(c.oid)::float8 as indexes,
      pg_total_relation_size(c.reltoastrelid)::float8 as toast
    from pg_class c where c.relname = 'T y'`;
  expect(before).toMatchObject({
    schema: 'S "x"',
    kind: 'table',
    partitions: 0,
    rows: 900,
    totalBytes: sizes?.total,
    indexBytes: sizes?.indexes,
    toastBytes: sizes?.toast,
    tableBytes: sizes?.total - sizes?.indexes - sizes?.toast,
    isSizeEstimated: false,
    deadRows: 100,
    lastVacuum: null,
    lastAnalyze: null,
    bloatBytes: null,
    bloatUnknown: 'not-analyzed',
  });
  expect(before.toastBytes).toBeGreaterThan(100 * 5000);
  expect(before.transactionAge).toBeGreaterThanOrEqual(0);

  await useInOwnSession(url, ['vacuum analyze "S ""x"""."T y"']);
  const after = await eventually(async () => {
    const { rows } = await inspect(url, readTables);
    return rows.find(({ table, lastVacuum }) => table === 'T y' && lastVacuum !== null);
  });
  expect(after).toMatchObject({
    rows: 900,
    deadRows: 0,
    changedSinceAnalyze: 0,
    bloatUnknown: null,
  });
  expect(after.lastAnalyze).toBeInstanceOf(Date);
  const { rows } = await inspect(url, (session) => readTables(session, { schema: 'public' }));
  expect(rows.map(({ table, kind }) => ({ table, kind }))).toEqual([
    { table: 'counted', kind: 'materialized view' },
  ]);
});

test('estimates little bloat in a compact table and much in an emptied one', async ({
  emptyDb,
}) => {
  const { sql, url } = emptyDb;
  const tables = {
    narrow: 'id int',
    usual: 'id int, at timestamptz default now(), note text default repeat(md5(random()::text), 2)',
    nulls: 'id int, a text, b text, c bigint',
    filled: 'id int, note text default md5(random()::text)',
  };
  for (const [name, columns] of Object.entries(tables)) {
    await sql.unsafe(`create table ${name} (${columns})
      with (autovacuum_enabled = false${name === 'filled' ? ', fillfactor = 50' : ''});
      insert into ${name} (id) select generate_series(1, 20000)`);
    await sql.unsafe(`vacuum analyze ${name}`);
  }
  const bloat = async () => {
    const { rows } = await inspect(url, readTables);
    return Object.fromEntries(rows.map(({ table, bloatPercent }) => [table, bloatPercent ?? -1]));
  };
  for (const [name, percent] of Object.entries(await bloat())) {
    expect({ name, isSmall: percent >= 0 && percent < 12 }).toEqual({ name, isSmall: true });
  }
  for (const name of Object.keys(tables)) {
    // The last row keeps the pages from being given back.
    await sql.unsafe(`delete from ${name} where id % 5 <> 0`);
    await sql.unsafe(`vacuum analyze ${name}`);
  }
  for (const [name, percent] of Object.entries(await bloat())) {
    expect({ name, isLarge: percent > 65 && percent < 90 }).toEqual({ name, isLarge: true });
  }
  const { rows } = await inspect(url, readTables);
  const usual = rows.find(({ table }) => table === 'usual');
  expect(usual?.bloatSource).toBe('pg_stats');
  const [size] = await sql`select pg_relation_size('usual')::float8 as bytes`;
  expect(usual?.bloatBytes).toBeCloseTo((size?.bytes * (usual?.bloatPercent ?? 0)) / 100, 0);
});

test('says unknown where the role may not read the statistics of a table', async ({
  emptyDb,
  live,
}) => {
  const { sql, url } = emptyDb;
  await sql.unsafe(`create table secret (id int); create table open (id int);
    insert into secret select generate_series(1, 100); insert into open select generate_series(1, 100);
    grant usage on schema public to public; grant select on open to public; analyze`);
  const asPlain = await inspect(live.plainUrl, readTables);
  const row = (name: string) => asPlain.rows.find(({ table }) => table === name);
  expect(row('secret')).toMatchObject({ bloatBytes: null, bloatUnknown: 'hidden' });
  expect(row('open')).toMatchObject({ bloatUnknown: null, bloatSource: 'pg_stats' });
  expect(asPlain.notes).toMatchObject([
    { level: 'unknown', hint: expect.stringContaining('pg_read_all_data') },
    { level: 'info' },
  ]);
  expect((await inspect(live.monitorUrl, readTables)).notes[0]?.level).toBe('unknown');
  expect((await inspect(url, readTables)).notes.map(({ level }) => level)).toEqual(['info']);
});

test('estimates the size of a table that is locked, also by its index', async ({
  emptyDb,
  sessions,
}) => {
  const { sql, url } = emptyDb;
  await sql.unsafe(`create table by_table (id int primary key, note text); create table by_index (id int primary key);
    create table free (id int primary key);
    insert into by_table select n, 'x' from generate_series(1, 5000) n`);
  await sql.unsafe('vacuum analyze');
  const exact = (await inspect(url, readTables)).rows.find(({ table }) => table === 'by_table');
  const holder = sessions.open(url);
  await holder.unsafe(
    'begin; lock table by_table in access exclusive mode; reindex index by_index_pkey',
  );
  const { rows, notes } = await inspect(url, readTables);
  const flags = Object.fromEntries(
    rows.map(({ table, isSizeEstimated }) => [table, isSizeEstimated]),
  );
  expect(flags).toEqual({ by_table: true, by_index: true, free: false });
  const estimated = rows.find(({ table }) => table === 'by_table');
  // Without the maps of free space and visibility.
  expect((exact?.tableBytes ?? 0) - (estimated?.tableBytes ?? 0)).toBeLessThanOrEqual(5 * 8192);
  expect(estimated?.indexBytes).toBe(exact?.indexBytes);
  expect(notes[0]?.text).toBe(
    'the size of 2 tables is an estimate, because another session holds a lock',
  );
  await holder.unsafe('rollback');
});

eventTest('lets a partitioned table stand for its partitions', async ({ db }) => {
  await useInOwnSession(db.url, [
    `insert into users (name, email, password_hash)
      select 'n', n || '@example.org', '${HASH}' from generate_series(1, 100) n`,
  ]);
  await db.sql.unsafe('analyze audit_logs');
  const { rows } = await inspect(db.url, readTables);
  const [facts] = await db.sql`
    select sum(pg_total_relation_size(inhrelid))::float8 as bytes, count(*)::int as partitions
    from pg_inherits where inhparent = 'audit_logs'::regclass`;
  expect(rows.find(({ table }) => table === 'audit_logs')).toMatchObject({
    kind: 'partitioned',
    partitions: facts?.partitions,
    totalBytes: facts?.bytes,
    rows: 100,
    bloatBytes: null,
    bloatUnknown: 'partitioned',
  });
  expect(rows.some(({ table }) => table.startsWith('audit_logs_20'))).toBe(false);
});
