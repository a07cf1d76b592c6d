import { describe, expect } from 'vitest';
import { createRegistrar } from '../../src/events/registrar.ts';
import {
  addEvent,
  addUsers,
  letEventPass,
  listWrongCounters,
  readSeats,
} from '../event-schema/event-schema-kit.ts';
import { test } from '../support/fixture.ts';
import { until } from '../support/waiting.ts';
import { fatesOf, lockEvent, withPool } from './events-kit.ts';

const noId = 999_999;

describe('the registrar', () => {
  test('sells 100 seats to the first 100 of 500 who call at once', async ({ db }) => {
    const users = await addUsers(db.sql, 500);
    const event = await addEvent(db.sql, { capacity: 100 });
    await withPool(db.url, async (pool) => {
      const registrar = createRegistrar(pool, { maxBatchSize: 64 });
      const results = await Promise.all(users.map((user) => registrar.register(user, event)));
      expect(results.map((result) => result.userId)).toEqual(users);
      expect(results.map((result) => result.success)).toEqual(users.map((_, i) => i < 100));
      expect(results.slice(100).every((one) => !one.success && one.reason === 'full')).toBe(true);
      const rows = await db.sql<{ id: number; user_id: number }[]>`
        select id, user_id from registrations order by user_id`;
      expect(rows.map((row) => [row.user_id, row.id])).toEqual(
        results.flatMap((one) => (one.success ? [[one.userId, one.registrationId]] : [])),
      );
      expect(registrar.metrics()).toMatchObject({
        calls: 500,
        registered: 100,
        refused: 400,
        failed: 0,
        batches: 8,
        batchSizes: { count: 8, sum: 500 },
        pending: 0,
        inFlight: 0,
        events: 0,
      });
    });
    expect(await readSeats(db.sql, event)).toEqual({ counter: 100, confirmed: 100 });
  });

  test('answers each of many callers about many events, unknown ones too', async ({ db }) => {
    const users = await addUsers(db.sql, 60);
    const past = await addEvent(db.sql);
    await letEventPass(db.sql, past);
    const events = [past, noId];
    for (let i = 0; i < 12; i++) events.push(await addEvent(db.sql, { capacity: 20 + i }));
    const asked = [noId, ...users].flatMap((userId) =>
      events.map((eventId) => ({ userId, eventId })),
    );
    await withPool(db.url, async (pool) => {
      const registrar = createRegistrar(pool);
      const results = await Promise.all(
        asked.map(({ userId, eventId }) => registrar.register(userId, eventId)),
      );
      expect(results.map(({ userId, eventId }) => ({ userId, eventId }))).toEqual(asked);
      const taken = new Map<number, number>();
      for (const result of results) {
        const { userId, eventId } = result;
        const fate = result.success ? 'ok' : result.reason;
        const before = taken.get(eventId) ?? 0;
        const isFree = before < 18 + events.indexOf(eventId);
        const known = userId === noId ? 'user-not-found' : isFree ? 'ok' : 'full';
        const expected =
          eventId === noId ? 'event-not-found' : eventId === past ? 'event-past' : known;
        expect([userId, eventId, fate]).toEqual([userId, eventId, expected]);
        if (result.success) taken.set(eventId, before + 1);
      }
      expect(registrar.metrics()).toMatchObject({ pending: 0, events: 0, retries: 0 });
    });
    expect(await listWrongCounters(db.sql)).toEqual([]);
  });

  test('tells a user who asks twice that the first call did it', async ({ db }) => {
    const [ann = 0, bob = 0] = await addUsers(db.sql, 2);
    const event = await addEvent(db.sql, { capacity: 2 });
    await withPool(db.url, async (pool) => {
      const { register, metrics } = createRegistrar(pool);
      const calls = [ann, bob, ann, bob, ann].map((user) => register(user, event));
      const repeated = 'already-registered';
      expect(await fatesOf(calls)).toEqual(['ok', 'ok', repeated, repeated, repeated]);
      expect(metrics().batches).toBe(1);
    });
  });

  test('serves a lone call by itself, and those that come meanwhile together', async ({ db }) => {
    const users = await addUsers(db.sql, 5);
    const event = await addEvent(db.sql);
    const lock = await lockEvent(db.url, event);
    await withPool(db.url, async (pool) => {
      const registrar = createRegistrar(pool);
      const [first = 0, ...rest] = users;
      const calls = [registrar.register(first, event)];
      await until(() => registrar.metrics().inFlight === 1);
      calls.push(...rest.map((user) => registrar.register(user, event)));
      await lock.commit();
      expect(await fatesOf(calls)).toEqual(['ok', 'ok', 'ok', 'ok', 'ok']);
      const { buckets } = registrar.metrics().batchSizes;
      expect(buckets.filter(({ count }) => count > 0)).toEqual([
        { upTo: 1, count: 1 },
        { upTo: 4, count: 1 },
      ]);
    });
  });

  test('keeps the order of arrival where some want the waiting list', async ({ db }) => {
    const [ann = 0, bob = 0, cid = 0, dan = 0, eve = 0] = await addUsers(db.sql, 5);
    const event = await addEvent(db.sql, { capacity: 2 });
    await withPool(db.url, async (pool) => {
      const { register, metrics } = createRegistrar(pool);
      const results = await Promise.all([
        register(ann, event),
        register(bob, event),
        register(cid, event, { joinWaitlist: true }),
        register(dan, event),
        register(eve, event, { joinWaitlist: true }),
      ]);
      expect(results).toMatchObject([
        { status: 'confirmed' },
        { status: 'confirmed' },
        { status: 'waitlist', waitlistPosition: 1 },
        { reason: 'full' },
        { status: 'waitlist', waitlistPosition: 2 },
      ]);
      expect(metrics().batches).toBe(4);
    });
  });

  test('waits for company as long as it is told, but not once the batch is full', async ({
    db,
  }) => {
    const users = await addUsers(db.sql, 3);
    const event = await addEvent(db.sql);
    await withPool(db.url, async (pool) => {
      const { register, metrics } = createRegistrar(pool, {
        maxDelayMs: 60_000,
        maxBatchSize: 3,
      });
      const calls = [];
      for (const user of users) {
        expect(metrics().batches).toBe(0);
        calls.push(register(user, event));
        // More than one turn of the event loop.
        await db.sql`select 1`;
      }
      expect(await fatesOf(calls)).toEqual(['ok', 'ok', 'ok']);
      expect(metrics()).toMatchObject({ batches: 1, batchSizes: { sum: 3 } });
    });
  });

  test('uses no more connections at a time than it is told', async ({ db }) => {
    const [ann = 0, bob = 0] = await addUsers(db.sql, 2);
    const [blocked, other] = [await addEvent(db.sql), await addEvent(db.sql)];
    const lock = await lockEvent(db.url, blocked);
    await withPool(db.url, async (pool) => {
      const { register, metrics } = createRegistrar(pool, { maxInFlight: 1 });
      const both = [register(ann, blocked), register(bob, blocked)];
      await until(() => metrics().inFlight === 1);
      const third = register(ann, other);
      await db.sql`select pg_sleep(0.1)`;
      expect(metrics()).toMatchObject({ inFlight: 1, batches: 1, pending: 3, events: 2 });
      await lock.commit();
      expect(await fatesOf([...both, third])).toEqual(['ok', 'ok', 'ok']);
    });
  });

  test('registers outside of the transaction in which it is called', async ({ db }) => {
    const [ann = 0] = await addUsers(db.sql, 1);
    const event = await addEvent(db.sql);
    await withPool(db.url, async (pool) => {
      const registrar = createRegistrar(pool);
      const undone = pool.withTransaction(async (transaction) => {
        await transaction.query('select 1');
        expect(await registrar.register(ann, event)).toMatchObject({ success: true });
        throw new Error('changed my mind');
      });
      await expect(undone).rejects.toThrow('changed my mind');
    });
    expect(await readSeats(db.sql, event)).toEqual({ counter: 1, confirmed: 1 });
  });
});
