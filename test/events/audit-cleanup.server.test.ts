import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect } from 'vitest';
import {
  type AuditCleanupOptions,
  type AuditCleanupProgress,
  cleanUpAuditLog,
  previewAuditCleanup,
} from '../../src/events/audit-cleanup.ts';
import { addOldEntries, listPartitions, readAges } from '../event-schema/audit-kit.ts';
import { withOpenTransaction } from '../event-schema/clients-kit.ts';
import { addEvent, addUsers, listWrongCounters } from '../event-schema/event-schema-kit.ts';
import { closeSql, openSql } from '../support/databases.ts';
import { test } from '../support/fixture.ts';
import { inspect, write } from '../support/sessions.ts';
import { listAwaitedLocks } from '../support/waiting.ts';

const cleanUp = (url: string, options: AuditCleanupOptions, signal?: AbortSignal) =>
  write(url, (session) => cleanUpAuditLog(session, { ...options, signal }), signal);

describe('cleanUpAuditLog', () => {
  test('drops expired months, deletes the rest, and says what that was', async ({ db }) => {
    const { sql, url } = db;
    await addOldEntries(sql, 0, 1);
    await addOldEntries(sql, 200, 6);
    await addOldEntries(sql, 300, 7);
    await sql`
      insert into audit_logs_overflow (created_at, table_name, operation)
      select now() - interval '100 days', 'users', 'TRUNCATE' from generate_series(1, 25)`;
    const heard: AuditCleanupProgress['kind'][] = [];
    const result = await cleanUp(url, {
      days: 90,
      batchSize: 10,
      onProgress: ({ kind }) => heard.push(kind),
    });
    expect(result).toMatchObject({
      days: 90,
      partitions: [{ entries: 7 }, { entries: 6 }],
      droppedEntries: 13,
      deletedEntries: 25,
      isFinished: true,
      stoppedBy: null,
      blockedBy: null,
    });
    expect(result.freedBytes).toBeGreaterThan(0);
    expect(heard).toEqual(['dropped', 'dropped', 'deleted', 'deleted', 'deleted']);
    expect(await readAges(sql)).toEqual([0]);
  });

  test('removes exactly what the preview says, and the preview nothing', async ({ db }) => {
    const { sql, url } = db;
    for (const days of [1, 31, 45, 46, 200]) await addOldEntries(sql, days, 3);
    const preview = await inspect(url, (session) => previewAuditCleanup(session, { days: 45 }));
    expect((await readAges(sql)).length).toBe(15);
    const result = await cleanUp(url, { days: 45 });
    const told = preview.rows.reduce((sum, { entries }) => sum + entries, 0);
    expect(result.droppedEntries + result.deletedEntries).toBe(told);
    expect(result.partitions.map(({ partition }) => partition)).toEqual(
      preview.rows.filter(({ action }) => action === 'drop').map(({ partition }) => partition),
    );
    expect(await readAges(sql)).toEqual([1, 1, 1, 31, 31, 31]);
  });

  test('finds nothing to do the second time', async ({ db }) => {
    await addOldEntries(db.sql, 100, 3);
    await cleanUp(db.url, { days: 90 });
    expect(await cleanUp(db.url, { days: 90 })).toMatchObject({
      partitions: [],
      deletedEntries: 0,
      freedBytes: 0,
      isFinished: true,
    });
  });

  test.for([0, -1, 1.5, Number.NaN, 10 ** 12])('refuses %s days', async (days, { db }) => {
    await addOldEntries(db.sql, 100, 1);
    const refusal = { code: 'USAGE', hint: expect.stringContaining('Nothing was removed') };
    await expect(cleanUp(db.url, { days })).rejects.toMatchObject(refusal);
    const preview = inspect(db.url, (session) => previewAuditCleanup(session, { days }));
    await expect(preview).rejects.toMatchObject(refusal);
    expect(await readAges(db.sql)).toEqual([100]);
  });

  test('begins no step after the time it has, and goes on the next time', async ({ db }) => {
    for (const days of [200, 300, 400]) await addOldEntries(db.sql, days, 2);
    const first = await cleanUp(db.url, {
      days: 90,
      maxDurationMs: 1,
      onProgress: () => undefined,
    });
    expect(first).toMatchObject({ isFinished: false, stoppedBy: 'max-duration' });
    expect(first.partitions.length).toBeLessThan(3);
    const second = await cleanUp(db.url, { days: 90 });
    expect(second.isFinished).toBe(true);
    expect(first.droppedEntries + second.droppedEntries).toBe(6);
  });

  test('waits for locks, and leaves to the next run what it does not get', async ({ db }) => {
    const { sql, url } = db;
    await addOldEntries(sql, 200, 5);
    const expired = await listPartitions(sql);
    const reasons: string[] = [];
    const onProgress = (progress: AuditCleanupProgress) => {
      if (progress.kind === 'blocked') reasons.push(progress.reason);
    };
    await withOpenTransaction(url, 'select from audit_logs', async (other) => {
      const [me] = await other`select pg_backend_pid() as pid`;
      const result = await cleanUp(url, { days: 90, onProgress });
      expect(result).toMatchObject({
        partitions: [],
        isFinished: false,
        stoppedBy: 'locks',
        blockedBy: expect.stringContaining(`process ${me?.pid}`),
      });
      expect(reasons.length).toBeGreaterThan(3);
    });
    expect(await listPartitions(sql)).toEqual(expired);
    expect(await cleanUp(url, { days: 90 })).toMatchObject({ droppedEntries: 5, isFinished: true });
  });

  test('goes on as soon as the locks are free', async ({ db }) => {
    await addOldEntries(db.sql, 200, 5);
    const reader = openSql(db.url, 1);
    await reader`begin`;
    await reader`select from audit_logs`;
    let isBlocked = false;
    const onProgress = ({ kind }: AuditCleanupProgress) => {
      isBlocked ||= kind === 'blocked';
    };
    const cleaning = cleanUp(db.url, { days: 90, onProgress });
    await expect.poll(() => isBlocked, { timeout: 10_000 }).toBe(true);
    await reader`commit`;
    expect(await cleaning).toMatchObject({ droppedEntries: 5, isFinished: true });
    await closeSql(reader);
  });

  test('shares the work with another that runs at the same time', async ({ db }) => {
    const { sql, url } = db;
    for (const days of [150, 200, 250, 300, 350]) await addOldEntries(sql, days, 10);
    await sql`
      insert into audit_logs_overflow (created_at, table_name, operation)
      select now() - interval '100 days', 'users', 'TRUNCATE' from generate_series(1, 200)`;
    const results = await Promise.all([1, 2].map(() => cleanUp(url, { days: 90, batchSize: 20 })));
    const sum = (pick: (result: (typeof results)[number]) => number) =>
      results.reduce((total, result) => total + pick(result), 0);
    expect(sum((one) => one.droppedEntries)).toBe(50);
    expect(sum((one) => one.deletedEntries)).toBe(200);
    expect(results.map((one) => one.isFinished)).toEqual([true, true]);
    expect(await readAges(sql)).toEqual([]);
  });

  test('rolls back what runs when it is interrupted, and says what was done', async ({ db }) => {
    const { sql, url } = db;
    await addOldEntries(sql, 200, 5);
    await addOldEntries(sql, 300, 6);
    const controller = new AbortController();
    const onProgress = ({ kind }: AuditCleanupProgress) => {
      if (kind === 'dropped') controller.abort();
    };
    const interrupted = cleanUp(url, { days: 90, onProgress }, controller.signal);
    await expect(interrupted).rejects.toMatchObject({
      code: 'INTERRUPTED',
      message: expect.stringContaining('1 partition with 6 entries dropped'),
      details: { done: { droppedEntries: 6, deletedEntries: 0 } },
    });
    expect((await readAges(sql)).length).toBe(5);
    expect(await cleanUp(url, { days: 90 })).toMatchObject({ droppedEntries: 5, isFinished: true });
  });

  test('cancels the batch that waits for a lock when it is interrupted', async ({ db }) => {
    const { sql, url } = db;
    await addOldEntries(sql, 200, 5);
    const controller = new AbortController();
    await withOpenTransaction(url, 'lock table audit_logs', async () => {
      const interrupted = cleanUp(url, { days: 90 }, controller.signal);
      const refused = expect(interrupted).rejects.toMatchObject({ code: 'INTERRUPTED' });
      await expect.poll(() => listAwaitedLocks(sql)).not.toEqual([]);
      controller.abort();
      await refused;
      await expect.poll(() => listAwaitedLocks(sql)).toEqual([]);
    });
    expect((await readAges(sql)).length).toBe(5);
  });

  test('says what was done before the connection was lost', async ({ db }) => {
    for (const days of [200, 300]) await addOldEntries(db.sql, days, 5);
    const onProgress = ({ kind }: AuditCleanupProgress) => {
      if (kind !== 'dropped') return;
      void db.sql`select pg_terminate_backend(pid) from pg_stat_activity
        where application_name = 'evdb' and datname = current_database()`.execute();
    };
    await expect(cleanUp(db.url, { days: 90, onProgress })).rejects.toMatchObject({
      code: 'CONNECTION_LOST',
      details: { done: { droppedEntries: 5 } },
    });
    expect(await cleanUp(db.url, { days: 90 })).toMatchObject({ isFinished: true });
    expect(await readAges(db.sql)).toEqual([]);
  });
});

