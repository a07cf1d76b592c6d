import { describe, expect } from 'vitest';
import { createRegistrar } from '../../src/events/registrar.ts';
import { addEvent, addUsers, readSeats } from '../event-schema/event-schema-kit.ts';
import { test } from '../support/fixture.ts';
import { until } from '../support/waiting.ts';
import {
  fatesOf,
  listBlocked,
  lockEvent,
  lockUser,
  openTransaction,
  withPool,
  withSetting,
} from './events-kit.ts';

const batchCall = 'batch_event_registration';

describe('the registrar, when something is in the way', () => {
  test('rejects exactly the callers of a batch whose backend is killed', async ({ db }) => {
    const users = await addUsers(db.sql, 9);
    const event = await addEvent(db.sql);
    const other = await addEvent(db.sql);
    const lock = await lockEvent(db.url, event);
    await withPool(db.url, async (pool) => {
      const { register, metrics } = createRegistrar(pool);
      // Listened to at once: they fail while the termination is still being answered.
      const lost = Promise.allSettled(users.slice(0, 3).map((user) => register(user, event)));
      await until(async () => (await listBlocked(db.sql, batchCall)).length === 1);
      const next = users.slice(3, 6).map((user) => register(user, event));
      const elsewhere = users.slice(6).map((user) => register(user, other));
      expect(await fatesOf(elsewhere)).toEqual(['ok', 'ok', 'ok']);
      const [pid = 0] = await listBlocked(db.sql, batchCall);
      await db.sql`select pg_terminate_backend(${pid})`;

      const errors = (await lost).map((one) =>
        one.status === 'rejected' ? one.reason : one.value,
      );
      expect(errors).toMatchObject(
        users.slice(0, 3).map((userId) => ({
          code: 'CONNECTION_LOST',
          message: expect.stringContaining(`user ${userId}`),
          hint: expect.stringContaining('not known'),
          details: { userId, eventId: event },
          cause: { code: 'CONNECTION_LOST' },
        })),
      );
      expect(new Set(errors).size).toBe(3);
      await lock.commit();
      expect(await fatesOf(next)).toEqual(['ok', 'ok', 'ok']);
      expect(metrics()).toMatchObject({ failed: 3, registered: 6, retries: 0, events: 0 });
    });
    expect(await readSeats(db.sql, event)).toEqual({ counter: 3, confirmed: 3 });
  });

  test('lets the others pass while one user is locked, and comes back to that user', async ({
    db,
  }) => {
    const users = await addUsers(db.sql, 4);
    const [, bob = 0] = users;
    const event = await addEvent(db.sql);
    const lock = await lockUser(db.url, bob);
    await withPool(db.url, async (pool) => {
      const { register, metrics } = createRegistrar(pool, { maxAttempts: 100 });
      const calls = users.map((user) => register(user, event));
      const again = register(bob, event);
      expect(await fatesOf(calls.filter((_, i) => i !== 1))).toEqual(['ok', 'ok', 'ok']);
      const later = register(bob, event);
      await db.sql`select pg_sleep(0.1)`;
      // A call that waited for the lock would get it before those that came first.
      expect(await listBlocked(db.sql, 'registration')).toEqual([]);
      await until(() => metrics().retries > 2);
      expect(metrics()).toMatchObject({ pending: 3, events: 1 });
      await lock.commit();
      const repeated = 'already-registered';
      expect(await fatesOf([calls[1] ?? again, again, later])).toEqual(['ok', repeated, repeated]);
      expect(metrics().events).toBe(0);
    });
  });

  test('keeps the calls of a locked user in order where they are in different batches', async ({
    db,
  }) => {
    const [ann = 0, bob = 0, cid = 0] = await addUsers(db.sql, 3);
    const events = await Promise.all(Array.from({ length: 12 }, () => addEvent(db.sql)));
    const lock = await lockUser(db.url, bob);
    await withPool(db.url, async (pool) => {
      const { register, metrics } = createRegistrar(pool, { maxBatchSize: 2, maxAttempts: 100 });
      const calls = events.map((event) =>
        [ann, bob, bob, cid].map((user) => register(user, event)),
      );
      await until(() => metrics().registered === 24 && metrics().retries > 100);
      await lock.commit();
      for (const ofEvent of calls) {
        expect(await fatesOf(ofEvent)).toEqual(['ok', 'ok', 'already-registered', 'ok']);
      }
    });
  });

  test('does not let a lone call for a locked user hold up the event', async ({ db }) => {
    const [ann = 0, bob = 0] = await addUsers(db.sql, 2);
    const event = await addEvent(db.sql);
    const lock = await lockUser(db.url, ann);
    await withPool(db.url, async (pool) => {
      const { register, metrics } = createRegistrar(pool, { maxAttempts: 100 });
      const held = register(ann, event);
      await until(() => metrics().inFlight === 1);
      expect(await register(bob, event)).toMatchObject({ success: true });
      expect(metrics().pending).toBe(1);
      await lock.commit();
      expect(await held).toMatchObject({ success: true, userId: ann });
    });
  });

  test('gives up on a locked user after the attempts it is allowed', async ({ db }) => {
    const [ann = 0, bob = 0] = await addUsers(db.sql, 2);
    const event = await addEvent(db.sql);
    const lock = await lockUser(db.url, ann);
    await withPool(db.url, async (pool) => {
      const registrar = createRegistrar(pool, { maxAttempts: 3 });
      const calls = [ann, bob].map((user) => registrar.register(user, event));
      expect(await fatesOf(calls)).toEqual(['LOCK_TIMEOUT', 'ok']);
      await expect(calls[0]).rejects.toMatchObject({
        details: { sqlstate: '55P03', userId: ann, eventId: event },
      });
      expect(registrar.metrics()).toMatchObject({ retries: 2, failed: 1, events: 0 });
      await lock.commit();
      expect(await registrar.register(ann, event)).toMatchObject({ success: true });
    });
  });

  test('tries a whole batch again that does not get the event', async ({ db }) => {
    const users = await addUsers(db.sql, 3);
    const event = await addEvent(db.sql, { capacity: 2 });
    const url = withSetting(db.url, 'lock_timeout=50ms');
    const lock = await lockEvent(db.url, event);
    await withPool(url, async (pool) => {
      const { register, metrics } = createRegistrar(pool, { maxAttempts: 100 });
      const calls = users.map((user) => register(user, event));
      await until(() => metrics().retries >= 6);
      await lock.commit();
      expect(await fatesOf(calls)).toEqual(['ok', 'ok', 'full']);
    });
  });

  test('gives up on an event that stays locked, and serves those who come later', async ({
    db,
  }) => {
    const users = await addUsers(db.sql, 3);
    const event = await addEvent(db.sql);
    const url = withSetting(db.url, 'lock_timeout=50ms');
    const lock = await lockEvent(db.url, event);
    await withPool(url, async (pool) => {
      const { register, metrics } = createRegistrar(pool, { maxAttempts: 2 });
      const calls = users.map((user) => register(user, event));
      const codes = ['LOCK_TIMEOUT', 'LOCK_TIMEOUT', 'LOCK_TIMEOUT'];
      expect(await fatesOf(calls)).toEqual(codes);
      await lock.commit();
      expect(await fatesOf(users.map((user) => register(user, event)))).toEqual(['ok', 'ok', 'ok']);
      expect(metrics()).toMatchObject({ failed: 3, registered: 3, events: 0 });
    });
  });

  test('tries again at read committed where sessions begin as serializable', async ({ db }) => {
    const [ann = 0, bob = 0] = await addUsers(db.sql, 2);
    const event = await addEvent(db.sql);
    const rename = `update events set title = title || '!' where id = ${event}`;
    const isBlocked = async () => (await listBlocked(db.sql, batchCall)).length === 1;
    const first = await openTransaction(db.url, rename);
    const url = withSetting(db.url, 'default_transaction_isolation=serializable');
    await withPool(url, async (pool) => {
      const { register, metrics } = createRegistrar(pool, { maxAttempts: 2 });
      const calls = [register(ann, event), register(bob, event)];
      await until(isBlocked);
      // It waits behind the batch, and gets the event when that one fails: so that one waits again.
      const second = openTransaction(db.url, rename);
      await until(async () => (await listBlocked(db.sql, 'update events')).length === 1);
      await first.commit();
      await until(async () => metrics().retries === 2 && (await isBlocked()));
      await (await second).commit();
      expect(await fatesOf(calls)).toEqual(['ok', 'ok']);
    });
  });

  test('hands on what the server says to all of a batch, each with an error of his own', async ({
    emptyDb,
  }) => {
    await withPool(emptyDb.url, async (pool) => {
      const { register, metrics } = createRegistrar(pool);
      const settled = await Promise.allSettled([register(1, 1), register(2, 1)]);
      const errors = settled.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []));
      expect(errors).toMatchObject([
        { code: 'EVENT_SCHEMA_MISSING', details: { sqlstate: '42883', userId: 1 } },
        { code: 'EVENT_SCHEMA_MISSING', details: { sqlstate: '42883', userId: 2 } },
      ]);
      expect(errors[0].cause).toBe(errors[1].cause);
      expect(metrics()).toMatchObject({ failed: 2, pending: 0, events: 0 });
    });
  });
});
