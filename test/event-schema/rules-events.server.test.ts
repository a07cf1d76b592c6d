import type postgres from 'postgres';
import { describe, expect } from 'vitest';
import { test } from '../support/fixture.ts';
import {
  addEvent,
  addUsers,
  letEventPass,
  only,
  refusalOf,
  register,
  registerBatch,
} from './event-schema-kit.ts';

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

  test('have words that can be seen, whatever the white space is called', async ({ db }) => {
    const { sql } = db;
    // No-break, em, zero-width, ideographic, Braille blank, Hangul filler, byte order mark, soft hyphen.
    for (const blank of [
      ' ',
      '\u00a0',
      '\u2003',
      '\u200b',
      '\u3000',
      '\u2800',
      '\u3164',
      '\ufeff\u00ad',
    ]) {
      expect([blank, await refusalOf(addEvent(sql, { title: blank }))]).toEqual([
        blank,
        ['23514', 'events_title_is_not_blank'],
      ]);
      expect([blank, await refusalOf(addEvent(sql, { location: blank }))]).toEqual([
        blank,
        ['23514', 'events_location_is_not_blank'],
      ]);
    }
    for (const title of ['日本', 'ñ', '👨‍👩‍👧', '—', 'حفل\u200fموسيقي'])
      await addEvent(sql, { title });
    for (const control of ['\n', '\r', '\t', '\u0001', '\u007f', '\u2028']) {
      expect(await refusalOf(addEvent(sql, { title: `Bcc:${control}all` }))).toEqual([
        '23514',
        'events_title_is_one_line',
      ]);
      expect(await refusalOf(addEvent(sql, { location: `Hall${control}2` }))).toEqual([
        '23514',
        'events_location_is_one_line',
      ]);
    }
  });

  test('are at a time that the calendar knows', async ({ db }) => {
    const { sql } = db;
    const at = (time: string) =>
      refusalOf(
        sql`insert into events (title, date_time, capacity) values ('Concert', ${sql.unsafe(time)}, 1)`,
      );
    const outOfReach = ['23514', 'events_date_time_is_in_reach'];
    expect(await at(`'infinity'`)).toEqual(outOfReach);
    expect(await at(`now() + interval '101 years'`)).toEqual(outOfReach);
    expect(await at(`'-infinity'`)).toEqual(['23514', 'events_date_time_is_upcoming']);
    expect(await at(`now() + interval '99 years'`)).toEqual(['00000', 'none']);
    expect(await refusalOf(sql`update events set date_time = 'infinity'`)).toEqual(outOfReach);
  });

  test('can be saved whole when they are over, with times cut to milliseconds', async ({ db }) => {
    const { sql } = db;
    const event = await addEvent(sql);
    await letEventPass(sql, event);
    const [read] = await sql`select * from events`;
    await sql`
      update events set title = 'Opera', date_time = ${read?.date_time}, created_at = ${read?.created_at},
        updated_at = ${read?.updated_at}, capacity = ${read?.capacity}`;
    const [kept] = await sql`
      select title, updated_at > created_at as edited
      from events`;
    expect(kept).toMatchObject({ title: 'Opera', edited: true });
    expect(
      await refusalOf(sql`update events set date_time = date_time - interval '1 second'`),
    ).toEqual(['23514', 'events_date_time_is_upcoming']);
  });

  test('begin without registrations and keep a seat for each that is held', async ({ db }) => {
    const { sql } = db;
    for (const counter of ['current_registrations', 'held_seats']) {
      const insert = sql`
        insert into events (title, date_time, capacity, ${sql(counter)})
        values ('Concert', now() + interval '1 day', 5, 1)`;
      expect(await refusalOf(insert)).toEqual(['23514', 'events_counters_begin_at_zero']);
    }
    const [ann, bob] = await addUsers(sql, 2);
    const event = await addEvent(sql, { capacity: 2 });
    await register(sql, only(ann), event);
    await sql`select safe_event_registration(${only(bob)}, ${event}, p_hold => '1 hour')`;
    const error = await sql`update events set capacity = 1`.then(
      () => undefined,
      (reason: postgres.PostgresError) => reason,
    );
    expect(error).toMatchObject({
      code: '23514',
      table_name: 'events',
      column_name: 'capacity',
      constraint_name: 'events_capacity_is_not_exceeded',
      message: `The capacity of event ${event} cannot be 1: 1 registrations are confirmed and 1 seats held`,
      hint: `Cancel registrations first, or call settle_event_seats(${event}) if holds have expired.`,
    });
    await sql`update registrations set hold_expires_at = clock_timestamp() - interval '1 s' where status = 'pending'`;
    await sql`select settle_event_seats(${event})`;
    await sql`update events set capacity = 1`;
  });

  test('keep the time at which they were made, and set the time of an edit on their own', async ({
    db,
  }) => {
    const { sql } = db;
    await addEvent(sql);
    const stamp = async () => (await sql`select updated_at::text, created_at::text from events`)[0];
    const before = await stamp();
    await sql`update events set created_at = '2001-01-01', updated_at = '2001-01-01'`;
    expect(await stamp()).toEqual(before);
    await sql`update events set created_at = '2001-01-01', updated_at = '2001-01-01', title = 'Opera'`;
    const after = await stamp();
    expect(after?.created_at).toBe(before?.created_at);
    expect(after?.updated_at > before?.updated_at).toBe(true);
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
