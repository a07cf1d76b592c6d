import { describe, expect } from 'vitest';
import { test } from '../support/fixture.ts';
import {
  addEvent,
  addUsers,
  letEventPass,
  only,
  readSeats,
  register,
  registerBatch,
  unregister,
} from './event-schema-kit.ts';

const noId = 999_999;

describe('batch_event_registration', () => {
  test('answers for each user in the order given', async ({ db }) => {
    const { sql } = db;
    const [ann, bob, closed, dan, eve] = await addUsers(sql, 5);
    await sql`update users set is_active = false where id = ${only(closed)}`;
    const event = await addEvent(sql, { capacity: 3 });
    await register(sql, only(ann), event);
    const asked = [
      only(eve),
      only(ann),
      null,
      only(eve),
      only(closed),
      noId,
      only(bob),
      only(dan),
      only(dan),
    ];
    const result = await registerBatch(sql, asked, event);
    expect(result).toMatchObject({
      total_processed: 9,
      successful_registrations: 2,
      failed_registrations: 7,
    });
    expect(result.details.map((detail) => [detail.user_id, detail.error_code ?? 'ok'])).toEqual([
      [eve, 'ok'],
      [ann, 'P0003'],
      [null, 'P0006'],
      [eve, 'P0003'],
      [closed, 'P0006'],
      [noId, 'P0006'],
      [bob, 'ok'],
      [dan, 'P0004'],
      [dan, 'P0004'],
    ]);
    const rows = await sql<
      { id: number; user_id: number }[]
    >`select id, user_id from registrations`;
    const idOf = new Map(rows.map((row) => [row.user_id, row.id]));
    expect(result.details[0]).toEqual({
      success: true,
      registration_id: idOf.get(only(eve)),
      event_id: event,
      user_id: eve,
      registered_at: expect.any(String),
      status: 'confirmed',
      message: expect.any(String),
    });
    expect(result.details[7]).toEqual({
      success: false,
      user_id: dan,
      error_code: 'P0004',
      error_message: expect.stringContaining('maximum capacity'),
    });
    expect(await readSeats(sql, event)).toEqual({ counter: 3, confirmed: 3 });
  });

  test('brings cancelled registrations back and fills exactly the seats that are left', async ({
    db,
  }) => {
    const { sql } = db;
    const users = await addUsers(sql, 300);
    const event = await addEvent(sql, { capacity: 256 });
    await registerBatch(sql, users.slice(0, 40), event);
    await sql`update registrations set status = 'cancelled' where user_id = any (${users.slice(10, 30)}::int[])`;
    const result = await registerBatch(sql, users, event);
    expect(result).toMatchObject({
      total_processed: 300,
      successful_registrations: 236,
      failed_registrations: 64,
    });
    const codes = result.details.map((detail) => detail.error_code ?? 'ok');
    expect(codes.slice(0, 10)).toEqual(Array(10).fill('P0003'));
    expect(codes.slice(10, 30)).toEqual(Array(20).fill('ok'));
    expect(codes.slice(30, 40)).toEqual(Array(10).fill('P0003'));
    expect(codes.slice(40, 256)).toEqual(Array(216).fill('ok'));
    expect(codes.slice(256)).toEqual(Array(44).fill('P0004'));
    expect(await readSeats(sql, event)).toEqual({ counter: 256, confirmed: 256 });
    const [rows] = await sql`select count(*)::int as count from registrations`;
    expect(rows?.count).toBe(256);
  });

  test('refuses everybody for one reason where the event takes nobody', async ({ db }) => {
    const users = await addUsers(db.sql, 2);
    const past = await addEvent(db.sql);
    await letEventPass(db.sql, past);
    const codes = async (event: number) =>
      (await registerBatch(db.sql, users, event)).details.map((detail) => detail.error_code);
    expect(await codes(noId)).toEqual(['P0001', 'P0001']);
    expect(await codes(past)).toEqual(['P0002', 'P0002']);
  });

  test('has nothing to do for nobody', async ({ db }) => {
    const event = await addEvent(db.sql);
    const nothing = {
      total_processed: 0,
      successful_registrations: 0,
      failed_registrations: 0,
      details: [],
    };
    expect(await registerBatch(db.sql, [], event)).toEqual(nothing);
    expect(await registerBatch(db.sql, null, event)).toEqual(nothing);
  });
});

describe('get_event_registration_stats', () => {
  test('counts seats and registrations by status', async ({ db }) => {
    const { sql } = db;
    const users = await addUsers(sql, 6);
    const event = await addEvent(sql, { title: 'Opera', capacity: 3 });
    await registerBatch(sql, users.slice(0, 3), event);
    await unregister(sql, only(users[0]), event, true);
    await sql`
      insert into registrations (user_id, event_id, status)
      values (${only(users[3])}, ${event}, 'waitlist'), (${only(users[4])}, ${event}, 'pending')`;
    const [row] = await sql`select get_event_registration_stats(${event}) as stats`;
    expect(row?.stats).toEqual({
      event_id: event,
      title: 'Opera',
      date_time: expect.any(String),
      capacity: 3,
      current_registrations: 2,
      confirmed_registrations: 2,
      waitlist_registrations: 1,
      pending_registrations: 1,
      cancelled_registrations: 1,
      total_registrations: 5,
      held_seats: 1,
      available_spots: 0,
      is_full: true,
      is_active: true,
    });
    await sql`update registrations set hold_expires_at = now() where status = 'pending'`;
    const [expired] = await sql`select get_event_registration_stats(${event}) as stats`;
    expect(expired?.stats).toMatchObject({ held_seats: 0, available_spots: 1, is_full: false });
    await register(sql, only(users[5]), event);
    const [full] = await sql`select get_event_registration_stats(${event}) as stats`;
    expect(full?.stats).toMatchObject({ available_spots: 0, is_full: true });
    await expect(sql`select get_event_registration_stats(${noId})`).rejects.toMatchObject({
      code: 'P0001',
      message: 'Event not found',
    });
  });
});
