import type postgres from 'postgres';
import { describe, expect } from 'vitest';
import { test } from '../support/fixture.ts';
import { addEvent, addUsers, letEventPass, register } from './event-schema-kit.ts';
import { search, searchTitles } from './search-kit.ts';

const dayMs = 24 * 60 * 60 * 1000;
const inDays = (days: number): Date => new Date(Date.now() + days * dayMs);

async function describeEvent(sql: postgres.Sql, id: number, description: string): Promise<void> {
  await sql`update events set description = ${description} where id = ${id}`;
}

describe('search_events: what it finds', () => {
  test('finds words in title, location and description, and ranks them in this order', async ({
    db,
  }) => {
    const { sql } = db;
    await addEvent(sql, { title: 'Evening', location: 'Jazz Cellar' });
    const third = await addEvent(sql, { title: 'Picnic' });
    await describeEvent(sql, third, 'Bring a blanket, there will be jazz');
    await addEvent(sql, { title: 'Jazz' });
    await addEvent(sql, { title: 'Opera' });
    const found = await search(sql, 'jazz');
    expect(found.map((row) => row.title)).toEqual(['Jazz', 'Evening', 'Picnic']);
    const ranks = found.map((row) => row.rank);
    expect(ranks).toEqual(ranks.toSorted((a, b) => b - a));
    expect(ranks.at(-1)).toBeGreaterThan(0);
  });

  test('reads what people type', async ({ db }) => {
    const { sql } = db;
    for (const title of ['The Who', 'Jazz/Rock Night', 'Rock Concerts', 'New York Café', 'York'])
      await addEvent(sql, { title, location: null });
    const cases: [string, string[]][] = [
      ['the who', ['The Who']],
      ['the', ['The Who']],
      ['ROCK', ['Jazz/Rock Night', 'Rock Concerts']],
      ['jazz/rock', ['Jazz/Rock Night']],
      ['concert', ['Rock Concerts']],
      ['rock -jazz', ['Rock Concerts']],
      ['"new york"', ['New York Café']],
      ['"york new"', []],
      ['who or café', ['New York Café', 'The Who']],
      ['conc*', ['Rock Concerts']],
      ['rock nig*', ['Jazz/Rock Night']],
      ['"new yor*"', ['New York Café']],
      ['conc', []],
      ['  york  ', ['New York Café', 'York']],
    ];
    for (const [query, titles] of cases) {
      expect([query, (await searchTitles(sql, query)).toSorted()]).toEqual([query, titles]);
    }
  });

  test('lists events by date where nothing is typed, and nothing where no word is', async ({
    db,
  }) => {
    const { sql } = db;
    for (const days of [3, 1, 2])
      await addEvent(sql, { title: `in ${days}`, startsAt: inDays(days) });
    for (const query of [null, '', ' \t\n'])
      expect(await searchTitles(sql, query)).toEqual(['in 1', 'in 2', 'in 3']);
    for (const query of ['!!!', '"', '-', '*', '( & | ) <-> :*'])
      expect([query, await searchTitles(sql, query)]).toEqual([query, []]);
    expect(await searchTitles(sql, null, { location: '???' })).toEqual([]);
  });

  test('raises for nothing that anybody may type, and tells nobody of it', async ({ db }) => {
    const { sql } = db;
    await addEvent(sql, { title: `O'Brien`, location: 'Back\\slash Bar' });
    const nasty = [
      `'; drop table events; --`,
      `' or 1=1 --`,
      `"unclosed`,
      `a & | ! b`,
      `((((`,
      `:*A`,
      `\\`,
      `'\\':*`,
      `a <-> <2> b`,
      `%_\u0001\u200f\u{1f3b8}`,
      `-`.repeat(5000),
      `"a `.repeat(5000),
      `a or `.repeat(5000),
      `-a `.repeat(5000),
      `x`.repeat(100_000),
      `a-`.repeat(50_000),
      `http://a.b/${'c/'.repeat(2000)}`,
      ...Array.from(
        { length: 95 },
        (_, i) => `${String.fromCharCode(32 + i)}b${String.fromCharCode(32 + i)}*`,
      ),
    ];
    for (const text of nasty) {
      await search(sql, text);
      await search(sql, 'x', { location: text });
    }
    expect(await searchTitles(sql, `o'brien`)).toEqual([`O'Brien`]);
    expect(await searchTitles(sql, `x or brien`, { location: 'back\\slash' })).toEqual([`O'Brien`]);
  });

  test('ignores the text search configuration of the session', async ({ db }) => {
    const { sql } = db;
    await sql.begin(async (transaction) => {
      await transaction`set local default_text_search_config to 'pg_catalog.german'`;
      await transaction`insert into events (title, date_time, capacity) values ('Concerts', now() + interval '1 day', 1)`;
      const rows = await transaction`select title, headline from search_events('concert')`;
      expect(rows).toEqual([{ title: 'Concerts', headline: '<mark>Concerts</mark>' }]);
    });
    expect(await searchTitles(sql, 'concert')).toEqual(['Concerts']);
  });

  test('gives a headline that is safe in a page', async ({ db }) => {
    const { sql } = db;
    const id = await addEvent(sql, { title: 'Jam' });
    await describeEvent(
      sql,
      id,
      `<script>alert("jazz")</script> <img src=x onerror='jazz'> rock & jazz &lt;jazz&gt; </mark><mark>`,
    );
    const [row] = await search(sql, 'jazz');
    expect(row?.headline).toContain('<mark>jazz</mark>');
    expect(row?.headline?.replaceAll(/<mark>[^<>]*<\/mark>/g, '')).not.toMatch(/[<>"']/);
    const [plain] = await search(sql, 'jazz', { headline: false });
    expect(plain?.headline).toBeNull();
  });
});

describe('search_events: filters', () => {
  test('keeps to dates, location and active events', async ({ db }) => {
    const { sql } = db;
    for (const [title, days, location] of [
      ['Jazz early', 1, 'Blue Hall, Berlin'],
      ['Jazz late', 9, 'Red Hall, Munich'],
      ['Jazz in Berlin', 5, 'Hamburg'],
    ] as const)
      await addEvent(sql, { title, startsAt: inDays(days), location });
    const called = await addEvent(sql, { title: 'Jazz off' });
    await sql`update events set is_active = false where id = ${called}`;
    const over = await addEvent(sql, { title: 'Jazz over' });
    await letEventPass(sql, over);
    const sorted = async (...args: Parameters<typeof searchTitles>) =>
      (await searchTitles(...args)).toSorted();

    expect(await sorted(sql, 'jazz')).toEqual(['Jazz early', 'Jazz in Berlin', 'Jazz late']);
    expect(await sorted(sql, 'jazz', { from: inDays(3), until: inDays(8) })).toEqual([
      'Jazz in Berlin',
    ]);
    expect(await sorted(sql, 'jazz', { from: null, until: new Date() })).toEqual(['Jazz over']);
    expect(await sorted(sql, 'jazz', { location: 'berlin' })).toEqual(['Jazz early']);
    expect(await sorted(sql, null, { location: 'hall -mun*' })).toEqual(['Jazz early']);
    expect(await sorted(sql, 'jazz', { onlyActive: false })).toContain('Jazz off');
    expect(await sorted(sql, null, { onlyActive: false })).toContain('Jazz off');
  });

  test.for([
    ['without a word', null, null],
    ['with a word', 'jazz', null],
    ['in a location', null, 'hall'],
  ] as const)(
    'begins with p_from and ends before p_until: %s',
    async ([, query, location], { db }) => {
      const { sql } = db;
      const [first, second, third] = [inDays(1), inDays(2), inDays(3)];
      for (const startsAt of [first, second, third])
        await addEvent(sql, { title: 'Jazz', location: 'Hall', startsAt });
      const countOf = async (from: Date | null, until: Date) =>
        (await search(sql, query, { from, until, location })).length;
      expect(await countOf(first, third)).toBe(2);
      expect(await countOf(first, second)).toBe(1);
      expect(await countOf(null, first)).toBe(0);
      expect(await countOf(third, inDays(4))).toBe(1);
      expect(await countOf(new Date(third.getTime() + 1), inDays(4))).toBe(0);
    },
  );

  test('knows free seats, and takes an expired hold for one', async ({ db }) => {
    const { sql } = db;
    const [ann = 0, bob = 0, cid = 0] = await addUsers(sql, 3);
    const full = await addEvent(sql, { title: 'Full', capacity: 1 });
    const held = await addEvent(sql, { title: 'Held', capacity: 1 });
    const lapsed = await addEvent(sql, { title: 'Lapsed', capacity: 1 });
    await addEvent(sql, { title: 'Free', capacity: 1 });
    await register(sql, ann, full);
    await sql`
      insert into registrations (user_id, event_id, status, hold_expires_at)
      values (${bob}, ${held}, 'pending', now() + interval '1 hour'),
        (${cid}, ${lapsed}, 'pending', now() - interval '1 second')`;
    expect((await searchTitles(sql, null, { onlyFree: true })).toSorted()).toEqual([
      'Free',
      'Lapsed',
    ]);
    const spots = (await search(sql, null)).map((row) => [row.title, row.available_spots]);
    expect(Object.fromEntries(spots)).toEqual({ Full: 0, Held: 0, Lapsed: 1, Free: 1 });
    expect(await searchTitles(sql, 'full', { onlyFree: true })).toEqual([]);
    expect(await searchTitles(sql, 'lapsed', { onlyFree: true })).toEqual(['Lapsed']);
  });

  test('refuses nonsense with a hint', async ({ db }) => {
    const { sql } = db;
    await addEvent(sql);
    const [row] = await search(sql, 'concert');
    const cursor = row?.row_cursor ?? '';
    const cases: [string | null, Parameters<typeof search>[2]][] = [
      ['a', { limit: 0 }],
      ['a', { limit: 101 }],
      ['a', { limit: -5 }],
      ['a', { until: new Date(0) }],
      ['a', { from: inDays(2), until: inDays(1) }],
      ['concert', { after: '' }],
      ['concert', { after: 'nonsense' }],
      ['concert', { after: '[]' }],
      ['concert', { after: '{}' }],
      ['concert', { after: 'null' }],
      ['concert', { after: cursor.replace(/\d\d:\d\d/, '99:99') }],
      ['concert', { after: cursor.replace(', ', ', 99999999999') }],
      ['concert', { after: cursor.slice(0, -1) }],
      ['concert', { after: cursor.replace(/\[("[^"]*", -?\d+), [^\]]*\]/, '[$1]') }],
      ['another', { after: cursor }],
      ['concert', { after: cursor, location: 'hall' }],
    ];
    for (const [query, options] of cases) {
      await expect(search(sql, query, options), JSON.stringify(options)).rejects.toMatchObject({
        code: '22023',
        hint: expect.stringMatching(/\w/),
      });
    }
    await expect(sql`select * from search_events('a', p_limit => null)`).rejects.toMatchObject({
      code: '22023',
    });
  });
});
