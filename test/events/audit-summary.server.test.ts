import { describe, expect } from 'vitest';
import { type AuditSummaryOptions, readAuditSummary } from '../../src/events/audit-log.ts';
import { addOldEntries } from '../event-schema/audit-kit.ts';
import { addEvent, addUsers } from '../event-schema/event-schema-kit.ts';
import { test } from '../support/fixture.ts';
import { inspect } from '../support/sessions.ts';

const summarise = (url: string, options: AuditSummaryOptions) =>
  inspect(url, (session) => readAuditSummary(session, options));

describe('readAuditSummary', () => {
  test('counts by table and operation, the most entries first', async ({ db }) => {
    await addUsers(db.sql, 3);
    await addEvent(db.sql);
    await db.sql`update users set name = 'x' where id < 3`;
    const { rows } = await summarise(db.url, {});
    expect(rows.map(({ table, operation, entries }) => [table, operation, entries])).toEqual([
      ['users', 'INSERT', 3],
      ['users', 'UPDATE', 2],
      ['events', 'INSERT', 1],
    ]);
    expect(rows[0]).not.toHaveProperty('actor');
  });

  test('counts by actor, who may be nobody', async ({ db }) => {
    await addUsers(db.sql, 3);
    await db.sql.begin(async (sql) => {
      await sql`select set_config('evdb.actor', 'user:7', true)`;
      await sql`update users set name = 'x' where id = 1`;
    });
    const { rows } = await summarise(db.url, { by: ['actor'] });
    expect(rows).toMatchObject([
      { actor: null, entries: 3 },
      { actor: 'user:7', entries: 1 },
    ]);
  });

  test('counts by day of UTC, the newest first, from and until a time', async ({ db }) => {
    await addOldEntries(db.sql, 40, 2);
    await addOldEntries(db.sql, 3, 5);
    const { rows, countedSince } = await summarise(db.url, { by: ['day', 'table'] });
    expect(rows.map(({ entries }) => entries)).toEqual([5, 2]);
    expect(countedSince?.toISOString().slice(0, 10)).toBe(rows[1]?.day);
    const since = new Date(Date.now() - 10 * 86_400_000);
    expect((await summarise(db.url, { by: ['day'], since })).rows).toMatchObject([{ entries: 5 }]);
    expect((await summarise(db.url, { by: ['day'], until: since })).rows).toMatchObject([
      { entries: 2 },
    ]);
  });

  test('says that there is more than it shows', async ({ db }) => {
    await addUsers(db.sql, 1);
    await addEvent(db.sql);
    const { rows, notes } = await summarise(db.url, { by: ['table'], limit: 1 });
    expect(rows).toHaveLength(1);
    expect(notes).toMatchObject([{ level: 'info', hint: '--limit' }]);
    expect((await summarise(db.url, { by: ['table'], limit: 2 })).notes).toEqual([]);
  });
});
