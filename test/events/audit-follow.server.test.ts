import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type postgres from 'postgres';
import { describe, expect, onTestFinished } from 'vitest';
import { withInspection } from '../../src/connection/inspection.ts';
import type { Session } from '../../src/connection/session.ts';
import { type FollowAuditLogOptions, followAuditLog } from '../../src/events/audit-follow.ts';
import type { AuditEntry } from '../../src/events/audit-log.ts';
import { addUsers } from '../event-schema/event-schema-kit.ts';
import { test as base } from '../event-schema/roles-kit.ts';
import { closeSql, openSql } from '../support/databases.ts';
import { connectionTo } from '../support/sessions.ts';

interface Following {
  entries: AuditEntry[];
  ids(): number[];
  /** Resolves when the entries that were there have been read. */
  begun(): Promise<void>;
}

/** `follow` follows the log of a database until the test ends, and keeps what it says. */
const test = base.extend<{ follow: (url: string, options?: FollowAuditLogOptions) => Following }>({
  // It has to end before the database goes.
  follow: async ({ db }, use) => {
    expect(db.name).not.toBe('');
    const controller = new AbortController();
    const ends: Promise<void>[] = [];
    await use((url, options = {}) => {
      const { ended, ...following } = follow(url, options, controller);
      ends.push(ended);
      return following;
    });
    controller.abort();
    await Promise.all(ends);
  },
});

function follow(url: string, options: FollowAuditLogOptions, controller: AbortController) {
  const { signal } = controller;
  const entries: AuditEntry[] = [];
  let looks = 0;
  const work = async () => {
    const connection = await connectionTo(url);
    const read = async (session: Session) => {
      for await (const some of followAuditLog(session, { intervalMs: 20, ...options, signal })) {
        entries.push(...some);
        looks += 1;
      }
    };
    await withInspection(connection, read, { signal });
  };
  const ended = work().catch((error) => {
    if (!signal.aborted) throw error;
  });
  return {
    entries,
    ids: () => entries.map(({ id }) => id),
    begun: () => expect.poll(() => looks).toBeGreaterThan(0),
    ended,
  };
}

/** A session in a transaction that has written an entry. */
async function openWriter(url: string, name: string): Promise<postgres.Sql> {
  const sql = openSql(url, 1);
  onTestFinished(() => closeSql(sql));
  await sql`begin`;
  await sql`update users set name = ${name} where name = ${name.slice(0, -1)}`;
  return sql;
}

