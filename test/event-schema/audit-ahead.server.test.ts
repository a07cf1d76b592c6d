import { describe, expect } from 'vitest';
import { closeSql, openSql } from '../support/databases.ts';
import { test } from '../support/fixture.ts';
import { listPartitions, partitionName } from './audit-kit.ts';
import { withOpenTransaction } from './clients-kit.ts';
import { addUsers, runFiles } from './event-schema-kit.ts';

describe('the audit triggers', () => {
  const secondAhead = async (sql: Parameters<typeof partitionName>[0]) => {
    const names = [await partitionName(sql, 2), await partitionName(sql, 3)];
    await sql`drop table ${sql(names)}`;
    return names;
  };

  test('make partitions ahead on a session that saw them, and leave the business statement whole', async ({
    db,
  }) => {
    const { sql } = db;
    await addUsers(sql, 2);
    const all = await listPartitions(sql);
    await secondAhead(sql);
    await sql`update users set name = 'Ann'`;
    expect(await listPartitions(sql)).toEqual(all);
    expect(await sql`select id from audit_logs`).toHaveLength(4);
  });

  test('do not wait for somebody who holds audit_logs, and catch up afterwards', async ({ db }) => {
    const { sql } = db;
    await addUsers(sql, 1);
    const all = await listPartitions(sql);
    const gone = await secondAhead(sql);
    const statement = 'lock table audit_logs in share update exclusive mode';
    await withOpenTransaction(db.url, statement, async () => {
      await sql.begin(async (transaction) => {
        await transaction`set local lock_timeout to '1ms'`;
        await transaction`update users set name = 'Ann'`;
      });
      expect(await listPartitions(sql)).toEqual(all.filter((name) => !gone.includes(name)));
    });
    await sql`update users set name = 'Bob'`;
    expect(await listPartitions(sql)).toEqual(all);
  });

  test('do not fail in a statement that reads audit_logs itself', async ({ db }) => {
    const { sql } = db;
    await addUsers(sql, 1);
    await secondAhead(sql);
    await sql`
      with changed as (update users set name = 'Ann' returning id)
      select * from changed, audit_logs`;
    expect(await sql`select id from audit_logs`).toHaveLength(2);
  });

  test('lose and fail no write while partitions come and go', async ({ db }) => {
    const { sql } = db;
    const users = await addUsers(sql, 8);
    await sql`create table taken (like audit_logs)`;
    const current = await partitionName(sql);
    const crowd = openSql(db.url, 8);
    let isOver = false;
    const writing = users.map(async (user) => {
      let writes = 0;
      while (!isOver || writes < 40) {
        await crowd`update users set name = ${`n${writes}`} where id = ${user}`;
        writes++;
      }
      return writes;
    });
    for (let i = 0; i < 25; i++) {
      await sql.begin(async (transaction) => {
        await transaction`lock table audit_logs in access exclusive mode`;
        await transaction.unsafe(`do $$ begin if to_regclass('${current}') is not null then
          insert into taken select * from ${current}; drop table ${current}; end if; end $$`);
      });
      await sql`select ensure_audit_partitions()`;
    }
    isOver = true;
    const writes = (await Promise.all(writing)).reduce((sum, count) => sum + count, users.length);
    await closeSql(crowd);
    const [row] = await sql`
      select count(*)::int as entries, count(distinct id)::int as ids
      from (select id from taken union all select id from audit_log_entries) e`;
    expect(row).toEqual({ entries: writes, ids: writes });
  });
});

describe('the audit log in several schemas', () => {
  test('keeps to itself in each, with names that need quotes', async ({ emptyDb }) => {
    const { sql } = emptyDb;
    const files = ['001_create_users_table', '002_create_events_table'];
    const audit = ['010_audit_log', '011_audit_partitions', '012_audit_triggers'];
    files.push('003_create_registrations_table', '004_race_condition_prevention', ...audit);
    for (const schema of ['north', `The "South"; 'x'`]) {
      await sql`create schema ${sql(schema)}`;
      await runFiles(sql, schema, files);
      await sql`insert into ${sql(schema)}.users (name, email, password_hash)
        values ('Ann', 'ann@example.com', '$2b$12$' || repeat('y', 53))`;
      await sql`select ${sql(schema)}.ensure_audit_partitions(5)`;
      expect(await sql`select id from ${sql(schema)}.audit_logs`).toHaveLength(1);
      expect(await sql`select from ${sql(schema)}.list_audit_partitions()`).toHaveLength(6);
      const undone = audit.toReversed().map((name) => `${name}.down`);
      await runFiles(sql, schema, undone);
      await runFiles(sql, schema, audit);
    }
  });
});
