import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { describe, expect } from 'vitest';
import { createRegistrar } from '../../src/events/registrar.ts';
import { addEvent, addUsers, readSeats } from '../event-schema/event-schema-kit.ts';
import { test } from '../support/fixture.ts';
import { until } from '../support/waiting.ts';
import { fatesOf, listBlocked, lockEvent, withPool } from './events-kit.ts';

describe('a registrar that is full', () => {
  test('turns calls away at once, and takes them again when there is room', async ({ db }) => {
    const users = await addUsers(db.sql, 4);
    const [ann = 0, bob = 0, cid = 0, dan = 0] = users;
    const event = await addEvent(db.sql);
    const lock = await lockEvent(db.url, event);
    await withPool(db.url, async (pool) => {
      const { register, metrics } = createRegistrar(pool, { maxPending: 2 });
      const accepted = [register(ann, event), register(bob, event)];
      await expect(register(cid, event)).rejects.toMatchObject({
        code: 'REGISTRAR_FULL',
        details: { maxPending: 2 },
      });
      await lock.commit();
      expect(await fatesOf(accepted)).toEqual(['ok', 'ok']);
      expect(await register(dan, event)).toMatchObject({ success: true });
      expect(metrics()).toMatchObject({ calls: 3, turnedAway: 1, registered: 3 });
    });
    expect(await readSeats(db.sql, event)).toEqual({ counter: 3, confirmed: 3 });
  });

  test('lets calls wait their turn where it is told so', async ({ db }) => {
    const users = await addUsers(db.sql, 40);
    const event = await addEvent(db.sql, { capacity: 25 });
    await withPool(db.url, async (pool) => {
      const { register, metrics } = createRegistrar(pool, { maxPending: 3, whenFull: 'wait' });
      const calls = users.map((user) => register(user, event));
      expect(metrics()).toMatchObject({ pending: 3, waiting: 37 });
      const results = await Promise.all(calls);
      expect(results.map((one) => one.success)).toEqual(users.map((_, i) => i < 25));
      expect(metrics()).toMatchObject({ calls: 40, pending: 0, waiting: 0, events: 0 });
    });
  });
});

describe('closing a registrar', () => {
  test('answers what is pending, and refuses what comes later', async ({ db }) => {
    const users = await addUsers(db.sql, 50);
    const event = await addEvent(db.sql, { capacity: 50 });
    await withPool(db.url, async (pool) => {
      const options = { maxBatchSize: 7, maxPending: 20, whenFull: 'wait' } as const;
      const registrar = createRegistrar(pool, options);
      const calls = users.map((user) => registrar.register(user, event));
      const closed = registrar.close();
      await expect(registrar.register(1, event)).rejects.toMatchObject({
        code: 'REGISTRAR_CLOSED',
      });
      await closed;
      expect(registrar.metrics()).toMatchObject({ pending: 0, waiting: 0, registered: 50 });
      expect(new Set(await fatesOf(calls))).toEqual(new Set(['ok']));
      await registrar.close();
    });
  });

  test('waits for answers as long as it is told to, be it for ever', async ({ db }) => {
    const [ann = 0] = await addUsers(db.sql, 1);
    const event = await addEvent(db.sql);
    await withPool(db.url, async (pool) => {
      const registrar = createRegistrar(pool);
      const call = registrar.register(ann, event);
      await registrar.close({ timeoutMs: Number.POSITIVE_INFINITY });
      expect(await call).toMatchObject({ success: true });
    });
  });

  test('does not wait for company any more', async ({ db }) => {
    const [ann = 0] = await addUsers(db.sql, 1);
    const event = await addEvent(db.sql);
    await withPool(db.url, async (pool) => {
      const registrar = createRegistrar(pool, { maxDelayMs: 60_000 });
      const call = registrar.register(ann, event);
      // The wait has begun.
      await db.sql`select 1`;
      await registrar.close();
      expect(await call).toMatchObject({ success: true });
    });
  });

  test('withdraws what the pool has not sent, and sends it never', async ({ db }) => {
    const [ann = 0, bob = 0] = await addUsers(db.sql, 2);
    const event = await addEvent(db.sql);
    await withPool(
      db.url,
      async (pool) => {
        const busy = pool.query('select pg_sleep(0.5)');
        const registrar = createRegistrar(pool);
        const calls = [registrar.register(ann, event), registrar.register(bob, event)];
        const fates = Promise.all([fatesOf(calls), registrar.close({ timeoutMs: 50 })]);
        expect((await fates)[0]).toEqual(['REGISTRAR_CLOSED', 'REGISTRAR_CLOSED']);
        await busy;
        await pool.query('select 1');
      },
      1,
    );
    expect(await db.sql`select from registrations`).toHaveLength(0);
  });

  test('says that nothing was sent where the server never answered', async () => {
    const silent = createServer(() => undefined).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const { port } = silent.address() as AddressInfo;
    await withPool(`postgres://a@127.0.0.1:${port}/a?sslmode=disable`, async (pool) => {
      const registrar = createRegistrar(pool);
      const fates = fatesOf([registrar.register(1, 1)]);
      await registrar.close({ timeoutMs: 50 });
      expect(await fates).toEqual(['REGISTRAR_CLOSED']);
    });
    silent.close();
  });

  test('says after the deadline what is known of the rest', async ({ db }) => {
    const users = await addUsers(db.sql, 6);
    const event = await addEvent(db.sql);
    const lock = await lockEvent(db.url, event);
    await withPool(db.url, async (pool) => {
      const options = { maxBatchSize: 2, maxPending: 4, whenFull: 'wait' } as const;
      const registrar = createRegistrar(pool, options);
      const calls = users.map((user) => registrar.register(user, event));
      await until(async () => (await listBlocked(db.sql, 'registration')).length === 1);
      await registrar.close({ timeoutMs: 1 });
      const [unknown, unsent] = ['OUTCOME_UNKNOWN', 'REGISTRAR_CLOSED'];
      expect(await fatesOf(calls)).toEqual([unknown, unknown, unsent, unsent, unsent, unsent]);
      await lock.commit();
      await until(() => registrar.metrics().events === 0);
      expect(registrar.metrics()).toMatchObject({ failed: 6, pending: 0, waiting: 0, inFlight: 0 });
    });
    // The two whose outcome was not known; nobody else.
    expect(await readSeats(db.sql, event)).toEqual({ counter: 2, confirmed: 2 });
  });

  test('resolves at once where nothing is to be done', async ({ db }) => {
    await withPool(db.url, async (pool) => {
      const registrar = createRegistrar(pool);
      await registrar.close();
      await registrar.close();
      expect(registrar.metrics()).toMatchObject({ calls: 0, batches: 0, pending: 0 });
    });
  });
});
