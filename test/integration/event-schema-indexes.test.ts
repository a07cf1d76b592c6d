import type postgres from 'postgres';
import { describe, expect } from 'vitest';
import { test } from '../support/fixture.ts';
import { addEvent, addUsers, registerBatch } from './event-schema-stage.ts';

/** Plan of a statement as text, one line a node. */
async function explain(sql: postgres.Sql, statement: string): Promise<string> {
  const rows = await sql.unsafe(`explain (costs off) ${statement}`);
  return rows.map((row) => String(row['QUERY PLAN'])).join('\n');
}

describe('indexes', () => {
  test('serve the queries they are there for', async ({ db }) => {
    const { sql } = db;
    const users = await addUsers(sql, 3000);
    const events: number[] = [];
    for (let i = 0; i < 20; i++) {
      events.push(await addEvent(sql, { capacity: 10_000, createdBy: users[i * 100] ?? null }));
    }
    await sql`
      insert into events (title, date_time, capacity, created_by)
      select 'event ' || i, now() + make_interval(hours => i), 100, 1 + i % 3000 from generate_series(1, 3000) i`;
    for (const event of events) await registerBatch(sql, users.slice(0, 500), event);
    await sql`vacuum analyze`;
    const [event, user] = [events[3], users[7]];
    const cases: [string, string][] = [
      ['users_email_lower_key', `select id from users where lower(email) = 'user7@example.com'`],
      [
        'events_upcoming_idx',
        'select id from events where is_active and date_time > now() order by date_time, id limit 20',
      ],
      [
        'events_created_by_date_time_idx',
        `select * from events where created_by = ${user} order by date_time`,
      ],
      [
        'registrations_confirmed_idx',
        `select user_id from registrations where event_id = ${event} and status = 'confirmed' order by registered_at, id limit 50`,
      ],
      ['registrations_user_id_event_id_key', `select * from registrations where user_id = ${user}`],
      ['registrations_event_id_user_id_idx', `delete from registrations where event_id = ${event}`],
      [
        'audit_logs_row_idx',
        `select * from audit_logs where table_name = 'events' and row_id = ${event} order by created_at`,
      ],
      ['audit_logs_pkey', `delete from audit_logs where created_at < now() - interval '90 days'`],
    ];
    for (const [index, statement] of cases) {
      const plan = await explain(sql, statement);
      expect(plan).toContain(index);
      expect(plan).not.toContain('Seq Scan');
      expect(plan).not.toMatch(/^\s*(->)?\s*Sort/m);
    }
  });

  test('leave the counter alone, so that registering stays a heap-only update', async ({ db }) => {
    const rows = await db.sql`
      select indexname from pg_indexes
      where schemaname = 'public' and indexdef like '%current_registrations%'`;
    expect(rows).toEqual([]);
  });
});
