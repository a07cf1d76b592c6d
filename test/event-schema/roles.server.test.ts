import { describe, expect } from 'vitest';
import {
  addEvent,
  addUsers,
  bcryptHash,
  only,
  readSeats,
  register,
  registerBatch,
  unregister,
} from './event-schema-kit.ts';
import { expectRefused, readRights, test } from './roles-kit.ts';

describe('the application role', () => {
  test('adds and changes users and events, and finds them', async ({ db, roles }) => {
    const { name, sql } = roles.application;
    await db.sql`select grant_application_access(${name})`;
    const [user] = await addUsers(sql, 2);
    await sql`update users set name = 'Ann', password_hash = ${bcryptHash(7)}, is_active = true where id = ${only(user)}`;
    const event = await addEvent(sql, { title: 'Jazz in the park', createdBy: only(user) });
    await sql`
      update events set title = 'Jazz night', capacity = 20, date_time = date_time + interval '1 day'
      where id = ${event}`;
    const found = await sql`select title from search_events('jazz')`;
    expect([...found]).toEqual([{ title: 'Jazz night' }]);
    expect([
      ...(await sql`select title from search_events('jazz', p_only_free => true)`),
    ]).toHaveLength(1);
    await sql`create temporary table copied as select * from users`;
    const entries = await db.sql`
      select table_name, operation, session_role from audit_logs order by id`;
    expect(entries.map((entry) => [entry.table_name, entry.operation])).toEqual([
      ['users', 'INSERT'],
      ['users', 'INSERT'],
      ['users', 'UPDATE'],
      ['events', 'INSERT'],
      ['events', 'UPDATE'],
    ]);
    expect(new Set(entries.map((entry) => entry.session_role))).toEqual(new Set([name]));
  });

  test('registers through every function, with the counters right after each', async ({
    db,
    roles,
  }) => {
    const { name, sql } = roles.application;
    await db.sql`select grant_application_access(${name})`;
    const [a, b, c, d] = await addUsers(sql, 4);
    const event = await addEvent(sql, { capacity: 2 });
    const seats = async () => {
      const [row] =
        await sql`select current_registrations as taken, held_seats as held from events where id = ${event}`;
      return row;
    };
    expect(await register(sql, only(a), event)).toMatchObject({ success: true });
    expect(await seats()).toEqual({ taken: 1, held: 0 });
    await sql`select safe_event_registration(${only(b)}, ${event}, p_hold => interval '1 hour')`;
    expect(await seats()).toEqual({ taken: 1, held: 1 });
    expect(await register(sql, only(c), event)).toMatchObject({ error_code: 'P0004' });
    await sql`select safe_event_registration(${only(c)}, ${event}, true)`;
    const [position] = await sql`select get_waitlist_position(${only(c)}, ${event}) as position`;
    expect(position?.position).toBe(1);
    // The seat that is given back goes to the waiter.
    expect(await unregister(sql, only(a), event)).toMatchObject({ success: true });
    expect(await seats()).toEqual({ taken: 1, held: 1 });
    await sql`update registrations set hold_expires_at = now() - interval '1 minute' where status = 'pending'`;
    const [released] = await sql`select release_expired_holds() as count`;
    expect(released?.count).toBe(1);
    await sql`select settle_event_seats(${event})`;
    const batch = await registerBatch(sql, [only(a), only(b), only(d)], event);
    expect(batch).toMatchObject({ successful_registrations: 1, failed_registrations: 2 });
    expect(await seats()).toEqual({ taken: 2, held: 0 });
    const [stats] =
      await sql`select get_event_registration_stats(${event}) ->> 'is_full' as is_full`;
    expect(stats?.is_full).toBe('true');
    expect(await readSeats(db.sql, event)).toEqual({ counter: 2, confirmed: 2 });
  });

  test('inserts, updates and deletes registrations directly, and promotes waiters that way', async ({
    db,
    roles,
  }) => {
    const { name, sql } = roles.application;
    await db.sql`select grant_application_access(${name})`;
    const [a, b, c] = await addUsers(sql, 3);
    const event = await addEvent(sql, { capacity: 1 });
    await sql`insert into registrations (user_id, event_id) values (${only(a)}, ${event})`;
    expect(await readSeats(sql, event)).toEqual({ counter: 1, confirmed: 1 });
    await expect(
      sql`insert into registrations (user_id, event_id) values (${only(b)}, ${event})`,
    ).rejects.toMatchObject({ code: '23514', constraint_name: 'registrations_event_has_seats' });
    await sql`insert into registrations (user_id, event_id, status) values (${only(b)}, ${event}, 'waitlist')`;
    await sql`insert into registrations (user_id, event_id, status) values (${only(c)}, ${event}, 'waitlist')`;
    await sql`update registrations set status = 'cancelled' where user_id = ${only(a)}`;
    expect(await readSeats(sql, event)).toEqual({ counter: 1, confirmed: 1 });
    await sql`update events set capacity = 2 where id = ${event}`;
    expect(await readSeats(sql, event)).toEqual({ counter: 2, confirmed: 2 });
    await sql`delete from registrations where user_id = ${only(b)}`;
    expect(await readSeats(sql, event)).toEqual({ counter: 1, confirmed: 1 });
  });

  test('can neither write counters nor touch the audit log, nor repair, clean up or grant', async ({
    db,
    roles,
  }) => {
    const { name, sql } = roles.application;
    await db.sql`select grant_application_access(${name})`;
    const [user] = await addUsers(sql, 1);
    const event = await addEvent(sql);
    await register(sql, only(user), event);
    const parts = await db.sql<{ name: string }[]>`
      select inhrelid::regclass::text as name from pg_inherits where inhparent = 'audit_logs'::regclass`;
    await expectRefused(sql, [
      'update events set current_registrations = 0',
      'update events set held_seats = 0',
      'update events set id = 77',
      "insert into events (title, date_time, capacity, current_registrations) values ('x', now() + interval '1 day', 5, 5)",
      'delete from events',
      'delete from users',
      'update users set id = 77',
      'update registrations set event_id = 1',
      'truncate registrations',
      'select * from audit_logs',
      'select 1 from audit_logs',
      'select * from audit_logs_overflow',
      'select * from audit_log_entries',
      'select * from audit_log_changes()',
      "insert into audit_logs (table_name, operation) values ('users', 'INSERT')",
      "insert into audit_logs_overflow (table_name, operation) values ('users', 'INSERT')",
      'delete from audit_logs',
      'update audit_logs set actor = null',
      'truncate audit_logs',
      ...parts.map((part) => `select 1 from ${part.name}`),
      ...parts.map((part) => `delete from ${part.name}`),
      "select nextval('audit_logs_id_seq')",
      "select setval('users_id_seq', 1)",
      'select cleanup_audit_logs()',
      'select * from preview_audit_cleanup()',
      'select * from ensure_audit_partitions()',
      'select * from repair_registration_counts()',
      'select repair_registration_holds()',
      'select repair_waitlists()',
      'select refresh_event_search()',
      'select * from update_table_statistics()',
      'delete from event_search_documents',
      'alter table events disable trigger all',
      `select grant_application_access('${name.replaceAll("'", "''")}')`,
      "select revoke_access('nobody')",
      'create table mine (id int)',
    ]);
    expect(await readSeats(db.sql, event)).toEqual({ counter: 1, confirmed: 1 });
  });

  test('gets what list_access_rights names and nothing else, however often it is granted', async ({
    db,
    roles,
  }) => {
    const { name } = roles.application;
    await db.sql`select grant_application_access(${name})`;
    const first = await readRights(db.sql, name);
    // Wider rights that somebody gave in between go.
    await db.sql.unsafe(`grant all on events, audit_logs to "${name.replaceAll('"', '""')}"`);
    const statements = await db.sql`select grant_application_access(${name}) as statement`;
    expect(await readRights(db.sql, name)).toEqual(first);
    expect(statements.map((row) => row.statement)).toContain(
      `grant delete on table public.registrations to "${name.replaceAll('"', '""')}"`,
    );
    const functions = await db.sql<{ object_name: string }[]>`
      select object_name from list_access_rights('application') where object_kind = 'function'`;
    expect(first.filter((line) => line.startsWith('execute')).sort()).toEqual(
      functions.map((row) => `execute ${row.object_name}()`).sort(),
    );
    expect(first).toEqual(
      expect.arrayContaining([
        'usage schema public',
        'select events',
        'insert events.title',
        'update registrations.status',
        'delete registrations',
      ]),
    );
    expect(first.join()).not.toMatch(
      /(insert|update) events\.(id|current_registrations|held_seats)/,
    );
    await db.sql`select revoke_access(${name})`;
    expect(await readRights(db.sql, name)).toEqual([]);
    await expectRefused(roles.application.sql, [
      'select id from users',
      'select id from registrations',
      'select safe_event_registration(1, 1)',
    ]);
  });

  test('learns of columns that came later when it is granted again', async ({ db, roles }) => {
    const { name, sql } = roles.application;
    await db.sql`select grant_application_access(${name})`;
    await db.sql`alter table events add column website text`;
    await expectRefused(sql, ["update events set website = 'https://example.com'"]);
    await db.sql`select grant_application_access(${name})`;
    await sql`update events set website = 'https://example.com'`;
  });
});
