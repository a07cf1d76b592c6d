import type postgres from 'postgres';
import { describe, expect } from 'vitest';
import { test } from '../support/fixture.ts';
import {
  addEvent,
  addUsers,
  only,
  type RegistrationResult,
  register,
  registerBatch,
  unregister,
} from './event-schema-kit.ts';

interface HoldResult extends RegistrationResult {
  status?: string;
  hold_expires_at?: string;
}

async function hold(
  sql: postgres.Sql,
  userId: number,
  eventId: number,
  duration = '10 minutes',
): Promise<HoldResult> {
  const [row] = await sql<{ result: HoldResult }[]>`
    select safe_event_registration(${userId}, ${eventId}, p_hold => ${duration}::text::interval) as result`;
  return only(row).result;
}

async function expireHold(sql: postgres.Sql, userId: number): Promise<void> {
  await sql`update registrations set hold_expires_at = now() where user_id = ${userId}`;
}

async function readState(sql: postgres.Sql, eventId: number) {
  const rows = await sql<{ status: string }[]>`
    select status from registrations where event_id = ${eventId} order by user_id`;
  const [event] = await sql`
    select current_registrations as confirmed, held_seats as held from events where id = ${eventId}`;
  return { ...event, statuses: rows.map((row) => row.status).join(' ') };
}

