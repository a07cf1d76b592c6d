import { describe, expect } from 'vitest';
import {
  listAuditGaps,
  listBrokenInvariants,
  listStrandedSeats,
} from '../support/event-schema-invariants.ts';
import { randomOf, seedsOf } from '../support/event-schema-random.ts';
import { test } from '../support/fixture.ts';
import { type Claim, claimOf, listFalseClaims, type Trio } from './event-schema-mix-claims.ts';
import { crowd, type Operation } from './event-schema-mix-crowd.ts';
import { castOf, chaosOf, deletionOf } from './event-schema-mix-stage.ts';
import {
  addEvent,
  addUsers,
  only,
  type RegistrationResult,
  readSeats,
  register,
} from './event-schema-stage.ts';

const clients = 32;

/** What a statement may be refused with: full, past or inactive; there already; deleted meanwhile. */
const refusals = new Set(['23514', '23505', '23503']);

describe('a mix of everything from 32 connections', () => {
  test.for(seedsOf(1, 2))(
    'never deadlocks, miscounts or loses what it acknowledged (seed %i)',
    async (seed, { db }) => {
      const { sql } = db;
      const random = randomOf(seed);
      const cast = await castOf(sql, 3 * 300);
      const claims: Claim[] = [];
      const operations = Array.from({ length: 2400 }, (_, i): Operation => {
        if (i % 8 > 0) return i % 8 < 3 ? deletionOf(cast, random) : chaosOf(cast, random);
        const users = cast.ownUsers.slice((i / 8) * 3, (i / 8) * 3 + 3) as Trio;
        const claim = claimOf(users, random.pick(cast.events), random);
        return async (session) => void claims.push(await claim(session));
      });
      const codes = Object.keys(await crowd(db.url, clients, operations));
      for (const { code } of claims) if (code) codes.push(code);
      expect(codes.filter((code) => !refusals.has(code))).toEqual([]);
      expect(claims).toHaveLength(300);
      expect(await listBrokenInvariants(sql)).toEqual([]);
      expect(await listAuditGaps(sql)).toEqual([]);
      expect(await listFalseClaims(sql, claims)).toEqual([]);
      await sql`select settle_event_seats(id) from events`;
      expect(await listStrandedSeats(sql)).toEqual([]);
      expect(await listBrokenInvariants(sql)).toEqual([]);
    },
  );

  test('never deadlocks or miscounts while registrations are truncated again and again', async ({
    db,
  }) => {
    const random = randomOf(3);
    const cast = await castOf(db.sql, 0);
    const operations = Array.from({ length: 800 }, (_, i): Operation => {
      if (i % 20 === 19) return (sql) => sql`truncate registrations`;
      return i % 5 === 0 ? deletionOf(cast, random) : chaosOf(cast, random);
    });
    const codes = Object.keys(await crowd(db.url, clients, operations));
    expect(codes.filter((code) => !refusals.has(code))).toEqual([]);
    expect(await listBrokenInvariants(db.sql)).toEqual([]);
    expect(await listAuditGaps(db.sql)).toEqual([]);
  });
});

describe('1,000 callers', () => {
  test('get one seat between them, and one of them wins', async ({ db }) => {
    const users = await addUsers(db.sql, 1000);
    const event = await addEvent(db.sql, { capacity: 1 });
    const answers: RegistrationResult[] = [];
    const codes = await crowd(
      db.url,
      90,
      users.map((user) => async (sql) => void answers.push(await register(sql, user, event))),
    );
    expect(codes).toEqual({});
    expect(answers).toHaveLength(1000);
    const winners = answers.filter((answer) => answer.success);
    expect(winners).toHaveLength(1);
    expect(new Set(answers.map((answer) => answer.error_code))).toEqual(
      new Set([undefined, 'P0004']),
    );
    expect(await readSeats(db.sql, event)).toEqual({ counter: 1, confirmed: 1 });
    const rows = await db.sql`select user_id from registrations`;
    expect(rows.map((row) => row.user_id)).toEqual([only(winners[0]).user_id]);
  });
});
