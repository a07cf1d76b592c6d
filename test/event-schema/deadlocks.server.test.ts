import type postgres from 'postgres';
import { describe, expect } from 'vitest';
import { type TestDatabase, test } from '../support/fixture.ts';
import { type Client, outcomeOf, untilBlocked, withClients } from './clients-kit.ts';
import { addEvent, addUsers, listWrongSeats, only, register } from './event-schema-kit.ts';

type Stage = Awaited<ReturnType<typeof stage>>;
type Statement = (sql: postgres.Sql, on: Stage) => PromiseLike<unknown>;

/**
 * Ann has a seat at two events that Cleo made. A third one is full, because of holds of Dan's and Eve's
 * that have expired; Ann waits for it, and Bob has cancelled.
 */
async function stage({ sql }: TestDatabase) {
  await sql`truncate users, events, registrations restart identity cascade`;
  const users = (await addUsers(sql, 5)) as [number, number, number, number, number];
  const [ann, bob, cleo, dan, eve] = users;
  const [low, high, full] = [
    await addEvent(sql, { createdBy: cleo }),
    await addEvent(sql, { createdBy: cleo }),
    await addEvent(sql, { createdBy: cleo, capacity: 2 }),
  ];
  await sql`
    insert into registrations (user_id, event_id, status)
    values (${ann}, ${low}, 'confirmed'), (${ann}, ${high}, 'confirmed'), (${dan}, ${full}, 'pending'),
      (${eve}, ${full}, 'pending'), (${bob}, ${full}, 'cancelled')`;
  await sql`
    insert into registrations (user_id, event_id, status) values (${ann}, ${full}, 'waitlist')`;
  await sql`update registrations set hold_expires_at = now() where status = 'pending'`;
  return { ann, bob, cleo, dan, low, high, full };
}

/**
 * Starts `first` and `second` one after the other while an open transaction holds the row of an event
 * that both want, lets go, and returns how they end.
 */
async function race(
  db: TestDatabase,
  [holder, ...others]: Client[],
  event: number,
  statements: ((sql: postgres.Sql) => PromiseLike<unknown>)[],
): Promise<string[]> {
  const held = only(holder).sql;
  await held`begin`;
  await held`update events set title = 'held' where id = ${event}`;
  const outcomes: Promise<string>[] = [];
  for (const [i, statement] of statements.entries()) {
    const client = only(others[i]);
    const outcome = outcomeOf(statement(client.sql));
    outcomes.push(outcome);
    // What leaves the event to others, or needs no lock, is through already.
    await Promise.race([outcome, untilBlocked(db.sql, client)]);
  }
  await held`commit`;
  return Promise.all(outcomes);
}

const statements = {
  'a call': (sql, { cleo, full }) => sql`select safe_event_registration(${cleo}, ${full}, true)`,
  'a call that comes back': (sql, { bob, full }) =>
    sql`select safe_event_registration(${bob}, ${full})`,
  'a call that leaves': (sql, { ann, full }) =>
    sql`select safe_event_unregistration(${ann}, ${full})`,
  'a batch': (sql, { ann, bob, cleo, full }) =>
    sql`select batch_event_registration(${[cleo, bob, ann]}::int[], ${full})`,
  'an insert': (sql, { cleo, full }) => sql`
    insert into registrations (user_id, event_id, status) values (${cleo}, ${full}, 'waitlist')
    on conflict (user_id, event_id) do nothing`,
  'an update': (sql, { bob, full }) => sql`
    update registrations set status = 'waitlist' where user_id = ${bob} and event_id = ${full}`,
  'an upsert': (sql, { bob, full }) => sql`
    insert into registrations (user_id, event_id, status) values (${bob}, ${full}, 'waitlist')
    on conflict (user_id, event_id) do update set status = 'waitlist'`,
  'a delete': (sql, { dan }) => sql`delete from registrations where user_id = ${dan}`,
  'a move': (sql, { bob, cleo, full }) => sql`
    update registrations set user_id = ${cleo} where user_id = ${bob} and event_id = ${full}`,
  settling: (sql, { full }) => sql`select settle_event_seats(${full})`,
  'a larger capacity': (sql, { full }) =>
    sql`update events set capacity = capacity + 1 where id = ${full}`,
  'an active user': (sql, { ann }) => sql`update users set is_active = true where id = ${ann}`,
  'the deletion of a user': (sql, { ann }) => sql`delete from users where id = ${ann}`,
  'the deletion of who made the event': (sql, { cleo }) =>
    sql`delete from users where id = ${cleo}`,
  'the deletion of the event': (sql, { full }) => sql`delete from events where id = ${full}`,
  'a truncate': (sql) => sql`truncate registrations`,
} satisfies Record<string, Statement>;

const names = Object.keys(statements) as (keyof typeof statements)[];

describe('single calls and statements', () => {
  test.for(names)(
    'do not deadlock when %s meets any other one for the same event',
    async (first, { db }) => {
      const plain: Record<string, Statement> = statements;
      await withClients(db.url, 3, async (...clients) => {
        for (const second of names) {
          const on = await stage(db);
          const outcomes = await race(
            db,
            clients,
            on.full,
            [first, second].map((name) => (sql) => only(plain[name])(sql, on)),
          );
          // Full, there already, or deleted meanwhile.
          const unexpected = outcomes.filter((code) => !/^(ok|235(14|05|03))$/.test(code));
          const wrong = await listWrongSeats(db.sql);
          expect({ second, unexpected, wrong }).toEqual({ second, unexpected: [], wrong: [] });
        }
      });
    },
  );

  test('do not deadlock when two of them change several events in opposite orders', async ({
    db,
  }) => {
    const { ann, bob, cleo, low, high } = await stage(db);
    const outcomes = await withClients(db.url, 3, (...clients) =>
      race(db, clients, low, [
        (sql) => sql`update registrations set status = 'cancelled' where user_id = ${ann}`,
        (sql) => sql`
          insert into registrations (user_id, event_id) values (${bob}, ${high}), (${cleo}, ${low})`,
      ]),
    );
    expect(outcomes).toEqual(['ok', 'ok']);
    expect(await listWrongSeats(db.sql)).toEqual([]);
  });
});

describe('a transaction of several calls', () => {
  test('is told 40P01 when another one takes the events in the opposite order', async ({ db }) => {
    const { bob, cleo, low, high } = await stage(db);
    const outcomes = await withClients(db.url, 2, async (...clients) => {
      const [one, other] = [only(clients[0]), only(clients[1])];
      for (const { sql } of [one, other]) await sql`begin`;
      await register(one.sql, bob, low);
      await register(other.sql, cleo, high);
      const first = outcomeOf(register(one.sql, bob, high));
      await untilBlocked(db.sql, one);
      const second = outcomeOf(register(other.sql, cleo, low));
      return Promise.all([
        first.finally(() => one.sql`commit`),
        second.finally(() => other.sql`commit`),
      ]);
    });
    expect(outcomes.sort()).toEqual(['40P01', 'ok']);
    // One of them is registered for both, the other one for none.
    const rows = await db.sql`
      select count(*)::int as events from registrations
      where user_id in (${bob}, ${cleo}) and status = 'confirmed' group by user_id`;
    expect(rows.map((row) => row.events)).toEqual([2]);
    expect(await listWrongSeats(db.sql)).toEqual([]);
  });
});
