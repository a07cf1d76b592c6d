// What a page of search_events() costs beside the bare query on the same index.
// Usage: node bench/event-search.mjs [--rounds 5] [--events 1000000] [--quick]
import { IS_QUICK, readArguments } from './support/arguments.mjs';
import { createEventDatabase, timeStatement, withSession } from './support/event-schema.mjs';
import { round, writeReport } from './support/report.mjs';
import { ratioOf } from './support/rows.mjs';
import { interleave, median, medianRatio } from './support/statistics.mjs';
import { withWorkspace } from './support/workspace.mjs';

const REPEATS = 5;

/** The nth of 20,000 words, by how often they are met, and what is typed with it. */
const KINDS = {
  'a word of every third event': { places: [10], type: (word) => word },
  'of every eighth': { places: [30], type: (word) => word },
  'of every 25th': { places: [100], type: (word) => word },
  'of every 70th': { places: [300], type: (word) => word },
  'of every 200th': { places: [1000], type: (word) => word },
  'of every 3000th': { places: [10_000], type: (word) => word },
  'two words': { places: [10, 100], type: (a, b) => `${a} ${b}` },
  'one or the other': { places: [100, 300], type: (a, b) => `${a} or ${b}` },
  'one without the other': { places: [300, 10], type: (a, b) => `${a} -${b}` },
  'in this order': { places: [3, 10], type: (a, b) => `"${a} ${b}"` },
  'no word': { places: [], type: () => '' },
};

const ALL_CONTENDERS = {
  page: (query) => `select * from search_events('${query}')`,
  plain: (query) => `select * from search_events('${query}', p_headline => false)`,
  bare: renderBare,
  // What a page can cost at best: the bare query with its events, as wide as a page without headlines.
  rows: (query) =>
    `select e.id, e.title, e.location, e.date_time, e.capacity, e.current_registrations, e.is_active,
       0::real as rank, null::text as headline, e.date_time::text as row_cursor
     from (${renderBare(query)}) found (id)
     join events e on e.id = found.id`,
};

function renderBare(query) {
  if (query === '') {
    return `select id from events where is_active and date_time >= now() order by date_time, id limit 20`;
  }
  return `select event_id from event_search_documents
    where document @@ event_search_query('${query}') and is_active and date_time >= now()
    order by ts_rank(document, event_search_query('${query}'), 1) desc, date_time, event_id
    limit 20`;
}

const { plain, rows, ...QUICK_CONTENDERS } = ALL_CONTENDERS;
const CONTENDERS = IS_QUICK ? QUICK_CONTENDERS : { ...QUICK_CONTENDERS, plain, rows };

const { rounds, events } = readArguments({ rounds: 5, events: 1_000_000 });

await withWorkspace(async (workspace) => {
  console.log(`filling ${events} events`);
  const url = await createEventDatabase(workspace, 'search', 'event-search.sql', { events });
  const kinds = await withSession(url, readKinds);
  await workspace.checkpoint();
  const runs = Object.fromEntries(
    kinds.flatMap(({ kind, query }) =>
      Object.entries(CONTENDERS).map(([contender, render]) => [
        `${kind}: ${contender}`,
        () => withSession(url, (sql) => measure(sql, render(query))),
      ]),
    ),
  );
  const results = await interleave(runs, rounds, (index, name, { wallMs }) =>
    console.log(`round ${index + 1} of ${rounds}: ${name}, ${round(wallMs)} ms`),
  );
  report(workspace.serverVersion, kinds, results);
});

/** @param {import('postgres').Sql} sql */
async function readKinds(sql) {
  const rows = await sql`select word from search_words order by place`;
  const kinds = [];
  for (const [kind, { places, type }] of Object.entries(KINDS)) {
    const query = type(...places.map((place) => rows[place - 1].word));
    const [{ matches }] = await sql`
      select count(*)::int as matches from event_search_documents
      where (${query} = '' or document @@ event_search_query(${query})) and is_active and date_time >= now()`;
    kinds.push({ kind, query, matches });
  }
  return kinds;
}

/** The median of some executions after the first, which reads and prepares what the others find. */
async function measure(sql, statement) {
  await timeStatement(sql, statement);
  const times = [];
  for (let repeat = 0; repeat < REPEATS; repeat++) {
    times.push((await timeStatement(sql, statement)).wallMs);
  }
  return { wallMs: median(times) };
}

function report(serverVersion, kinds, results) {
  const timesOf = (kind, contender) => results[`${kind}: ${contender}`].map(({ wallMs }) => wallMs);
  const summary = kinds.map(({ kind, query, matches }) => ({
    kind,
    query,
    matches,
    ...Object.fromEntries(
      Object.keys(CONTENDERS).map((contender) => [
        `${contender}Ms`,
        median(timesOf(kind, contender)),
      ]),
    ),
    pageRatio: medianRatio(timesOf(kind, 'page'), timesOf(kind, 'bare')),
  }));
  writeReport('event-search', {
    title: `a page of 20 by search_events() among ${events} events, beside the bare query that ranks every match and returns ids (plain: a page without headlines), ${rounds} rounds, PostgreSQL ${serverVersion}`,
    head: [
      'query',
      'matches',
      ...Object.keys(CONTENDERS).map((name) => `${name} ms`),
      'page / bare',
    ],
    rows: summary.map((line) => [
      line.kind,
      line.matches,
      ...Object.keys(CONTENDERS).map((name) => round(line[`${name}Ms`])),
      round(line.pageRatio),
    ]),
    figures: kinds.map(({ kind }) =>
      ratioOf('12', timesOf(kind, 'page'), timesOf(kind, 'bare'), { part: kind, unit: 'ms' }),
    ),
    data: { rounds, events, serverVersion, summary, results },
  });
}