describe('followAuditLog', () => {
  test('gives the last entries first, the oldest of them at the top', async ({ db, follow }) => {
    await addUsers(db.sql, 5);
    const log = follow(db.url, { limit: 3 });
    await log.begun();
    expect(log.entries.map(({ record }) => record)).toEqual([3, 4, 5]);
  });

  test('gives each new entry once, as its transaction commits', async ({ db, follow }) => {
    const log = follow(db.url, { limit: 0 });
    await log.begun();
    await addUsers(db.sql, 2);
    await expect.poll(() => log.entries.length).toBe(2);
    await db.sql`update users set name = 'x'`;
    await expect.poll(() => log.entries.length).toBe(4);
    await sleep(100);
    expect(new Set(log.ids()).size).toBe(4);
  });

  test('does not miss a transaction that was open when others committed', async ({
    db,
    follow,
  }) => {
    await addUsers(db.sql, 3);
    const early = await openWriter(db.url, 'user 1x');
    const log = follow(db.url, { limit: 10 });
    await log.begun();
    expect(log.entries).toHaveLength(3);
    const late = await openWriter(db.url, 'user 2x');
    await db.sql`update users set name = 'user 3x' where name = 'user 3'`;
    await expect.poll(() => log.entries.length).toBe(4);
    // Ids and times of both lie before what was read.
    await early`commit`;
    await expect.poll(() => log.entries.length).toBe(5);
    await sleep(100);
    await late`commit`;
    await expect.poll(() => log.entries.length).toBe(6);
    expect(log.entries.map(({ record }) => record)).toEqual([1, 2, 3, 3, 1, 2]);
  });

  test('does not miss a transaction that began long before it wrote', async ({ db, follow }) => {
    await addUsers(db.sql, 1);
    const idle = openSql(db.url, 1);
    onTestFinished(() => closeSql(idle));
    await idle`begin`;
    await idle`select now()`;
    // Past the margin, so that only who knows of the open transaction finds it.
    const log = follow(db.url, { limit: 0 });
    await log.begun();
    await sleep(11_000);
    await idle`update users set name = 'x'`;
    await idle`commit`;
    await expect.poll(() => log.entries.length, { timeout: 5_000 }).toBe(1);
  });

  test('leaves out what is rolled back', async ({ db, follow }) => {
    await addUsers(db.sql, 2);
    const log = follow(db.url, { limit: 0 });
    await log.begun();
    const writer = await openWriter(db.url, 'user 1x');
    await writer`rollback`;
    await db.sql`update users set name = 'x' where name = 'user 2'`;
    await expect.poll(() => log.entries.length).toBe(1);
    expect(log.entries[0]?.record).toBe(2);
  });

  test('follows only what fits', async ({ db, follow }) => {
    await addUsers(db.sql, 3);
    const log = follow(db.url, { limit: 10, table: 'users', record: 2 });
    await log.begun();
    await db.sql`update users set name = name || '!'`;
    await expect.poll(() => log.entries.length).toBe(2);
    await sleep(60);
    expect(log.entries.map(({ operation }) => operation)).toEqual(['INSERT', 'UPDATE']);
  });

  test('does not repeat entries that move from the overflow to their partition', async ({
    db,
    follow,
  }) => {
    const log = follow(db.url);
    await log.begun();
    await db.sql`insert into audit_logs_overflow (table_name, operation) values ('users', 'TRUNCATE')`;
    await expect.poll(() => log.entries.length).toBe(1);
    await db.sql`select ensure_audit_partitions()`;
    await addUsers(db.sql, 1);
    await expect.poll(() => log.entries.length).toBe(2);
    expect(log.entries.map(({ operation }) => operation)).toEqual(['TRUNCATE', 'INSERT']);
  });

  test('has every entry once after a storm of transactions of all lengths', async ({
    db,
    follow,
  }) => {
    await addUsers(db.sql, 8);
    const log = follow(db.url, { limit: 0 });
    await log.begun();
    const sql = openSql(db.url, 8);
    onTestFinished(() => closeSql(sql));
    await Promise.all(
      Array.from({ length: 8 }, async (_, user) => {
        for (let i = 0; i < 25; i++) {
          const ends = sql.begin(async (transaction) => {
            await sleep(randomInt(10));
            await transaction`update users set name = ${`u${i}`} where id = ${user + 1}`;
            await sleep(randomInt(40));
            if (i % 7 === 0) throw new Error('rolled back');
          });
          await ends.catch(() => undefined);
        }
      }),
    );
    const rows = await db.sql<{ id: string }[]>`
      select id from audit_log_entries where operation = 'UPDATE' order by id`;
    await expect.poll(() => log.entries.length).toBe(rows.length);
    await sleep(100);
    expect(log.ids().sort((a, b) => a - b)).toEqual(rows.map(({ id }) => Number(id)));
  });
});

test('follows for a role that may not see the sessions of others', async ({
  db,
  roles,
  follow,
}) => {
  await db.sql`select grant_read_only_access(${roles.reader.name}, true)`;
  await addUsers(db.sql, 1);
  const writer = await openWriter(db.url, 'user 1x');
  const url = new URL(db.url);
  url.username = encodeURIComponent(roles.reader.name);
  url.password = encodeURIComponent('S3cret/w@rd?');
  const log = follow(url.href, { limit: 0 });
  await log.begun();
  await sleep(11_000);
  await writer`commit`;
  await expect.poll(() => log.entries.length, { timeout: 5_000 }).toBe(1);
});
