import type postgres from 'postgres';
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
} from './event-schema-stage.ts';

/** SQLSTATE and constraint of the error that a statement ends in. */
async function refusalOf(statement: Promise<unknown>): Promise<[string, string]> {
  return statement.then(
    () => ['00000', 'none'],
    (error: postgres.PostgresError) => [error.code, error.constraint_name ?? ''],
  );
}

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

describe('events', () => {
  test('are set in the future, and stay editable once they are over', async ({ db }) => {
    const { sql } = db;
    const yesterday = new Date(Date.now() - 24 * 60 * 60 * 1000);
    expect(await refusalOf(addEvent(sql, { startsAt: yesterday }))).toEqual([
      '23514',
      'events_date_time_is_upcoming',
    ]);
    const event = await addEvent(sql);
    expect(
      await refusalOf(sql`update events set date_time = ${yesterday} where id = ${event}`),
    ).toEqual(['23514', 'events_date_time_is_upcoming']);
    await letEventPass(sql, event);
    await sql`update events set description = 'It was good', title = 'Concert (over)', capacity = 20 where id = ${event}`;
  });

  test('have 1 to 10000 seats and never fewer than are taken', async ({ db }) => {
    const { sql } = db;
    expect(await refusalOf(addEvent(sql, { capacity: 0 }))).toEqual([
      '23514',
      'event_capacity_is_in_range',
    ]);
    expect(await refusalOf(addEvent(sql, { capacity: 10_001 }))).toEqual([
      '23514',
      'event_capacity_is_in_range',
    ]);
    const users = await addUsers(sql, 3);
    const event = await addEvent(sql, { capacity: 10_000 });
    await registerBatch(sql, users, event);
    expect(await refusalOf(sql`update events set capacity = 2`)).toEqual([
      '23514',
      'events_capacity_is_not_exceeded',
    ]);
    await sql`update events set capacity = 3`;
    expect(await refusalOf(sql`update events set current_registrations = 4`)).toEqual([
      '23514',
      'events_capacity_is_not_exceeded',
    ]);
  });

  test('have a title, and a location that is not blank where there is one', async ({ db }) => {
    const { sql } = db;
    expect(await refusalOf(addEvent(sql, { title: ' \t' }))).toEqual([
      '23514',
      'events_title_is_not_blank',
    ]);
    expect(await refusalOf(addEvent(sql, { location: '' }))).toEqual([
      '23514',
      'events_location_is_not_blank',
    ]);
    await addEvent(sql, { location: null });
  });

  test('say when they were edited, which being registered for is not', async ({ db }) => {
    const { sql } = db;
    const [user] = await addUsers(sql, 1);
    const event = await addEvent(sql);
    const stamp = async () => (await sql`select updated_at::text, created_at::text from events`)[0];
    const before = await stamp();
    expect(before?.updated_at).toBe(before?.created_at);
    await register(sql, only(user), event);
    await sql`update events set title = title`;
    expect(await stamp()).toEqual(before);
    await sql`update events set title = 'Opera'`;
    expect((await stamp())?.updated_at > before?.updated_at).toBe(true);
  });
});

describe('users', () => {
  const addUser = (sql: postgres.Sql, email: string, name = 'Ann', hash = 'h') =>
    refusalOf(
      sql`insert into users (name, email, password_hash) values (${name}, ${email}, ${hash})`,
    );

  test('have one well-formed address each', async ({ db }) => {
    const { sql } = db;
    const good = [
      'ann@example.com',
      'o.b+tag@mail.example.co.uk',
      "o'brien_1@ex-ample.org",
      'jörg@bücher.example',
      `${'a'.repeat(64)}@example.com`,
    ];
    for (const email of good) expect(await addUser(sql, email)).toEqual(['00000', 'none']);
    const malformed = [
      '',
      'ann',
      'ann@',
      '@example.com',
      'ann@localhost',
      'ann@@example.com',
      'ann@example..com',
      '.ann@example.com',
      'ann.@example.com',
      'ann @example.com',
      'ann@example.com\n',
      'Ann <ann2@example.com>',
      'ann2@example.com,bob@example.com',
    ];
    for (const email of malformed) {
      expect([email, await addUser(sql, email)]).toEqual([
        email,
        ['23514', 'email_address_is_well_formed'],
      ]);
    }
    expect(await addUser(sql, `${'a'.repeat(65)}@example.com`)).toEqual([
      '23514',
      'email_address_local_part_fits',
    ]);
    expect(await addUser(sql, `a@${'b'.repeat(320)}.com`)).toEqual(['22001', '']);
    expect(await addUser(sql, 'ann@example.com')).toEqual(['23505', 'users_email_key']);
    expect(await addUser(sql, 'ANN@Example.com')).toEqual(['23505', 'users_email_lower_key']);
  });

  test('have a name and a hash, and say when they changed', async ({ db }) => {
    const { sql } = db;
    expect(await addUser(sql, 'a@example.com', ' ')).toEqual(['23514', 'users_name_is_not_blank']);
    expect(await addUser(sql, 'a@example.com', 'Ann', '')).toEqual([
      '23514',
      'users_password_hash_is_not_blank',
    ]);
    await addUsers(sql, 1);
    const stamp = async () =>
      String((await sql`select updated_at::text from users`)[0]?.updated_at);
    const before = await stamp();
    await sql`update users set name = name`;
    expect(await stamp()).toBe(before);
    await sql`update users set name = 'Bob'`;
    expect((await stamp()) > before).toBe(true);
  });
});
