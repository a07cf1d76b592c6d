// What tests of roles and privileges share.

import { randomBytes } from 'node:crypto';
import type postgres from 'postgres';
import { expect } from 'vitest';
import { closeSql, openSql, withLogin } from '../support/databases.ts';
import { test as base } from '../support/fixture.ts';

/** Roles that log in, and a session of each. */
interface Roles {
  application: { name: string; sql: postgres.Sql };
  reader: { name: string; sql: postgres.Sql };
}

const password = 'S3cret/w@rd?';

/**
 * `test` with two roles that may log in and own nothing. Their names need quoting; nothing is granted
 * to them yet.
 */
export const test = base.extend<{ roles: Roles }>({
  roles: async ({ admin, db }, use) => {
    const suffix = randomBytes(6).toString('hex');
    const names = [`evdb test "App" ${suffix}`, `evdb_test_Leser_ä_${suffix}`] as const;
    // Before PostgreSQL 15 everybody may create objects there.
    await db.sql`revoke create on schema public from public`;
    const open = async (name: string) => {
      await admin`create role ${admin(name)} login`;
      await admin.unsafe(`alter role ${quote(name)} password '${password}'`);
      return { name, sql: openSql(withLogin(db.url, name, password), 2) };
    };
    const roles = { application: await open(names[0]), reader: await open(names[1]) };
    await use(roles);
    for (const role of [roles.application, roles.reader]) {
      await closeSql(role.sql);
      await db.sql.unsafe(`drop owned by ${quote(role.name)}`);
      await admin.unsafe(`drop role ${quote(role.name)}`);
    }
  },
});

export function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** Expects that the role may not run any of the statements. */
export async function expectRefused(sql: postgres.Sql, statements: string[]): Promise<void> {
  for (const statement of statements) {
    const outcome = await sql.unsafe(statement).then(
      () => 'done',
      (error: { code?: string }) => error.code,
    );
    expect([statement, outcome]).toEqual([statement, '42501']);
  }
}

/** Everything that a role holds in the schema on its own account, as lines. */
export async function readRights(sql: postgres.Sql, role: string): Promise<string[]> {
  const rows = await sql<{ line: string }[]>`
    with grants (line, acl) as (
      select 'schema ' || nspname, nspacl from pg_namespace where nspname = current_schema()
      union all
      select relname, relacl from pg_class where relnamespace = current_schema()::regnamespace
      union all
      select c.relname || '.' || a.attname, a.attacl
      from pg_class c join pg_attribute a on a.attrelid = c.oid
      where c.relnamespace = current_schema()::regnamespace
      union all
      select proname || '()', proacl from pg_proc where pronamespace = current_schema()::regnamespace
      union all
      select 'type ' || typname, typacl from pg_type where typnamespace = current_schema()::regnamespace
    )
    select lower(x.privilege_type) || ' ' || g.line as line
    from grants g cross join lateral aclexplode(g.acl) x
    where x.grantee = (select oid from pg_roles where rolname = ${role})
    order by 1`;
  return rows.map((row) => row.line);
}
