import type postgres from 'postgres';
import { describe, expect } from 'vitest';
import { test } from '../support/fixture.ts';
import { addOldEntries, partitionName } from './audit-kit.ts';
import { addEvent, addUsers, only } from './event-schema-kit.ts';

/** Changes one user as somebody, in a transaction of its own. */
async function rename(sql: postgres.Sql, id: number, name: string, actor: string): Promise<void> {
  await sql.begin(async (transaction) => {
    await transaction`select set_config('evdb.actor', ${actor}, true)`;
    await transaction`update users set name = ${name} where id = ${id}`;
  });
}

describe('audit_log_changes', () => {
  test('shows of an update only the columns that changed, and whole rows otherwise', async ({
    db,
  }) => {
    const { sql } = db;
    const event = await addEvent(sql, { location: null });
    await sql`update events set title = 'Opera', location = 'Hall' where id = ${event}`;
    await sql`delete from events`;
    const rows = await sql`select operation, old_values, new_values from audit_log_changes()`;
    expect(rows.map((row) => row.operation)).toEqual(['DELETE', 'UPDATE', 'INSERT']);
    expect(rows[1]).toMatchObject({
      old_values: { title: 'Concert', location: null, updated_at: expect.any(String) },
      new_values: { title: 'Opera', location: 'Hall', updated_at: expect.any(String) },
    });
    expect(Object.keys(rows[1]?.new_values).sort()).toEqual(['location', 'title', 'updated_at']);
    expect(rows[0]).toMatchObject({ old_values: { title: 'Opera', id: event }, new_values: null });
    expect(rows[2]).toMatchObject({
      old_values: null,
      new_values: { title: 'Concert', id: event },
    });
  });

  test('shows that a secret changed, and nothing of it', async ({ db }) => {
    const { sql } = db;
    await addUsers(sql, 1);
    await sql`update users set password_hash = '$2b$12$' || repeat('y', 53)`;
    const [row] = await sql`select c.*, c::text as whole from audit_log_changes() c`;
    expect(row).toMatchObject({ operation: 'UPDATE', redacted: ['password_hash'] });
    expect(row?.whole).not.toContain('$2b$');
  });

  test('filters by table, row, actor and time', async ({ db }) => {
    const { sql } = db;
    const [ann, bob] = await addUsers(sql, 2);
    await addEvent(sql);
    await rename(sql, only(ann), 'Anna', 'ann@example.com');
    await rename(sql, only(bob), 'Bobby', 'ann@example.com');
    await rename(sql, only(bob), 'Robert', 'bob@example.com');
    await addOldEntries(sql, 10, 1);
    const count = async (filter: string) =>
      (await sql.unsafe(`select from audit_log_changes(${filter})`)).length;
    expect(await count('')).toBe(7);
    expect(await count(`'events'`)).toBe(1);
    expect(await count(`'users', ${bob}`)).toBe(3);
    expect(await count(`p_actor => 'ann@example.com'`)).toBe(2);
    expect(await count(`'users', ${bob}, 'ann@example.com'`)).toBe(1);
    expect(await count(`p_since => now() - interval '1 day'`)).toBe(6);
    expect(await count(`p_until => now() - interval '1 day'`)).toBe(1);
    expect(await count(`p_limit => 2`)).toBe(2);
    expect(await count(`p_limit => null`)).toBe(7);
    expect(await count(`p_limit => 0`)).toBe(0);
  });

  test('pages through partitions and overflow without a gap or a repetition while entries come in', async ({
    db,
  }) => {
    const { sql } = db;
    await addUsers(sql, 30);
    await addOldEntries(sql, 40, 20);
    await sql`alter table audit_logs detach partition ${sql(await partitionName(sql))}`;
    await sql`update users set name = name || ' of the overflow'`;
    const expected = await sql<{ id: string }[]>`
      select id from audit_log_entries order by created_at desc, id desc`;
    const read: string[] = [];
    let cursor: { at: string; id: string } | undefined;
    for (;;) {
      const page: { id: string; at: string }[] = await sql`
        select id, created_at::text as at from audit_log_changes(p_limit => 7,
          p_before_created_at => ${cursor?.at ?? null}::text::timestamptz, p_before_id => ${cursor?.id ?? null}::bigint)`;
      read.push(...page.map((row) => row.id));
      cursor = page.at(-1);
      if (cursor === undefined) break;
      await sql`update users set name = name || '.' where id = 1`;
    }
    expect(read).toEqual(expected.map((row) => row.id));
    expect(read).toHaveLength(50);
  });

  test.for(['p_limit => -1', 'p_before_id => 7', 'p_before_created_at => now()'])(
    'refuses %s',
    async (argument, { db }) => {
      await expect(
        db.sql.unsafe(`select from audit_log_changes(${argument})`),
      ).rejects.toMatchObject({ code: '22023', hint: expect.any(String) });
    },
  );

  test('reads the history of one row and the newest page by index', async ({ db }) => {
    const { sql } = db;
    await addUsers(sql, 3000);
    await sql`analyze audit_logs`;
    const plan = async (query: string) => {
      const rows = await sql.unsafe<{ 'QUERY PLAN': string }[]>(`explain (costs off) ${query}`);
      return rows.map((row) => row['QUERY PLAN']).join('\n');
    };
    const history = await plan(`select * from audit_log_entries
      where table_name = 'users' and row_id = 7 order by created_at desc, id desc limit 20`);
    expect(history).toMatch(/table_name_row_id_created_at_idx/);
    const newest = await plan(
      'select * from audit_log_entries order by created_at desc, id desc limit 20',
    );
    expect(newest).not.toMatch(/-> +Sort|Seq Scan/);
  });
});
