import type postgres from 'postgres';
import { describe, expect } from 'vitest';
import { closeSql, openSql } from '../support/databases.ts';
import { test } from '../support/fixture.ts';
import {
  addEvent,
  addUsers,
  only,
  register,
  registerBatch,
  unregister,
} from './event-schema-kit.ts';

/** Plan of a statement as text, one line a node. */
async function explain(sql: Pick<postgres.Sql, 'unsafe'>, statement: string): Promise<string> {
  const rows = await sql.unsafe(`explain (costs off) ${statement}`);
  return rows.map((row) => String(row['QUERY PLAN'])).join('\n');
}

/** 3,000 users and events, 20 of which have 500 registrations, and a few that wait or hold a seat. */
async function fill(sql: postgres.Sql): Promise<{ user: number; event: number }> {
  const users = await addUsers(sql, 3000);
  const events: number[] = [];
  for (let i = 0; i < 20; i++) {
    events.push(await addEvent(sql, { capacity: 500, createdBy: users[i * 100] ?? null }));
  }
  await sql`
    insert into events (title, date_time, capacity, created_by)
    select 'event ' || i, now() + make_interval(hours => i), 100, 1 + i % 3000 from generate_series(1, 3000) i`;
  for (const event of events) await registerBatch(sql, users.slice(0, 500), event);
  await sql`
    insert into registrations (user_id, event_id, status)
    select u, e, 'waitlist'
    from unnest(${users.slice(500, 520)}::int[]) u cross join unnest(${events}::int[]) e`;
  await sql`
    insert into registrations (user_id, event_id, status)
    select unnest(${users.slice(600, 650)}::int[]), max(id), 'pending' from events`;
  await sql`vacuum analyze`;
  return { user: only(users[7]), event: only(events[3]) };
}

describe('indexes', () => {
  test('serve the queries they are there for', async ({ db }) => {
    const { sql } = db;
    const { user, event } = await fill(sql);
    const cases: [string, string][] = [
      ['users_email_lower_key', `select id from users where lower(email) = 'user7@example.com'`],
      [
        'events_upcoming_idx',
        'select id from events where is_active and date_time > now() order by date_time, id limit 20',
      ],
      [
        'events_upcoming_idx',
        "select id from events where is_active and (date_time, id) > (now() + interval '5 days', 77) order by date_time, id limit 20",
      ],
      [
        'events_created_by_date_time_idx',
        `select * from events where created_by = ${user} order by date_time`,
      ],
      [
        'registrations_confirmed_idx',
        `select user_id from registrations where event_id = ${event} and status = 'confirmed' order by registered_at, id limit 50`,
      ],
      [
        'registrations_confirmed_idx',
        `select user_id from registrations where event_id = ${event} and status = 'confirmed'
          and (registered_at, id) > (now() - interval '1 day', 77) order by registered_at, id limit 50`,
      ],
      [
        'registrations_waitlist_idx',
        `select id from registrations where event_id = ${event} and status = 'waitlist' order by registered_at, id limit 5`,
      ],
      [
        'registrations_pending_idx',
        `select id from registrations where event_id = ${event} and status = 'pending' and hold_expires_at <= now()`,
      ],
      ['registrations_user_id_event_id_key', `select * from registrations where user_id = ${user}`],
      ['registrations_event_id_user_id_idx', `delete from registrations where event_id = ${event}`],
    ];
    for (const [index, statement] of cases) {
      const plan = await explain(sql, statement);
      expect(plan).toContain(index);
      expect(plan).not.toContain('Seq Scan');
      expect(plan).not.toMatch(/^\s*(->)?\s*Sort/m);
    }
  });

  test('find one registration by both its columns, whatever the planner knows', async ({ db }) => {
    const { sql } = db;
    const statement = 'select status from registrations where user_id = $1 and event_id = $2';
    for (const count of [0, 1, 10]) {
      const users = await addUsers(sql, count);
      const event = await addEvent(sql);
      if (users.length > 0) await registerBatch(sql, users, event);
      await sql`delete from users`;
      await sql`vacuum analyze registrations`;
      const plan = await sql.begin(async (transaction) => {
        await transaction`set local plan_cache_mode = force_generic_plan`;
        await transaction`set local enable_seqscan = off`;
        await transaction.unsafe(`prepare lookup (int, int) as ${statement}`);
        const text = await explain(transaction, 'execute lookup (1, 1)');
        await transaction`deallocate lookup`;
        return text;
      });
      expect(plan).toMatch(/(Index|Recheck) Cond: .*(user_id.*event_id|event_id.*user_id)/);
    }
  });

  test('support every foreign key of the schema', async ({ db }) => {
    const rows = await db.sql`
      select f.conname from pg_constraint f
      where f.contype = 'f' and f.connamespace = 'public'::regnamespace and not exists (
        select from pg_index i
        where i.indrelid = f.conrelid and i.indpred is null and i.indkey[0] = f.conkey[1])`;
    expect([...rows]).toEqual([]);
    const [found] = await db.sql`
      select count(*)::int as count from get_index_usage_stats() where supports_foreign_key`;
    expect(found?.count).toBeGreaterThanOrEqual(3);
  });

  test('leave the counters alone', async ({ db }) => {
    const rows = await db.sql`
      select i.indexrelid::regclass::text as name
      from pg_index i
      join pg_attribute a on a.attrelid = i.indrelid and a.attname in ('current_registrations', 'held_seats')
      where i.indrelid = 'events'::regclass
        and (a.attnum = any (i.indkey) or pg_get_indexdef(i.indexrelid) ~ a.attname)`;
    expect([...rows]).toEqual([]);
  });
});

describe('registering', () => {
  // One small event on a page of its own, and no more updates than fit there: what other tests keep
  // open keeps the server from tidying up. The share under load is measured in bench/.
  test('updates events in place: all updates that fit on the page are heap-only', async ({
    db,
  }) => {
    const { sql } = db;
    const users = await addUsers(sql, 24);
    const event = await addEvent(sql, { title: 'E', location: null, capacity: 30 });
    // Counters reach the view when the session that counts ends.
    const client = openSql(db.url, 1);
    for (const user of users.slice(0, 12)) await register(client, user, event);
    for (const user of users.slice(0, 4)) await unregister(client, user, event, true);
    await registerBatch(client, users, event);
    await closeSql(client);
    const read = async () => {
      const [row] = await sql<{ updates: number; heap_only: number }[]>`
        select n_tup_upd::int as updates, n_tup_hot_upd::int as heap_only
        from pg_stat_user_tables where relid = 'events'::regclass`;
      return only(row);
    };
    await expect
      .poll(async () => (await read()).updates, { timeout: 20_000 })
      .toBeGreaterThanOrEqual(18);
    const { updates, heap_only } = await read();
    expect(heap_only).toBe(updates);
  });
});
