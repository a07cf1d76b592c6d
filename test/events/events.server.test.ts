import { describe, expect } from 'vitest';
import {
  type FindEventsOptions,
  findEvents,
  readEvent,
  readEventSeats,
} from '../../src/events/events.ts';
import {
  type RegisterUsersOptions,
  registerUsers,
  unregisterUsers,
} from '../../src/events/register-users.ts';
import { withOpenTransaction } from '../event-schema/clients-kit.ts';
import { addEvent, addUsers, letEventPass, readSeats } from '../event-schema/event-schema-kit.ts';
import { test } from '../support/fixture.ts';
import { inspect, write } from '../support/sessions.ts';
import { failureOf } from '../support/waiting.ts';

const find = (url: string, options: FindEventsOptions = {}) =>
  inspect(url, (session) => findEvents(session, options));
const register = (url: string, options: RegisterUsersOptions) =>
  write(url, (session) => registerUsers(session, options));
const idsOf = ({ rows }: { rows: { id: number }[] }) => rows.map(({ id }) => id);

const dayMs = 86_400_000;
const inDays = (days: number) => new Date(Date.now() + days * dayMs);

describe('findEvents', () => {
  test('lists upcoming events, the soonest first', async ({ db }) => {
    const late = await addEvent(db.sql, { startsAt: inDays(9), capacity: 7 });
    const soon = await addEvent(db.sql, { startsAt: inDays(2), title: 'Jazz', location: null });
    const page = await find(db.url);
    expect(page).toMatchObject({
      rows: [
        { id: soon, title: 'Jazz', location: null, isActive: true, headline: null },
        { id: late, capacity: 7, availableSpots: 7 },
      ],
      next: null,
    });
  });

  test('leaves out what is past, inactive or full, unless it is asked for', async ({ db }) => {
    const { sql, url } = db;
    const [user = 0] = await addUsers(sql, 1);
    const past = await addEvent(sql, { startsAt: inDays(1) });
    const off = await addEvent(sql, { startsAt: inDays(2) });
    const full = await addEvent(sql, { startsAt: inDays(3), capacity: 1 });
    const free = await addEvent(sql, { startsAt: inDays(4) });
    await sql`update events set is_active = false where id = ${off}`;
    await register(url, { eventId: full, userIds: [user] });
    await letEventPass(sql, past);
    expect(idsOf(await find(url))).toEqual([full, free]);
    expect(idsOf(await find(url, { onlyFree: true }))).toEqual([free]);
    expect(idsOf(await find(url, { withInactive: true }))).toEqual([off, full, free]);
    expect(idsOf(await find(url, { from: null }))).toEqual([past, full, free]);
    expect(idsOf(await find(url, { from: inDays(3.5) }))).toEqual([free]);
    expect(idsOf(await find(url, { until: inDays(3.5) }))).toEqual([full]);
  });

  test('takes any time that a Date holds as a bound', async ({ db }) => {
    await addEvent(db.sql);
    const bounds = { from: new Date('-000500-01-01T00:00:00Z'), until: new Date(8.64e15) };
    expect((await find(db.url, bounds)).rows).toHaveLength(1);
    await expect(find(db.url, { from: new Date(Number.NaN) })).rejects.toMatchObject({
      code: 'USAGE',
    });
  });

  test('finds by words, and shows where', async ({ db }) => {
    const jazz = await addEvent(db.sql, { title: 'Jazz Night', location: 'Köln' });
    await addEvent(db.sql, { title: 'Blues' });
    const { rows } = await find(db.url, { words: 'jazz' });
    expect(rows).toMatchObject([{ id: jazz, headline: '<mark>Jazz</mark> Night' }]);
    expect(rows[0]?.rank).toBeGreaterThan(0);
    expect(idsOf(await find(db.url, { words: 'nothing' }))).toEqual([]);
    expect(idsOf(await find(db.url, { location: 'Köln' }))).toEqual([jazz]);
    expect(idsOf(await find(db.url, { words: `'"; drop table events` }))).toEqual([]);
  });

  test('goes page by page', async ({ db }) => {
    const events: number[] = [];
    for (let i = 1; i <= 5; i++) events.push(await addEvent(db.sql, { startsAt: inDays(i) }));
    const seen: number[] = [];
    let after: string | undefined;
    do {
      const page = await find(db.url, { limit: 2, after });
      seen.push(...idsOf(page));
      after = page.next ?? undefined;
    } while (after !== undefined);
    expect(seen).toEqual(events);
  });

  test('goes on only with the words that it began with', async ({ db }) => {
    for (let i = 1; i <= 2; i++) await addEvent(db.sql, { title: 'Jazz' });
    const { next } = await find(db.url, { words: 'jazz', limit: 1 });
    const after = next ?? undefined;
    const other = await failureOf(find(db.url, { words: 'blues', limit: 1, after }));
    expect(other).toMatchObject({
      code: 'USAGE',
      message: expect.stringContaining('something else'),
    });
    for (const token of ['', 'not one', '♥', 'W10', 'WyJhIl0']) {
      const error = await failureOf(find(db.url, { words: 'jazz', after: token }));
      expect(error).toMatchObject({
        code: 'USAGE',
        message: expect.stringContaining('not the end of a page'),
      });
    }
  });
});

