import postgres from 'postgres';
import { describe, expect } from 'vitest';
import { closeSql, openSql } from '../support/databases.ts';
import {
  addEvent,
  addUsers,
  listMigrationNames,
  only,
  register,
  runFiles,
} from './event-schema-kit.ts';
import { expectRefused, quote, readRights, test } from './roles-kit.ts';

describe('the read-only role', () => {
  test('reads everything but password hashes and the audit log, and writes nothing', async ({
    db,
    roles,
  }) => {
    const { name, sql } = roles.reader;
    const [user] = await addUsers(db.sql, 2);
    const event = await addEvent(db.sql, { title: 'Jazz night' });
    await register(db.sql, only(user), event);
    await db.sql`select grant_read_only_access(${name})`;
    expect([
      ...(await sql`select id, name, email, is_active, created_at, updated_at from users`),
    ]).toHaveLength(2);
    expect([...(await sql`select * from events`)]).toHaveLength(1);
    expect([...(await sql`select * from registrations`)]).toHaveLength(1);
    expect([...(await sql`select title from search_events('jazz')`)]).toEqual([
      { title: 'Jazz night' },
    ]);
    const [stats] = await sql`
      select get_event_registration_stats(${event}) ->> 'confirmed_registrations' as confirmed`;
    expect(stats?.confirmed).toBe('1');
    expect([...(await sql`select * from validate_business_rules()`)]).toEqual([]);
    expect((await sql`select * from get_index_usage_stats()`).length).toBeGreaterThan(10);
    await sql`select * from get_unused_indexes()`;
    await sql`select * from get_duplicate_indexes()`;
    await sql`select get_waitlist_position(1, 1)`;
    await expectRefused(sql, [
      'select * from users',
      'select password_hash from users',
      'select password_hash is null from users',
      "insert into users (name, email, password_hash) values ('x', 'x@example.com', 'x')",
      "update users set name = 'x'",
      'update events set capacity = 5',
      "update registrations set status = 'cancelled'",
      'delete from registrations',
      `select safe_event_registration(${user}, ${event})`,
      'select release_expired_holds()',
      'select * from audit_logs',
      'select * from audit_log_entries',
      'select * from audit_log_changes()',
      'select new_values from audit_logs_overflow',
      'select cleanup_audit_logs()',
      'select * from repair_registration_counts()',
      'create table mine (id int)',
    ]);
  });

  test('reads the audit log where that is asked for, and still no hash', async ({ db, roles }) => {
    const { name, sql } = roles.reader;
    await addUsers(db.sql, 1);
    await db.sql`select grant_read_only_access(${name}, p_with_audit => true)`;
    const [entry] = await sql`select * from audit_log_changes(p_table => 'users')`;
    expect(entry?.new_values).toMatchObject({ email: 'user1@example.com' });
    expect(JSON.stringify(entry)).not.toContain('$2b$');
    expect([...(await sql`select id from audit_logs`)]).toHaveLength(1);
    await expectRefused(sql, [
      'select password_hash from users',
      'delete from audit_logs',
      'select cleanup_audit_logs()',
    ]);
    await db.sql`select grant_read_only_access(${name})`;
    await expectRefused(sql, ['select id from audit_logs']);
  });

  test('becomes the application role, and the other way round, without keeping anything', async ({
    db,
    roles,
  }) => {
    const { name } = roles.reader;
    await db.sql`select grant_read_only_access(${name})`;
    const asReader = await readRights(db.sql, name);
    await db.sql`select grant_application_access(${name})`;
    const asApplication = await readRights(db.sql, name);
    expect(asApplication).not.toEqual(asReader);
    await db.sql`select grant_read_only_access(${name})`;
    expect(await readRights(db.sql, name)).toEqual(asReader);
    await db.sql`select revoke_access(${name})`;
    await db.sql`select revoke_access(${name})`;
    expect(await readRights(db.sql, name)).toEqual([]);
  });
});

