import type postgres from 'postgres';
import { describe, expect } from 'vitest';
import { closeSql, openSql } from '../support/databases.ts';
import { test } from '../support/fixture.ts';
import { addUsers } from './event-schema-kit.ts';
import { type IndexUsage, useInOwnSession, waitForScans } from './index-usage-kit.ts';

async function readUsage(sql: postgres.Sql, indexname: string): Promise<IndexUsage | undefined> {
  const [row] = await sql<
    IndexUsage[]
  >`select * from get_index_usage_stats() where indexname = ${indexname}`;
  return row;
}

describe('get_index_usage_stats', () => {
  test('counts scans of every index of this schema and none of another', async ({ db }) => {
    const { sql } = db;
    await sql`create schema other create table users (id int primary key)`;
    const [user] = await addUsers(sql, 50);
    await sql`analyze users`;
    await useInOwnSession(db.url, [
      "update users set name = name || '!'",
      'set enable_seqscan = off',
      `select * from users where id = ${user}`,
      `select * from users where id = ${user}`,
      'set enable_seqscan = on; set enable_indexscan = off; set enable_bitmapscan = off',
      `select * from users where id = ${user}`,
    ]);
    const used = await waitForScans(sql, 'users_pkey');
    expect(used).toMatchObject({
      schemaname: 'public',
      tablename: 'users',
      is_unique: true,
      enforces_constraint: true,
      supports_foreign_key: false,
      is_valid: true,
      stats_since: expect.any(Date),
    });
    expect(Number(used.idx_scan)).toBeGreaterThanOrEqual(2);
    expect(Number(used.usage_ratio)).toBeGreaterThan(0);
    expect(Number(used.usage_ratio)).toBeLessThan(1);
    expect(Number(used.index_size_bytes)).toBeGreaterThan(0);
    expect(Number(used.table_scans)).toBeGreaterThanOrEqual(3);
    expect(Number(used.table_writes)).toBeGreaterThanOrEqual(50);
    const all = await sql<IndexUsage[]>`select * from get_index_usage_stats()`;
    // A partition's index counts for the whole.
    const names = await sql<{ relname: string }[]>`
      select relname from pg_class
      where relnamespace = 'public'::regnamespace and relkind in ('i', 'I') and not relispartition`;
    expect(all.map((row) => row.indexname).sort()).toEqual(names.map((row) => row.relname).sort());
    expect(new Set(all.map((row) => row.schemaname))).toEqual(new Set(['public']));
  });

  test('knows the last scan where the server does, and says null where it does not', async ({
    db,
  }) => {
    const { sql } = db;
    await useInOwnSession(db.url, ['set enable_seqscan = off', 'select * from users where id = 1']);
    const used = await waitForScans(sql, 'users_pkey');
    const [version] =
      await sql`select current_setting('server_version_num')::int >= 160000 as is_known`;
    expect(used.last_idx_scan).toEqual(version?.is_known ? expect.any(Date) : null);
    expect(await readUsage(sql, 'users_email_key')).toMatchObject({ last_idx_scan: null });
  });

  test('counts from the moment at which the counters were reset', async ({ db }) => {
    const { sql } = db;
    await sql`select pg_stat_reset()`;
    // Before PostgreSQL 15 a process of its own keeps the counters, and takes its time.
    await expect
      .poll(
        async () => {
          const [row] = await sql`
            select stats_since = d.stats_reset as is_reset
            from get_index_usage_stats()
            cross join pg_stat_database d
            where d.datname = current_database() and indexname = 'users_pkey'`;
          return row?.is_reset;
        },
        { timeout: 10_000 },
      )
      .toBe(true);
  });

  test('adds the partitions of an index up, wherever they are', async ({ db }) => {
    const { sql } = db;
    await sql.unsafe(`
      create schema archive;
      create table visits (id int, day date, primary key (day, id)) partition by range (day);
      create table visits_1 partition of visits for values from ('2030-01-01') to ('2030-02-01');
      create table archive.visits_2 partition of visits for values from ('2030-02-01') to ('2030-03-01');
      create index visits_id_idx on visits (id);
      create index visits_1_day_idx on visits_1 (day);
      create table empty (id int primary key) partition by range (id);
    `);
    const rows = await sql<IndexUsage[]>`
      select * from get_index_usage_stats()
      where tablename like 'visits%' or tablename = 'empty' order by indexname`;
    expect(rows.map((row) => [row.tablename, row.indexname, row.index_size_bytes])).toEqual([
      ['empty', 'empty_pkey', '0'],
      ['visits_1', 'visits_1_day_idx', '8192'],
      ['visits', 'visits_id_idx', '16384'],
      ['visits', 'visits_pkey', '16384'],
    ]);
    await useInOwnSession(db.url, [
      'set enable_seqscan = off; set enable_bitmapscan = off',
      `select * from visits where id = 1`,
    ]);
    expect(await waitForScans(sql, 'visits_id_idx')).toMatchObject({ idx_scan: '2' });
  });

  test('answers while somebody holds tables and indexes exclusively', async ({ db }) => {
    const { sql } = db;
    await addUsers(sql, 50);
    await sql`analyze users`;
    const other = openSql(db.url, 1);
    try {
      await other`begin`;
      await other`lock table users, audit_logs in access exclusive mode`;
      await other`alter index users_email_key set (fillfactor = 80)`;
      await other`drop index users_email_lower_key`;
      await sql`set statement_timeout = '20s'`;
      const rows = await sql<IndexUsage[]>`
        select * from get_index_usage_stats() where tablename = 'users' order by indexname`;
      expect(rows.map((row) => [row.indexname, row.index_size_bytes])).toEqual([
        ['users_email_key', '16384'],
        ['users_email_lower_key', '16384'],
        ['users_pkey', '16384'],
      ]);
    } finally {
      await other`rollback`;
      await closeSql(other);
    }
  });
});

describe('supports_foreign_key', () => {
  test('is true for what finds the rows of a key, in any order of its columns', async ({ db }) => {
    const { sql } = db;
    await sql.unsafe(`
      create table teams (a int, b int, primary key (a, b));
      create table players (a int, b int, c int, foreign key (a, b) references teams);
      create index yes_same on players (a, b);
      create index yes_swapped on players (b, a, c);
      create index yes_not_null on players (b, a) where a is not null;
      create index no_first_only on players (a);
      create index no_elsewhere on players (a, c, b);
      create index no_included on players (a) include (b);
      create index no_partial on players (a, b) where c > 0;
      create index no_other_null on players (a, b) where c is not null;
      create index no_null on players (a, b) where a is null;
      create index no_brin on players using brin (a, b);
      create index no_expression on players ((a + 0), (b + 0));
      create index no_invalid on players (a, b);
      update pg_index set indisvalid = false where indexrelid = 'no_invalid'::regclass;
    `);
    const rows = await sql<IndexUsage[]>`
      select * from get_index_usage_stats() where tablename = 'players' order by indexname`;
    expect(rows).toHaveLength(12);
    for (const row of rows) {
      expect([row.indexname, row.supports_foreign_key]).toEqual([
        row.indexname,
        row.indexname.startsWith('yes'),
      ]);
    }
  });

  test('is true for the index of a partitioned table', async ({ db }) => {
    const { sql } = db;
    await sql.unsafe(`
      create table logins (id int, user_id int references users) partition by range (id);
      create table logins_1 partition of logins for values from (0) to (10);
      create index logins_user_id_idx on logins (user_id);
    `);
    expect(await readUsage(sql, 'logins_user_id_idx')).toMatchObject({
      supports_foreign_key: true,
    });
  });
});
