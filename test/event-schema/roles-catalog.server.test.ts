import { readFile } from 'node:fs/promises';
import type postgres from 'postgres';
import { describe, expect } from 'vitest';
import { closeSql, openSql } from '../support/databases.ts';
import { test } from '../support/fixture.ts';
import {
  addEvent,
  addUsers,
  listMigrationNames,
  only,
  readCatalog,
  register,
  registerBatch,
  runFiles,
} from './event-schema-kit.ts';

const migrationsDir = new URL('../../migrations/', import.meta.url);

async function readMigration(file: string): Promise<string> {
  return readFile(new URL(`${file}.sql`, migrationsDir), 'utf8');
}

/** What everybody may do with the objects of `schema`, as lines. */
async function readPublicRights(sql: postgres.Sql, schema: string): Promise<string[]> {
  const rows = await sql<{ line: string }[]>`
    with space as (select oid from pg_namespace where nspname = ${schema}),
    acls (line, acl) as (
      select 'relation ' || c.relname,
        coalesce(c.relacl, acldefault(case c.relkind when 'S' then 's' else 'r' end::"char", c.relowner))
      from pg_class c join space s on s.oid = c.relnamespace
      union all
      select 'column ' || c.relname || '.' || a.attname, a.attacl
      from pg_class c join space s on s.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid
      union all
      select 'function ' || p.oid::regprocedure, coalesce(p.proacl, acldefault('f', p.proowner))
      from pg_proc p join space s on s.oid = p.pronamespace
      union all
      -- The types that come with tables, and arrays, have no privileges of their own.
      select 'type ' || t.typname, coalesce(t.typacl, acldefault('T', t.typowner))
      from pg_type t join space s on s.oid = t.typnamespace
      where t.typtype in ('d', 'e', 'r')
        or (t.typtype = 'c' and (select relkind from pg_class where oid = t.typrelid) = 'c')
    )
    select x.privilege_type || ' on ' || a.line as line
    from acls a cross join lateral aclexplode(a.acl) x
    where x.grantee = 0
    order by 1`;
  return rows.map((row) => row.line);
}

describe('access', () => {
  test('is granted to nobody by the migrations', async ({ db }) => {
    const { sql } = db;
    expect(await readPublicRights(sql, 'public')).toEqual([]);
    const others = await sql`
      select x.grantee::regrole::text as role, c.relname
      from pg_class c cross join lateral aclexplode(c.relacl) x
      where c.relnamespace = 'public'::regnamespace and x.grantee <> c.relowner
      union all
      select x.grantee::regrole::text, p.proname
      from pg_proc p cross join lateral aclexplode(p.proacl) x
      where p.pronamespace = 'public'::regnamespace and x.grantee <> p.proowner`;
    expect([...others]).toEqual([]);
  });

  test('to new objects of each kind is seen by the test above', async ({ db }) => {
    const { sql } = db;
    await sql.unsafe(`
      create function careless() returns int language sql as 'select 1';
      create domain loose as int;
      create table open_table (id int);
      grant select (id) on open_table to public;`);
    expect(await readPublicRights(sql, 'public')).toEqual([
      'EXECUTE on function careless()',
      'SELECT on column open_table.id',
      'USAGE on type loose',
    ]);
  });
});

describe('functions', () => {
  test('each pin their search_path, with temporary tables last', async ({ db }) => {
    const rows = await db.sql`
      select p.proname, p.proconfig from pg_proc p
      where p.pronamespace = 'public'::regnamespace
        and not coalesce(p.proconfig, '{}') @> array['search_path=public, pg_temp']`;
    expect([...rows]).toEqual([]);
  });

  test('run as their owner only where a comment says why', async ({ db }) => {
    const rows = await db.sql<{ name: string }[]>`
      select proname as name from pg_proc
      where pronamespace = 'public'::regnamespace and prosecdef order by proname`;
    // A new one belongs here only after a thought about what its callers gain.
    expect(rows.map((row) => row.name)).toEqual([
      'audit_changes_of_events',
      'audit_changes_of_registrations',
      'audit_changes_of_users',
      'audit_truncate',
      'audit_updates_of_events',
      'close_registration_gate',
      'count_expired_holds',
      'fill_changed_event',
      'fill_events_of_user',
      'keep_event_search_documents',
      'prepare_to_fill',
      'reset_registration_counts',
      'sync_registration_counts',
    ]);
    const texts = await Promise.all((await listMigrationNames()).map(readMigration));
    // attach_audit() makes those of the audit, and the comment stands where it does.
    const written = rows.map(({ name }) =>
      /^audit_(changes|updates)_of_/.test(name) ? 'create_audit_function' : name,
    );
    for (const name of written) {
      const text = only(texts.find((migration) => migration.includes(`create function ${name}(`)));
      const above = text.slice(0, text.indexOf(`create function ${name}(`));
      // One comment may speak for several functions that follow it.
      expect(above).toMatch(
        /^-- (Security definer, |They run as their owner, )(because|as above)/m,
      );
    }
  });
});