describe('granting', () => {
  test('refuses roles that do not exist or own the schema, and callers that do not', async ({
    db,
    roles,
  }) => {
    const { sql } = db;
    const { name } = roles.application;
    const [self] = await sql<{ name: string }[]>`select current_user::text as name`;
    for (const call of ['grant_application_access', 'grant_read_only_access', 'revoke_access']) {
      await expect(sql.unsafe(`select ${call}(null)`)).rejects.toMatchObject({ code: '22023' });
      await expect(sql.unsafe(`select ${call}('nobody here')`)).rejects.toMatchObject({
        code: '42704',
        message: 'Role "nobody here" does not exist',
        hint: 'Create it first: create role "nobody here" login;',
      });
      await expect(sql.unsafe(`select ${call}('public')`)).rejects.toMatchObject({ code: '42704' });
      await expect(sql.unsafe(`select ${call}($1)`, [self?.name ?? ''])).rejects.toMatchObject({
        code: '0LP01',
        hint: expect.stringContaining('one of its own'),
      });
    }
    await sql.unsafe(`
      create role ${quote(`${name} owner`)};
      grant usage on schema public to ${quote(`${name} owner`)};
      grant ${quote(name)} to ${quote(`${name} owner`)};`);
    try {
      const execute = 'grant execute on all functions in schema public to';
      await sql.unsafe(`${execute} ${quote(`${name} owner`)}`);
      await expect(
        sql.begin(async (transaction) => {
          await transaction.unsafe(`set local role ${quote(`${name} owner`)}`);
          await transaction`select grant_application_access(${name})`;
        }),
      ).rejects.toMatchObject({ code: '42501', hint: expect.stringContaining('Connect as') });
    } finally {
      await sql.unsafe(`drop owned by ${quote(`${name} owner`)}`);
      await sql.unsafe(`drop role ${quote(`${name} owner`)}`);
    }
  });

  test('warns where the role could act as the owner through objects of its own', async ({
    db,
    roles,
  }) => {
    const notices: unknown[] = [];
    const sql = postgres(db.url, { max: 1, onnotice: (notice) => notices.push(notice) });
    const { name } = roles.application;
    try {
      await sql`select grant_application_access(${name})`;
      expect(notices).toEqual([]);
      await sql.unsafe(`grant create on schema public to ${quote(name)}`);
      await sql`select grant_application_access(${name})`;
      expect(notices).toMatchObject([
        {
          severity: 'WARNING',
          code: '01007',
          hint: expect.stringContaining('revoke create on schema public'),
        },
      ]);
    } finally {
      await closeSql(sql);
    }
  });

  test('works when many do it at once', async ({ db, roles }) => {
    const { name } = roles.application;
    await Promise.all(
      Array.from({ length: 8 }, () => db.sql`select grant_application_access(${name})`),
    );
    expect((await readRights(db.sql, name)).length).toBeGreaterThan(30);
  });

  test('works for an owner that is no superuser', async ({ db, roles, admin }) => {
    const owner = `${roles.application.name} own`;
    await admin.unsafe(`create role ${quote(owner)}`);
    try {
      await db.sql.unsafe(`grant create on database ${db.name} to ${quote(owner)}`);
      const sql = openSql(db.url, 1);
      try {
        await sql.unsafe(`set role ${quote(owner)}`);
        await sql`create schema "Own ä"`;
        await runFiles(sql, 'Own ä', await listMigrationNames());
        await sql`select "Own ä".grant_application_access(${roles.application.name})`;
      } finally {
        await closeSql(sql);
      }
      const app = roles.application.sql;
      await app`set search_path to "Own ä"`;
      const [user] = await addUsers(app, 1);
      const event = await addEvent(app);
      expect(await register(app, only(user), event)).toMatchObject({ success: true });
    } finally {
      await db.sql.unsafe(`drop owned by ${quote(owner)} cascade`);
      await admin.unsafe(`drop role ${quote(owner)}`);
    }
  });
});
