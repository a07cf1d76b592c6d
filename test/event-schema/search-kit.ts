// What tests of the search for events share.

import type postgres from 'postgres';

export interface SearchOptions {
  from?: Date | null;
  until?: Date | null;
  location?: string | null;
  onlyActive?: boolean;
  onlyFree?: boolean;
  limit?: number;
  after?: string | null;
  headline?: boolean;
}

interface FoundEvent {
  event_id: number;
  title: string;
  available_spots: number;
  rank: number;
  headline: string | null;
  row_cursor: string;
}

/** One page; `from` is now unless given, as in SQL. */
export async function search(
  sql: postgres.Sql,
  query: string | null,
  options: SearchOptions = {},
): Promise<FoundEvent[]> {
  const from = options.from === undefined ? new Date() : options.from;
  return sql<FoundEvent[]>`
    select event_id, title, available_spots, rank, headline, row_cursor
    from search_events(
      p_query => ${query}::text,
      p_from => ${from}::timestamptz,
      p_until => ${options.until ?? null}::timestamptz,
      p_location => ${options.location ?? null}::text,
      p_only_active => ${options.onlyActive ?? true},
      p_only_free => ${options.onlyFree ?? false},
      p_limit => ${options.limit ?? 20}::int,
      p_after => ${options.after ?? null}::text,
      p_headline => ${options.headline ?? true})`;
}

/** Titles of one page, in order. */
export async function searchTitles(
  sql: postgres.Sql,
  query: string | null,
  options: SearchOptions = {},
): Promise<string[]> {
  return (await search(sql, query, options)).map((row) => row.title);
}

/** Every id that paging to the end shows; `between` runs after each page. */
export async function pageThrough(
  sql: postgres.Sql,
  query: string | null,
  options: SearchOptions = {},
  between: (page: number) => Promise<void> = async () => undefined,
): Promise<number[]> {
  const ids: number[] = [];
  let after: string | null = null;
  for (let page = 1; page <= 1000; page++) {
    const rows = await search(sql, query, { ...options, after });
    ids.push(...rows.map((row) => row.event_id));
    after = rows.at(-1)?.row_cursor ?? null;
    if (rows.length < (options.limit ?? 20)) return ids;
    await between(page);
  }
  throw new Error('paging does not end');
}

/** Adds `count` events an hour apart, `first` hours from now on, and returns their ids. */
export async function addHourlyEvents(
  sql: postgres.Sql,
  count: number,
  { title = 'Concert', description = null as string | null, firstHour = 1 } = {},
): Promise<number[]> {
  const rows = await sql<{ id: number }[]>`
    insert into events (title, description, date_time, location, capacity)
    select ${title}, repeat(${description}::text || ' ', 1 + i % 7), now() + make_interval(hours => ${firstHour} + i), 'Hall', 10
    from generate_series(0, ${count - 1}) i
    returning id`;
  return rows.map((row) => row.id);
}
