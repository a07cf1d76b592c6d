import type postgres from 'postgres';
import { describe, expect } from 'vitest';
import { openSql } from '../support/databases.ts';
import { test } from '../support/fixture.ts';
import { type Random, randomOf, seedsOf } from '../support/random.ts';
import { listAuditGaps } from './audit-kit.ts';
import { outcomeOf } from './clients-kit.ts';
import { listBrokenInvariants, listStrandedSeats } from './event-schema-kit.ts';
import {
  type Claim,
  castOf,
  chaosOf,
  claiming,
  crowd,
  deletionOf,
  listFalseClaims,
  type Operation,
  type Trio,
} from './mix-kit.ts';

const clients = 32;

/** What a statement may end with: refused, cancelled, out of time, or its session is gone. */
const expected =
  /^(23514|23505|23503|57014|57P01|CONNECTION_(CLOSED|DESTROYED|ENDED)|ECONNRESET|EPIPE)$/;

/** Ends sessions of the mix, or what they run, until `work` is done; returns how many it hit. */
async function killing<T>(
  sql: postgres.Sql,
  random: Random,
  work: Promise<T>,
): Promise<[T, number]> {
  let isOver = false;
  let hits = 0;
  const settled = work.finally(() => {
    isOver = true;
  });
  settled.catch(() => undefined);
  while (!isOver) {
    const kill = random.pick(['pg_terminate_backend', 'pg_cancel_backend']);
    const rows = await sql`
      select ${sql(kill)}(pid) from pg_stat_activity
      where datname = current_database() and pid <> pg_backend_pid() and state <> 'idle'
        and application_name = 'evdb-test' and query ~ 'registration|events|users'
      order by random()
      limit 1`;
    hits += rows.length;
    await new Promise((resolve) => setTimeout(resolve, 5 + random.below(20)));
  }
  return [await settled, hits];
}

/** A client that dies: in the middle of a call, or of a transaction that it never commits. */
function dyingOf(
  url: string,
  users: Trio,
  event: number,
  random: Random,
  claims: Claim[],
): Operation {
  const afterMs = random.below(10);
  const isOpen = random.below(2) === 0;
  const mayBe = isOpen ? [null] : [null, 'confirmed', 'waitlist', 'pending', 'cancelled'];
  const call = `select batch_event_registration('{${users}}', ${event})`;
  // In one message: the driver reconnects between two, and would go on outside of the transaction.
  const text = isOpen ? `begin; ${call}; select pg_sleep(0.05)` : call;
  return async () => {
    const sql = openSql(url, 1);
    await sql`select 1`;
    const outcome = outcomeOf(sql.unsafe(text).simple());
    await new Promise((resolve) => setTimeout(resolve, afterMs));
    await sql.end({ timeout: 0 });
    await outcome;
    claims.push({ operation: 'die', event, fates: users.map((user) => [user, mayBe]) });
  };
}

describe('clients that are killed at random', () => {
  test.for(seedsOf(4))(
    'leave counters, rows, queue and audit log right (seed %i)',
    async (seed, { db }) => {
      const random = randomOf(seed);
      const cast = await castOf(db.sql, 3 * 250);
      const claims: Claim[] = [];
      const operations = Array.from({ length: 1500 }, (_, i): Operation => {
        if (i % 6 > 0) return i % 6 < 2 ? deletionOf(cast, random) : chaosOf(cast, random);
        const users = cast.ownUsers.slice((i / 6) * 3, (i / 6) * 3 + 3) as Trio;
        const event = random.pick(cast.events);
        if (i % 24 === 0) return dyingOf(db.url, users, event, random, claims);
        return claiming(claims, users, event, random);
      });
      const [counts, hits] = await killing(db.sql, random, crowd(db.url, clients, operations));
      const codes = Object.keys(counts);
      expect(codes.filter((code) => !expected.test(code))).toEqual([]);
      expect(hits).toBeGreaterThan(0);
      await untilAlone(db.sql);
      expect(await listBrokenInvariants(db.sql)).toEqual([]);
      expect(await listAuditGaps(db.sql)).toEqual([]);
      expect(await listFalseClaims(db.sql, claims)).toEqual([]);
      await db.sql`select settle_event_seats(id) from events`;
      expect(await listStrandedSeats(db.sql)).toEqual([]);
    },
  );
});

/** The server finishes what clients that are gone have asked for. */
async function untilAlone(sql: postgres.Sql): Promise<void> {
  for (let i = 0; i < 1000; i++) {
    const [row] = await sql`
      select from pg_stat_activity
      where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'
        and (state <> 'idle' or backend_xid is not null)`;
    if (!row) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error('somebody is still at work');
}
