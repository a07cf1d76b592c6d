import type postgres from 'postgres';
import { describe, expect } from 'vitest';
import { test } from '../support/fixture.ts';
import { randomOf } from '../support/random.ts';
import { listAuditGaps } from './audit-kit.ts';
import { type Client, codeOf, outcomeOf, untilBlocked, withClients } from './clients-kit.ts';
import {
  addEvent,
  addUsers,
  listBrokenInvariants,
  listStrandedSeats,
  only,
  register,
  registerBatch,
  unregister,
} from './event-schema-kit.ts';
import {
  type Claim,
  castOf,
  chaosOf,
  claiming,
  deletionOf,
  listFalseClaims,
  type Operation,
  type Trio,
} from './mix-kit.ts';

const levels = ['repeatable read', 'serializable'] as const;
const retried = ['40001', '40P01'];

/** Runs operations in order, each in a transaction of `level` that is tried until it goes through. */
async function work(
  client: Client,
  level: string,
  operations: Operation[],
  codes: Map<string, number>,
): Promise<void> {
  await client.sql`select set_config('default_transaction_isolation', ${level}, false)`;
  for (const operation of operations) {
    for (let attempt = 1; attempt <= 200; attempt++) {
      const code = await outcomeOf(operation(client.sql));
      codes.set(code, (codes.get(code) ?? 0) + 1);
      if (!retried.includes(code)) break;
      if (attempt === 200) throw new Error(`200 attempts, the last one ended with ${code}`);
    }
  }
}

describe.for(levels)('at %s', (level) => {
  test('a mix of everything goes through after retries and stays right', async ({ db }) => {
    const random = randomOf(level.length);
    const cast = await castOf(db.sql, 3 * 100);
    const claims: Claim[] = [];
    const codes = new Map<string, number>();
    const plans = Array.from({ length: 4 }, (_, worker) =>
      Array.from({ length: 100 }, (_, i) => {
        if (i % 4 > 0) return i % 8 < 3 ? deletionOf(cast, random) : chaosOf(cast, random);
        const offset = (worker * 25 + i / 4) * 3;
        const users = cast.ownUsers.slice(offset, offset + 3) as Trio;
        return claiming(claims, users, random.pick(cast.events), random, 1);
      }),
    );
    await withClients(db.url, 4, (...clients) =>
      Promise.all(clients.map((client, i) => work(client, level, only(plans[i]), codes))),
    );
    const others = [...codes.keys()].filter((code) => !/^(ok|40001|235(14|05|03))$/.test(code));
    expect(others).toEqual([]);
    expect(claims).toHaveLength(100);
    expect(await listBrokenInvariants(db.sql)).toEqual([]);
    expect(await listAuditGaps(db.sql)).toEqual([]);
    expect(await listFalseClaims(db.sql, claims)).toEqual([]);
    await db.sql`select settle_event_seats(id) from events`;
    expect(await listStrandedSeats(db.sql)).toEqual([]);
  });

  test.for([
    ['a seat is given back', (sql, ann, event) => unregister(sql, ann, event)],
    [
      'the capacity grows',
      (sql, _, event) => sql`update events set capacity = 2 where id = ${event}`,
    ],
    [
      'a registration is deleted',
      (sql, ann) => sql`delete from registrations where user_id = ${ann}`,
    ],
  ] as [string, (sql: postgres.Sql, ann: number, event: number) => PromiseLike<unknown>][])(
    'who joined the queue unseen is not passed over when %s',
    async ([, free], { db }) => {
      const [ann, bob] = (await addUsers(db.sql, 2)) as [number, number];
      const event = await addEvent(db.sql, { capacity: 1 });
      await register(db.sql, ann, event);
      await withClients(db.url, 1, async (client) => {
        const { sql } = only(client);
        await sql.unsafe(`begin isolation level ${level}`);
        await sql`select count(*) from events`;
        await db.sql`select safe_event_registration(${bob}, ${event}, p_join_waitlist => true)`;
        if ((await outcomeOf(free(sql, ann, event))) === '40001') {
          await sql`rollback`;
          await free(sql, ann, event);
        } else await sql`commit`;
      });
      expect(await listStrandedSeats(db.sql)).toEqual([]);
      const [row] = await db.sql`select status from registrations where user_id = ${bob}`;
      expect(row).toEqual({ status: 'confirmed' });
    },
  );

  test('the last seat goes to one of two, and the other one has to try again', async ({ db }) => {
    const [ann, bob] = (await addUsers(db.sql, 2)) as [number, number];
    const event = await addEvent(db.sql, { capacity: 1 });
    const late = await withClients(db.url, 2, async (...clients) => {
      const [one, other] = [only(clients[0]), only(clients[1])];
      for (const { sql } of [one, other]) {
        await sql.unsafe(`begin isolation level ${level}`);
        await sql`select count(*) from registrations`;
      }
      await register(one.sql, ann, event);
      const outcome = register(other.sql, bob, event).catch(codeOf);
      await untilBlocked(db.sql, other);
      await one.sql`commit`;
      return outcome;
    });
    expect(late).toBe('40001');
    expect(await register(db.sql, bob, event)).toMatchObject({ error_code: 'P0004' });
    expect(await listBrokenInvariants(db.sql)).toEqual([]);
  });

  test('a user who registered elsewhere meanwhile is told to try again', async ({ db }) => {
    const [ann, bob] = (await addUsers(db.sql, 2)) as [number, number];
    const event = await addEvent(db.sql, { capacity: 1 });
    await register(db.sql, ann, event);
    const outcome = await withClients(db.url, 1, async (client) => {
      const { sql } = only(client);
      await sql.unsafe(`begin isolation level ${level}`);
      await sql`select count(*) from registrations`;
      await db.sql`select safe_event_registration(${bob}, ${event}, true)`;
      return outcomeOf(sql`select safe_event_registration(${bob}, ${event}, true)`);
    });
    expect(outcome).toBe('40001');
  });
});

