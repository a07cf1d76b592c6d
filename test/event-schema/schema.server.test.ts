import { describe, expect } from 'vitest';
import { test } from '../support/fixture.ts';
import {
  addEvent,
  addUsers,
  bcryptHash,
  listMigrationNames,
  readCatalog,
  readSeats,
  runFiles,
} from './event-schema-kit.ts';

describe('event schema', () => {
  test('has the tables and columns that callers know', async ({ db }) => {
    const rows = await db.sql<{ table_name: string; columns: string }[]>`
      select table_name, string_agg(
        column_name || ' ' || data_type || coalesce('(' || character_maximum_length || ')', ''),
        ', ' order by ordinal_position) as columns
      from information_schema.columns
      where table_schema = 'public' and table_name in ('users', 'events', 'registrations')
      group by table_name order by table_name`;
    expect(rows.map((row) => [row.table_name, row.columns])).toEqual([
      [
        'events',
        'id integer, title character varying(500), description text, date_time timestamp with time zone, ' +
          'location character varying(500), capacity integer, current_registrations integer, held_seats integer, ' +
          'created_by integer, is_active boolean, created_at timestamp with time zone, updated_at timestamp with time zone',
      ],
      [
        'registrations',
        'id integer, user_id integer, event_id integer, registered_at timestamp with time zone, status text, ' +
          'hold_expires_at timestamp with time zone',
      ],
      [
        'users',
        'id integer, name character varying(255), email character varying(320), ' +
          'password_hash character varying(255), is_active boolean, created_at timestamp with time zone, ' +
          'updated_at timestamp with time zone',
      ],
    ]);
  });

  test('has the functions that callers know, none of them overloaded', async ({ db }) => {
    const rows = await db.sql<{ signature: string }[]>`
      select p.proname || '(' || pg_get_function_arguments(p.oid) || ') ' ||
        regexp_replace(pg_get_function_result(p.oid), '^TABLE.*', 'table') as signature
      from pg_proc p
      where p.pronamespace = 'public'::regnamespace and p.prorettype <> 'trigger'::regtype
      order by 1`;
    const signatures = rows.map((row) => row.signature);
    expect(signatures).toEqual(
      expect.arrayContaining([
        'batch_event_registration(p_user_ids integer[], p_event_id integer) json',
        'cleanup_audit_logs(days_to_keep integer DEFAULT 90) integer',
        'get_event_registration_stats(p_event_id integer) json',
        'get_index_usage_stats() table',
        'get_unused_indexes() table',
        'safe_event_registration(p_user_id integer, p_event_id integer, ' +
          'p_join_waitlist boolean DEFAULT false, p_hold interval DEFAULT NULL::interval) json',
        'safe_event_unregistration(p_user_id integer, p_event_id integer, p_keep boolean DEFAULT false) json',
        'update_table_statistics() table',
        'validate_business_rules() table',
      ]),
    );
    const names = signatures.map((signature) => signature.split('(')[0]);
    expect(new Set(names).size).toBe(names.length);
  });

  test('explains every table, column, domain and function, and pins the search_path of every function', async ({
    db,
  }) => {
    const unexplained = await db.sql`
      select c.relname || coalesce('.' || a.attname, '') as name
      from pg_class c
      join pg_attribute a on a.attrelid = c.oid and a.attnum >= 0
      where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
        and (col_description(c.oid, a.attnum) is null or obj_description(c.oid, 'pg_class') is null)
      union all
      select typname from pg_type
      where typnamespace = 'public'::regnamespace and typtype = 'd' and obj_description(oid, 'pg_type') is null
      union all
      select proname from pg_proc
      where pronamespace = 'public'::regnamespace and obj_description(oid, 'pg_proc') is null`;
    expect(unexplained).toEqual([]);
    const unpinned = await db.sql`
      select proname from pg_proc
      where pronamespace = 'public'::regnamespace and not coalesce(proconfig, '{}') @> array['search_path=public, pg_temp']`;
    expect(unpinned).toEqual([]);
  });

  test('gives the triggers of events no long condition, which every count would copy', async ({
    db,
  }) => {
    const rows = await db.sql`
      select tgname from pg_trigger
      where tgrelid = 'events'::regclass and octet_length(tgqual::text) > 1000`;
    expect(rows).toEqual([]);
  });

  test('goes down step by step to nothing, and each step up again restores the catalog', async ({
    emptyDb,
  }) => {
    const { sql } = emptyDb;
    const names = await listMigrationNames();
    await sql`create schema tenant`;
    await runFiles(sql, 'tenant', names);
    const complete = await readCatalog(sql, 'tenant');
    expect(complete.length).toBeGreaterThan(150);
    for (const name of names.toReversed()) {
      const before = await readCatalog(sql, 'tenant');
      await runFiles(sql, 'tenant', [`${name}.down`]);
      const after = await readCatalog(sql, 'tenant');
      expect(after).not.toEqual(before);
      await runFiles(sql, 'tenant', [name]);
      expect(await readCatalog(sql, 'tenant')).toEqual(before);
      await runFiles(sql, 'tenant', [`${name}.down`]);
      expect(await readCatalog(sql, 'tenant')).toEqual(after);
    }
    expect(await readCatalog(sql, 'tenant')).toEqual([]);
    await runFiles(sql, 'tenant', names);
    expect(await readCatalog(sql, 'tenant')).toEqual(complete);
  });

  test('installs several times in one database, and each copy keeps to itself', async ({
    emptyDb,
  }) => {
    const { sql } = emptyDb;
    const names = await listMigrationNames();
    for (const schema of ['north', 'The South']) {
      await sql`create schema ${sql(schema)}`;
      await runFiles(sql, schema, names);
      await sql`insert into ${sql(schema)}.users (name, email, password_hash) values ('Ann', 'ann@example.com', ${bcryptHash()})`;
      await sql`
        insert into ${sql(schema)}.events (title, date_time, capacity)
        values (${schema}, now() + interval '1 day', 1)`;
    }
    // Nothing but the name in front says which copy is meant.
    const [south] =
      await sql`select "The South".safe_event_registration(1, 1) ->> 'success' as success`;
    expect(south?.success).toBe('true');
    const [stats] = await sql`
      select north.get_event_registration_stats(1) ->> 'current_registrations' as north,
        "The South".get_event_registration_stats(1) ->> 'current_registrations' as south`;
    expect(stats).toEqual({ north: '0', south: '1' });
    const indexes = await sql<{ schemaname: string }[]>`
      select distinct schemaname from "The South".get_index_usage_stats()`;
    expect(indexes.map((row) => row.schemaname)).toEqual(['The South']);
    await runFiles(
      sql,
      'The South',
      names.toReversed().map((name) => `${name}.down`),
    );
    const [left] = await sql`select north.safe_event_registration(1, 1) ->> 'success' as success`;
    expect(left?.success).toBe('true');
  });

  test('counts the registrations that came before the counter', async ({ emptyDb }) => {
    const { sql } = emptyDb;
    const names = await listMigrationNames();
    await runFiles(sql, 'public', names.slice(0, 3));
    const users = await addUsers(sql, 3);
    const event = await addEvent(sql);
    await sql`insert into registrations (user_id, event_id) select unnest(${users}::int[]), ${event}`;
    await sql`update registrations set status = 'cancelled' where user_id = ${users[0] ?? 0}`;
    expect(await readSeats(sql, event)).toEqual({ counter: 0, confirmed: 2 });
    await runFiles(sql, 'public', names.slice(3));
    expect(await readSeats(sql, event)).toEqual({ counter: 2, confirmed: 2 });
  });
});
