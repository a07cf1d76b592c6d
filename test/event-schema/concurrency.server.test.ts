import type postgres from 'postgres';
import { describe, expect } from 'vitest';
import { closeSql, openSql } from '../support/databases.ts';
import { test } from '../support/fixture.ts';
import {
  addEvent,
  addUsers,
  listWrongCounters,
  only,
  readSeats,
  register,
  registerBatch,
  unregister,
} from './event-schema-kit.ts';

const clients = 32;

/** Runs every task on one of 32 connections and waits until all are done. */
async function crowd<T>(
  url: string,
  tasks: ((sql: postgres.Sql) => Promise<T>)[],
): Promise<PromiseSettledResult<T>[]> {
  const sql = openSql(url, clients);
  try {
    return await Promise.allSettled(tasks.map((task) => task(sql)));
  } finally {
    await closeSql(sql);
  }
}

/** The SQLSTATE of every task that was rejected, once each. */
function codesOf(results: PromiseSettledResult<unknown>[]): string[] {
  const codes = results.flatMap((result) =>
    result.status === 'rejected' ? [String((result.reason as { code?: string }).code)] : [],
  );
  return [...new Set(codes)].sort();
}

/** Numbers below `below` that are the same in every run. */
function sequenceOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 8) % below;
  };
}

describe('registration under load', () => {
  test('gives 500 seats to exactly 500 of 600 callers', async ({ db }) => {
    const users = await addUsers(db.sql, 600);
    const event = await addEvent(db.sql, { capacity: 500 });
    const results = await crowd(
      db.url,
      users.map((user) => (sql) => register(sql, user, event)),
    );
    const answers = results.map((result) =>
      result.status === 'fulfilled' ? (result.value.error_code ?? 'ok') : 'failed',
    );
    expect(answers.filter((answer) => answer === 'ok')).toHaveLength(500);
    expect(answers.filter((answer) => answer === 'P0004')).toHaveLength(100);
    expect(await readSeats(db.sql, event)).toEqual({ counter: 500, confirmed: 500 });
  });

  test('gives one seat to one of many, whether they call or insert', async ({ db }) => {
    const users = await addUsers(db.sql, 100);
    const event = await addEvent(db.sql, { capacity: 1 });
    const results = await crowd(
      db.url,
      users.map((user, i) => async (sql) => {
        if (i % 2 === 0) return (await register(sql, user, event)).error_code ?? 'ok';
        await sql`insert into registrations (user_id, event_id) values (${user}, ${event})`;
        return 'ok';
      }),
    );
    const winners = results.filter((r) => r.status === 'fulfilled' && r.value === 'ok');
    expect(winners).toHaveLength(1);
    expect(codesOf(results)).toEqual(['23514']);
    expect(await readSeats(db.sql, event)).toEqual({ counter: 1, confirmed: 1 });
  });

  test('registers one user once, however many call and insert at the same moment', async ({
    db,
  }) => {
    const [user] = await addUsers(db.sql, 1);
    const event = await addEvent(db.sql);
    const results = await crowd(
      db.url,
      Array.from({ length: 120 }, (_, i) => async (sql: postgres.Sql) => {
        if (i % 3 > 0) return (await register(sql, only(user), event)).error_code ?? 'ok';
        await sql`insert into registrations (user_id, event_id) values (${only(user)}, ${event})`;
        return 'ok';
      }),
    );
    const values = results.flatMap((r) => (r.status === 'fulfilled' ? [r.value] : []));
    expect(values.filter((value) => value === 'ok')).toHaveLength(1);
    expect(new Set(values)).toEqual(new Set(['ok', 'P0003']));
    expect(codesOf(results)).toEqual(['23505']);
    expect(await readSeats(db.sql, event)).toEqual({ counter: 1, confirmed: 1 });
  });

  test('never deadlocks and never miscounts in a mix of calls and statements', async ({ db }) => {
    const users = await addUsers(db.sql, 40);
    const events: number[] = [];
    for (let i = 0; i < 5; i++) events.push(await addEvent(db.sql, { capacity: 12 }));
    const next = sequenceOf(20);
    const tasks = Array.from({ length: 1500 }, () => {
      const [a, b] = [only(users[next(40)]), only(users[next(40)])];
      const [e, f] = [only(events[next(5)]), only(events[next(5)])];
      const operations: ((sql: postgres.Sql) => Promise<unknown>)[] = [
        (sql) => register(sql, a, e),
        (sql) => register(sql, b, f),
        (sql) => unregister(sql, a, e),
        (sql) => registerBatch(sql, [a, b, a + 1, a], e),
        (sql) => sql`insert into registrations (user_id, event_id) values (${a}, ${e})`,
        // In order, as two that insert the same pairs wait for each other's: no trigger comes before that.
        (sql) => sql`
          insert into registrations (user_id, event_id)
          select user_id, event_id
          from (values (${a}::int, ${e}::int), (${b}, ${f}), (${b}, ${e})) as v (user_id, event_id)
          order by user_id, event_id
          on conflict (user_id, event_id) do nothing`,
        (sql) => sql`
          insert into registrations (user_id, event_id) values (${b}, ${e})
          on conflict (user_id, event_id) do update set status = 'confirmed'`,
        (sql) => sql`update registrations set status = 'cancelled' where user_id = ${a}`,
        (sql) =>
          sql`update registrations set status = 'confirmed' where user_id = ${b} and event_id = ${e}`,
        (sql) => sql`delete from registrations where user_id = ${b} and event_id = ${f}`,
        (sql) => sql`update events set capacity = ${8 + next(8)} where id = ${e}`,
        (sql) => sql`update users set is_active = not is_active where id = ${a}`,
      ];
      return only(operations[next(operations.length)]);
    });
    const codes = codesOf(await crowd<unknown>(db.url, tasks));
    // A full event, an inactive user, a pair that is there already: and nothing else.
    expect(codes.filter((code) => code !== '23514' && code !== '23505')).toEqual([]);
    expect(await listWrongCounters(db.sql)).toEqual([]);
    const broken =
      await db.sql`select rule_name from validate_business_rules() where severity = 'error'`;
    expect(broken).toEqual([]);
    const [taken] = await db.sql`select sum(current_registrations)::int as seats from events`;
    expect(taken?.seats).toBeGreaterThan(0);
  });

  test.for(['repeatable read', 'serializable'] as const)(
    'hands serialisation failures at %s to the caller and stays right',
    async (level, { db }) => {
      const users = await addUsers(db.sql, 60);
      const event = await addEvent(db.sql, { capacity: 40 });
      const results = await crowd(
        db.url,
        users.map(
          (user) => (sql) =>
            sql.begin(
              `isolation level ${level}`,
              (transaction) =>
                transaction`select safe_event_registration(${user}, ${event}) ->> 'success' as success`,
            ),
        ),
      );
      expect(codesOf(results).filter((code) => code !== '40001')).toEqual([]);
      const acknowledged = results.filter(
        (r) => r.status === 'fulfilled' && r.value[0]?.success === 'true',
      ).length;
      expect(acknowledged).toBeGreaterThan(0);
      expect(await readSeats(db.sql, event)).toEqual({
        counter: acknowledged,
        confirmed: acknowledged,
      });
    },
  );
});