describe('the schema', () => {
  test('is named by no migration', async () => {
    const names = await listMigrationNames();
    for (const file of names.flatMap((name) => [name, `${name}.down`])) {
      const text = await readMigration(file);
      expect(text).not.toMatch(/\bpublic\s*\./i);
      // The pseudo-role is the only thing of that name.
      const others = text.replace(/\bfrom public(?=[;'])/g, '').match(/.*\bpublic\b.*/gi) ?? [];
      expect([file, others.filter((line) => !line.trimStart().startsWith('--'))]).toEqual([
        file,
        [],
      ]);
    }
  });

  test('lives twice in one database, under names that need quoting, each copy on its own', async ({
    emptyDb,
  }) => {
    const { sql } = emptyDb;
    const names = await listMigrationNames();
    const schemas = ['Süd "Ost"; drop table users; --', "o'Brien $$ évènements"];
    for (const schema of schemas) {
      await sql`create schema ${sql(schema)}`;
      await runFiles(sql, schema, names);
    }
    const [first, second] = [only(schemas[0]), only(schemas[1])];
    const inside = openSql(emptyDb.url, 1);
    try {
      await inside`select set_config('search_path', quote_ident(${first}) || ', pg_temp', false)`;
      const users = await addUsers(inside, 5);
      const event = await addEvent(inside, { title: 'Jazz night', capacity: 3 });
      expect(await register(inside, only(users[0]), event)).toMatchObject({ success: true });
      expect(await registerBatch(inside, users, event)).toMatchObject({
        successful_registrations: 2,
      });
      await inside`update events set capacity = 10 where id = ${event}`;
    } finally {
      await closeSql(inside);
    }
    // Called from outside, with nothing but the name in front.
    const call = (schema: string, rest: string) =>
      sql.unsafe(`select * from ${quoted(schema)}.${rest}`);
    expect([...(await call(first, "search_events('jazz')"))]).toHaveLength(1);
    expect([...(await call(second, "search_events('jazz')"))]).toEqual([]);
    expect([...(await call(first, 'audit_log_changes()'))].length).toBeGreaterThan(8);
    expect([...(await call(second, 'audit_log_changes()'))]).toEqual([]);
    for (const schema of schemas) {
      expect([...(await call(schema, 'validate_business_rules()'))]).toEqual([]);
      await call(schema, 'repair_registration_counts()');
      await call(schema, 'ensure_audit_partitions(5)');
      await call(schema, 'cleanup_audit_logs(30)');
      const outcomes = await call(schema, 'update_table_statistics()');
      expect(new Set(outcomes.map((row) => row.outcome))).toEqual(new Set(['analyzed']));
      const usage = await call(schema, 'get_index_usage_stats()');
      expect(new Set(usage.map((row) => row.schemaname))).toEqual(new Set([schema]));
      expect([...(await call(schema, 'get_duplicate_indexes()'))]).toEqual([]);
      await call(schema, 'get_unused_indexes()');
    }
    const before = await readCatalog(sql, second);
    await runFiles(
      sql,
      first,
      names.toReversed().map((name) => `${name}.down`),
    );
    expect(await readCatalog(sql, first)).toEqual([]);
    expect(await readCatalog(sql, second)).toEqual(before);
  });
});

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
