import type postgres from 'postgres';
import { describe, expect } from 'vitest';
import { test } from '../support/fixture.ts';
import { addUsers, bcryptHash, refusalOf } from './event-schema-kit.ts';

describe('users', () => {
  const addUser = (sql: postgres.Sql, email: string, name = 'Ann', hash = bcryptHash()) =>
    refusalOf(
      sql`insert into users (name, email, password_hash) values (${name}, ${email}, ${hash})`,
    );

  test('have one well-formed address each', async ({ db }) => {
    const { sql } = db;
    const good = [
      'ann@example.com',
      'o.b+tag@mail.example.co.uk',
      "o'brien_1@ex-ample.org",
      'jörg@bücher.example',
      `${'a'.repeat(64)}@example.com`,
    ];
    for (const email of good) expect(await addUser(sql, email)).toEqual(['00000', 'none']);
    const malformed = [
      '',
      'ann',
      'ann@',
      '@example.com',
      'ann@localhost',
      'ann@@example.com',
      'ann@example..com',
      '.ann@example.com',
      'ann.@example.com',
      'ann @example.com',
      'ann@example.com\n',
      'ann2@exam\u00a0ple.com',
      'ann\u200b@example.com',
      'ann\u0001@example.com',
      'Ann <ann2@example.com>',
      'ann2@example.com,bob@example.com',
    ];
    for (const email of malformed) {
      expect([email, await addUser(sql, email)]).toEqual([
        email,
        ['23514', 'email_address_is_well_formed'],
      ]);
    }
    expect(await addUser(sql, `${'a'.repeat(65)}@example.com`)).toEqual([
      '23514',
      'email_address_local_part_fits',
    ]);
    const hosts = [
      '-example.com',
      'example-.com',
      'example.-com',
      `${'b'.repeat(64)}.com`,
      '10.0.0.1',
    ];
    for (const host of hosts) {
      expect([host, await addUser(sql, `ann@${host}`)]).toEqual([
        host,
        ['23514', 'email_address_host_is_well_formed'],
      ]);
    }
    expect(await addUser(sql, `a@${'b'.repeat(320)}.com`)).toEqual(['22001', '']);
    expect(await addUser(sql, 'ann@example.com')).toEqual(['23505', 'users_email_key']);
    expect(await addUser(sql, 'ANN@Example.com')).toEqual(['23505', 'users_email_lower_key']);
  });

  test('have a name and a hash, and say when they changed', async ({ db }) => {
    const { sql } = db;
    expect(await addUser(sql, 'a@example.com', ' ')).toEqual(['23514', 'users_name_is_not_blank']);
    await addUsers(sql, 1);
    const stamp = async () =>
      String((await sql`select updated_at::text from users`)[0]?.updated_at);
    const before = await stamp();
    await sql`update users set name = name`;
    expect(await stamp()).toBe(before);
    await sql`update users set name = 'Bob'`;
    expect((await stamp()) > before).toBe(true);
  });

  test('have a name of one line that can be seen', async ({ db }) => {
    const { sql } = db;
    for (const name of ['', '\u00a0\u2003', '\u200b', '\n']) {
      expect([name, await addUser(sql, 'a@example.com', name)]).toEqual([
        name,
        ['23514', 'users_name_is_not_blank'],
      ]);
    }
    for (const name of ['Ann\nBcc: all@example.com', 'Ann\u001b[2J', 'Ann\u2029']) {
      expect([name, await addUser(sql, 'a@example.com', name)]).toEqual([
        name,
        ['23514', 'users_name_is_one_line'],
      ]);
    }
    let i = 0;
    for (const name of ['李', "Anne-Marie O'Neil 3rd", 'أحمد', 'José']) {
      expect(await addUser(sql, `u${i++}@example.com`, name)).toEqual(['00000', 'none']);
    }
  });

  test('have a bcrypt hash, of whatever kind and cost', async ({ db }) => {
    const { sql } = db;
    const rest = 'abcdefghijklmnopqrstuv./ABCDEFGHIJKLMNOPQRSTUVWXYZ012';
    let i = 0;
    for (const start of ['$2a$04$', '$2b$12$', '$2x$10$', '$2y$31$']) {
      expect(await addUser(sql, `u${i++}@example.com`, 'Ann', start + rest)).toEqual([
        '00000',
        'none',
      ]);
    }
    const malformed = [
      '',
      'secret',
      `$2b$12$${rest.slice(1)}`,
      `$2b$12$${rest}x`,
      `$2b$12$${rest}\n`,
      `$2b$12$${rest.slice(1)}+`,
      `$2b$03$${rest}`,
      `$2b$32$${rest}`,
      `$2c$12$${rest}`,
      `$2$12$${rest}`,
      '$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$RdescudvJCsgt3ub+b4dWRWJTmaaJObG',
    ];
    for (const hash of malformed) {
      expect([hash, await addUser(sql, 'a@example.com', 'Ann', hash)]).toEqual([
        hash,
        ['23514', 'users_password_hash_is_bcrypt'],
      ]);
    }
  });

  test('never show a refused password in the error', async ({ db }) => {
    const { sql } = db;
    const error = await sql`
      insert into users (name, email, password_hash) values ('Ann', 'a@example.com', 'correct horse')`.then(
      () => undefined,
      (reason: postgres.PostgresError) => reason,
    );
    expect(error).toMatchObject({
      code: '23514',
      table_name: 'users',
      column_name: 'password_hash',
    });
    expect(error?.hint).toContain('Hash the password');
    const { message, detail, hint, where } = error ?? {};
    expect(JSON.stringify({ message, detail, hint, where })).not.toContain('correct horse');
  });

  test('are held to the rules by the table itself where triggers are off', async ({ db }) => {
    const { sql } = db;
    await sql`alter table users disable trigger user`;
    expect(await addUser(sql, 'a@example.com', ' ')).toEqual(['23514', 'users_name_is_not_blank']);
    expect(await addUser(sql, 'a@example.com', 'a\nb')).toEqual([
      '23514',
      'users_name_is_one_line',
    ]);
    expect(await addUser(sql, 'a@example.com', 'Ann', 'secret')).toEqual([
      '23514',
      'users_password_hash_is_bcrypt',
    ]);
  });

  test('can be kept by a role that was granted no more than the table', async ({ db }) => {
    const { sql } = db;
    const role = `clerk_${db.name}`;
    await sql`create role ${sql(role)}`;
    try {
      await sql`grant select, insert, update on users to ${sql(role)}`;
      await sql.begin(async (as) => {
        await as`set local role ${as(role)}`;
        await as`insert into users (name, email, password_hash) values ('Ann', 'ann@example.com', ${bcryptHash()})`;
        await as`update users set email = 'bob@example.com', name = 'Bob'`;
        expect([...(await as`select name, email from users`)]).toEqual([
          { name: 'Bob', email: 'bob@example.com' },
        ]);
      });
    } finally {
      await sql`drop owned by ${sql(role)}`;
      await sql`drop role ${sql(role)}`;
    }
  });
});
