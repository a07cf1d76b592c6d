import { randomBytes } from 'node:crypto';
import type postgres from 'postgres';
import { describe, expect } from 'vitest';
import { test } from '../support/fixture.ts';
import { listPartitions, partitionName } from './audit-kit.ts';
import { addEvent, addUsers, only } from './event-schema-kit.ts';

/** Every way to take an entry away or to change one, on each table that holds entries. */
async function attemptsOn(sql: postgres.Sql): Promise<string[]> {
  const tables = ['audit_logs', await partitionName(sql), 'audit_logs_overflow'];
  return tables.flatMap((table) => [
    `update ${table} set actor = 'nobody'`,
    `delete from ${table}`,
    `truncate ${table}`,
  ]);
}

/** Puts one entry into a partition and one into the overflow. */
async function addEntries(sql: postgres.Sql): Promise<void> {
  await addUsers(sql, 1);
  await sql`insert into audit_logs_overflow (table_name, operation) values ('users', 'TRUNCATE')`;
}

async function withRole(sql: postgres.Sql, work: (role: string) => Promise<void>): Promise<void> {
  const role = `evdb_test_audit_${randomBytes(4).toString('hex')}`;
  await sql`create role ${sql(role)}`;
  try {
    await work(role);
  } finally {
    await sql`reset role`;
    await sql`drop owned by ${sql(role)} cascade`;
    await sql`drop role ${sql(role)}`;
  }
}

describe('the audit log is append-only', () => {
  test('for its owner, on the parent, a partition and the overflow', async ({ db }) => {
    const { sql } = db;
    await addEntries(sql);
    for (const attempt of await attemptsOn(sql)) {
      await expect(sql.unsafe(attempt), attempt).rejects.toMatchObject({
        code: '42501',
        hint: expect.stringContaining('cleanup_audit_logs'),
      });
    }
    expect(await sql`select id from audit_log_entries`).toHaveLength(2);
  });

  test('where session_replication_role switches ordinary triggers off', async ({ db }) => {
    const { sql } = db;
    await addEntries(sql);
    for (const attempt of await attemptsOn(sql)) {
      const attempted = sql.begin(async (transaction) => {
        await transaction`set local session_replication_role to replica`;
        await transaction.unsafe(attempt);
      });
      await expect(attempted, attempt).rejects.toMatchObject({ code: '42501' });
    }
  });

  test('on every partition that is made later, and all of its triggers are always on', async ({
    db,
  }) => {
    const { sql } = db;
    await sql`select ensure_audit_partitions(7)`;
    const made = await partitionName(sql, 7);
    await sql.unsafe(`
      insert into audit_logs (created_at, table_name, operation)
      select starts_at, 'users', 'TRUNCATE' from list_audit_partitions() where partition_name = '${made}'`);
    for (const attempt of [
      `update ${made} set actor = 'x'`,
      `delete from ${made}`,
      `truncate ${made}`,
    ])
      await expect(sql.unsafe(attempt), attempt).rejects.toMatchObject({ code: '42501' });
    const weak = await sql`
      select tgrelid::regclass, tgname from pg_trigger
      where tgrelid::regclass::text like 'audit_logs%' and not tgisinternal and tgenabled <> 'A'`;
    expect(weak).toEqual([]);
  });

  test('again after a cleanup in the same transaction', async ({ db }) => {
    const { sql } = db;
    await addEntries(sql);
    const attempted = sql.begin(async (transaction) => {
      await transaction`select cleanup_audit_logs(90)`;
      await transaction`select ensure_audit_partitions()`;
      await transaction`delete from audit_logs`;
    });
    await expect(attempted).rejects.toMatchObject({ code: '42501' });
  });

  test('for a role that was granted everything on it', async ({ db }) => {
    const { sql } = db;
    await addEntries(sql);
    const attempts = await attemptsOn(sql);
    await withRole(sql, async (role) => {
      await sql`grant all on all tables in schema public to ${sql(role)}`;
      for (const attempt of attempts) {
        const attempted = sql.begin(async (transaction) => {
          await transaction`set local role ${sql(role)}`;
          await transaction.unsafe(attempt);
        });
        await expect(attempted, attempt).rejects.toMatchObject({ code: '42501' });
      }
    });
  });
});

describe('a role that may register', () => {
  test('writes the audit log without any right to it, and can neither read, forge nor clean it', async ({
    db,
  }) => {
    const { sql } = db;
    const [user] = await addUsers(sql, 1);
    const event = await addEvent(sql);
    const partition = await partitionName(sql);
    await withRole(sql, async (role) => {
      await sql`grant select, insert, update on users, events, registrations to ${sql(role)}`;
      await sql`grant usage on all sequences in schema public to ${sql(role)}`;
      await sql`grant execute on all functions in schema public to ${sql(role)}`;
      const as = <T>(work: (transaction: postgres.TransactionSql) => Promise<T>) =>
        sql.begin(async (transaction) => {
          await transaction`set local role ${sql(role)}`;
          return work(transaction);
        });
      await as(
        (t) => t`insert into registrations (user_id, event_id) values (${only(user)}, ${event})`,
      );
      const [entry] =
        await sql`select operation from audit_logs where table_name = 'registrations'`;
      expect(entry?.operation).toBe('INSERT');
      for (const attempt of [
        'select from audit_logs',
        `select from ${partition}`,
        'select from audit_logs_overflow',
        'select from audit_log_entries',
        `insert into audit_logs (table_name, operation) values ('users', 'TRUNCATE')`,
        `insert into ${partition} (table_name, operation) values ('users', 'TRUNCATE')`,
        `insert into audit_logs_overflow (table_name, operation) values ('users', 'TRUNCATE')`,
        'delete from audit_logs',
        'select cleanup_audit_logs(0)',
        'select ensure_audit_partitions(9)',
      ])
        await expect(
          as((t) => t.unsafe(attempt)),
          attempt,
        ).rejects.toMatchObject({ code: '42501' });
    });
  });

  test('has its partitions made by what it changes', async ({ db }) => {
    const { sql } = db;
    const before = await listPartitions(sql);
    const last = await partitionName(sql, 3);
    const afterNext = await partitionName(sql, 2);
    await withRole(sql, async (role) => {
      await sql`grant select, update on users to ${sql(role)}`;
      await addUsers(sql, 1);
      await sql`drop table ${sql(last)}, ${sql(afterNext)}`;
      await sql.begin(async (transaction) => {
        await transaction`set local role ${sql(role)}`;
        await transaction`update users set name = 'Other'`;
      });
      expect(await listPartitions(sql)).toEqual(before);
      const [row] = await sql`
        select count(distinct relowner)::int as owners from pg_class where relname like 'audit_logs%'`;
      expect(row?.owners).toBe(1);
    });
  });

  test('gets nothing on new partitions by default privileges', async ({ db }) => {
    const { sql } = db;
    await withRole(sql, async (role) => {
      await sql`alter default privileges in schema public grant all on tables to ${sql(role)}`;
      await sql`alter default privileges in schema public grant select on tables to public`;
      await sql`select ensure_audit_partitions(8)`;
      const [row] = await sql`
        select has_table_privilege(${role}, ${await partitionName(sql, 8)}, 'insert')
          or has_table_privilege(${role}, ${await partitionName(sql, 8)}, 'select') as may`;
      expect(row?.may).toBe(false);
    });
  });
});
