import { describe, expect } from 'vitest';
import { test } from '../support/fixture.ts';
import {
  addEvent,
  addTrio,
  addUsers,
  letEventPass,
  only,
  register,
  registerBatch,
  unregister,
} from './event-schema-kit.ts';
import { behindTriggers, listBroken, readDetails, smuggle } from './rules-kit.ts';

describe('validate_business_rules', () => {
  test('has nothing to say about a healthy database', async ({ db }) => {
    const { sql } = db;
    expect(await listBroken(sql)).toEqual([]);
    const users = await addUsers(sql, 6);
    const event = await addEvent(sql, { capacity: 3, createdBy: only(users[0]) });
    await registerBatch(sql, users.slice(0, 3), event);
    await sql`select safe_event_registration(${only(users[3])}, ${event}, true)`;
    await unregister(sql, only(users[1]), event);
    await sql`select safe_event_registration(${only(users[4])}, ${event}, true)`;
    const other = await addEvent(sql, { capacity: 2 });
    await sql`select safe_event_registration(${only(users[0])}, ${other}, p_hold => '1 hour')`;
    const past = await addEvent(sql, { createdBy: only(users[5]) });
    await register(sql, only(users[5]), past);
    await letEventPass(sql, past);
    await sql`update users set is_active = false where id = ${only(users[5])}`;
    expect(await listBroken(sql)).toEqual([]);
  });

  test('knows each of its rules by name, with a severity and what it means', async ({ db }) => {
    const rules = await db.sql`select * from list_business_rules()`;
    expect(rules.length).toBeGreaterThan(15);
    expect(new Set(rules.map((rule) => rule.rule_name)).size).toBe(rules.length);
    for (const rule of rules) {
      expect(['error', 'warning']).toContain(rule.severity);
      expect(rule.description).toMatch(/\w/);
      // A repair is a statement that runs.
      if (rule.repair !== null) await db.sql.unsafe(rule.repair);
    }
    const [{ unknown }] = (await db.sql`
      select array_agg(m[1]) as unknown
      from regexp_matches(
        (select prosrc from pg_proc where proname = 'validate_business_rules'),
        'select ''(\w+)''', 'g') m
      where m[1] not in (select rule_name from list_business_rules())`) as unknown as [
      { unknown: string[] | null },
    ];
    expect(unknown).toBe(null);
  });

  test('calls no function that would keep it from running in parallel', async ({ db }) => {
    const [rules] = await db.sql<{ called: string[]; unsafe: string[] | null }[]>`
      with source as (select prosrc from pg_proc where proname = 'validate_business_rules')
      select array_agg(p.proname::text order by p.proname) as called,
        array_agg(p.proname::text) filter (where p.proparallel <> 's') as unsafe
      from pg_proc p, source
      where source.prosrc ~ ('\\m' || p.proname || '\\(')`;
    expect(only(rules).called).toContain('list_schema_guards');
    expect(only(rules).unsafe).toBe(null);
  });

  test('compares the counters with the rows', async ({ db }) => {
    const { sql } = db;
    const [ann, bob] = await addTrio(sql);
    const event = await addEvent(sql);
    const other = await addEvent(sql);
    const empty = await addEvent(sql);
    await smuggle(sql, ann, event);
    await smuggle(sql, bob, event, 'pending');
    await sql`update registrations set hold_expires_at = now() + interval '1 hour' where status = 'pending'`;
    await sql`update events set held_seats = 2 where id = ${other}`;
    await sql`update events set current_registrations = 4 where id = ${empty}`;
    expect(await listBroken(sql)).toEqual([
      ['held_seats_mismatch', 2, [event, other]],
      ['registration_count_mismatch', 2, [event, empty]],
    ]);
    expect(await readDetails(sql, 'registration_count_mismatch')).toBe(
      'events.current_registrations differs from the number of confirmed registrations; ids of events: ' +
        `event ${event} counts 0, confirmed are 1; event ${empty} counts 4, confirmed are 0`,
    );
  });

  test('gives a count of all and the ids of ten', async ({ db }) => {
    const { sql } = db;
    const events: number[] = [];
    for (let i = 0; i < 12; i++) events.push(await addEvent(sql));
    await sql`update events set current_registrations = 1`;
    expect(await listBroken(sql)).toEqual([
      ['registration_count_mismatch', 12, events.slice(0, 10)],
    ]);
    expect(await readDetails(sql, 'registration_count_mismatch')).toMatch(/; \.\.\.$/);
  });

  test('finds events with more people than seats', async ({ db }) => {
    const { sql } = db;
    const [ann, bob, cid] = await addTrio(sql);
    const event = await addEvent(sql, { capacity: 2 });
    await register(sql, ann, event);
    await register(sql, bob, event);
    await smuggle(sql, cid, event);
    expect(await listBroken(sql)).toEqual([
      ['capacity_exceeded', 1, [event]],
      ['registration_count_mismatch', 1, [event]],
    ]);
    expect(await readDetails(sql, 'capacity_exceeded')).toContain(
      `event ${event} has 2 seats, taken are 3`,
    );
  });

  test('finds rows that refer to nothing', async ({ db }) => {
    const { sql } = db;
    const [ann] = await addTrio(sql);
    const event = await addEvent(sql, { createdBy: ann });
    const gone = await smuggle(sql, ann, 777, 'cancelled');
    const stranger = await smuggle(sql, 888, event, 'cancelled');
    const between = await smuggle(sql, 2_000_000_000, event, 'cancelled');
    const below = await smuggle(sql, -5, event, 'cancelled');
    await behindTriggers(sql, `update events set created_by = 999 where id = ${event}`);
    expect(await listBroken(sql)).toEqual([
      ['events_without_creator', 1, [event]],
      ['registrations_without_event', 1, [gone]],
      ['registrations_without_user', 3, [stranger, between, below]],
    ]);
    expect(await readDetails(sql, 'registrations_without_user')).toContain(
      'user 888 does not exist',
    );
  });

  test('finds orphans of users that were deleted from the middle', async ({ db }) => {
    const { sql } = db;
    const [ann, bob, cid] = await addTrio(sql);
    const event = await addEvent(sql);
    const ids: number[] = [];
    for (const user of [ann, bob, cid]) ids.push(await smuggle(sql, user, event, 'cancelled'));
    await behindTriggers(sql, `delete from users where id = ${bob}`);
    expect(await listBroken(sql)).toEqual([['registrations_without_user', 1, [ids[1]]]]);
    await behindTriggers(sql, 'delete from users');
    expect(await listBroken(sql)).toEqual([['registrations_without_user', 3, ids]]);
  });

  test('finds a status that is none, and pairs that are registered twice', async ({ db }) => {
    const { sql } = db;
    const [ann, bob, cid] = await addTrio(sql);
    const event = await addEvent(sql);
    await sql`alter table registrations drop constraint registrations_user_id_event_id_key`;
    await sql`alter domain registration_status drop constraint registration_status_is_known`;
    await smuggle(sql, ann, event, 'cancelled');
    const again = await smuggle(sql, ann, event, 'cancelled');
    const third = await smuggle(sql, ann, event, 'cancelled');
    const perhaps = await smuggle(sql, bob, event, 'perhaps');
    await smuggle(sql, cid, event, 'cancelled');
    expect(await listBroken(sql)).toEqual([
      ['duplicate_registrations', 2, [again, third]],
      ['missing_guards', 2, null],
      ['unknown_status', 1, [perhaps]],
    ]);
    await sql`
      alter domain registration_status add constraint registration_status_is_known
      check (value in ('confirmed', 'cancelled', 'waitlist', 'pending')) not valid`;
    await sql.unsafe(
      `create unique index registrations_once on registrations (event_id, user_id) where id > ${third}`,
    );
    expect(await listBroken(sql)).toEqual([
      ['duplicate_registrations', 2, [again, third]],
      ['missing_guards', 1, null],
      ['unknown_status', 1, [perhaps]],
      ['unvalidated_constraints', 1, null],
    ]);
  });

  test('finds seats and events of closed accounts while they matter', async ({ db }) => {
    const { sql } = db;
    const [ann, bob, cid] = await addTrio(sql);
    const event = await addEvent(sql, { createdBy: cid });
    await register(sql, ann, event);
    await sql`select safe_event_registration(${bob}, ${event}, p_hold => '1 hour')`;
    const past = await addEvent(sql, { createdBy: cid });
    await register(sql, ann, past);
    await letEventPass(sql, past);
    const off = await addEvent(sql, { createdBy: cid });
    await register(sql, ann, off);
    await sql`update events set is_active = false where id = ${off}`;
    await sql`update users set is_active = false`;
    const ids = await sql<{ id: number }[]>`
      select id from registrations where event_id = ${event} order by id`;
    expect(await listBroken(sql)).toEqual([
      ['events_of_inactive_creators', 1, [event]],
      ['registrations_of_inactive_users', 2, ids.map((row) => row.id)],
    ]);
  });
});
