import { describe, expect } from 'vitest';
import {
  createRegistrationClient,
  getEventStats,
  safeEventRegistration,
  safeEventUnregistration,
} from '../../src/events/registration.ts';
import { addEvent, addUsers, letEventPass, readSeats } from '../event-schema/event-schema-kit.ts';
import { test } from '../support/fixture.ts';
import { withPool, withSetting } from './events-kit.ts';

const noId = 999_999;

describe('the registration client', () => {
  test('registers, refuses with a reason, and unregisters', async ({ db }) => {
    const [ann = 0, bob = 0] = await addUsers(db.sql, 2);
    const event = await addEvent(db.sql, { capacity: 1 });
    const past = await addEvent(db.sql);
    await letEventPass(db.sql, past);
    await withPool(db.url, async (pool) => {
      const { register, unregister } = createRegistrationClient(pool);
      const first = await register(ann, event);
      const [row] = await db.sql`select id, registered_at from registrations`;
      expect(first).toEqual({
        success: true,
        registrationId: row?.id,
        userId: ann,
        eventId: event,
        registeredAt: row?.registered_at,
        status: 'confirmed',
        message: expect.stringContaining('registered'),
      });
      expect(await register(ann, event)).toEqual({
        success: false,
        errorCode: 'P0003',
        reason: 'already-registered',
        userId: ann,
        eventId: event,
        message: expect.stringContaining('already registered'),
      });
      expect(await register(bob, event)).toMatchObject({ errorCode: 'P0004', reason: 'full' });
      expect(await register(bob, noId)).toMatchObject({ reason: 'event-not-found' });
      expect(await register(bob, past)).toMatchObject({ reason: 'event-past' });
      expect(await register(noId, event)).toMatchObject({ reason: 'user-not-found' });
      expect(await unregister(bob, event)).toMatchObject({
        errorCode: 'P0005',
        reason: 'not-registered',
      });
      expect(await unregister(ann, event)).toMatchObject({
        success: true,
        registrationId: row?.id,
        unregisteredAt: expect.any(Date),
      });
      expect(await register(bob, event)).toMatchObject({ success: true, userId: bob });
    });
  });

  test('tells the place in the queue and the end of a hold', async ({ db }) => {
    const [ann = 0, bob = 0, cid = 0] = await addUsers(db.sql, 3);
    const event = await addEvent(db.sql, { capacity: 1 });
    await withPool(db.url, async (pool) => {
      const { register } = createRegistrationClient(pool);
      const held = await register(ann, event, { holdMs: 90_000 });
      if (!held.success || held.status !== 'pending') throw new Error(JSON.stringify(held));
      expect(held.holdExpiresAt.getTime() - held.registeredAt.getTime()).toBe(90_000);
      await register(bob, event, { joinWaitlist: true });
      expect(await register(cid, event, { joinWaitlist: true })).toMatchObject({
        status: 'waitlist',
        waitlistPosition: 2,
      });
      expect(await register(ann, event)).toMatchObject({ success: true, status: 'confirmed' });
    });
  });

  test('gives the numbers of an event, and null where there is none', async ({ db }) => {
    const [ann = 0] = await addUsers(db.sql, 1);
    const event = await addEvent(db.sql, { title: 'Jazz', capacity: 3 });
    await withPool(db.url, async (pool) => {
      const { register, eventStats } = createRegistrationClient(pool);
      await register(ann, event);
      expect(await eventStats(event)).toEqual({
        eventId: event,
        title: 'Jazz',
        dateTime: (await db.sql`select date_time from events`)[0]?.date_time,
        capacity: 3,
        currentRegistrations: 1,
        confirmedRegistrations: 1,
        waitlistRegistrations: 0,
        pendingRegistrations: 0,
        cancelledRegistrations: 0,
        totalRegistrations: 1,
        heldSeats: 0,
        availableSpots: 2,
        isFull: false,
        isActive: true,
      });
      expect(await eventStats(noId)).toBeNull();
    });
  });

  test('is part of the transaction that it is made for', async ({ db }) => {
    const [ann = 0] = await addUsers(db.sql, 1);
    const event = await addEvent(db.sql);
    await withPool(db.url, async (pool) => {
      const undone = pool.withTransaction(async (transaction) => {
        const client = createRegistrationClient(transaction);
        expect(await client.register(ann, event)).toMatchObject({ success: true });
        throw new Error('changed my mind');
      });
      await expect(undone).rejects.toThrow('changed my mind');
    });
    expect(await readSeats(db.sql, event)).toEqual({ counter: 0, confirmed: 0 });
  });

  test('finds the functions in the schema that it is told', async ({ db }) => {
    const [ann = 0] = await addUsers(db.sql, 1);
    const event = await addEvent(db.sql);
    const url = withSetting(db.url, 'search_path=pg_catalog');
    await withPool(url, async (pool) => {
      await expect(createRegistrationClient(pool).register(ann, event)).rejects.toMatchObject({
        code: 'EVENT_SCHEMA_MISSING',
        cause: { sqlstate: '42883' },
      });
      const { register, eventStats, unregister } = createRegistrationClient(pool, {
        schema: 'public',
      });
      expect(await register(ann, event)).toMatchObject({ success: true });
      expect(await eventStats(event)).toMatchObject({ confirmedRegistrations: 1 });
      expect(await unregister(ann, event)).toMatchObject({ success: true });
    });
  });
});

describe('the calls under their earlier names', () => {
  test('give the JSON as the database gives it', async ({ db }) => {
    const [ann = 0] = await addUsers(db.sql, 1);
    const event = await addEvent(db.sql, { capacity: 1 });
    await withPool(db.url, async (pool) => {
      expect(await safeEventRegistration(pool, ann, event)).toEqual({
        success: true,
        registration_id: expect.any(Number),
        event_id: event,
        user_id: ann,
        registered_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
        status: 'confirmed',
        message: expect.any(String),
      });
      expect(await safeEventRegistration(pool, ann, event)).toEqual({
        success: false,
        error_code: 'P0003',
        error_message: expect.stringContaining('already registered'),
      });
      expect(await getEventStats(pool, event)).toMatchObject({ event_id: event, is_full: true });
      expect(await getEventStats(pool, noId)).toBeNull();
      expect(await safeEventUnregistration(pool, ann, event)).toMatchObject({
        success: true,
        unregistered_at: expect.any(String),
      });
    });
  });
});
