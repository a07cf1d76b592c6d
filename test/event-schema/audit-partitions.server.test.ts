import { describe, expect } from 'vitest';
import { closeSql, openSql } from '../support/databases.ts';
import { test } from '../support/fixture.ts';
import { listPartitions, listPlaces, partitionName } from './audit-kit.ts';
import { withOpenTransaction } from './clients-kit.ts';
import { addEvent, addUsers, only, register } from './event-schema-kit.ts';

describe('ensure_audit_partitions', () => {
  test('finds this month and three more made by the migration, and makes no others twice', async ({
    db,
  }) => {
    const { sql } = db;
    const expected = await Promise.all([0, 1, 2, 3].map((ahead) => partitionName(sql, ahead)));
    expect(await listPartitions(sql)).toEqual(expected);
    expect(await sql`select * from ensure_audit_partitions()`).toEqual([]);
    const fifth = { partition_name: await partitionName(sql, 4), is_new: true, moved_rows: '0' };
    expect([...(await sql`select * from ensure_audit_partitions(4)`)]).toEqual([fifth]);
    expect(await sql`select * from ensure_audit_partitions(4)`).toEqual([]);
  });

  test('makes months of UTC without a gap, whatever the session says about time', async ({
    db,
  }) => {
    const { sql } = db;
    await sql.begin(async (transaction) => {
      await transaction`set local timezone to 'Pacific/Auckland'`;
      await transaction`set local datestyle to 'SQL, DMY'`;
      await transaction`select ensure_audit_partitions(14)`;
    });
    const rows = await sql<{ starts_at: Date; ends_at: Date }[]>`
      select starts_at, ends_at from list_audit_partitions()`;
    expect(rows).toHaveLength(15);
    rows.forEach(({ starts_at, ends_at }, i) => {
      expect(starts_at.toISOString()).toMatch(/-01T00:00:00\.000Z$/);
      expect(rows[i + 1]?.starts_at ?? ends_at).toEqual(ends_at);
    });
  });

  test.for([null, -1, 121])('refuses %s months', async (months, { db }) => {
    await expect(db.sql`select ensure_audit_partitions(${months}::int)`).rejects.toMatchObject({
      code: '22023',
      hint: expect.any(String),
    });
  });

  test('makes each partition once when many sessions ask at the same moment', async ({ db }) => {
    const crowd = openSql(db.url, 8);
    try {
      const results = await Promise.allSettled(
        Array.from({ length: 8 }, () => crowd`select * from ensure_audit_partitions(9)`),
      );
      const made = results.flatMap((result) => (result.status === 'fulfilled' ? result.value : []));
      expect(made).toHaveLength(6);
      // On a slow machine one may have waited a second for the others.
      for (const result of results)
        if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: '55P03' });
    } finally {
      await closeSql(crowd);
    }
    expect(await listPartitions(db.sql)).toHaveLength(10);
  });

  test('lets everybody read and write meanwhile', async ({ db }) => {
    const statement = 'select ensure_audit_partitions(6)';
    await withOpenTransaction(db.url, statement, async () => {
      await addUsers(db.sql, 3);
      expect(await db.sql`select id from audit_log_entries`).toHaveLength(3);
    });
  });

  test('waits for nobody where nothing is to be done', async ({ db }) => {
    const statement = `lock table audit_logs in share update exclusive mode;
      select pg_advisory_xact_lock('audit_logs'::regclass::oid::integer, 0)`;
    await withOpenTransaction(db.url, statement, async () => {
      expect(await db.sql`select * from ensure_audit_partitions()`).toEqual([]);
    });
  });

  test('gives up within a second where somebody holds audit_logs, and names them', async ({
    db,
  }) => {
    const statement = 'lock table audit_logs in share update exclusive mode';
    await withOpenTransaction(db.url, statement, async (other) => {
      const [me] = await other<{ pid: number }[]>`select pg_backend_pid() as pid`;
      await expect(db.sql`select ensure_audit_partitions(6)`).rejects.toMatchObject({
        code: '55P03',
        detail: expect.stringContaining(`process ${only(me).pid} (evdb-test, `),
        hint: expect.any(String),
      });
    });
    expect(await listPartitions(db.sql)).toHaveLength(4);
  });
});

