import type postgres from 'postgres';
import { describe, expect } from 'vitest';
import { closeSql, openSql } from '../support/databases.ts';
import { test } from '../support/fixture.ts';
import { addEvent, addUsers } from './event-schema-stage.ts';

interface IndexUsage {
  schemaname: string;
  tablename: string;
  indexname: string;
  idx_scan: string;
  usage_ratio: string | null;
  index_size: string;
  index_size_bytes: string;
  is_unique: boolean;
  enforces_constraint: boolean;
  supports_foreign_key: boolean;
  is_valid: boolean;
  stats_since: Date;
}

/** Counters reach the view when the session that counts goes idle for long enough, or ends. */
async function useInOwnSession(url: string, statements: string[]): Promise<void> {
  const sql = openSql(url, 1);
  try {
    for (const statement of statements) await sql.unsafe(statement);
  } finally {
    await closeSql(sql);
  }
}

async function waitForScans(sql: postgres.Sql, indexname: string): Promise<IndexUsage> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const [row] = await sql<IndexUsage[]>`
      select * from get_index_usage_stats() where indexname = ${indexname} and idx_scan > 0`;
    if (row) return row;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`no scan of ${indexname} was ever counted`);
}

describe('get_index_usage_stats', () => {
  test('counts scans of every index of this schema and none of another', async ({ db }) => {
    const { sql } = db;
    await sql`create schema other create table users (id int primary key)`;
    const [user] = await addUsers(sql, 50);
    await sql`analyze users`;
    await useInOwnSession(db.url, [
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
    const all = await sql<IndexUsage[]>`select * from get_index_usage_stats()`;
    const [indexes] = await sql`
      select count(*)::int as count from pg_indexes where schemaname = 'public'`;
    expect(all).toHaveLength(indexes?.count);
    expect(new Set(all.map((row) => row.schemaname))).toEqual(new Set(['public']));
  });

  test('adds the partitions of an index up', async ({ db }) => {
    const { sql } = db;
    await sql.unsafe(`
      create table visits (id int, day date, primary key (day, id)) partition by range (day);
      create table visits_1 partition of visits for values from ('2030-01-01') to ('2030-02-01');
      create table visits_2 partition of visits for values from ('2030-02-01') to ('2030-03-01');
      create index visits_id_idx on visits (id);
    `);
    const rows = await sql<IndexUsage[]>`
      select * from get_index_usage_stats() where tablename like 'visits%' order by indexname`;
    expect(rows.map((row) => [row.tablename, row.indexname, row.index_size_bytes])).toEqual([
      ['visits', 'visits_id_idx', '16384'],
      ['visits', 'visits_pkey', '16384'],
    ]);
    const unused = await sql<IndexUsage[]>`select indexname from get_unused_indexes()`;
    expect(unused.map((row) => row.indexname)).toContain('visits_id_idx');
  });
});

describe('get_unused_indexes', () => {
  test('leaves out what enforces a constraint, supports a foreign key or was scanned', async ({
    db,
  }) => {
    const { sql } = db;
    await sql`create index users_name_idx on users (name)`;
    await sql`create index registrations_user_partial_idx on registrations (user_id) where status = 'pending'`;
    await addUsers(sql, 3);
    await addEvent(sql);
    await sql`analyze`;
    await useInOwnSession(db.url, [
      'set enable_seqscan = off; set enable_sort = off',
      'select id from events where is_active and date_time > now() order by date_time, id limit 20',
    ]);
    await waitForScans(sql, 'events_upcoming_idx');
    const rows = await sql`
      select schemaname, tablename, indexname, index_size, stats_age > interval '0' as has_age
      from get_unused_indexes() order by indexname`;
    expect(rows.map((row) => row.indexname)).toEqual([
      'audit_logs_row_idx',
      'registrations_confirmed_idx',
      'registrations_pending_idx',
      'registrations_user_partial_idx',
      'registrations_waitlist_idx',
      'users_name_idx',
    ]);
    expect(rows.at(-1)).toMatchObject({
      schemaname: 'public',
      tablename: 'users',
      index_size: '16 kB',
      has_age: true,
    });
  });

  test('answers while somebody holds a table exclusively', async ({ db }) => {
    const { sql } = db;
    const other = openSql(db.url, 1);
    try {
      await other`begin`;
      await other`lock table users in access exclusive mode`;
      await sql`set statement_timeout = '20s'`;
      const rows = await sql<
        IndexUsage[]
      >`select * from get_index_usage_stats() where tablename = 'users'`;
      expect(rows).toHaveLength(3);
    } finally {
      await other`rollback`;
      await closeSql(other);
    }
  });
});

describe('update_table_statistics', () => {
  const tables = ['audit_logs', 'events', 'registrations', 'users'];

  test('analyzes every table of the schema', async ({ db }) => {
    const { sql } = db;
    await addUsers(sql, 100);
    const rows = await sql`select * from update_table_statistics()`;
    expect([...rows]).toEqual(
      tables.map((tablename) => ({
        schemaname: 'public',
        tablename,
        outcome: 'analyzed',
        reason: null,
      })),
    );
    const [users] = await sql`select reltuples::int from pg_class where oid = 'users'::regclass`;
    expect(users?.reltuples).toBe(100);
  });

  test('says what it skipped, because of missing rights or a lock', async ({ db }) => {
    const { sql } = db;
    const role = `evdb_test_${db.name.slice(-12)}`;
    const holder = openSql(db.url, 1);
    try {
      await sql`create role ${sql(role)}`;
      await sql`alter table events owner to ${sql(role)}`;
      await sql`alter table users owner to ${sql(role)}`;
      await holder`begin`;
      await holder`lock table users in share update exclusive mode`;
      const rows = await sql.begin(async (transaction) => {
        await transaction`set local role ${transaction(role)}`;
        return transaction<{ tablename: string; outcome: string; reason: string | null }[]>`
          select tablename, outcome, reason from update_table_statistics()`;
      });
      expect(rows.map((row) => [row.tablename, row.outcome])).toEqual([
        ['audit_logs', 'skipped'],
        ['events', 'analyzed'],
        ['registrations', 'skipped'],
        ['users', 'skipped'],
      ]);
      expect(rows[0]?.reason).toContain(role);
      expect(rows[3]?.reason).toBe('locked by another session');
    } finally {
      await holder`rollback`;
      await closeSql(holder);
      await sql`drop owned by ${sql(role)} cascade`;
      await sql`drop role ${sql(role)}`;
    }
  });
});
