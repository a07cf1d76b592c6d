// What the pool costs beside that of `pg`: the same queries from as many callers over as many connections.
// Usage: node bench/pool.mjs [--rounds 7] [--seconds 3] [--callers 32] [--connections 8] [--minutes 0] [--quick]
import pg from 'pg';
import { IS_QUICK, readArguments } from './support/arguments.mjs';
import { importLibrary } from './support/build.mjs';
import { drive, watchMemory } from './support/pool-load.mjs';
import { round, writeReport } from './support/report.mjs';
import { ratioOf } from './support/rows.mjs';
import { interleave, median } from './support/statistics.mjs';
import { withWorkspace } from './support/workspace.mjs';

const { DatabasePool } = await importLibrary('index.js');

const ALL_QUERIES = {
  'select 1': { row: 7, text: 'select 1 as one', params: () => [] },
  'with parameters': {
    row: 8,
    text: 'select $1::int + $2::int as sum, $3::text as name',
    params: (i) => [i % 1000, 7, 'somebody'],
  },
  // The schema says the type of the parameter, so that the statement is parsed each time, as by pg.
  'by a key without a cast': {
    text: 'select id, name from people where id = $1',
    params: (i) => [i % 1000],
  },
};

const QUERIES = Object.fromEntries(
  Object.entries(ALL_QUERIES).filter(([, { row }]) => row !== undefined || !IS_QUICK),
);

/** The floor of the throughput, and the ceiling of the 99th percentile, where no row says another. */
const FLOOR = 0.95;
const P99_CEILING = 1.2;

const options = readArguments({
  rounds: 7,
  seconds: 3,
  callers: 32,
  connections: 8,
  minutes: 0,
});

await withWorkspace(async (workspace) => {
  const connectionString = await workspace.createDatabase('pool');
  const pool = new DatabasePool({ connectionString });
  await pool.query('create table people (id integer primary key, name text)');
  await pool.query("insert into people select n, 'name ' || n from generate_series(0, 999) n");
  await pool.query('vacuum analyze people');
  await pool.close();
  const makePool = {
    pg: () => new pg.Pool({ connectionString, max: options.connections }),
    evdb: () => new DatabasePool({ connectionString, max: options.connections }),
  };
  const contenders = {};
  for (const [query, statement] of Object.entries(QUERIES)) {
    for (const [name, make] of Object.entries(makePool)) {
      contenders[`${name}, ${query}`] = () => drive(make, statement, options);
    }
  }
  const results = await interleave(contenders, options.rounds, (turn, name, { rate, p99Ms }) =>
    console.log(`round ${turn + 1}  ${name}: ${Math.round(rate)}/s, p99 ${round(p99Ms)} ms`),
  );
  const of = (name, key) => results[name].map((result) => result[key]);
  const figures = Object.entries(QUERIES).flatMap(([query, { row }]) => {
    const rate = row
      ? `${row} rate`
      : { ...other(query, 'queries a second', FLOOR), isFloor: true };
    const p99 = row ? `${row} p99` : other(query, '99th percentile', P99_CEILING);
    const both = (key) => [of(`evdb, ${query}`, key), of(`pg, ${query}`, key)];
    return [
      ratioOf(rate, ...both('rate'), { unit: '/s' }),
      ratioOf(p99, ...both('p99Ms'), { unit: 'ms' }),
    ];
  });
  const memory =
    options.minutes > 0
      ? await watchMemory(makePool.evdb, QUERIES['with parameters'], {
          ...options,
          minutes: options.minutes,
        })
      : undefined;
  if (memory) {
    figures.push({
      what: `pool, heap after ${options.minutes} min`,
      over: 'after the first tenth of them',
      target: 1.1,
      rounds: [memory.growth],
    });
  }
  writeReport('pool', {
    title: `${options.callers} callers, ${options.connections} connections, PostgreSQL ${workspace.serverVersion}`,
    head: ['contender', 'queries/s', 'p50 ms', 'p99 ms'],
    rows: Object.keys(contenders).map((name) => [
      name,
      Math.round(median(of(name, 'rate'))),
      round(median(of(name, 'p50Ms'))),
      round(median(of(name, 'p99Ms'))),
    ]),
    figures,
    data: { results, memory },
  });
});

function other(query, what, target) {
  return { what: `pool, ${query}: ${what}`, over: "`pg`'s pool", target };
}