describe('at read committed', () => {
  test('who is put into the queue while a seat is given back is not passed over', async ({
    db,
  }) => {
    const [ann, bob] = (await addUsers(db.sql, 2)) as [number, number];
    const event = await addEvent(db.sql, { capacity: 1 });
    await register(db.sql, ann, event);
    await withClients(db.url, 2, async (...clients) => {
      const [one, other] = [only(clients[0]), only(clients[1])];
      await one.sql`begin`;
      await one.sql`
        insert into registrations (user_id, event_id, status) values (${bob}, ${event}, 'waitlist')`;
      const freed = outcomeOf(other.sql`delete from registrations where user_id = ${ann}`);
      await Promise.race([freed, untilBlocked(db.sql, other)]);
      await one.sql`commit`;
      expect(await freed).toBe('ok');
    });
    expect(await listStrandedSeats(db.sql)).toEqual([]);
  });

  test('a call does not fail because a waiter is deactivated while it promotes them', async ({
    db,
  }) => {
    const { ann, cleo, event } = await stageQueue(db.sql);
    await standStill(db.sql, 'update');
    const outcome = await withClients(db.url, 3, async (...clients) => {
      const [gate, one, other] = [only(clients[0]), only(clients[1]), only(clients[2])];
      await gate.sql`select pg_advisory_lock(42)`;
      const called = outcomeOf(unregister(one.sql, ann, event));
      await untilBlocked(db.sql, one);
      const changed = outcomeOf(other.sql`update users set is_active = false where id = ${cleo}`);
      await Promise.race([changed, untilBlocked(db.sql, other)]);
      await gate.sql`select pg_advisory_unlock(42)`;
      return Promise.all([called, changed]);
    });
    expect(outcome).toEqual(['ok', 'ok']);
    expect(await listBrokenInvariants(db.sql)).toEqual([]);
  });

  test('a batch does not fail because one of its users is deactivated meanwhile', async ({
    db,
  }) => {
    const { bob, dan, event } = await stageQueue(db.sql);
    await db.sql`update events set capacity = 10 where id = ${event}`;
    await unregister(db.sql, bob, event);
    await standStill(db.sql, 'insert or update');
    const outcome = await withClients(db.url, 3, async (...clients) => {
      const [gate, one, other] = [only(clients[0]), only(clients[1]), only(clients[2])];
      await gate.sql`select pg_advisory_lock(42)`;
      await other.sql`begin`;
      await other.sql`update users set is_active = false where id = ${dan}`;
      const called = outcomeOf(registerBatch(one.sql, [bob, dan], event));
      await untilBlocked(db.sql, one);
      await other.sql`commit`;
      await gate.sql`select pg_advisory_unlock(42)`;
      return called;
    });
    expect(outcome).toBe('ok');
    expect(await listBrokenInvariants(db.sql)).toEqual([]);
    const [row] = await db.sql`select status from registrations where user_id = ${bob}`;
    expect(row).toEqual({ status: 'confirmed' });
  });
});

/** An event of two seats, taken by Ann and Bob, for which Cleo waits; Dan does not know of it. */
async function stageQueue(sql: postgres.Sql) {
  const users = await addUsers(sql, 4);
  const [ann, bob, cleo, dan] = users as [number, number, number, number];
  const event = await addEvent(sql, { capacity: 2 });
  for (const user of [ann, bob, cleo]) {
    await sql`select safe_event_registration(${user}, ${event}, true)`;
  }
  return { ann, bob, cleo, dan, event };
}

/** Lets everybody who confirms a registration wait for advisory lock 42. */
async function standStill(sql: postgres.Sql, operation: string): Promise<void> {
  await sql.unsafe(`
    create function stand_still() returns trigger language plpgsql as $$
    begin perform pg_advisory_xact_lock_shared(42); return new; end $$;
    create trigger registrations_99_stand_still before ${operation} on registrations
    for each row when (new.status = 'confirmed') execute function stand_still()`);
}
