import type postgres from 'postgres';
import { describe, expect } from 'vitest';
import { test } from '../support/fixture.ts';
import {
  addEvent,
  addTrio,
  addUsers,
  only,
  readSeats,
  refusalOf,
  register,
  unregister,
} from './event-schema-kit.ts';
import { listBroken, smuggle } from './rules-kit.ts';

async function repair(sql: postgres.Sql): Promise<unknown[]> {
  const rows = await sql`select * from repair_registration_counts()`;
  return rows.map((row) => Object.values(row));
}

/** Returns once `count` sessions of this database wait for a lock. */
async function untilWaiting(sql: postgres.Sql, count: number): Promise<void> {
  for (let i = 0; i < 500; i++) {
    const [row] = await sql`
      select count(*)::int as waiting from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock'`;
    if (row?.waiting === count) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error('no session waits for a lock');
}

describe('repair_registration_counts', () => {
  test('sets the counters to what is there, says what it did, and does it once', async ({ db }) => {
    const { sql } = db;
    const [ann, bob, cid] = await addTrio(sql);
    const event = await addEvent(sql);
    const other = await addEvent(sql);
    const right = await addEvent(sql);
    await register(sql, ann, right);
    await smuggle(sql, ann, event);
    await smuggle(sql, bob, event);
    await smuggle(sql, cid, event, 'pending');
    await sql`update registrations set hold_expires_at = now() + interval '1 hour' where status = 'pending'`;
    await sql`update events set current_registrations = 7, held_seats = 2 where id = ${other}`;
    await sql`select set_config('application_name', 'operator', false)`;
    expect(await repair(sql)).toEqual([
      [event, 0, 2, 0, 1, 'repaired'],
      [other, 7, 0, 2, 0, 'repaired'],
    ]);
    expect(await listBroken(sql)).toEqual([]);
    expect(await repair(sql)).toEqual([]);
    const entries = await sql`
      select table_name, row_id, old_values, new_values from audit_logs
      where operation = 'REPAIR' order by id`;
    expect([...entries]).toEqual([
      {
        table_name: 'events',
        row_id: event,
        old_values: { current_registrations: 0, held_seats: 0 },
        new_values: { current_registrations: 2, held_seats: 1 },
      },
      {
        table_name: 'events',
        row_id: other,
        old_values: { current_registrations: 7, held_seats: 2 },
        new_values: { current_registrations: 0, held_seats: 0 },
      },
    ]);
  });

  test('leaves an oversold event to a decision', async ({ db }) => {
    const { sql } = db;
    const [ann, bob] = await addTrio(sql);
    const event = await addEvent(sql, { capacity: 1 });
    await smuggle(sql, ann, event);
    await smuggle(sql, bob, event);
    const outcome = 'skipped: 2 seats are taken of 1; raise the capacity, repair, then cancel';
    expect(await repair(sql)).toEqual([[event, 0, 0, 0, 0, outcome]]);
    expect(await readSeats(sql, event)).toEqual({ counter: 0, confirmed: 2 });
    await sql`update events set capacity = 2`;
    expect(await repair(sql)).toEqual([[event, 0, 2, 0, 0, 'repaired']]);
    await unregister(sql, bob, event);
    await sql`update events set capacity = 1`;
    expect(await listBroken(sql)).toEqual([]);
  });

  test('counts who has registered but not yet committed', async ({ db }) => {
    const { sql } = db;
    const [ann, bob, cid] = await addTrio(sql);
    const event = await addEvent(sql);
    await smuggle(sql, ann, event);
    await smuggle(sql, bob, event);
    let repaired: Promise<unknown[]> | undefined;
    await sql.begin(async (transaction) => {
      await transaction`select safe_event_registration(${cid}, ${event})`;
      repaired = repair(sql);
      await untilWaiting(sql, 1);
    });
    expect(await repaired).toEqual([[event, 1, 3, 0, 0, 'repaired']]);
    expect(await readSeats(sql, event)).toEqual({ counter: 3, confirmed: 3 });
  });

  test('is right next to a crowd that registers and cancels', async ({ db }) => {
    const { sql } = db;
    const users = await addUsers(sql, 24);
    const events = [await addEvent(sql, { capacity: 50 }), await addEvent(sql, { capacity: 50 })];
    await sql`update events set current_registrations = 20`;
    let isOver = false;
    const operator = (async () => {
      const outcomes: unknown[] = [];
      while (!isOver) outcomes.push(...(await repair(sql)));
      return outcomes;
    })();
    await Promise.all(
      [0, 1, 2, 3, 4, 5].map(async (worker) => {
        for (let round = 0; round < 3; round++) {
          for (const user of users.slice(worker * 4, worker * 4 + 4)) {
            for (const event of events) {
              await register(sql, user, event);
              if ((user + round) % 3 === 0) await unregister(sql, user, event);
            }
          }
        }
      }),
    );
    isOver = true;
    // Once each: what is repaired stays right, whoever is under way.
    expect(await operator).toHaveLength(2);
    expect(await listBroken(sql)).toEqual([]);
    expect((await readSeats(sql, only(events[0]))).confirmed).toBeGreaterThan(0);
  });

  test('audits itself where the log has no partition for this month', async ({ db }) => {
    const { sql } = db;
    const event = await addEvent(sql);
    await sql`update events set current_registrations = 1`;
    const partitions = await sql<{ name: string }[]>`
      select partition_name as name from list_audit_partitions() where ends_at > now()`;
    for (const { name } of partitions) await sql`drop table ${sql(name)}`;
    expect(await repair(sql)).toEqual([[event, 1, 0, 0, 0, 'repaired']]);
    expect([...(await sql`select operation, row_id from audit_logs_overflow`)]).toEqual([
      { operation: 'REPAIR', row_id: event },
    ]);
    await sql`select * from ensure_audit_partitions()`;
    expect(await listBroken(sql)).toEqual([]);
    expect([...(await sql`select operation, row_id from audit_logs`)]).toEqual([
      { operation: 'REPAIR', row_id: event },
    ]);
  });

  test('and its like are not for everybody', async ({ db }) => {
    const { sql } = db;
    const role = `stranger_${db.name}`;
    await sql`create role ${sql(role)}`;
    try {
      for (const call of [
        'validate_business_rules()',
        'list_business_rules()',
        'repair_registration_counts()',
        'repair_registration_holds()',
        'repair_waitlists()',
      ]) {
        const asStranger = sql.begin(async (transaction) => {
          await transaction`set local role ${transaction(role)}`;
          await transaction.unsafe(`select * from ${call}`);
        });
        expect([call, await refusalOf(asStranger)]).toEqual([call, ['42501', '']]);
      }
    } finally {
      await sql`drop role ${sql(role)}`;
    }
  });
});
