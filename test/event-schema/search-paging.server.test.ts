import { describe, expect } from 'vitest';
import { test } from '../support/fixture.ts';
import { addHourlyEvents, pageThrough, search } from './search-kit.ts';

describe('search_events: paging', () => {
  test('shows every match once, the best first within 500 soonest', async ({ db }) => {
    const { sql } = db;
    const ids = await addHourlyEvents(sql, 1203, { title: 'Night', description: 'jazz and so on' });
    await addHourlyEvents(sql, 300, { title: 'Opera' });
    const shown = await pageThrough(sql, 'jazz', { limit: 97, headline: false });
    expect(new Set(shown).size).toBe(shown.length);
    expect(shown.toSorted((a, b) => a - b)).toEqual(ids);
    const expected = await sql<{ id: number }[]>`
      select id
      from (
        select e.id, e.date_time, (row_number() over (order by e.date_time, e.id) - 1) / 500 as part,
          round(ts_rank(d.document, event_search_query('jazz'), 1) * 1000000) as points
        from events e join event_search_documents d on d.event_id = e.id
        where d.document @@ event_search_query('jazz')
      ) m
      order by part, points desc, date_time, id`;
    expect(shown).toEqual(expected.map((row) => row.id));
  });

  test('lists without a query by date, every event once', async ({ db }) => {
    const { sql } = db;
    await addHourlyEvents(sql, 130);
    await sql`insert into events (title, date_time, capacity) select 'Same', now() + interval '2 days', 1 from generate_series(1, 30)`;
    const shown = await pageThrough(sql, null, { limit: 7 });
    const rows = await sql<{ id: number }[]>`select id from events order by date_time, id`;
    expect(shown).toEqual(rows.map((row) => row.id));
    const inHall = await pageThrough(sql, '', { limit: 7, location: 'hall' });
    expect(inHall).toHaveLength(130);
    expect(new Set(inHall).size).toBe(130);
  });

  test.for([
    ['best first', 'jazz'],
    ['by date', null],
  ] as const)(
    'moves nothing while events come and go between two pages: %s',
    async ([, query], { db }) => {
      const { sql } = db;
      const ids = await addHourlyEvents(sql, 1100, {
        title: 'Night',
        description: 'jazz and so on',
        firstHour: 10,
      });
      const gone = ids.filter((_, index) => index % 11 === 5);
      const added: number[] = [];
      const shown = await pageThrough(sql, query, { limit: 60, headline: false }, async (page) => {
        const [id] = gone.slice(page, page + 1);
        if (id !== undefined) await sql`delete from events where id = ${id}`;
        // Before everything, among the best, far behind, and at the bound of the first window.
        for (const firstHour of [1, 400, 509, 2000]) {
          const title = page % 2 === 0 ? 'Jazz' : 'Night';
          added.push(...(await addHourlyEvents(sql, 3, { title, description: 'jazz', firstHour })));
        }
        await sql`
        update events set current_registrations = 1
        where id = ${ids[page] ?? 0} and current_registrations = 0`;
      });
      expect(new Set(shown).size).toBe(shown.length);
      expect(added.length).toBeGreaterThan(100);
      const seen = new Set(shown);
      const kept = ids.filter((id) => !gone.includes(id));
      expect(kept.filter((id) => !seen.has(id))).toEqual([]);
    },
  );

  test('keeps its place whatever the session says about dates and floats', async ({ db }) => {
    const { sql } = db;
    await addHourlyEvents(sql, 40, { description: 'jazz' });
    const plain = await pageThrough(sql, 'jazz', { limit: 3 });
    await sql.begin(async (transaction) => {
      await transaction`set local extra_float_digits to -15`;
      await transaction`set local datestyle to 'German'`;
      const ids: number[] = [];
      let after: string | null = null;
      for (const zone of ['Asia/Kathmandu', 'America/St_Johns', 'UTC']) {
        await transaction`select set_config('timezone', ${zone}, true)`;
        const rows: { event_id: number; row_cursor: string }[] = await transaction`
          select event_id, row_cursor from search_events('jazz', p_limit => 3, p_after => ${after})`;
        ids.push(...rows.map((row) => row.event_id));
        after = rows.at(-1)?.row_cursor ?? null;
      }
      expect(ids).toEqual(plain.slice(0, 9));
    });
  });

  test('goes on behind a row that is gone', async ({ db }) => {
    const { sql } = db;
    await addHourlyEvents(sql, 6, { title: 'Jazz' });
    const whole = await search(sql, 'jazz');
    const second = whole[1];
    await sql`delete from events where id = ${second?.event_id ?? 0}`;
    const rest = await search(sql, 'jazz', { after: second?.row_cursor ?? null });
    expect(rest.map((row) => row.event_id)).toEqual(whole.slice(2).map((row) => row.event_id));
  });
});
