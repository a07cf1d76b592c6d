import type postgres from 'postgres';
import { describe, expect } from 'vitest';
import { test } from '../support/fixture.ts';
import { randomOf, seedsOf } from '../support/random.ts';
import { listAuditGaps } from './audit-kit.ts';
import { addEvent, addUsers, only } from './event-schema-kit.ts';
import { eventCount, planSteps, type Step, userCount } from './model-kit.ts';
import { attempt, countSeats, listWaiters, type State } from './registration-model.ts';

const capacity = 2;

function newState(): State {
  const ids = (count: number) => Array.from({ length: count }, (_, i) => i + 1);
  return {
    users: new Map(ids(userCount).map((id) => [id, { isActive: true }])),
    events: new Map(ids(eventCount).map((id) => [id, { capacity, isActive: true, isPast: false }])),
    registrations: [],
    clock: 0,
  };
}

async function startOver(sql: postgres.Sql): Promise<void> {
  await sql`truncate users, events, registrations restart identity cascade`;
  await addUsers(sql, userCount);
  for (let i = 0; i < eventCount; i++) await addEvent(sql, { capacity });
}

/** The answer of the model, or the constraint that refuses the statement. */
function answerOfModel(state: State, step: Step): unknown {
  let answer: unknown;
  const refusal = attempt(state, () => {
    answer = step.onModel(state);
  });
  return refusal ?? answer ?? null;
}

async function answerOfServer(sql: postgres.Sql, step: Step): Promise<unknown> {
  try {
    return (await step.onServer(sql)) ?? null;
  } catch (error) {
    const { constraint_name: constraint } = error as postgres.PostgresError;
    if (!constraint) throw error;
    return constraint;
  }
}

function describeModel(state: State) {
  const byKey = (a: string, b: string) => (a < b ? -1 : 1);
  return {
    users: [...state.users].map(([id, { isActive }]) => `${id} ${isActive}`).sort(byKey),
    events: [...state.events]
      .map(([id, event]) => {
        const { confirmed, held } = countSeats(state, id);
        const waiters = listWaiters(state, id).map((row) => row.user);
        return `${id} ${event.isActive} ${event.isPast} ${event.capacity} ${confirmed} ${held} waiting: ${waiters}`;
      })
      .sort(byKey),
    registrations: state.registrations
      .map((row) => `${row.user} ${row.event} ${row.status} ${row.isExpired}`)
      .sort(byKey),
  };
}

async function describeServer(sql: postgres.Sql) {
  const [row] = await sql<{ users: string[]; events: string[]; registrations: string[] }[]>`
    select
      array(select format('%s %s', id, is_active::text) from users order by 1) as users,
      array(
        select format('%s %s %s %s %s %s waiting: %s', e.id, e.is_active::text, (e.date_time <= now())::text, e.capacity,
          e.current_registrations, e.held_seats, (
            select string_agg(r.user_id::text, ',' order by r.registered_at, r.id)
            from registrations r where r.event_id = e.id and r.status = 'waitlist'))
        from events e order by 1) as events,
      array(
        select format('%s %s %s %s', user_id, event_id, status, (coalesce(hold_expires_at, 'infinity') <= now())::text)
        from registrations order by 1) as registrations`;
  return { ...only(row) };
}

/** Runs steps on both sides and returns where they first differ, or nothing. */
async function findDifference(sql: postgres.Sql, steps: Step[]) {
  await startOver(sql);
  const state = newState();
  for (const [i, step] of steps.entries()) {
    const model = { answer: answerOfModel(state, step), ...describeModel(state) };
    const server = { answer: await answerOfServer(sql, step), ...(await describeServer(sql)) };
    if (JSON.stringify(model) !== JSON.stringify(server)) {
      return { steps: steps.slice(0, i + 1), model, server };
    }
  }
  return undefined;
}

/** Leaves out whatever is not needed to see a difference, first in large parts and then one by one. */
async function shrink(sql: postgres.Sql, steps: Step[]) {
  let known = await findDifference(sql, steps);
  for (let size = steps.length >> 1; known && size > 0; size >>= 1) {
    for (let end = known.steps.length - 1; end > 0; end -= size) {
      const fewer = known.steps.filter((_, i) => i < end - size || i >= end);
      const found = await findDifference(sql, fewer);
      if (found) known = found;
    }
  }
  return known && { ...known, steps: known.steps.map((step) => step.text) };
}

describe('sequences of operations', () => {
  test.for(seedsOf(11, 12))(
    'answer and leave behind what the model says (seed %i)',
    async (seed, { db }) => {
      const random = randomOf(seed);
      for (let round = 0; round < 8; round++) {
        const steps = planSteps(random, 60);
        if (await findDifference(db.sql, steps))
          expect(await shrink(db.sql, steps)).toBeUndefined();
        expect(await listAuditGaps(db.sql)).toEqual([]);
      }
    },
  );

  // Too rare in random ones.
  test('give a user who is active again the seat that he was passed over for', async ({ db }) => {
    const { sql } = db;
    const [ann, bob] = (await addUsers(sql, 2)) as [number, number];
    const event = await addEvent(sql, { capacity: 1 });
    for (const user of [ann, bob])
      await sql`select safe_event_registration(${user}, ${event}, true)`;
    await sql`update users set is_active = false where id = ${bob}`;
    await sql`select safe_event_unregistration(${ann}, ${event})`;
    expect((await describeServer(sql)).events).toEqual([
      `${event} true false 1 0 0 waiting: ${bob}`,
    ]);
    await sql`update users set is_active = true where id = ${bob}`;
    expect((await describeServer(sql)).events).toEqual([`${event} true false 1 1 0 waiting: `]);
  });
});
