import { describe, expect } from 'vitest';
import { test } from '../support/fixture.ts';
import {
  addEvent,
  addUsers,
  letEventPass,
  only,
  readSeats,
  refusalOf,
  register,
} from './event-schema-kit.ts';
import { smuggle } from './rules-kit.ts';

describe('direct statements', () => {
  test('keep the counter right, whatever they do to registrations', async ({ db }) => {
    const { sql } = db;
    const users = await addUsers(sql, 6);
    const one = await addEvent(sql);
    const two = await addEvent(sql);
    const seats = async () =>
      [await readSeats(sql, one), await readSeats(sql, two)].map(({ counter, confirmed }) => {
        expect(counter).toBe(confirmed);
        return counter;
      });
    await sql`
      insert into registrations (user_id, event_id)
      select u, e from unnest(${users}::int[]) u, unnest(${[one, two]}::int[]) e`;
    expect(await seats()).toEqual([6, 6]);
    await sql`update registrations set status = 'cancelled' where user_id = ${only(users[0])}`;
    expect(await seats()).toEqual([5, 5]);
    await sql`update registrations set status = 'cancelled' where event_id = ${one} and user_id = ${only(users[1])}`;
    expect(await seats()).toEqual([4, 5]);
    await sql`delete from registrations where event_id = ${two} and user_id = ${only(users[0])}`;
    await sql`
      update registrations set event_id = ${two} where event_id = ${one} and user_id = ${only(users[0])}`;
    expect(await seats()).toEqual([4, 5]);
    await sql`
      insert into registrations (user_id, event_id) values (${only(users[0])}, ${two})
      on conflict (user_id, event_id) do update set status = excluded.status`;
    expect(await seats()).toEqual([4, 6]);
    await sql`delete from users where id = ${only(users[5])}`;
    expect(await seats()).toEqual([3, 5]);
    await sql`delete from registrations where event_id = ${two}`;
    expect(await seats()).toEqual([3, 0]);
    await sql`truncate registrations`;
    expect(await seats()).toEqual([0, 0]);
  });

  test('of one row are counted as those of many: waiters come first, and holds end', async ({
    db,
  }) => {
    const { sql } = db;
    const [ann = 0, bob = 0, cem = 0, dee = 0, eve = 0] = await addUsers(sql, 5);
    const event = await addEvent(sql, { capacity: 3 });
    const statuses = async () =>
      sql`select user_id, status, hold_expires_at from registrations order by id`;
    await sql`
      insert into registrations (user_id, event_id, status, hold_expires_at)
      values (${ann}, ${event}, 'confirmed', now() + interval '1 hour')`;
    expect(await statuses()).toEqual([
      { user_id: ann, status: 'confirmed', hold_expires_at: null },
    ]);
    await smuggle(sql, bob, event, 'waitlist');
    await sql`insert into registrations (user_id, event_id) values (${cem}, ${event})`;
    expect(await statuses()).toMatchObject([
      { user_id: ann, status: 'confirmed' },
      { user_id: bob, status: 'confirmed' },
      { user_id: cem, status: 'confirmed' },
    ]);
    const full = { code: '23514', constraint_name: 'registrations_event_has_seats' };
    const insert = (user: number) =>
      sql`insert into registrations (user_id, event_id) values (${user}, ${event})`;
    await expect(insert(dee)).rejects.toMatchObject(full);
    await sql`delete from registrations where user_id = ${cem}`;
    await smuggle(sql, eve, event, 'waitlist');
    // The seat is the waiter's, although the newcomer's statement finds it free.
    await expect(insert(dee)).rejects.toMatchObject(full);
    expect(await readSeats(sql, event)).toMatchObject({ counter: 2, confirmed: 2 });
  });

  test('go with a deleted event and its creator stays out of it', async ({ db }) => {
    const { sql } = db;
    const [ann, bob] = await addUsers(sql, 2);
    const event = await addEvent(sql, { createdBy: only(ann) });
    const other = await addEvent(sql, { createdBy: only(ann) });
    await register(sql, only(bob), event);
    await sql`delete from events where id = ${event}`;
    expect(await sql`select id from registrations`).toEqual([]);
    await sql`delete from users where id = ${only(ann)}`;
    expect(await sql`select id, created_by from events`).toEqual([{ id: other, created_by: null }]);
  });

  test('are refused where a call would be, with a constraint to match on', async ({ db }) => {
    const { sql } = db;
    const [ann, bob, closed] = await addUsers(sql, 3);
    await sql`update users set is_active = false where id = ${only(closed)}`;
    const open = await addEvent(sql);
    const full = await addEvent(sql, { capacity: 1 });
    await register(sql, only(ann), full);
    const hidden = await addEvent(sql);
    await sql`update events set is_active = false where id = ${hidden}`;
    const past = await addEvent(sql);
    await letEventPass(sql, past);
    const insert = (user: number, event: number, status = 'confirmed') =>
      refusalOf(
        sql`insert into registrations (user_id, event_id, status) values (${user}, ${event}, ${status})`,
      );
    const check = (name: string) => ['23514', name];
    expect(await insert(only(bob), full)).toEqual(check('registrations_event_has_seats'));
    expect(await insert(only(bob), hidden)).toEqual(check('registrations_event_is_active'));
    expect(await insert(only(bob), past)).toEqual(check('registrations_event_is_upcoming'));
    expect(await insert(only(bob), past, 'waitlist')).toEqual(
      check('registrations_event_is_upcoming'),
    );
    expect(await insert(only(closed), open)).toEqual(check('registrations_user_is_active'));
    expect(await insert(only(bob), open, 'perhaps')).toEqual(check('registration_status_is_known'));
    expect(await insert(only(ann), full)).toEqual(['23505', 'registrations_user_id_event_id_key']);
    expect(await insert(only(bob), 999_999)).toEqual(['23503', 'registrations_event_id_fkey']);
    expect(await insert(only(bob), full, 'waitlist')).toEqual(['00000', 'none']);
    expect(
      await refusalOf(sql`update registrations set status = 'confirmed' where status = 'waitlist'`),
    ).toEqual(check('registrations_event_has_seats'));
    expect(await readSeats(sql, full)).toEqual({ counter: 1, confirmed: 1 });
  });
});
