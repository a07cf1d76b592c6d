import type postgres from 'postgres';
import { describe, expect } from 'vitest';
import { closeSql, openSql } from '../support/databases.ts';
import { test } from '../support/fixture.ts';
import { listAwaitedLocks } from '../support/waiting.ts';
import { addOldEntries, cleanUp, listPartitions, readAges } from './audit-kit.ts';
import { withOpenTransaction } from './clients-kit.ts';
import { addEvent, addUsers, only, readSeats, register } from './event-schema-kit.ts';

const busy = {
  code: '55P03',
  detail: expect.stringContaining('evdb-test'),
  hint: expect.any(String),
};

describe('cleanup beside other sessions', () => {
  test('gives up behind a reader, with nothing half done, and succeeds when the reader is gone', async ({
    db,
  }) => {
    const { sql } = db;
    await addOldEntries(sql, 200, 5);
    await sql`insert into audit_logs_overflow (created_at, table_name, operation)
      values (now() - interval '100 days', 'users', 'TRUNCATE')`;
    const partitions = await listPartitions(sql);
    await withOpenTransaction(db.url, 'select count(*) from audit_logs', async () => {
      await expect(cleanUp(sql, 90)).rejects.toMatchObject(busy);
      expect(await readAges(sql)).toHaveLength(6);
      expect(await listPartitions(sql)).toEqual(partitions);
    });
    expect(await cleanUp(sql, 90)).toBe(6);
  });

  test('lets others register while it waits for a reader', async ({ db }) => {
    const { sql } = db;
    const users = await addUsers(sql, 20);
    const event = await addEvent(sql, { capacity: 20 });
    await addOldEntries(sql, 200, 5);
    await withOpenTransaction(db.url, 'select count(*) from audit_logs', async () => {
      let isOver = false;
      const cleaning = cleanUp(sql, 90)
        .catch((error: unknown) => error)
        .finally(() => {
          isOver = true;
        });
      const other = openSql(db.url, 1);
      await other`set lock_timeout to '500ms'`;
      let registeredMeanwhile = 0;
      for (const user of users) {
        expect((await register(other, user, event)).success).toBe(true);
        if (!isOver) registeredMeanwhile++;
      }
      await closeSql(other);
      expect(await cleaning).toMatchObject(busy);
      expect(registeredMeanwhile).toBeGreaterThan(0);
    });
  });

  test('does not drop what a transaction that is as old may still write to', async ({ db }) => {
    const { sql } = db;
    await addOldEntries(sql, 200, 5);
    const statement = `insert into audit_logs (created_at, table_name, operation)
      select created_at, 'users', 'TRUNCATE' from audit_logs limit 1`;
    await withOpenTransaction(db.url, statement, async (other) => {
      await expect(cleanUp(sql, 90)).rejects.toMatchObject(busy);
      await other`commit`;
      await other`begin`;
    });
    expect(await cleanUp(sql, 90)).toBe(6);
  });

  test('never counts an entry twice when several clean up at the same moment', async ({ db }) => {
    const { sql } = db;
    for (const days of [100, 140, 200]) await addOldEntries(sql, days, 50);
    const crowd = openSql(db.url, 6);
    const results = await Promise.allSettled(Array.from({ length: 6 }, () => cleanUp(crowd, 90)));
    await closeSql(crowd);
    const removed = results.map((result) =>
      result.status === 'fulfilled' ? Number(result.value) : 0,
    );
    expect(removed.filter((count) => count > 0)).toEqual([150]);
    for (const result of results)
      if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: '55P03' });
  });

  test('leaves everything as it was where its session is killed', async ({ db }) => {
    const { sql } = db;
    await addOldEntries(sql, 200, 5);
    const partitions = await listPartitions(sql);
    const killed = openSql(db.url, 1);
    try {
      await killed`begin`;
      expect(await cleanUp(killed, 90)).toBe(5);
      const [me] = await killed<{ pid: number }[]>`select pg_backend_pid() as pid`;
      await sql`select pg_terminate_backend(${only(me).pid}, 5000)`;
    } finally {
      await closeSql(killed);
    }
    expect(await listPartitions(sql)).toEqual(partitions);
    expect(await readAges(sql)).toHaveLength(5);
    expect(await cleanUp(sql, 90)).toBe(5);
  });

  test('and registrations under way both come out right', async ({ db }) => {
    const { sql } = db;
    const users = await addUsers(sql, 160);
    const event = await addEvent(sql, { capacity: 160 });
    const crowd = openSql(db.url, 8);
    const registering = Promise.all(users.map((user) => register(crowd, user, event)));
    let removed = 0;
    for (let i = 0; i < 6; i++) {
      await addOldEntries(sql, 100 + 31 * i, 10);
      removed += Number(await cleanUp(sql, 90).catch(() => 0));
    }
    const answers = await registering;
    await closeSql(crowd);
    expect(answers.every((answer) => answer.success)).toBe(true);
    removed += Number(await cleanUp(sql, 90));
    expect(removed).toBe(60);
    expect(await readSeats(sql, event)).toEqual({ counter: 160, confirmed: 160 });
    const entries = await sql`select id from audit_log_entries where table_name = 'registrations'`;
    expect(entries).toHaveLength(160);
  });

  test('is no reason for a change to fail where the current partition is dropped by hand', async ({
    db,
  }) => {
    const { sql } = db;
    const [user] = await addUsers(sql, 1);
    const other = openSql(db.url, 1);
    try {
      await withOpenTransaction(
        db.url,
        'lock table audit_logs in access exclusive mode',
        async (t) => {
          const writing = other`update users set name = 'Ann' where id = ${only(user)}`.execute();
          await waitForWaiter(sql);
          await t.unsafe(`do $$ begin execute format('drop table %I',
          (select partition_name from list_audit_partitions() where now() >= starts_at and now() < ends_at)); end $$`);
          await t`commit`;
          await t`begin`;
          await writing;
        },
      );
      const [entry] = await sql`select new_values ->> 'name' as name from audit_logs_overflow`;
      expect(entry?.name).toBe('Ann');
    } finally {
      await closeSql(other);
    }
  });
});

/** Until some session waits for a lock on a table. */
async function waitForWaiter(sql: postgres.Sql): Promise<void> {
  for (let i = 0; i < 500; i++) {
    if ((await listAwaitedLocks(sql)).length > 0) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error('no session waits for a lock');
}
