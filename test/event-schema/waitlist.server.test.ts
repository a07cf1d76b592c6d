import type postgres from 'postgres';
import { describe, expect } from 'vitest';
import { test } from '../support/fixture.ts';
import {
  addEvent,
  addUsers,
  only,
  type RegistrationResult,
  readSeats,
  register,
  unregister,
} from './event-schema-kit.ts';

interface QueueResult extends RegistrationResult {
  status?: string;
  waitlist_position?: number;
}

async function join(sql: postgres.Sql, userId: number, eventId: number): Promise<QueueResult> {
  const [row] = await sql<{ result: QueueResult }[]>`
    select safe_event_registration(${userId}, ${eventId}, p_join_waitlist => true) as result`;
  return only(row).result;
}

/** An event of one seat, taken by the first user; the others wait in their order. */
async function fillEvent(sql: postgres.Sql, userCount: number) {
  const users = await addUsers(sql, userCount);
  const event = await addEvent(sql, { capacity: 1 });
  await register(sql, only(users[0]), event);
  for (const user of users.slice(1)) await join(sql, user, event);
  return { event, users };
}

async function listStatuses(sql: postgres.Sql, eventId: number): Promise<string[]> {
  const rows = await sql<{ status: string }[]>`
    select status from registrations where event_id = ${eventId} order by user_id`;
  return rows.map((row) => row.status);
}

