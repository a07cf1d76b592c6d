import type postgres from 'postgres';
import { describe, expect } from 'vitest';
import { closeSql, openSql } from '../support/databases.ts';
import { test } from '../support/fixture.ts';
import { addUsers } from './event-schema-kit.ts';

interface Outcome {
  tablename: string;
  outcome: string;
  reason: string | null;
}

async function update(sql: Pick<postgres.Sql, 'unsafe'>): Promise<Map<string, Outcome>> {
  const rows = await sql.unsafe<Outcome[]>('select * from update_table_statistics()');
  return new Map(rows.map((row) => [row.tablename, row]));
}

/** Runs `work` while another session holds a lock. */
async function whileLocked(url: string, lock: string, work: () => Promise<void>): Promise<void> {
  const holder = openSql(url, 1);
  try {
    await holder`begin`;
    await holder.unsafe(lock);
    await work();
  } finally {
    await holder`rollback`;
    await closeSql(holder);
  }
}

describe('update_table_statistics', () => {
  test('analyzes every table of the schema, partitioned ones as a whole', async ({ db }) => {
    const { sql } = db;
    await addUsers(sql, 100);
    const tables = await sql<{ relname: string }[]>`
      select relname from pg_class
      where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition
      order by relname`;
    const rows = await sql`select * from update_table_statistics()`;
    expect([...rows]).toEqual(
      tables.map(({ relname }) => ({
        schemaname: 'public',
        tablename: relname,
        outcome: 'analyzed',
        reason: null,
      })),
    );
    expect(tables.map((table) => table.relname)).toContain('audit_logs');
    const [counts] = await sql`
      select (select reltuples::int from pg_class where oid = 'users'::regclass) as users,
        (select reltuples::int from pg_class where oid = 'audit_logs'::regclass) as entries,
        (select count(*)::int from pg_stats where tablename = 'audit_logs' and inherited) > 0 as knows_whole,
        (select sum(reltuples)::int from pg_class where oid in
          (select inhrelid from pg_inherits where inhparent = 'audit_logs'::regclass)) as entries_of_parts`;
    expect(counts).toEqual({ users: 100, entries: 100, knows_whole: true, entries_of_parts: 100 });
  });

  test('skips a table that it may not analyze', async ({ db }) => {
    const { sql } = db;
    const role = `evdb_test_${db.name.slice(-12)}`;
    try {
      await sql`create role ${sql(role)}`;
      await sql`grant execute on function update_table_statistics() to ${sql(role)}`;
      await sql`alter table events owner to ${sql(role)}`;
      const rows = await sql.begin(async (transaction) => {
        await transaction`set local role ${transaction(role)}`;
        return update(transaction);
      });
      expect(rows.get('events')).toMatchObject({ outcome: 'analyzed', reason: null });
      for (const table of ['users', 'registrations', 'audit_logs']) {
        expect(rows.get(table)).toMatchObject({
          outcome: 'skipped',
          reason: `${role} is neither the owner of the table nor of the database`,
        });
      }
    } finally {
      await sql`drop owned by ${sql(role)} cascade`;
      await sql`drop role ${sql(role)}`;
    }
  });

  test('skips what somebody has locked, names who, and analyzes the rest', async ({ db }) => {
    const { sql } = db;
    await sql`set statement_timeout = '20s'`;
    await whileLocked(db.url, 'lock table users in share update exclusive mode', async () => {
      const rows = await update(sql);
      expect(rows.get('users')?.outcome).toBe('skipped');
      expect(rows.get('users')?.reason).toMatch(
        /^process \d+ holds or wants a ShareUpdateExclusiveLock on users$/,
      );
      expect(rows.get('events')?.outcome).toBe('analyzed');
    });
    const [part] = await sql<{ name: string }[]>`
      select inhrelid::regclass::text as name from pg_inherits
      where inhparent = 'audit_logs'::regclass order by 1 limit 1`;
    await whileLocked(db.url, `lock table ${part?.name} in access exclusive mode`, async () => {
      const rows = await update(sql);
      expect(rows.get('audit_logs')?.outcome).toBe('skipped');
      expect(rows.get('audit_logs')?.reason).toContain(`AccessExclusiveLock on ${part?.name}`);
      expect(rows.get('users')?.outcome).toBe('analyzed');
    });
  });

  test('goes on when a table cannot be analyzed, and says why', async ({ db }) => {
    const { sql } = db;
    await sql.unsafe(`
      create function divide(i int) returns int language plpgsql immutable as
        'begin return 1 / i; end';
      create table broken (i int);
      create index broken_idx on broken (divide(i));
      insert into broken values (1);
      create or replace function divide(i int) returns int language plpgsql immutable as
        'begin return i / 0; end';`);
    const rows = await update(sql);
    expect(rows.get('broken')).toMatchObject({
      outcome: 'failed',
      reason: 'division by zero (22012)',
    });
    expect(rows.get('users')?.outcome).toBe('analyzed');
  });

  test('survives tables that come and go meanwhile', async ({ db }) => {
    const { sql } = db;
    const other = openSql(db.url, 1);
    let isDone = false;
    const churn = (async () => {
      while (!isDone) {
        await other`create table passing (id int)`;
        await other`drop table passing`;
      }
    })();
    try {
      for (let i = 0; i < 30; i++) {
        const rows = await update(sql);
        expect(rows.get('users')?.outcome).toBe('analyzed');
        const passing = rows.get('passing');
        if (passing && passing.outcome !== 'analyzed') {
          expect(passing.reason).toMatch(/^dropped meanwhile$|^locked by|^process \d+ holds/);
        }
      }
    } finally {
      isDone = true;
      await churn;
      await closeSql(other);
    }
  });
});
