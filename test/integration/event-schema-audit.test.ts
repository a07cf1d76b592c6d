import type postgres from 'postgres';
import { describe, expect } from 'vitest';
import { test } from '../support/fixture.ts';
import {
  addEvent,
  addUsers,
  only,
  register,
  registerBatch,
  unregister,
} from './event-schema-stage.ts';

/** Audit entries since the last call, in order, as table, operation and row. */
function follow(sql: postgres.Sql): () => Promise<string[]> {
  let seen = '0';
  return async () => {
    const rows = await sql<{ id: string; entry: string }[]>`
      select id, concat_ws(' ', table_name, operation, row_id) as entry
      from audit_logs where id > ${seen} order by id`;
    seen = rows.at(-1)?.id ?? seen;
    return rows.map((row) => row.entry);
  };
}

describe('audit_logs', () => {
  test('holds a row for every change of users, events and registrations', async ({ db }) => {
    const { sql } = db;
    const entries = follow(sql);
    const [ann, bob] = await addUsers(sql, 2);
    expect(await entries()).toEqual([`users INSERT ${ann}`, `users INSERT ${bob}`]);
    const event = await addEvent(sql, { createdBy: only(ann) });
    expect(await entries()).toEqual([`events INSERT ${event}`]);
    const { registration_id: id } = await register(sql, only(bob), event);
    expect(await entries()).toEqual([`registrations INSERT ${id}`]);
    await unregister(sql, only(bob), event);
    expect(await entries()).toEqual([`registrations UPDATE ${id}`]);
    await registerBatch(sql, [only(bob)], event);
    expect(await entries()).toEqual([`registrations UPDATE ${id}`]);
    await sql`update events set title = 'Opera'`;
    expect(await entries()).toEqual([`events UPDATE ${event}`]);
    await sql`delete from users where id = ${only(ann)}`;
    expect((await entries()).sort()).toEqual([`events UPDATE ${event}`, `users DELETE ${ann}`]);
    await sql`delete from events`;
    expect((await entries()).sort()).toEqual([
      `events DELETE ${event}`,
      `registrations DELETE ${id}`,
    ]);
    await sql`truncate users, events, registrations`;
    expect((await entries()).sort()).toEqual([
      'events TRUNCATE',
      'registrations TRUNCATE',
      'users TRUNCATE',
    ]);
  });

  test('shows the row before and after, and who changed it', async ({ db }) => {
    const { sql } = db;
    const event = await addEvent(sql);
    await sql.begin(async (transaction) => {
      await transaction`select set_config('evdb.actor', 'ann@example.com', true)`;
      await transaction`update events set title = 'Opera' where id = ${event}`;
    });
    const [row] = await sql`
      select old_values ->> 'title' as before, new_values ->> 'title' as after, actor, session_role,
        session_user::text as me, application_name, transaction_id is not null as has_transaction, redacted
      from audit_logs where operation = 'UPDATE'`;
    expect(row).toEqual({
      before: 'Concert',
      after: 'Opera',
      actor: 'ann@example.com',
      session_role: row?.me,
      me: expect.any(String),
      application_name: 'evdb-test',
      has_transaction: true,
      redacted: null,
    });
    await sql`update events set title = 'Ballet'`;
    const [next] = await sql`select actor from audit_logs order by id desc limit 1`;
    expect(next?.actor).toBeNull();
  });

  test('has no row for a change of nothing, for the counter or for a refused call', async ({
    db,
  }) => {
    const { sql } = db;
    const [ann, bob] = await addUsers(sql, 2);
    const event = await addEvent(sql, { capacity: 1 });
    await register(sql, only(ann), event);
    const entries = follow(sql);
    await entries();
    await sql`update users set name = name`;
    await sql`update events set title = title, capacity = capacity`;
    await sql`update registrations set status = status`;
    await sql`update events set current_registrations = current_registrations`;
    await register(sql, only(bob), event);
    await register(sql, only(ann), event);
    await sql`delete from users where id = 999999`;
    expect(await entries()).toEqual([]);
  });

  test('never holds a password hash, but says that one changed', async ({ db }) => {
    const { sql } = db;
    await sql`insert into users (name, email, password_hash) values ('Ann', 'ann@example.com', 'secret one')`;
    await sql`update users set password_hash = 'secret two'`;
    await sql`update users set name = 'Anna'`;
    await sql`delete from users`;
    const rows = await sql<{ operation: string; redacted: string[] | null; whole: string }[]>`
      select operation, redacted, a::text as whole from audit_logs a order by id`;
    expect(rows.map((row) => [row.operation, row.redacted])).toEqual([
      ['INSERT', ['password_hash']],
      ['UPDATE', ['password_hash']],
      ['UPDATE', null],
      ['DELETE', ['password_hash']],
    ]);
    for (const row of rows) expect(row.whole).not.toContain('secret');
    const images = await sql`
      select 1 from audit_logs where old_values ? 'password_hash' or new_values ? 'password_hash'`;
    expect(images).toEqual([]);
  });

  test('takes a change of primary key as one row gone and one new', async ({ db }) => {
    const { sql } = db;
    const [user] = await addUsers(sql, 1);
    const entries = follow(sql);
    await entries();
    await sql`update users set id = 500`;
    expect((await entries()).sort()).toEqual([`users DELETE ${user}`, 'users INSERT 500']);
  });
});

describe('cleanup_audit_logs', () => {
  async function age(sql: postgres.Sql, days: number, count: number): Promise<void> {
    await sql`
      insert into audit_logs (created_at, table_name, operation)
      select now() - make_interval(days => ${days}) - interval '1 hour', 'users', 'TRUNCATE'
      from generate_series(1, ${count}::int)`;
  }
  const cleanUp = async (sql: postgres.Sql, days: number | null) =>
    (await sql`select cleanup_audit_logs(${days}::int) as removed`)[0]?.removed;
  const ages = async (sql: postgres.Sql) =>
    (
      await sql<{ days: number }[]>`
        select extract(day from now() - created_at)::int as days from audit_logs order by 1`
    ).map((row) => row.days);

  test('removes what is older than 90 days and returns how much that was', async ({ db }) => {
    const { sql } = db;
    await age(sql, 0, 1);
    await age(sql, 89, 2);
    await age(sql, 90, 3);
    await age(sql, 400, 4);
    const [row] = await sql`select cleanup_audit_logs() as removed`;
    expect(row?.removed).toBe(7);
    expect(await ages(sql)).toEqual([0, 89, 89]);
    expect(await cleanUp(sql, 90)).toBe(0);
  });

  test('keeps as many days as it is told', async ({ db }) => {
    const { sql } = db;
    await age(sql, 1, 1);
    await age(sql, 40, 1);
    expect(await cleanUp(sql, 2_147_483_647)).toBe(0);
    expect(await cleanUp(sql, 30)).toBe(1);
    expect(await ages(sql)).toEqual([1]);
    expect(await cleanUp(sql, 0)).toBe(1);
  });

  test('refuses a number of days that makes no sense', async ({ db }) => {
    await age(db.sql, 100, 1);
    await expect(cleanUp(db.sql, -1)).rejects.toMatchObject({ code: '22023' });
    await expect(cleanUp(db.sql, null)).rejects.toMatchObject({ code: '22023' });
    expect(await ages(db.sql)).toEqual([100]);
  });
});
