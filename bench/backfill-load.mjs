// What 16 clients that change single rows of a table feel of a backfill of it, with the default throttle.
// Usage: node bench/backfill-load.mjs [--rounds 3] [--rows 2000000] [--clients 16] [--seconds 20]
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readArguments } from './support/arguments.mjs';
import { EVDB } from './support/build.mjs';
import { withSession } from './support/event-schema.mjs';
import { recordTransactions } from './support/pgbench.mjs';
import { startNode } from './support/process.mjs';
import { round, writeReport } from './support/report.mjs';
import { figureOf } from './support/rows.mjs';
import { median } from './support/statistics.mjs';
import { withWorkspace } from './support/workspace.mjs';

const P99_RATIO_LIMIT = 1.25;

const { rounds, rows, clients, seconds } = readArguments({
  ...{ rounds: 3, rows: 2_000_000, clients: 16, seconds: 20 },
});

const TABLE = `create table event (
  id bigint generated always as identity primary key,
  location text not null,
  venue text,
  visits integer not null default 0
) with (fillfactor = 80);
insert into event (location) select 'location ' || i from generate_series(1, ${rows}) as i;`;

await withWorkspace(async (workspace) => {
  const migrations = join(workspace.directory, 'migrations');
  mkdirSync(migrations);
  writeFileSync(
    join(migrations, '001_venue.sql'),
    '-- evdb: backfill event\nupdate event set venue = location where venue is null;\n',
  );
  const runs = [];
  for (let index = 0; index < rounds; index++) {
    runs.push(await measure(workspace, `load_${index}`));
    const { without, during, rowsDone } = runs.at(-1);
    console.log(
      `round ${index + 1} of ${rounds}: p99 ${round(without.p99Ms)} ms without, ${round(during.p99Ms)} ms during ${rowsDone} rows of the backfill`,
    );
  }
  report(workspace.serverVersion, runs);
});

/** One load for all, because it drifts: before and after the backfill count as without. */
async function measure(workspace, name) {
  const url = await workspace.createDatabase(name);
  await withSession(url, (sql) => sql.unsafe(TABLE));
  await withSession(url, (sql) => sql.unsafe('vacuum analyze event'));
  await workspace.checkpoint();
  const load = recordTransactions({
    ...{ url, clients, seconds: 3 * seconds + 6, directory: workspace.directory },
    script: `\\set id random(1, ${rows})\nupdate event set visits = visits + 1 where id = :id;\n`,
  });
  await pause(3_000 + seconds * 1000);
  const startedAt = Date.now();
  const backfill = startNode([EVDB, 'migrate', 'up'], {
    cwd: workspace.directory,
    env: { EVDB_URL: url },
  });
  await pause(seconds * 1000);
  backfill.kill('SIGINT');
  await backfill.ended;
  const endedAt = Date.now();
  const transactions = await load;
  const rowsDone = await countDone(url);
  if (rowsDone === 0) throw new Error('the backfill changed nothing');
  if (rowsDone === rows) throw new Error('the backfill was done before the load was');
  await workspace.dropDatabase(name);
  // The first seconds of a load fill caches.
  const measured = transactions.filter(({ at }) => at > startedAt - seconds * 1000);
  const isDuring = ({ at }) => at >= startedAt && at < endedAt;
  return {
    during: summarise(measured.filter(isDuring)),
    without: summarise(measured.filter((one) => !isDuring(one))),
    rowsDone,
  };
}

async function countDone(url) {
  const [row] = await withSession(url, (sql) =>
    sql.unsafe('select count(*)::int as done from event where venue is not null'),
  );
  return row.done;
}

function pause(durationMs) {
  return new Promise((resolve) => {
    setTimeout(resolve, durationMs);
  });
}

/** @param {{ at: number, tookMs: number }[]} transactions */
function summarise(transactions) {
  const sorted = transactions.map(({ tookMs }) => tookMs).sort((a, b) => a - b);
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
  return { calls: sorted.length, p50Ms: at(0.5), p99Ms: at(0.99), maxMs: sorted.at(-1) };
}

function report(serverVersion, runs) {
  const lines = ['without', 'during'].map((name) => [
    name,
    ...['calls', 'p50Ms', 'p99Ms', 'maxMs'].map((key) =>
      round(median(runs.map((run) => run[name][key]))),
    ),
  ]);
  writeReport('backfill-load', {
    title: `${clients} clients change single rows of ${rows} while a backfill changes them all, ${rounds} rounds, PostgreSQL ${serverVersion}; it did ${round(median(runs.map((run) => run.rowsDone)) / seconds)} rows/s`,
    head: ['backfill', 'calls', 'p50 ms', 'p99 ms', 'max ms'],
    rows: lines,
    figures: [
      figureOf(
        {
          what: 'updates of single rows during a backfill: 99th percentile',
          over: 'without it',
          target: P99_RATIO_LIMIT,
        },
        runs.map(({ without, during }) => during.p99Ms / without.p99Ms),
      ),
    ],
    data: { rounds, rows, clients, seconds, serverVersion, runs },
  });
}
