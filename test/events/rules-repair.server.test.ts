import { describe, expect } from 'vitest';
import { type RepairBusinessRulesOptions, repairBusinessRules } from '../../src/events/rules.ts';
import { addEvent, addUsers, listWrongCounters } from '../event-schema/event-schema-kit.ts';
import { behindTriggers, listBroken, smuggle } from '../event-schema/rules-kit.ts';
import { test } from '../support/fixture.ts';
import { inspect, write } from '../support/sessions.ts';
import { listAwaitedLocks } from '../support/waiting.ts';

const repair = (url: string, options: RepairBusinessRulesOptions = {}) =>
  write(url, (session) => repairBusinessRules(session, options));

describe('repairBusinessRules', () => {
  test('repairs the counters, says what it changed, and is done', async ({ db }) => {
    const [user = 0] = await addUsers(db.sql, 1);
    const event = await addEvent(db.sql);
    await smuggle(db.sql, user, event);
    expect(await repair(db.url)).toMatchObject({
      dryRun: false,
      repairs: [
        {
          repair: 'repair_registration_counts',
          rules: ['registration_count_mismatch'],
          changed: 1,
          unit: 'events',
          notes: [],
          changes: [
            {
              table: 'events',
              operation: 'REPAIR',
              record: event,
              changes: [{ column: 'current_registrations', old: 0, new: 1 }],
            },
          ],
        },
      ],
      remaining: [],
    });
    expect(await listWrongCounters(db.sql)).toEqual([]);
    expect(await repair(db.url)).toEqual({ dryRun: false, repairs: [], remaining: [] });
  });

  test('says in a dry run exactly what the repair then does, and changes nothing', async ({
    db,
  }) => {
    const { sql } = db;
    const [ann = 0, bob = 0, cid = 0] = await addUsers(sql, 3);
    const event = await addEvent(sql, { capacity: 2 });
    await smuggle(sql, ann, event);
    await smuggle(sql, bob, event, 'waitlist');
    await smuggle(sql, cid, event, 'pending');
    await sql`delete from event_search_documents`;
    await sql`insert into audit_logs_overflow (table_name, operation) values ('users', 'TRUNCATE')`;
    const before = await listBroken(sql);
    const rows = await sql`select * from registrations order by id`;
    const dry = await repair(db.url, { dryRun: true });
    expect(await listBroken(sql)).toEqual(before);
    expect(await sql`select * from registrations order by id`).toEqual(rows);

    const real = await repair(db.url);
    const told = (result: typeof dry) =>
      result.repairs.map((one) => ({
        ...one,
        changes: one.changes.map(({ table, operation, record, changes }) => ({
          ...{ table, operation, record },
          // The end of a hold is a time of its own in each run.
          columns: changes.map((change) => change.column),
        })),
      }));
    expect(told(dry)).toEqual(told(real));
    expect(dry.remaining).toEqual(real.remaining);
    expect(real.repairs.map((one) => one.repair)).toEqual([
      'repair_registration_holds',
      'repair_registration_counts',
      'repair_waitlists',
      'ensure_audit_partitions',
      'refresh_event_search',
    ]);
    expect(await listBroken(sql)).toEqual([]);
  });

  test('repairs only what it is told', async ({ db }) => {
    await addEvent(db.sql);
    await behindTriggers(db.sql, 'update events set current_registrations = 3');
    await db.sql`delete from event_search_documents`;
    const result = await repair(db.url, { rules: ['stale_search_documents'] });
    expect(result).toMatchObject({ repairs: [{ changed: 1 }], remaining: [] });
    expect((await listBroken(db.sql)).map(([rule]) => rule)).toEqual([
      'registration_count_mismatch',
    ]);
  });

  test('refuses a rule that does not exist, and repairs nothing', async ({ db }) => {
    await behindTriggers(db.sql, 'update events set current_registrations = 3');
    const refused = repair(db.url, { rules: ['stale_search_documents', 'no_such'] });
    await expect(refused).rejects.toMatchObject({
      code: 'USAGE',
      message: 'there is no rule "no_such"',
      hint: expect.stringContaining('evdb rules list'),
    });
  });

  test('leaves an event alone that has more registrations than seats, and says so', async ({
    db,
  }) => {
    const [ann = 0, bob = 0] = await addUsers(db.sql, 2);
    const event = await addEvent(db.sql, { capacity: 1 });
    await smuggle(db.sql, ann, event);
    await smuggle(db.sql, bob, event);
    expect(await repair(db.url)).toMatchObject({
      repairs: [
        { changed: 0, changes: [], notes: [expect.stringContaining(`event ${event}: skipped`)] },
      ],
      remaining: [{ code: 'capacity_exceeded' }, { code: 'registration_count_mismatch' }],
    });
  });

  test('is for who may write', async ({ db }) => {
    await behindTriggers(db.sql, 'update events set current_registrations = 3');
    await addEvent(db.sql);
    await behindTriggers(db.sql, 'update events set current_registrations = 3');
    const refused = inspect(db.url, (session) => repairBusinessRules(session));
    await expect(refused).rejects.toMatchObject({ code: 'READ_ONLY' });
  });

  test('keeps what was committed when it is interrupted, and rolls the rest back', async ({
    db,
  }) => {
    const { sql } = db;
    const event = await addEvent(sql);
    await behindTriggers(sql, 'update events set current_registrations = 3');
    await sql`delete from event_search_documents`;
    const controller = new AbortController();
    await sql.begin(async (other) => {
      // The last repair waits for the table that this session holds.
      await other`lock table event_search_documents in share mode`;
      const interrupted = write(
        db.url,
        (session) => repairBusinessRules(session, { signal: controller.signal }),
        controller.signal,
      );
      const refused = expect(interrupted).rejects.toMatchObject({
        code: 'INTERRUPTED',
        details: { repairs: [{ repair: 'repair_registration_counts' }] },
      });
      await expect.poll(() => listAwaitedLocks(sql)).toHaveLength(1);
      controller.abort();
      await refused;
    });
    expect(await listBroken(sql)).toEqual([['stale_search_documents', 1, [event]]]);
  });
});
