import type postgres from 'postgres';
import { describe, expect } from 'vitest';
import { test } from '../support/fixture.ts';
import { addEvent, addUsers, runFiles } from './event-schema-kit.ts';
import { addHourlyEvents, search, searchTitles } from './search-kit.ts';

/** Events whose document is missing or not what their texts say, and documents without event. */
async function listStale(sql: postgres.Sql): Promise<unknown[]> {
  return [
    ...(await sql`
      select coalesce(e.id, d.event_id) as id
      from events e
      full join event_search_documents d on d.event_id = e.id
      where (d.document, d.date_time, d.is_active)
        is distinct from (event_search_document(e.title, e.location, e.description), e.date_time, e.is_active)`),
  ];
}

describe('search documents', () => {
  test('follow their events through every kind of change', async ({ db }) => {
    const { sql } = db;
    const ids = await addHourlyEvents(sql, 50, { title: 'Jazz', description: 'night' });
    const changes = [
      `update events set title = 'Opera ' || id where id % 2 = 0`,
      `update events set description = null, location = null where id % 3 = 0`,
      `update events set date_time = date_time + interval '1 hour', is_active = id % 5 <> 0`,
      `update events set id = 1000 where id = ${ids[7]}`,
      `insert into events (id, title, date_time, capacity) values (${ids[1]}, 'Blues', now() + interval '1 day', 1)
        on conflict (id) do update set title = excluded.title`,
      `delete from events where id % 7 = 0`,
      `truncate events cascade`,
    ];
    for (const change of changes) {
      await sql.unsafe(change);
      expect([change, await listStale(sql)]).toEqual([change, []]);
      if (change.includes('Blues')) expect(await searchTitles(sql, 'blues')).toEqual(['Blues']);
    }
    const [left] = await sql`select count(*)::int as count from event_search_documents`;
    expect(left?.count).toBe(0);
  });

  test('are left alone by registrations, whose updates of the counter stay heap-only', async ({
    db,
  }) => {
    const { sql } = db;
    const event = await addEvent(sql, { capacity: 1000 });
    const users = await addUsers(sql, 200);
    const version = async () =>
      (
        await sql`select xmin::text, ctid::text from event_search_documents where event_id = ${event}`
      )[0];
    const before = await version();
    for (const user of users) await sql`select safe_event_registration(${user}, ${event})`;
    expect(await version()).toEqual(before);
    await expect
      .poll(
        async () => {
          const [row] = await sql`
            select n_tup_upd >= 200 as counted, n_tup_hot_upd::float / n_tup_upd > 0.95 as hot
            from pg_stat_user_tables where relname = 'events' and n_tup_upd > 0`;
          return row;
        },
        { timeout: 15_000 },
      )
      .toEqual({ counted: true, hot: true });
  });

  test('fit whatever the description holds', async ({ db }) => {
    const { sql } = db;
    const letters = `(select string_agg(chr(128512 + (i % 1000 * 79)) || chr(65536 + i) || '-', '') from generate_series(1, 300000) i)`;
    for (const text of [
      `repeat('x', 5000000)`,
      `repeat('jazz ', 500000)`,
      `(select string_agg(md5(i::text), '-') from generate_series(1, 50000) i)`,
      `(select string_agg(chr(19968 + i % 20000) || chr(19968 + (i * 31) % 20000), ' ') from generate_series(1, 200000) i)`,
      `(select string_agg('http://' || i || '.de/' || i, ' ') from generate_series(1, 50000) i)`,
      letters,
    ]) {
      await sql.unsafe(
        `insert into events (title, description, date_time, capacity) values ('Long', ${text}, now() + interval '1 day', 1)`,
      );
    }
    const found = await search(sql, 'long');
    expect(found).toHaveLength(6);
    for (const row of found) expect(row.headline?.length ?? 0).toBeLessThan(50_000);
  });

  test('are made for the events that were there before', async ({ emptyDb }) => {
    const { sql } = emptyDb;
    await runFiles(sql, 'public', [
      '001_create_users_table',
      '002_create_events_table',
      '003_create_registrations_table',
    ]);
    await sql`insert into events (title, date_time, capacity) values ('Jazz', now() + interval '1 day', 1)`;
    await runFiles(sql, 'public', ['014_event_search']);
    expect(await searchTitles(sql, 'jazz')).toEqual(['Jazz']);
  });

  test('are made anew after a change of the configuration, and only where they differ', async ({
    db,
  }) => {
    const { sql } = db;
    const [first = 0] = await addHourlyEvents(sql, 3, { title: 'Konzerten' });
    await addEvent(sql, { title: 'Oper', location: null });
    expect(await searchTitles(sql, 'konzert')).toEqual([]);
    await sql.unsafe(
      'alter text search configuration event_search alter mapping for asciiword, word with german_stem',
    );
    const [part] = await sql`select refresh_event_search(${first}, ${first}) as changed`;
    expect(part?.changed).toBe(1);
    const [rest] = await sql`select refresh_event_search() as changed`;
    expect(rest?.changed).toBe(2);
    const [again] = await sql`select refresh_event_search() as changed`;
    expect(again?.changed).toBe(0);
    expect(await searchTitles(sql, 'konzert')).toHaveLength(3);
  });

  test('come back after a load with triggers switched off', async ({ db }) => {
    const { sql } = db;
    await sql.begin(async (transaction) => {
      await transaction`set local session_replication_role to replica`;
      await transaction`insert into events (title, date_time, capacity) values ('Jazz', now() + interval '1 day', 1)`;
    });
    expect(await searchTitles(sql, 'jazz')).toEqual([]);
    await sql`select refresh_event_search()`;
    expect(await searchTitles(sql, 'jazz')).toEqual(['Jazz']);
    expect(await listStale(sql)).toEqual([]);
  });

  test('lose no edit that runs beside refresh_event_search', async ({ db }) => {
    const { sql } = db;
    const ids = await addHourlyEvents(sql, 20, { title: 'Jazz' });
    const edit = async () => {
      for (let round = 0; round < 10; round++)
        for (const id of ids)
          await sql`update events set title = ${`Title ${round} ${id}`} where id = ${id}`;
    };
    const refresh = async () => {
      for (let round = 0; round < 30; round++) await sql`select refresh_event_search()`;
    };
    await Promise.all([edit(), refresh()]);
    expect(await listStale(sql)).toEqual([]);
  });
});
