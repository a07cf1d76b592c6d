import { describe, expect } from 'vitest';
import { test } from '../support/fixture.ts';
import { addEvent, addUsers } from './event-schema-kit.ts';
import { useInOwnSession, waitForScans } from './index-usage-kit.ts';

interface UnusedIndex {
  schemaname: string;
  tablename: string;
  indexname: string;
  index_size: string;
  has_age: boolean;
  table_writes: string;
  caveat: string | null;
}

describe('get_unused_indexes', () => {
  test('leaves out what enforces a constraint, supports a foreign key or was scanned', async ({
    db,
  }) => {
    const { sql } = db;
    await sql`create index users_name_idx on users (name)`;
    await sql`create index registrations_user_partial_idx on registrations (user_id) where status = 'pending'`;
    await addUsers(sql, 3);
    await addEvent(sql);
    await sql`analyze`;
    await useInOwnSession(db.url, [
      'set enable_seqscan = off; set enable_sort = off',
      'select id from events where is_active and date_time > now() order by date_time, id limit 20',
    ]);
    await waitForScans(sql, 'events_upcoming_idx');
    const rows = await sql<UnusedIndex[]>`
      select *, stats_age > interval '0' as has_age from get_unused_indexes()
      where tablename in ('users', 'events', 'registrations') order by indexname`;
    expect(rows.map((row) => row.indexname)).toEqual([
      'registrations_confirmed_idx',
      'registrations_pending_idx',
      'registrations_user_partial_idx',
      'registrations_waitlist_idx',
      'users_name_idx',
    ]);
    expect(rows.at(-1)).toMatchObject({
      schemaname: 'public',
      tablename: 'users',
      index_size: '16 kB',
      has_age: true,
    });
  });

  test('leaves out exclusion constraints, replica identities and invalid indexes', async ({
    db,
  }) => {
    const { sql } = db;
    await sql.unsafe(`
      create table rooms (id int not null, code int not null, during tstzrange, note text,
        constraint rooms_excluded exclude using gist (during with &&));
      create unique index rooms_identity on rooms (code);
      alter table rooms replica identity using index rooms_identity;
      create index rooms_invalid on rooms (note);
      update pg_index set indisvalid = false where indexrelid = 'rooms_invalid'::regclass;
      create index rooms_unused on rooms (id);
      create table halls (id int) partition by range (id);
      create table halls_1 partition of halls for values from (0) to (10);
      create index halls_id_idx on halls (id);
    `);
    const rows = await sql<UnusedIndex[]>`
      select * from get_unused_indexes() where tablename ~ '^(rooms|halls)' order by indexname`;
    expect(rows.map((row) => row.indexname)).toEqual(['halls_id_idx', 'rooms_unused']);
  });

  test('says what speaks for an index and what the evidence is worth', async ({ db }) => {
    const { sql } = db;
    await sql.unsafe(`
      create table notes (id int, body text);
      create index notes_body_idx on notes (lower(body));
      create table lists (id int);
      create index lists_id_idx on lists (id);
      cluster lists using lists_id_idx;
    `);
    await useInOwnSession(db.url, [
      "insert into notes select i, 'note' from generate_series(1, 10) i",
      'select * from notes',
      'select * from lists',
    ]);
    await expect
      .poll(
        async () => [
          ...(await sql<UnusedIndex[]>`
            select indexname, caveat from get_unused_indexes()
            where tablename in ('notes', 'lists') and table_scans > 0 order by indexname`),
        ],
        { timeout: 10_000 },
      )
      .toEqual([
        { indexname: 'lists_id_idx', caveat: 'cluster orders the table by it' },
        {
          indexname: 'notes_body_idx',
          caveat: 'the planner uses statistics on its expressions without scanning it',
        },
      ]);
    await sql`create table unread (id int)`;
    await sql`create index unread_id_idx on unread (id)`;
    const [unread] = await sql<UnusedIndex[]>`
      select * from get_unused_indexes() where tablename = 'unread' and table_scans = 0`;
    expect(unread?.caveat).toMatch(/nobody has read the table/);
  });
});
