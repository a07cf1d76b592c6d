import type postgres from 'postgres';
import type { Random } from '../support/event-schema-random.ts';
import { codeOf } from './clients.ts';
import { only, type RegistrationResult, registerBatch } from './event-schema-stage.ts';
import type { Operation } from './mix-crowd.ts';

/** What the answers to one operation say about users who take part in nothing else. */
export interface Claim {
  operation: string;
  event: number;
  /** For each user what may be found in the end; null stands for no row. */
  fates: [user: number, mayBe: (string | null)[]][];
}

type Answer = RegistrationResult & { status?: string };
type Plan = (sql: postgres.Sql, users: Trio, event: number) => Promise<Claim['fates']>;
export type Trio = [number, number, number];

const anything = [null, 'confirmed', 'cancelled', 'pending', 'waitlist'];

/**
 * An operation that adds to `claims` what must have become of the users it is about. It is rejected as
 * its statement is; one that has to be tried again claims nothing yet.
 */
export function claiming(
  claims: Claim[],
  users: Trio,
  event: number,
  random: Random,
  maxCalls = 3,
): Operation {
  const plans = maxCalls === 1 ? singleCalls : { ...singleCalls, ...severalCalls };
  const [operation, plan] = random.pick(Object.entries(plans));
  return async (sql) => {
    try {
      claims.push({ operation, event, fates: await plan(sql, users, event) });
    } catch (error) {
      const code = codeOf(error);
      if (code === '40001' || code === '40P01') throw error;
      // Refused, nothing is left; where the connection was lost, nobody knows.
      const mayBe = code === '23514' || code === '23505' ? [null] : anything;
      claims.push({ operation, event, fates: users.map((user) => [user, mayBe]) });
      throw error;
    }
  };
}

/** The fate of a user whom nobody else changes, `before` being what a refusal leaves. */
function fateOf(answer: Answer, before: (string | null)[] = [null]): (string | null)[] {
  if (!answer.success) return before;
  return answer.status === 'waitlist' ? ['waitlist', 'confirmed'] : [answer.status ?? null];
}

async function ask(query: PromiseLike<{ result: Answer }[]>): Promise<Answer> {
  return only((await query)[0]).result;
}

const join = (sql: postgres.Sql, user: number, event: number) =>
  ask(sql`select safe_event_registration(${user}, ${event}, true) as result`);
const hold = (sql: postgres.Sql, user: number, event: number, lasting: string) =>
  ask(
    sql`select safe_event_registration(${user}, ${event}, false, ${lasting}::text::interval) as result`,
  );
const register = (sql: postgres.Sql, user: number, event: number) =>
  ask(sql`select safe_event_registration(${user}, ${event}) as result`);
const unregister = (sql: postgres.Sql, user: number, event: number) =>
  ask(sql`select safe_event_unregistration(${user}, ${event}) as result`);

const singleCalls: Record<string, Plan> = {
  register: async (sql, [a], event) => [[a, fateOf(await register(sql, a, event))]],
  join: async (sql, [a], event) => [[a, fateOf(await join(sql, a, event))]],
  hold: async (sql, [a], event) => [[a, fateOf(await hold(sql, a, event, '1 hour'))]],
  'hold too short': async (sql, [a], event) => {
    const answer = await hold(sql, a, event, '1 microsecond');
    return [[a, answer.success ? ['pending', 'cancelled'] : [null]]];
  },
  batch: async (sql, [a, b, c], event) => {
    const { details } = await registerBatch(sql, [a, b, a, c], event);
    const fates = details.map((answer): Claim['fates'][number] => [
      only(answer.user_id ?? undefined),
      fateOf(answer),
    ]);
    // The third entry is a second answer about the first user.
    return fates.filter((_, i) => i !== 2);
  },
  insert: async (sql, [a], event) => {
    await sql`insert into registrations (user_id, event_id) values (${a}, ${event})`;
    return [[a, ['confirmed']]];
  },
  'insert three': async (sql, [a, b, c], event) => {
    await sql`
      insert into registrations (user_id, event_id, status)
      values (${a}, ${event}, 'confirmed'), (${b}, ${event}, 'pending'), (${c}, ${event}, 'waitlist')`;
    return [
      [a, ['confirmed']],
      [b, ['pending']],
      [c, ['waitlist', 'confirmed']],
    ];
  },
  'insert twice': async (sql, [a, b], event) => {
    await sql`
      insert into registrations (user_id, event_id)
      values (${a}, ${event}), (${b}, ${event}), (${b}, ${event})`;
    return [[a, ['never']]];
  },
};

const severalCalls: Record<string, Plan> = {
  'join and leave': async (sql, [a], event) => {
    const before = fateOf(await join(sql, a, event));
    return [[a, fateOf(await unregister(sql, a, event), before)]];
  },
  'leave and come back': async (sql, [a], event) => {
    const before = fateOf(await register(sql, a, event));
    const between = fateOf(await unregister(sql, a, event), before);
    return [[a, fateOf(await register(sql, a, event), between)]];
  },
  'hold and confirm': async (sql, [a], event) => {
    const before = fateOf(await hold(sql, a, event, '1 hour'));
    return [[a, fateOf(await register(sql, a, event), before)]];
  },
  'insert and delete': async (sql, [a], event) => {
    await sql`insert into registrations (user_id, event_id) values (${a}, ${event})`;
    await sql`delete from registrations where user_id = ${a}`;
    return [[a, [null]]];
  },
  'roll back': async (sql, [a, b], event) => {
    // In one message: the driver reconnects between two, and would go on outside of the transaction.
    await sql
      .unsafe(`
        begin;
        select safe_event_registration(${a}, ${event}, true);
        select batch_event_registration('{${a},${b}}', ${event});
        rollback`)
      .simple();
    return [
      [a, [null]],
      [b, [null]],
    ];
  },
};

/** Claims that the rows contradict: an acknowledged one that is missing, a refused one that is there. */
export async function listFalseClaims(sql: postgres.Sql, claims: Claim[]): Promise<unknown[]> {
  const rows = await sql<{ user_id: number; event_id: number; status: string }[]>`
    select user_id, event_id, status from registrations`;
  const found = new Map(rows.map((row) => [`${row.user_id} ${row.event_id}`, row.status]));
  return claims.flatMap(({ operation, event, fates }) =>
    fates.flatMap(([user, mayBe]) => {
      const status = found.get(`${user} ${event}`) ?? null;
      return mayBe.includes(status) ? [] : [{ operation, user, event, mayBe, status }];
    }),
  );
}
