import { describe, expect } from 'vitest';
import { type ReadAuditLogOptions, readAuditLog } from '../../src/events/audit-log.ts';
import { addEvent, addUsers, bcryptHash } from '../event-schema/event-schema-kit.ts';
import { test } from '../support/fixture.ts';
import { inspect } from '../support/sessions.ts';

const read = (url: string, options: ReadAuditLogOptions = {}) =>
  inspect(url, (session) => readAuditLog(session, options));

describe('readAuditLog', () => {
  test('shows of an update only what changed, before and after', async ({ db }) => {
    const event = await addEvent(db.sql, { title: 'Jazz' });
    await db.sql.begin(async (sql) => {
      await sql`select set_config('evdb.actor', 'user:7', true)`;
      await sql`update events set title = 'Jazz II', capacity = 11 where id = ${event}`;
    });
    const { rows, next } = await read(db.url, { table: 'events', limit: 1 });
    expect(rows).toMatchObject([
      { table: 'events', operation: 'UPDATE', record: event, actor: 'user:7' },
    ]);
    expect(rows[0]?.changes.filter((one) => one.column !== 'updated_at')).toEqual([
      { column: 'title', old: 'Jazz', new: 'Jazz II' },
      { column: 'capacity', old: 10, new: 11 },
    ]);
    expect(rows[0]?.createdAt).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
    expect(next).not.toBeNull();
  });

  test('shows the whole row of an insert and of a delete', async ({ db }) => {
    const [user = 0] = await addUsers(db.sql, 1);
    await db.sql`delete from users where id = ${user}`;
    const { rows } = await read(db.url, { table: 'users' });
    const [gone, made] = rows;
    expect(gone?.changes).toContainEqual({ column: 'name', old: 'user 1' });
    expect(made?.changes).toContainEqual({ column: 'name', new: 'user 1' });
  });

  test('says that a secret changed, and not what it is', async ({ db }) => {
    await addUsers(db.sql, 1);
    await db.sql`update users set password_hash = ${bcryptHash(99)}`;
    const { rows } = await read(db.url, { table: 'users', limit: 1 });
    expect(rows[0]?.changes).toContainEqual({ column: 'password_hash', isRedacted: true });
    expect(JSON.stringify(rows)).not.toContain('$2b$');
  });

  test('has no row for a truncate', async ({ db }) => {
    await db.sql`truncate registrations`;
    expect((await read(db.url)).rows).toMatchObject([
      { operation: 'TRUNCATE', table: 'registrations', record: null, changes: [] },
    ]);
  });

  test('filters by table, row, actor and time', async ({ db }) => {
    const [ann = 0, bob = 0] = await addUsers(db.sql, 2);
    await addEvent(db.sql);
    await db.sql.begin(async (sql) => {
      await sql`select set_config('evdb.actor', 'O''Brien; ü', true)`;
      await sql`update users set name = 'x' where id = ${bob}`;
    });
    const count = async (options: ReadAuditLogOptions) => (await read(db.url, options)).rows.length;
    expect(await count({})).toBe(4);
    expect(await count({ table: 'users' })).toBe(3);
    expect(await count({ table: 'users', record: ann })).toBe(1);
    expect(await count({ record: bob })).toBe(2);
    expect(await count({ actor: "O'Brien; ü" })).toBe(1);
    expect(await count({ actor: 'nobody' })).toBe(0);
    const hourMs = 3_600_000;
    expect(await count({ since: new Date(Date.now() - hourMs) })).toBe(4);
    expect(await count({ since: new Date(Date.now() + hourMs) })).toBe(0);
    expect(await count({ until: new Date(Date.now() - hourMs) })).toBe(0);
  });

  test('goes page by page over entries of one moment, while others are added', async ({ db }) => {
    await addUsers(db.sql, 25);
    const seen: number[] = [];
    let before: string | undefined;
    do {
      const page = await read(db.url, { limit: 10, before });
      seen.push(...page.rows.map(({ record }) => record ?? 0));
      before = page.next ?? undefined;
      await addEvent(db.sql);
    } while (before !== undefined);
    expect(seen).toEqual(Array.from({ length: 25 }, (_, i) => 25 - i));
  });

  test('names no next page after the last entry', async ({ db }) => {
    await addUsers(db.sql, 10);
    expect((await read(db.url, { limit: 10 })).next).toBeNull();
    expect((await read(db.url, { limit: 9 })).next).toMatch(/Z\/\d+$/);
  });

  test.for(['', 'x', '2026-11-22/5', "2026-11-22T10:00:00.000000Z/5'", '5'])(
    'refuses "%s" as the end of a page',
    async (before, { db }) => {
      await expect(read(db.url, { before })).rejects.toMatchObject({ code: 'USAGE' });
    },
  );
});
