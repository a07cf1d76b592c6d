import { describe, expect } from 'vitest';
import { test } from '../support/fixture.ts';
import {
  addEvent,
  addUsers,
  letEventPass,
  only,
  readSeats,
  register,
  unregister,
} from './event-schema-kit.ts';

const noId = 999_999;

describe('safe_event_registration', () => {
  test('registers and answers with everything about the registration', async ({ db }) => {
    const [user] = await addUsers(db.sql, 1);
    const event = await addEvent(db.sql);
    const result = await register(db.sql, only(user), event);
    const [row] = await db.sql`select id, status, registered_at from registrations`;
    expect(result).toEqual({
      success: true,
      registration_id: row?.id,
      event_id: event,
      user_id: user,
      registered_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
      status: 'confirmed',
      message: expect.any(String),
    });
    expect(row?.status).toBe('confirmed');
    expect(await readSeats(db.sql, event)).toEqual({ counter: 1, confirmed: 1 });
  });

  test('sells the last seat and refuses the one after it', async ({ db }) => {
    const users = await addUsers(db.sql, 3);
    const event = await addEvent(db.sql, { capacity: 2 });
    const results = [];
    for (const user of users) results.push(await register(db.sql, user, event));
    expect(results.map((result) => result.success)).toEqual([true, true, false]);
    expect(results[2]).toEqual({
      success: false,
      error_code: 'P0004',
      error_message: expect.stringContaining('maximum capacity'),
    });
    expect(await readSeats(db.sql, event)).toEqual({ counter: 2, confirmed: 2 });
  });

  test('says why it refuses, in the words that callers look for, and changes nothing', async ({
    db,
  }) => {
    const { sql } = db;
    const [ann, closed] = await addUsers(sql, 2);
    await sql`update users set is_active = false where id = ${only(closed)}`;
    const open = await addEvent(sql);
    const hidden = await addEvent(sql);
    await sql`update events set is_active = false where id = ${hidden}`;
    const past = await addEvent(sql);
    await letEventPass(sql, past);
    const taken = await addEvent(sql, { capacity: 1 });
    await register(sql, only(ann), taken);
    const cases: [number | null, number | null, string, string][] = [
      [only(ann), noId, 'P0001', 'not found'],
      [only(ann), null, 'P0001', 'not found'],
      [only(ann), hidden, 'P0001', 'inactive'],
      [only(ann), past, 'P0002', 'past events'],
      [only(ann), taken, 'P0003', 'already registered'],
      [noId, open, 'P0006', 'User not found'],
      [null, open, 'P0006', 'User not found'],
      [only(closed), open, 'P0006', 'inactive'],
    ];
    for (const [user, event, code, words] of cases) {
      expect(await register(sql, user, event)).toEqual({
        success: false,
        error_code: code,
        error_message: expect.stringContaining(words),
      });
    }
    expect(await sql`select event_id from registrations`).toEqual([{ event_id: taken }]);
  });

  test('brings a cancelled registration back on the same row, with a new time', async ({ db }) => {
    const [ann, bob] = await addUsers(db.sql, 2);
    const event = await addEvent(db.sql, { capacity: 1 });
    const first = await register(db.sql, only(ann), event);
    await unregister(db.sql, only(ann), event, true);
    const second = await register(db.sql, only(ann), event);
    expect(second).toMatchObject({ success: true, registration_id: first.registration_id });
    expect(only(second.registered_at) > only(first.registered_at)).toBe(true);
    await unregister(db.sql, only(ann), event, true);
    await register(db.sql, only(bob), event);
    expect(await register(db.sql, only(ann), event)).toMatchObject({ error_code: 'P0004' });
    expect(await readSeats(db.sql, event)).toEqual({ counter: 1, confirmed: 1 });
  });
});

describe('safe_event_unregistration', () => {
  test('removes the row, frees the seat, and lets the user register anew', async ({ db }) => {
    const [user] = await addUsers(db.sql, 1);
    const event = await addEvent(db.sql, { capacity: 1 });
    const registered = await register(db.sql, only(user), event);
    const [row] = await db.sql`
      select safe_event_unregistration(${only(user)}, ${event}) as answer`;
    expect(row?.answer).toEqual({
      success: true,
      registration_id: registered.registration_id,
      event_id: event,
      user_id: user,
      unregistered_at: expect.any(String),
      message: expect.any(String),
    });
    expect(await db.sql`select from registrations`).toHaveLength(0);
    expect(await readSeats(db.sql, event)).toEqual({ counter: 0, confirmed: 0 });
    const again = await register(db.sql, only(user), event);
    expect(again).toMatchObject({ success: true, status: 'confirmed' });
    expect(again.registration_id).not.toBe(registered.registration_id);
  });

  test('keeps the row as cancelled where that is asked for', async ({ db }) => {
    const [user] = await addUsers(db.sql, 1);
    const event = await addEvent(db.sql, { capacity: 1 });
    const registered = await register(db.sql, only(user), event);
    expect(await unregister(db.sql, only(user), event, true)).toEqual({
      success: true,
      registration_id: registered.registration_id,
      event_id: event,
      user_id: user,
      unregistered_at: expect.any(String),
      message: expect.any(String),
    });
    expect(await db.sql`select id, status from registrations`).toEqual([
      { id: registered.registration_id, status: 'cancelled' },
    ]);
    expect(await readSeats(db.sql, event)).toEqual({ counter: 0, confirmed: 0 });
  });

  test('says why it refuses', async ({ db }) => {
    const { sql } = db;
    const [ann] = await addUsers(sql, 1);
    const event = await addEvent(sql);
    const past = await addEvent(sql);
    await register(sql, only(ann), past);
    await letEventPass(sql, past);
    const refusal = async (user: number, id: number) => {
      const result = await unregister(sql, user, id);
      return [result.success, result.error_code, result.error_message];
    };
    expect(await refusal(only(ann), noId)).toEqual([false, 'P0001', 'Event not found or inactive']);
    expect(await refusal(only(ann), past)).toEqual([
      false,
      'P0002',
      'Cannot unregister from past events',
    ]);
    expect(await refusal(only(ann), event)).toEqual([
      false,
      'P0005',
      'User is not registered for this event',
    ]);
    expect(await refusal(noId, event)).toEqual([false, 'P0006', 'User not found or inactive']);
    await register(sql, only(ann), event);
    await unregister(sql, only(ann), event);
    expect(await refusal(only(ann), event)).toMatchObject([false, 'P0005', {}]);
    await register(sql, only(ann), event);
    await unregister(sql, only(ann), event, true);
    expect(await refusal(only(ann), event)).toMatchObject([false, 'P0005', {}]);
  });

  test('lets a closed account give its seat back', async ({ db }) => {
    const [user] = await addUsers(db.sql, 1);
    const event = await addEvent(db.sql);
    await register(db.sql, only(user), event);
    await db.sql`update users set is_active = false`;
    expect(await unregister(db.sql, only(user), event)).toMatchObject({ success: true });
  });
});
