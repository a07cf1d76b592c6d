import { describe, expect } from 'vitest';
import { checkBusinessRules, listBusinessRules } from '../../src/events/rules.ts';
import {
  addEvent,
  addUsers,
  listMigrationNames,
  register,
  runFiles,
} from '../event-schema/event-schema-kit.ts';
import { behindTriggers } from '../event-schema/rules-kit.ts';
import { test } from '../support/fixture.ts';
import { inspect } from '../support/sessions.ts';

describe('checkBusinessRules', () => {
  test('finds nothing in a healthy database', async ({ db }) => {
    const [user = 0] = await addUsers(db.sql, 1);
    await register(db.sql, user, await addEvent(db.sql));
    expect(await inspect(db.url, (session) => checkBusinessRules(session))).toEqual({
      rows: [],
      countedSince: null,
      notes: [],
    });
  });

  test('names the rule, how often it is broken, samples and the repair', async ({ db }) => {
    const event = await addEvent(db.sql);
    await behindTriggers(db.sql, 'update events set current_registrations = 3');
    const { rows } = await inspect(db.url, (session) => checkBusinessRules(session));
    expect(rows).toEqual([
      {
        code: 'registration_count_mismatch',
        severity: 'error',
        message: expect.stringContaining(`event ${event} counts 3, confirmed are 0`),
        objects: [],
        fix: 'select * from repair_registration_counts()',
        details: { count: 1, sampleIds: [event] },
      },
    ]);
  });

  test('leaves warnings out where only errors are asked for', async ({ db }) => {
    await addEvent(db.sql);
    await behindTriggers(db.sql, 'update events set current_registrations = 3');
    await db.sql`delete from event_search_documents`;
    const check = async (severity: 'error' | 'warning') =>
      (await inspect(db.url, (session) => checkBusinessRules(session, { severity }))).rows.map(
        ({ code }) => code,
      );
    expect(await check('error')).toEqual(['registration_count_mismatch']);
    expect(await check('warning')).toEqual([
      'registration_count_mismatch',
      'stale_search_documents',
    ]);
  });

  test('gives no sample where a violation is about no row', async ({ db }) => {
    await db.sql`alter table users disable trigger users_30_fill`;
    const { rows } = await inspect(db.url, (session) => checkBusinessRules(session));
    expect(rows).toMatchObject([{ code: 'disabled_triggers', details: { sampleIds: [] } }]);
    expect(rows[0]).not.toHaveProperty('fix');
  });

  test('looks into the schema that it is told, whose name may need quotes', async ({ emptyDb }) => {
    const schema = 'Ten"ant ä';
    await emptyDb.sql`create schema ${emptyDb.sql(schema)}`;
    const files = await listMigrationNames();
    await runFiles(emptyDb.sql, schema, files);
    const { rows } = await inspect(emptyDb.url, (session) =>
      checkBusinessRules(session, { schema }),
    );
    expect(rows).toEqual([]);
    await expect(
      inspect(emptyDb.url, (session) => checkBusinessRules(session)),
    ).rejects.toMatchObject({
      code: 'EVENT_SCHEMA_MISSING',
    });
  });
});

describe('listBusinessRules', () => {
  test('lists every rule that the schema knows', async ({ db }) => {
    const { rows } = await inspect(db.url, (session) => listBusinessRules(session));
    const known = await db.sql`select rule_name from list_business_rules()`;
    expect(rows.map(({ rule }) => rule).sort()).toEqual(
      known.map(({ rule_name }) => rule_name).sort(),
    );
    expect(new Set(rows.map(({ severity }) => severity))).toEqual(new Set(['error', 'warning']));
  });
});

describe('a database without the event schema', () => {
  test('is told from one whose event schema is too old', async ({ emptyDb }) => {
    const check = () => inspect(emptyDb.url, (session) => checkBusinessRules(session));
    await expect(check()).rejects.toMatchObject({
      code: 'EVENT_SCHEMA_MISSING',
      message: expect.stringContaining('does not hold the event schema'),
      hint: expect.stringContaining('evdb migrate up'),
    });
    const files = await listMigrationNames();
    await runFiles(emptyDb.sql, 'public', files);
    await emptyDb.sql`drop function validate_business_rules()`;
    await expect(check()).rejects.toMatchObject({
      code: 'EVENT_SCHEMA_MISSING',
      message: expect.stringContaining('too old: it lacks validate_business_rules()'),
      hint: expect.stringContaining('evdb migrate up'),
      details: { schema: 'public', missing: ['validate_business_rules'] },
    });
  });
});
