import type postgres from 'postgres';
import { describe, expect } from 'vitest';
import { test } from '../support/fixture.ts';
import { addEvent, addTrio, letEventPass, only, register, unregister } from './event-schema-kit.ts';
import { listBroken, smuggle } from './rules-kit.ts';

async function join(sql: postgres.Sql, user: number, event: number): Promise<number> {
  const [row] = await sql<{ id: number }[]>`
    select (safe_event_registration(${user}, ${event}, true) ->> 'registration_id')::int as id`;
  return only(row).id;
}

async function statusOf(sql: postgres.Sql, id: number): Promise<string> {
  const [row] = await sql<{ status: string }[]>`select status from registrations where id = ${id}`;
  return only(row).status;
}

describe('rules of the queue', () => {
  test('free seats do not stay free while somebody waits', async ({ db }) => {
    const { sql } = db;
    const [ann, bob, cid] = await addTrio(sql);
    const event = await addEvent(sql, { capacity: 1 });
    await register(sql, ann, event);
    const first = await join(sql, bob, event);
    const second = await join(sql, cid, event);
    await sql`alter table events disable trigger events_30_fill`;
    await sql`update events set capacity = 2`;
    await sql`alter table events enable trigger events_30_fill`;
    expect(await listBroken(sql)).toEqual([['seats_free_while_waiting', 1, [event]]]);

    const repair = async () => (await sql`select repair_waitlists() as promoted`)[0]?.promoted;
    expect(await repair()).toBe(1);
    expect([await statusOf(sql, first), await statusOf(sql, second)]).toEqual([
      'confirmed',
      'waitlist',
    ]);
    expect(await listBroken(sql)).toEqual([]);
    expect(await repair()).toBe(0);
  });

  test('nobody is counted as waiting who cannot be given the seat', async ({ db }) => {
    const { sql } = db;
    const [ann, bob] = await addTrio(sql);
    const event = await addEvent(sql, { capacity: 1 });
    await register(sql, ann, event);
    await join(sql, bob, event);
    await sql`update users set is_active = false where id = ${bob}`;
    await unregister(sql, ann, event);
    expect(await listBroken(sql)).toEqual([]);
    await sql`alter table users disable trigger users_30_fill`;
    await sql`update users set is_active = true where id = ${bob}`;
    await sql`alter table users enable trigger users_30_fill`;
    expect(await listBroken(sql)).toEqual([['seats_free_while_waiting', 1, [event]]]);
    await letEventPass(sql, event);
    expect(await listBroken(sql)).toEqual([]);
  });

  test('who comes later is not confirmed before who waits', async ({ db }) => {
    const { sql } = db;
    const [ann, bob, cid] = await addTrio(sql);
    const event = await addEvent(sql, { capacity: 1 });
    await register(sql, ann, event);
    const waiting = await join(sql, bob, event);
    await join(sql, cid, event);
    expect(await listBroken(sql)).toEqual([]);
    // By hand: out with Ann, in with Cid.
    await sql`alter table registrations disable trigger registrations_95_count_update`;
    await sql`update registrations set status = 'cancelled' where user_id = ${ann}`;
    await sql`update registrations set status = 'confirmed' where user_id = ${cid}`;
    await sql`alter table registrations enable trigger registrations_95_count_update`;
    expect(await listBroken(sql)).toEqual([['waitlist_overtaken', 1, [waiting]]]);
  });

  test('an account that was closed meanwhile may have been passed over', async ({ db }) => {
    const { sql } = db;
    const [ann, bob, cid] = await addTrio(sql);
    const event = await addEvent(sql, { capacity: 1 });
    await register(sql, ann, event);
    await join(sql, bob, event);
    const later = await join(sql, cid, event);
    await sql`update users set is_active = false where id = ${bob}`;
    await unregister(sql, ann, event);
    expect(await statusOf(sql, later)).toBe('confirmed');
    await sql`update users set is_active = true where id = ${bob}`;
    expect(await listBroken(sql)).toEqual([]);
  });

  test('holds that have expired are reported until they are settled', async ({ db }) => {
    const { sql } = db;
    const [ann, bob] = await addTrio(sql);
    const event = await addEvent(sql, { capacity: 1 });
    await sql`select safe_event_registration(${ann}, ${event}, p_hold => '1 hour')`;
    const waiting = await join(sql, bob, event);
    expect(await listBroken(sql)).toEqual([]);
    const [hold] = await sql`
      update registrations set hold_expires_at = clock_timestamp() - interval '1 s'
      where user_id = ${ann} returning id`;
    expect(await listBroken(sql)).toEqual([['expired_holds', 1, [hold?.id]]]);
    await sql`select release_expired_holds()`;
    expect(await listBroken(sql)).toEqual([]);
    expect(await statusOf(sql, waiting)).toBe('confirmed');
  });

  test('exactly the pending registrations have an end of their hold', async ({ db }) => {
    const { sql } = db;
    const [ann, bob, cid] = await addTrio(sql);
    const event = await addEvent(sql);
    await register(sql, cid, event);
    const endless = await smuggle(sql, ann, event, 'pending');
    const ended = await smuggle(sql, bob, event, 'cancelled');
    await sql.begin(async (transaction) => {
      await transaction`set local session_replication_role = replica`;
      await transaction`update registrations set hold_expires_at = now() where id = ${ended}`;
      await transaction`update events set held_seats = 1`;
    });
    expect(await listBroken(sql)).toEqual([['impossible_hold', 2, [endless, ended]]]);

    const repair = async () => (await sql`select repair_registration_holds() as count`)[0]?.count;
    expect(await repair()).toBe(2);
    expect(await listBroken(sql)).toEqual([]);
    const rows = await sql`
      select hold_expires_at > now() as is_held from registrations order by id`;
    expect(rows.map((row) => row.is_held)).toEqual([null, true, null]);
    const [audited] = await sql`
      select count(*)::int as count from audit_logs
      where table_name = 'registrations' and operation = 'UPDATE' and row_id = any (${[endless, ended]}::int[])`;
    expect(audited?.count).toBe(2);
    expect(await repair()).toBe(0);
  });
});