describe('a cleanup while people register', () => {
  test('fails nobody and loses no entry that is younger', async ({ db }) => {
    const { sql, url } = db;
    const users = await addUsers(sql, 200);
    const events: number[] = [];
    for (let i = 0; i < 4; i++) events.push(await addEvent(sql, { capacity: 100 }));
    for (const days of [100, 150, 200, 250, 300]) await addOldEntries(sql, days, 2_000);
    await sql`
      insert into audit_logs_overflow (created_at, table_name, operation)
      select now() - interval '190 days', 'users', 'TRUNCATE' from generate_series(1, 5000)`;
    await addOldEntries(sql, 50, 300);

    let isDone = false;
    let calls = 0;
    const clients = openSql(url, 8);
    const work = Array.from({ length: 8 }, async () => {
      while (!isDone) {
        const user = users[randomInt(users.length)] ?? 0;
        const event = events[randomInt(events.length)] ?? 0;
        // Registering or cancelling it: each that succeeds is one entry, promotions aside.
        const name = randomInt(2) ? 'safe_event_registration' : 'safe_event_unregistration';
        await clients`select ${clients(name)}(${user}, ${event})`;
        calls += 1;
      }
    });
    await sleep(300);
    const before = calls;
    const result = await cleanUp(url, { days: 90, batchSize: 500 });
    isDone = true;
    await Promise.all(work);
    await closeSql(clients);

    expect(result.isFinished).toBe(true);
    expect(result.droppedEntries + result.deletedEntries).toBe(15_000);
    expect(calls).toBeGreaterThan(before);
    const ages = await readAges(sql);
    expect(ages.filter((age) => age >= 90)).toEqual([]);
    expect(ages.filter((age) => age === 50)).toHaveLength(300);
    // Every registration's row tells how often it changed by the entries that are there.
    const lost = await sql`
      select r.id from registrations r
      where not exists (
        select from audit_log_entries a
        where a.table_name = 'registrations' and a.row_id = r.id
          and a.new_values ->> 'status' = r.status)`;
    expect([...lost]).toEqual([]);
    expect(await listWrongCounters(sql)).toEqual([]);
  });
});
