import { describe, expect } from 'vitest';
import { test } from '../support/fixture.ts';
import { followEntries } from './audit-kit.ts';
import {
  addEvent,
  addUsers,
  bcryptHash,
  only,
  register,
  registerBatch,
  unregister,
} from './event-schema-kit.ts';

describe('audit_logs', () => {
  test('holds a row for every change of users, events and registrations', async ({ db }) => {
    const { sql } = db;
    const entries = followEntries(sql);
    const [ann, bob] = await addUsers(sql, 2);
    expect(await entries()).toEqual([`users INSERT ${ann}`, `users INSERT ${bob}`]);
    const event = await addEvent(sql, { createdBy: only(ann) });
    expect(await entries()).toEqual([`events INSERT ${event}`]);
    const { registration_id: id } = await register(sql, only(bob), event);
    expect(await entries()).toEqual([`registrations INSERT ${id}`]);
    await unregister(sql, only(bob), event, true);
    expect(await entries()).toEqual([`registrations UPDATE ${id}`]);
    await registerBatch(sql, [only(bob)], event);
    expect(await entries()).toEqual([`registrations UPDATE ${id}`]);
    await sql`update events set title = 'Opera'`;
    expect(await entries()).toEqual([`events UPDATE ${event}`]);
    await sql`delete from users where id = ${only(ann)}`;
    expect((await entries()).sort()).toEqual([`events UPDATE ${event}`, `users DELETE ${ann}`]);
    await sql`delete from events`;
    expect((await entries()).sort()).toEqual([
      `events DELETE ${event}`,
      `registrations DELETE ${id}`,
    ]);
    await sql`truncate users, events, registrations cascade`;
    expect((await entries()).sort()).toEqual([
      'events TRUNCATE',
      'registrations TRUNCATE',
      'users TRUNCATE',
    ]);
  });

  test('shows the row before and after, and who changed it', async ({ db }) => {
    const { sql } = db;
    const event = await addEvent(sql);
    await sql.begin(async (transaction) => {
      await transaction`select set_config('evdb.actor', 'ann@example.com', true)`;
      await transaction`update events set title = 'Opera' where id = ${event}`;
    });
    const [row] = await sql`
      select old_values ->> 'title' as before, new_values ->> 'title' as after, actor, session_role,
        session_user::text as me, application_name, transaction_id is not null as has_transaction, redacted
      from audit_logs where operation = 'UPDATE'`;
    expect(row).toEqual({
      before: 'Concert',
      after: 'Opera',
      actor: 'ann@example.com',
      session_role: row?.me,
      me: expect.any(String),
      application_name: 'evdb-test',
      has_transaction: true,
      redacted: null,
    });
    // On the same session the setting is now '' rather than unset.
    await sql`update events set title = 'Ballet'`;
    const [next] = await sql`select actor from audit_logs order by id desc limit 1`;
    expect(next?.actor).toBeNull();
  });

  test('has no row for a change of nothing, for the counters or for a refused call', async ({
    db,
  }) => {
    const { sql } = db;
    const [ann, bob] = await addUsers(sql, 2);
    const event = await addEvent(sql, { capacity: 1 });
    await register(sql, only(ann), event);
    const entries = followEntries(sql);
    await entries();
    await sql`update users set name = name`;
    await sql`update events set title = title, capacity = capacity`;
    await sql`update registrations set status = status`;
    await sql`update events set current_registrations = current_registrations, held_seats = held_seats`;
    await register(sql, only(bob), event);
    await register(sql, only(ann), event);
    await sql`delete from users where id = 999999`;
    expect(await entries()).toEqual([]);
    const [image] = await sql`
      select new_values ? 'current_registrations' or new_values ? 'held_seats' as counters
      from audit_logs where table_name = 'events'`;
    expect(image?.counters).toBe(false);
  });

  test('watches every column of events but the counters and updated_at', async ({ db }) => {
    const rows = await db.sql<{ attname: string }[]>`
      select a.attname
      from pg_attribute a
      join pg_trigger t on t.tgrelid = a.attrelid and t.tgname = 'events_90_audit_update'
      where a.attnum > 0 and not a.attisdropped and a.attnum <> all (t.tgattr::int2[])
      order by 1`;
    expect(rows.map((row) => row.attname)).toEqual([
      'current_registrations',
      'held_seats',
      'updated_at',
    ]);
  });

  test('never holds a password hash, but says that one changed', async ({ db }) => {
    const { sql } = db;
    const [first, second] = [bcryptHash(111), bcryptHash(222)];
    await sql`insert into users (name, email, password_hash) values ('Ann', 'ann@example.com', ${first})`;
    await sql`update users set password_hash = ${second}`;
    await sql`update users set name = 'Anna'`;
    await sql`delete from users`;
    const rows = await sql<{ operation: string; redacted: string[] | null; whole: string }[]>`
      select operation, redacted, a::text as whole from audit_logs a order by id`;
    expect(rows.map((row) => [row.operation, row.redacted])).toEqual([
      ['INSERT', ['password_hash']],
      ['UPDATE', ['password_hash']],
      ['UPDATE', null],
      ['DELETE', ['password_hash']],
    ]);
    for (const row of rows) expect(row.whole).not.toContain('$2b$');
    const images = await sql`
      select 1 from audit_logs where old_values ? 'password_hash' or new_values ? 'password_hash'`;
    expect(images).toEqual([]);
  });

  test.for([
    ['users', 'name', 'reset_token'],
    ['events', 'title', 'api_key'],
    ['registrations', 'registered_at', 'checkin_pin'],
  ] as const)(
    'leaves out a secret that is added to %s later, on sessions that are at work',
    async ([table, column, secret], { db }) => {
      const { sql } = db;
      const [user] = await addUsers(sql, 1);
      const event = await addEvent(sql);
      await register(sql, only(user), event);
      const value = column === 'registered_at' ? sql`now()` : sql`'Other'`;
      await sql`update ${sql(table)} set ${sql(column)} = ${value}`;
      await sql`alter table ${sql(table)} add column ${sql(secret)} text, add column remark text`;
      await sql`update ${sql(table)} set ${sql(secret)} = 'swordfish', remark = 'seen', ${sql(column)} = ${
        column === 'registered_at' ? sql`'2030-01-01'` : sql`'Another'`
      }`;
      const [row] = await sql`
        select a::text as whole, redacted, new_values ->> 'remark' as remark
        from audit_logs a order by id desc limit 1`;
      expect(row).toMatchObject({ redacted: [secret], remark: 'seen' });
      expect(row?.whole).not.toContain('swordfish');
    },
  );

  test('takes a change of primary key as one row gone and one new', async ({ db }) => {
    const { sql } = db;
    const [user] = await addUsers(sql, 1);
    const event = await addEvent(sql);
    const entries = followEntries(sql);
    await entries();
    await sql`update users set id = 500`;
    expect((await entries()).sort()).toEqual([`users DELETE ${user}`, 'users INSERT 500']);
    await sql`update events set id = 600`;
    expect((await entries()).sort()).toEqual([`events DELETE ${event}`, 'events INSERT 600']);
  });

  test('has one entry for a row however it came: conflict, cascade, copy of rows', async ({
    db,
  }) => {
    const { sql } = db;
    const [ann, bob] = await addUsers(sql, 2);
    const event = await addEvent(sql);
    const entries = followEntries(sql);
    await entries();
    await sql`
      insert into registrations (user_id, event_id) select u.id, ${event} from users u`;
    const ids = await sql<{ id: number }[]>`select id from registrations order by id`;
    expect(await entries()).toEqual(ids.map(({ id }) => `registrations INSERT ${id}`));
    await sql`
      insert into registrations (user_id, event_id) values (${only(ann)}, ${event})
      on conflict (user_id, event_id) do update set status = 'cancelled'`;
    expect(await entries()).toEqual([`registrations UPDATE ${ids[0]?.id}`]);
    await sql`delete from users where id = ${only(bob)}`;
    expect((await entries()).sort()).toEqual([
      `registrations DELETE ${ids[1]?.id}`,
      `users DELETE ${bob}`,
    ]);
  });
});
