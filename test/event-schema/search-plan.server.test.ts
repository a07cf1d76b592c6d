import type postgres from 'postgres';
import { describe, expect } from 'vitest';
import { closeSql, openSql } from '../support/databases.ts';
import { test } from '../support/fixture.ts';
import { runFiles } from './event-schema-kit.ts';
import { addHourlyEvents, type SearchOptions, search } from './search-kit.ts';

type Entries = Record<string, number>;

/**
 * What one search read, as the server counts it within the transaction of the search. Planning reads
 * an entry or two at the ends of an index, which do not count.
 */
async function entriesOf(
  sql: postgres.Sql,
  query: string | null,
  options: SearchOptions = {},
): Promise<{ found: number; entries: Entries }> {
  const counts = async (transaction: postgres.Sql): Promise<Entries> => {
    const rows = await transaction<{ name: string; entries: number }[]>`
      select c.relname as name, pg_stat_get_xact_tuples_returned(c.oid)::int as entries
      from pg_class c
      where c.relnamespace = 'public'::regnamespace
        and (c.relname ~ '^event_search_documents' or c.relname ~ '^events')
        and c.relkind in ('r', 'i')`;
    return Object.fromEntries(rows.map((row) => [row.name, row.entries]));
  };
  return sql.begin(async (transaction) => {
    const before = await counts(transaction as unknown as postgres.Sql);
    const rows = await search(transaction as unknown as postgres.Sql, query, options);
    const after = await counts(transaction as unknown as postgres.Sql);
    const entries: Entries = {};
    for (const [name, count] of Object.entries(after)) {
      const more = count - (before[name] ?? 0);
      if (more >= 20) entries[name] = more;
    }
    return { found: rows.length, entries };
  });
}

describe('search_events: plans', () => {
  test('uses the index that suits the words, and never reads a whole table', async ({ db }) => {
    const { sql } = db;
    await sql`
      insert into events (title, description, date_time, location, capacity)
      select 'Night ' || i, 'common ' || case when i % 200 = 0 then 'rare ' else '' end || repeat(md5(i::text) || ' ', 5),
        now() + make_interval(mins => i), 'Hall ' || i % 50, 100
      from generate_series(1, 8000) i`;
    await sql`vacuum analyze`;
    const dates = 'event_search_documents_date_time_idx';
    const words = 'event_search_documents_document_idx';
    const cases: [string | null, SearchOptions, string][] = [
      ['rare', {}, words],
      ['rare common -jazz', {}, words],
      ['rare or "rare night"', { onlyActive: false }, words],
      ['rar*', { onlyFree: true }, words],
      ['common', {}, dates],
      [null, {}, dates],
      [null, { onlyFree: true }, dates],
      [null, { onlyActive: false, from: null }, dates],
    ];
    for (const [query, options, index] of cases) {
      const { found, entries } = await entriesOf(sql, query, options);
      expect(found).toBe(20);
      const used = Object.keys(entries).toSorted();
      expect([query, used]).toEqual([query, expect.arrayContaining([index])]);
      const others = [index === words ? dates : words, 'events', 'event_search_documents'];
      expect([query, used.filter((name) => others.includes(name))]).toEqual([query, []]);
    }
  });

  test('keeps to the indexes where its plans were made while the tables were small', async ({
    db,
  }) => {
    const one = openSql(db.url, 1);
    try {
      await addHourlyEvents(one, 30, { title: 'Jazz', firstHour: 1000 });
      await one`vacuum analyze`;
      for (const query of [null, 'jazz']) expect(await search(one, query)).toHaveLength(20);
      // By another session and without analyze: what was planned stays as it is.
      await db.sql.unsafe(`
        set session_replication_role to replica;
        insert into events (title, date_time, capacity)
        select 'Night ' || i, now() + make_interval(mins => i), 100 from generate_series(1, 8000) i;
        set session_replication_role to origin;
        insert into event_search_documents (event_id, date_time, is_active, document)
        select id, date_time, is_active, event_search_document(title, location, description) from events
        where title like 'Night%'`);
      const until = new Date(Date.now() + 24 * 60 * 60 * 1000);
      for (const options of [{}, { onlyFree: true }, { until }, { limit: 100 }]) {
        const { found, entries } = await entriesOf(one, null, options);
        expect(found).toBe(options.limit ?? 20);
        expect(Object.entries(entries).filter(([, count]) => count > found + 5)).toEqual([]);
      }
    } finally {
      await closeSql(one);
    }
  });

  test('works in a schema whose name needs quotes, beside another copy', async ({ emptyDb }) => {
    const { sql } = emptyDb;
    for (const schema of ['north', 'The "South"']) {
      await sql`create schema ${sql(schema)}`;
      await runFiles(sql, schema, [
        '001_create_users_table',
        '002_create_events_table',
        '003_create_registrations_table',
        '014_event_search',
      ]);
      await sql`
        insert into ${sql(schema)}.events (title, date_time, capacity)
        values (${`Jazz ${schema}`}, now() + interval '1 day', 1)`;
    }
    const rows = await sql`
      select title, headline, available_spots from ${sql('The "South"')}.search_events('south jaz*')`;
    expect(rows).toEqual([
      {
        title: 'Jazz The "South"',
        headline: '<mark>Jazz</mark> The &quot;<mark>South</mark>',
        available_spots: 1,
      },
    ]);
    await runFiles(sql, 'north', ['014_event_search.down']);
    expect(await sql`select 1 from ${sql('The "South"')}.search_events('jazz')`).toHaveLength(1);
  });
});