describe('a change without a partition for its entry', () => {
  test('is written to the overflow, makes the partition, and is moved there later', async ({
    db,
  }) => {
    const { sql } = db;
    const current = await partitionName(sql);
    await sql`drop table ${sql(current)}`;
    const users = await addUsers(sql, 2);
    const event = await addEvent(sql);
    expect((await register(sql, only(users[0]), event)).success).toBe(true);
    const overflow = 'audit_logs_overflow';
    expect(await listPlaces(sql)).toEqual([overflow, overflow, current, current]);
    const before = await sql`select * from audit_log_entries order by id`;
    const moved = { partition_name: current, is_new: false, moved_rows: '2' };
    expect([...(await sql`select * from ensure_audit_partitions()`)]).toEqual([moved]);
    expect(await listPlaces(sql)).toEqual([current, current, current, current]);
    expect(await sql`select * from audit_log_entries order by id`).toEqual(before);
  });

  test('is written whatever it is, where the partition was detached and is in the way', async ({
    db,
  }) => {
    const { sql } = db;
    const [ann, bob] = await addUsers(sql, 2);
    const event = await addEvent(sql);
    await register(sql, only(ann), event);
    await sql`alter table audit_logs detach partition ${sql(await partitionName(sql))}`;
    await sql`insert into users (name, email, password_hash)
      select 'Eve', 'eve@example.com', password_hash from users where id = ${only(bob)}`;
    await sql`update users set name = 'Anna', password_hash = '$2b$12$' || repeat('y', 53) where id = ${only(ann)}`;
    await sql`update users set name = name`;
    await sql`update events set title = 'Opera'`;
    await sql`update registrations set status = 'cancelled'`;
    await sql`delete from users where id = ${only(bob)}`;
    await sql`delete from events`;
    await sql`truncate registrations`;
    const rows = await sql<{ entry: string }[]>`
      select concat_ws(' ', table_name, operation, redacted, old_values ->> 'name', old_values ->> 'title',
        new_values ->> 'name', new_values ->> 'title') as entry
      from audit_logs_overflow order by id`;
    expect(rows.map((row) => row.entry).sort()).toEqual([
      'events DELETE Opera',
      'events UPDATE Concert Opera',
      'registrations DELETE',
      'registrations TRUNCATE',
      'registrations UPDATE',
      'users DELETE {password_hash} user 2',
      'users INSERT {password_hash} Eve',
      'users UPDATE {password_hash} user 1 Anna',
    ]);
    const [leak] =
      await sql`select bool_or(v::text like '%$2b$%') as found from audit_logs_overflow v`;
    expect(leak?.found).toBe(false);
    await expect(sql`select ensure_audit_partitions()`).rejects.toMatchObject({
      code: '55000',
      hint: expect.stringContaining('Rename it'),
    });
  });

  test('is written at repeatable read and serializable, also where the partition went since', async ({
    db,
  }) => {
    for (const level of ['repeatable read', 'serializable']) {
      const current = await partitionName(db.sql);
      await db.sql`select ensure_audit_partitions()`;
      const users = `user${level.length}`;
      const statement = `set transaction isolation level ${level}; select count(*) from users`;
      await withOpenTransaction(db.url, statement, async (other) => {
        await db.sql`drop table ${db.sql(current)}`;
        await other`insert into users (name, email, password_hash)
          values (${users}, ${`${users}@example.com`}, '$2b$12$' || repeat('z', 53))`;
        expect(await other`select id from audit_logs_overflow`).toHaveLength(1);
      });
    }
  });
});