describe('a hold', () => {
  test('takes a seat until it is confirmed on the same row', async ({ db }) => {
    const { sql } = db;
    const [ann, bob] = await addUsers(sql, 2);
    const event = await addEvent(sql, { capacity: 1 });
    const held = await hold(sql, only(ann), event);
    expect(held).toMatchObject({ success: true, status: 'pending' });
    expect(Date.parse(only(held.hold_expires_at))).toBeGreaterThan(
      Date.parse(only(held.registered_at)),
    );
    expect(await readState(sql, event)).toEqual({ confirmed: 0, held: 1, statuses: 'pending' });
    expect(await register(sql, only(bob), event)).toMatchObject({ error_code: 'P0004' });
    expect(await hold(sql, only(ann), event)).toMatchObject({ error_code: 'P0003' });
    expect(await register(sql, only(ann), event)).toMatchObject({
      success: true,
      status: 'confirmed',
      registration_id: held.registration_id,
    });
    expect(await readState(sql, event)).toEqual({ confirmed: 1, held: 0, statuses: 'confirmed' });
    const [row] = await sql`select hold_expires_at from registrations`;
    expect(row).toEqual({ hold_expires_at: null });
  });

  test('gives its seat to the next who asks once it has expired', async ({ db }) => {
    const { sql } = db;
    const [ann, bob] = await addUsers(sql, 2);
    const event = await addEvent(sql, { capacity: 1 });
    await hold(sql, only(ann), event);
    await expireHold(sql, only(ann));
    expect(await readState(sql, event)).toMatchObject({ held: 1 });
    expect(await register(sql, only(bob), event)).toMatchObject({ success: true });
    expect(await readState(sql, event)).toEqual({
      confirmed: 1,
      held: 0,
      statuses: 'cancelled confirmed',
    });
    expect(await register(sql, only(ann), event)).toMatchObject({ error_code: 'P0004' });
  });

  test('gives its seat to a waiter before the one who asks', async ({ db }) => {
    const { sql } = db;
    const [ann, bob, cleo] = await addUsers(sql, 3);
    const event = await addEvent(sql, { capacity: 1 });
    await hold(sql, only(ann), event);
    await sql`select safe_event_registration(${only(bob)}, ${event}, true)`;
    await expireHold(sql, only(ann));
    expect(await register(sql, only(cleo), event)).toMatchObject({ error_code: 'P0004' });
    expect(await readState(sql, event)).toEqual({
      confirmed: 1,
      held: 0,
      statuses: 'cancelled confirmed',
    });
  });

  test('loses its seat to a waiter even if its owner asks first', async ({ db }) => {
    const { sql } = db;
    const [ann, bob] = await addUsers(sql, 2);
    const event = await addEvent(sql, { capacity: 1 });
    await hold(sql, only(ann), event);
    await sql`select safe_event_registration(${only(bob)}, ${event}, true)`;
    await expireHold(sql, only(ann));
    expect(await register(sql, only(ann), event)).toMatchObject({ error_code: 'P0004' });
    expect(await readState(sql, event)).toMatchObject({ statuses: 'cancelled confirmed' });
  });

  test('that expired can still be confirmed while nobody else wants the seat', async ({ db }) => {
    const { sql } = db;
    const [ann] = await addUsers(sql, 1);
    const event = await addEvent(sql, { capacity: 1 });
    const held = await hold(sql, only(ann), event);
    await expireHold(sql, only(ann));
    expect(await register(sql, only(ann), event)).toMatchObject({
      success: true,
      registration_id: held.registration_id,
    });
  });

  test.for([
    [
      'a direct insert',
      (sql, user, event) =>
        sql`insert into registrations (user_id, event_id) values (${user}, ${event})`,
    ],
    ['a batch', (sql, user, event) => registerBatch(sql, [user], event)],
  ] as [string, (sql: postgres.Sql, user: number, event: number) => Promise<unknown>][])(
    'that expired makes room for %s',
    async ([, take], { db }) => {
      const { sql } = db;
      const [ann, bob] = await addUsers(sql, 2);
      const event = await addEvent(sql, { capacity: 1 });
      await hold(sql, only(ann), event);
      await expireHold(sql, only(ann));
      await take(sql, only(bob), event);
      expect(await readState(sql, event)).toEqual({
        confirmed: 1,
        held: 0,
        statuses: 'cancelled confirmed',
      });
    },
  );

  test('is confirmed by a batch without taking another seat', async ({ db }) => {
    const { sql } = db;
    const users = await addUsers(sql, 3);
    const event = await addEvent(sql, { capacity: 2 });
    await hold(sql, only(users[1]), event);
    const result = await registerBatch(sql, users, event);
    expect(result.details.map((detail) => detail.error_code ?? 'ok')).toEqual([
      'ok',
      'ok',
      'P0004',
    ]);
    expect(await readState(sql, event)).toEqual({
      confirmed: 2,
      held: 0,
      statuses: 'confirmed confirmed',
    });
  });

  test('can be given back, and its seat goes to the next waiter', async ({ db }) => {
    const { sql } = db;
    const [ann, bob] = await addUsers(sql, 2);
    const event = await addEvent(sql, { capacity: 1 });
    await hold(sql, only(ann), event);
    await sql`select safe_event_registration(${only(bob)}, ${event}, true)`;
    expect(await unregister(sql, only(ann), event)).toMatchObject({ success: true });
    expect(await readState(sql, event)).toMatchObject({
      confirmed: 1,
      statuses: 'confirmed',
    });
  });

  test('ends fifteen minutes ahead unless a statement says otherwise', async ({ db }) => {
    const { sql } = db;
    const [ann, bob] = await addUsers(sql, 2);
    const event = await addEvent(sql);
    await sql`insert into registrations (user_id, event_id, status) values (${only(ann)}, ${event}, 'pending')`;
    await sql`
      insert into registrations (user_id, event_id, hold_expires_at)
      values (${only(bob)}, ${event}, now())`;
    const rows = await sql`
      select hold_expires_at between registered_at + '14 min' and registered_at + '16 min' as is_default
      from registrations order by user_id`;
    expect(rows).toEqual([{ is_default: true }, { is_default: null }]);
  });

  test('is swept up with all others that have expired', async ({ db }) => {
    const { sql } = db;
    const users = await addUsers(sql, 3);
    const events = [await addEvent(sql), await addEvent(sql)];
    for (const event of events) for (const user of users) await hold(sql, user, event);
    await expireHold(sql, only(users[0]));
    await expireHold(sql, only(users[2]));
    const [swept] = await sql`select release_expired_holds() as count`;
    expect(swept).toEqual({ count: 4 });
    for (const event of events)
      expect(await readState(sql, event)).toEqual({
        confirmed: 0,
        held: 1,
        statuses: 'cancelled pending cancelled',
      });
    const [again] = await sql`select release_expired_holds() as count`;
    expect(again).toEqual({ count: 0 });
  });

  // The last two compare as less than a day, and reach months or days ahead in the calendar.
  const tooLong = ['1200 months -35999 days', '12 months -359 days'];

  test.for(['0 seconds', '-1 minute', '2 days', '26 hours', 'infinity', ...tooLong])(
    'cannot last %s',
    async (duration, { db, skip }) => {
      const { sql } = db;
      const [version] = await sql<
        { number: number }[]
      >`select current_setting('server_version_num')::int as number`;
      if (duration === 'infinity' && only(version).number < 170_000)
        skip('intervals are finite before PostgreSQL 17');
      const [ann] = await addUsers(sql, 1);
      const event = await addEvent(sql);
      await expect(hold(sql, only(ann), event, duration)).rejects.toMatchObject({ code: '22023' });
      expect(await readState(sql, event)).toMatchObject({ statuses: '' });
    },
  );
});