describe('one event', () => {
  test('is read with its creator and its seats', async ({ db }) => {
    const [ann = 0, bob = 0, cid = 0] = await addUsers(db.sql, 3);
    const id = await addEvent(db.sql, { capacity: 2, createdBy: ann, title: 'Jazz' });
    await register(db.url, { eventId: id, userIds: [ann] });
    await register(db.url, { eventId: id, userIds: [bob], holdMs: 60_000 });
    await register(db.url, { eventId: id, userIds: [cid], joinWaitlist: true });
    expect(await inspect(db.url, (session) => readEvent(session, { eventId: id }))).toMatchObject({
      ...{ id, title: 'Jazz', capacity: 2, currentRegistrations: 1, heldSeats: 1 },
      ...{ createdBy: ann, creator: 'user 1', isActive: true, dateTime: expect.any(Date) },
    });
    const seats = await inspect(db.url, (session) => readEventSeats(session, { eventId: id }));
    expect(seats).toMatchObject({
      ...{ id, title: 'Jazz', capacity: 2, confirmed: 1, pending: 1, waitlist: 1, cancelled: 0 },
      ...{ total: 3, heldSeats: 1, availableSpots: 0, isFull: true, isActive: true },
    });
    expect(seats?.dateTime).toBeInstanceOf(Date);
  });

  test('is null where it does not exist', async ({ db }) => {
    const options = { eventId: 4711 };
    expect(await inspect(db.url, (session) => readEvent(session, options))).toBeNull();
    expect(await inspect(db.url, (session) => readEventSeats(session, options))).toBeNull();
  });
});

describe('registerUsers', () => {
  test('takes exactly the seats that are left, and says who was refused and why', async ({
    db,
  }) => {
    const users = await addUsers(db.sql, 4);
    const [ann = 0, bob = 0, cid = 0, dan = 0] = users;
    const eventId = await addEvent(db.sql, { capacity: 2 });
    const report = await register(db.url, { eventId, userIds: [ann, 999, ann, bob, cid, dan] });
    expect(report).toMatchObject({ eventId, succeeded: 2, refused: 4 });
    expect(report.results.map((one) => [one.userId, one.success || one.errorCode])).toEqual([
      [ann, true],
      [999, 'P0006'],
      [ann, 'P0003'],
      [bob, true],
      [cid, 'P0004'],
      [dan, 'P0004'],
    ]);
    expect(await readSeats(db.sql, eventId)).toEqual({ counter: 2, confirmed: 2 });
  });

  test('tells the place in the queue and the end of a hold', async ({ db }) => {
    const [ann = 0, bob = 0, cid = 0] = await addUsers(db.sql, 3);
    const eventId = await addEvent(db.sql, { capacity: 1 });
    const hold = await register(db.url, { eventId, userIds: [ann], holdMs: 60_000 });
    expect(hold.results).toMatchObject([{ status: 'pending', holdExpiresAt: expect.any(String) }]);
    const wait = await register(db.url, { eventId, userIds: [bob, cid], joinWaitlist: true });
    expect(wait.results).toMatchObject([
      { status: 'waitlist', waitlistPosition: 1 },
      { status: 'waitlist', waitlistPosition: 2 },
    ]);
  });

  test('asks again for users whom somebody was changing', async ({ db }) => {
    const [ann = 0, bob = 0] = await addUsers(db.sql, 2);
    const eventId = await addEvent(db.sql);
    const lock = `update users set name = 'x' where id = ${ann}`;
    let registering: ReturnType<typeof register> | undefined;
    await withOpenTransaction(db.url, lock, async () => {
      registering = register(db.url, { eventId, userIds: [ann, bob] });
      await expect.poll(async () => (await readSeats(db.sql, eventId)).confirmed).toBe(1);
    });
    expect(await registering).toMatchObject({
      succeeded: 2,
      results: [{ userId: ann }, { userId: bob }],
    });
  });

  test('tells of users who stayed busy, and registers the others', async ({ db }) => {
    const [ann = 0, bob = 0] = await addUsers(db.sql, 2);
    const eventId = await addEvent(db.sql);
    const lock = `update users set name = 'x' where id = ${ann}`;
    await withOpenTransaction(db.url, lock, async () => {
      const report = await register(db.url, { eventId, userIds: [ann, bob] });
      expect(report).toMatchObject({
        succeeded: 1,
        refused: 1,
        results: [
          { userId: ann, errorCode: '55P03' },
          { userId: bob, success: true },
        ],
      });
    });
  });

  test.for([0, -1, 1.5, 2 ** 31])('refuses %s as an id', async (id, { db }) => {
    const usage = { code: 'USAGE' };
    await expect(register(db.url, { eventId: id, userIds: [1] })).rejects.toMatchObject(usage);
    await expect(register(db.url, { eventId: 1, userIds: [1, id] })).rejects.toMatchObject(usage);
  });
});

describe('unregisterUsers', () => {
  test('takes registrations back, and says who had none', async ({ db }) => {
    const [ann = 0, bob = 0] = await addUsers(db.sql, 2);
    const eventId = await addEvent(db.sql);
    await register(db.url, { eventId, userIds: [ann] });
    const report = await write(db.url, (session) =>
      unregisterUsers(session, { eventId, userIds: [ann, bob] }),
    );
    expect(report).toMatchObject({
      succeeded: 1,
      refused: 1,
      results: [{ status: 'removed' }, { errorCode: 'P0005' }],
    });
    await register(db.url, { eventId, userIds: [ann] });
    const kept = await write(db.url, (session) =>
      unregisterUsers(session, { eventId, userIds: [ann], keep: true }),
    );
    expect(kept).toMatchObject({ succeeded: 1, results: [{ status: 'cancelled' }] });
    expect(await db.sql`select status from registrations`).toEqual([{ status: 'cancelled' }]);
    expect(await readSeats(db.sql, eventId)).toEqual({ counter: 0, confirmed: 0 });
  });
});