describe('the waitlist', () => {
  test('takes who asks for it when the event is full, in the order of arrival', async ({ db }) => {
    const { sql } = db;
    const users = await addUsers(sql, 4);
    const [ann, bob, cleo, dan] = users.map(only);
    const event = await addEvent(sql, { capacity: 1 });
    expect(await join(sql, only(ann), event)).toMatchObject({ success: true, status: 'confirmed' });
    expect(await join(sql, only(bob), event)).toEqual({
      success: true,
      registration_id: expect.any(Number),
      event_id: event,
      user_id: bob,
      registered_at: expect.any(String),
      status: 'waitlist',
      waitlist_position: 1,
      message: expect.stringContaining('waitlist'),
    });
    expect(await join(sql, only(cleo), event)).toMatchObject({ waitlist_position: 2 });
    expect(await register(sql, only(dan), event)).toMatchObject({ error_code: 'P0004' });
    expect(await join(sql, only(ann), event)).toMatchObject({ error_code: 'P0003' });
    const [places] = await sql`
      select get_waitlist_position(${only(ann)}, ${event}) as ann,
        get_waitlist_position(${only(bob)}, ${event}) as bob,
        get_waitlist_position(${only(cleo)}, ${event}) as cleo`;
    expect(places).toEqual({ ann: null, bob: 1, cleo: 2 });
    expect(await readSeats(sql, event)).toEqual({ counter: 1, confirmed: 1 });
  });

  test('keeps the place of who asks again', async ({ db }) => {
    const { event, users } = await fillEvent(db.sql, 3);
    const first = await join(db.sql, only(users[1]), event);
    expect(first).toMatchObject({ success: true, waitlist_position: 1 });
    expect(await join(db.sql, only(users[2]), event)).toMatchObject({ waitlist_position: 2 });
    expect(await join(db.sql, only(users[1]), event)).toEqual(first);
  });

  test('orders by arrival even inside transactions that began earlier', async ({ db }) => {
    const { sql } = db;
    const users = await addUsers(sql, 3);
    const event = await addEvent(sql, { capacity: 1 });
    await register(sql, only(users[0]), event);
    await sql.begin(async (late) => {
      await late`select now()`;
      await join(sql, only(users[1]), event);
      await late`select safe_event_registration(${only(users[2])}, ${event}, true)`;
    });
    const [row] = await sql`select get_waitlist_position(${only(users[2])}, ${event}) as place`;
    expect(row?.place).toBe(2);
  });

  test.for([
    ['a call', (sql, user, event) => unregister(sql, user, event)],
    ['a call that keeps the row', (sql, user, event) => unregister(sql, user, event, true)],
    [
      'an update',
      (sql, user) => sql`update registrations set status = 'cancelled' where user_id = ${user}`,
    ],
    ['a delete', (sql, user) => sql`delete from registrations where user_id = ${user}`],
    ['the deletion of the user', (sql, user) => sql`delete from users where id = ${user}`],
    [
      'a move to another user',
      async (sql, user, event) => {
        const other = await addEvent(sql);
        await sql`update registrations set event_id = ${other} where user_id = ${user} and event_id = ${event}`;
      },
    ],
  ] as [string, (sql: postgres.Sql, user: number, event: number) => Promise<unknown>][])(
    'moves up when %s frees a seat',
    async ([, free], { db }) => {
      const { event, users } = await fillEvent(db.sql, 3);
      await free(db.sql, only(users[0]), event);
      expect((await listStatuses(db.sql, event)).slice(-2)).toEqual(['confirmed', 'waitlist']);
      expect(await readSeats(db.sql, event)).toEqual({ counter: 1, confirmed: 1 });
    },
  );

  test('moves up by as many as the capacity grows', async ({ db }) => {
    const { event } = await fillEvent(db.sql, 5);
    await db.sql`update events set capacity = 3 where id = ${event}`;
    expect(await listStatuses(db.sql, event)).toEqual([
      ...Array(3).fill('confirmed'),
      ...Array(2).fill('waitlist'),
    ]);
    await db.sql`update events set capacity = 100 where id = ${event}`;
    expect(await listStatuses(db.sql, event)).toEqual(Array(5).fill('confirmed'));
    expect(await readSeats(db.sql, event)).toEqual({ counter: 5, confirmed: 5 });
  });

  test('waits while the event is inactive, and moves up when it opens again', async ({ db }) => {
    const { event, users } = await fillEvent(db.sql, 3);
    await db.sql`update events set is_active = false where id = ${event}`;
    await db.sql`update registrations set status = 'cancelled' where user_id = ${only(users[0])}`;
    expect(await listStatuses(db.sql, event)).toEqual(['cancelled', 'waitlist', 'waitlist']);
    await db.sql`update events set is_active = true where id = ${event}`;
    expect(await listStatuses(db.sql, event)).toEqual(['cancelled', 'confirmed', 'waitlist']);
  });

  test('passes over inactive users, who keep their place', async ({ db }) => {
    const { event, users } = await fillEvent(db.sql, 4);
    await db.sql`update users set is_active = false where id = ${only(users[1])}`;
    await unregister(db.sql, only(users[0]), event, true);
    expect(await listStatuses(db.sql, event)).toEqual([
      'cancelled',
      'waitlist',
      'confirmed',
      'waitlist',
    ]);
    await db.sql`update users set is_active = true where id = ${only(users[1])}`;
    await db.sql`update events set capacity = 2 where id = ${event}`;
    expect(await listStatuses(db.sql, event)).toEqual([
      'cancelled',
      'confirmed',
      'confirmed',
      'waitlist',
    ]);
  });

  test('is given a seat that is free already', async ({ db }) => {
    const { sql } = db;
    const [ann] = await addUsers(sql, 1);
    const event = await addEvent(sql, { capacity: 1 });
    await sql`insert into registrations (user_id, event_id, status) values (${only(ann)}, ${event}, 'waitlist')`;
    expect(await listStatuses(sql, event)).toEqual(['confirmed']);
  });

  test('goes before newcomers when it was passed over', async ({ db }) => {
    const { sql } = db;
    const { event, users } = await fillEvent(sql, 2);
    const [newcomer] = await sql<{ id: number }[]>`
      insert into users (name, email, password_hash)
      select 'New', 'new@example.com', password_hash from users limit 1 returning id`;
    await sql.begin(async (other) => {
      await other`select 1 from registrations where user_id = ${only(users[1])} for update`;
      await unregister(sql, only(users[0]), event, true);
    });
    expect(await listStatuses(sql, event)).toEqual(['cancelled', 'waitlist']);
    expect(await register(sql, only(newcomer).id, event)).toMatchObject({ error_code: 'P0004' });
    expect(await listStatuses(sql, event)).toEqual(['cancelled', 'confirmed']);
  });

  test('answers the waiter whose turn it is when he asks with his seat', async ({ db }) => {
    const { sql } = db;
    const { event, users } = await fillEvent(sql, 2);
    await sql.begin(async (other) => {
      await other`select 1 from registrations where user_id = ${only(users[1])} for update`;
      await unregister(sql, only(users[0]), event, true);
    });
    expect(await register(sql, only(users[1]), event)).toMatchObject({
      success: true,
      status: 'confirmed',
    });
  });

  test('passes over a waiter whom somebody else is changing, and does not wait', async ({ db }) => {
    const { sql } = db;
    const { event, users } = await fillEvent(sql, 3);
    await sql.begin(async (other) => {
      await other`select 1 from registrations where user_id = ${only(users[1])} for update`;
      await unregister(sql, only(users[0]), event, true);
    });
    expect(await listStatuses(sql, event)).toEqual(['cancelled', 'waitlist', 'confirmed']);
  });

  test('lets who leaves the queue come back at its end', async ({ db }) => {
    const { event, users } = await fillEvent(db.sql, 3);
    expect(await unregister(db.sql, only(users[1]), event)).toMatchObject({ success: true });
    expect(await join(db.sql, only(users[1]), event)).toMatchObject({ waitlist_position: 2 });
  });
});