describe('a hold that never ends', () => {
  const never: [string, (sql: postgres.Sql, user: number, event: number) => Promise<unknown>][] = [
    [
      'an insert',
      (sql, user, event) =>
        sql`insert into registrations (user_id, event_id, status, hold_expires_at) values (${user}, ${event}, 'pending', 'infinity')`,
    ],
    [
      'an update',
      async (sql, user, event) => {
        await hold(sql, user, event);
        await sql`update registrations set hold_expires_at = 'infinity'`;
      },
    ],
    [
      'a copy',
      (sql, user, event) =>
        sql.unsafe(
          `copy registrations (user_id, event_id, status, hold_expires_at) from program 'echo ${user},${event},pending,infinity' (format csv)`,
        ),
    ],
  ];

  test.for(never)('is refused by %s', async ([, work], { db }) => {
    const [ann] = await addUsers(db.sql, 1);
    const event = await addEvent(db.sql);
    await expect(work(db.sql, only(ann), event)).rejects.toMatchObject({
      code: '23514',
      constraint_name: 'registrations_hold_ends',
    });
    const endless = await db.sql`select from registrations where hold_expires_at = 'infinity'`;
    expect(endless).toHaveLength(0);
  });
});

describe('the status of a registration', () => {
  const allowed: Record<string, string[]> = {
    pending: ['confirmed', 'cancelled'],
    waitlist: ['confirmed', 'pending', 'cancelled'],
    confirmed: ['cancelled'],
    cancelled: ['confirmed', 'pending', 'waitlist'],
  };

  test.for(Object.keys(allowed))('%s goes only where it may', async (from, { db }) => {
    const { sql } = db;
    const [ann] = await addUsers(sql, 1);
    const event = await addEvent(sql);
    // A waiter would be given a free seat at once.
    await sql`alter table registrations disable trigger registrations_95_count_insert`;
    const reached: string[] = [];
    for (const to of Object.keys(allowed)) {
      if (to === from) continue;
      await sql`truncate registrations`;
      await sql`insert into registrations (user_id, event_id, status) values (${only(ann)}, ${event}, ${from})`;
      await sql`update events set current_registrations = ${from === 'confirmed' ? 1 : 0}, held_seats = ${from === 'pending' ? 1 : 0}`;
      const change = sql`update registrations set status = ${to}`;
      if (allowed[from]?.includes(to)) {
        await change;
        reached.push(to);
      } else {
        await expect(change).rejects.toMatchObject({
          code: '23514',
          constraint_name: 'registrations_status_may_follow',
        });
      }
    }
    expect(reached.sort()).toEqual(only(allowed[from]).toSorted());
  });
});
