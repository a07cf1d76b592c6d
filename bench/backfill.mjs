// A backfill without throttle against one update of all rows, vacuum in neither; also with several workers.
// Usage: node bench/backfill.mjs [--rounds 2] [--rows 10000000]
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readArguments } from './support/arguments.mjs';
import { EVDB } from './support/build.mjs';
import { withSession } from './support/event-schema.mjs';
import { timeNodeWithUsage } from './support/process.mjs';
import { round, writeReport } from './support/report.mjs';
import { interleave, median, medianRatio } from './support/statistics.mjs';
import { withWorkspace } from './support/workspace.mjs';

const RATIO_LIMIT = 1.4;
const WORKERS = 2;

const { rounds, rows } = readArguments({ rounds: 2, rows: 10_000_000 });

const TABLE = `create table event (
  id bigint generated always as identity primary key,
  location text not null,
  venue text
) with (autovacuum_enabled = false);
insert into event (location) select 'location ' || i from generate_series(1, ${rows}) as i;`;
const UPDATE = 'update event set venue = location where venue is null';

await withWorkspace(async (workspace) => {
  const directory = join(workspace.directory, 'migrations');
  mkdirSync(directory);
  writeFileSync(join(directory, '001_venue.sql'), `-- evdb: backfill event\n${UPDATE};\n`);
  const contenders = {
    update: (index) => onCopy(workspace, `update_${index}`, updateAtOnce),
    backfill: (index) =>
      onCopy(workspace, `backfill_${index}`, (url) => runBackfill(url, workspace.directory, 1)),
    workers: (index) =>
      onCopy(workspace, `workers_${index}`, (url) =>
        runBackfill(url, workspace.directory, WORKERS),
      ),
  };
  const results = await interleave(contenders, rounds, (index, name, { wallMs, peakMb }) =>
    console.log(
      `round ${index + 1} of ${rounds}: ${name} ${round(wallMs / 1000)} s${peakMb === undefined ? '' : `, ${round(peakMb)} MB`}`,
    ),
  );
  report(workspace.serverVersion, results);
});

/** Each run gets a table without dead rows. */
async function onCopy(workspace, name, run) {
  const url = await workspace.createDatabase(name);
  await withSession(url, async (sql) => {
    await sql.unsafe(TABLE);
    await sql.unsafe('vacuum analyze event');
  });
  await workspace.checkpoint();
  const result = await run(url);
  await requireChanged(url);
  await workspace.dropDatabase(name);
  return result;
}

async function updateAtOnce(url) {
  return withSession(url, async (sql) => {
    const startedAt = performance.now();
    await sql.unsafe(UPDATE);
    return { wallMs: performance.now() - startedAt };
  });
}

async function runBackfill(url, cwd, workers) {
  const args = [EVDB, 'migrate', 'up', '--throttle', 'off', '--workers', String(workers)];
  const used = await timeNodeWithUsage(args, { cwd, env: { EVDB_URL: url } });
  return { wallMs: used.wallMs, peakMb: used.peakRssBytes / 1024 / 1024 };
}

async function requireChanged(url) {
  const [row] = await withSession(url, (sql) =>
    sql.unsafe('select count(*)::int as left from event where venue is distinct from location'),
  );
  if (row.left !== 0) throw new Error(`${row.left} rows were not changed`);
}

function report(serverVersion, { update, backfill, workers }) {
  const timesOf = (runs) => runs.map((run) => run.wallMs);
  const [updateMs, backfillMs, workersMs] = [update, backfill, workers].map(timesOf);
  const ratio = medianRatio(backfillMs, updateMs);
  const seconds = (values) => `${round(median(values) / 1000)} s`;
  const peakOf = (runs) => Math.max(...runs.map((run) => run.peakMb ?? 0));
  const peakMb = peakOf(backfill);
  writeReport('backfill', {
    title: `a backfill of ${rows} rows without throttle, ${rounds} rounds, PostgreSQL ${serverVersion}`,
    head: ['', 'median', 'against one update', 'limit', 'peak memory of evdb'],
    rows: [
      ['one update', seconds(updateMs), '1.00', '', ''],
      ['backfill', seconds(backfillMs), round(ratio), `${RATIO_LIMIT}`, `${round(peakMb)} MB`],
      [
        `backfill, ${WORKERS} workers`,
        ...[seconds(workersMs), round(medianRatio(workersMs, updateMs)), ''],
        `${round(peakOf(workers))} MB`,
      ],
    ],
    figures: [
      {
        what: `a backfill of ${rows} rows`,
        over: 'one update',
        target: RATIO_LIMIT,
        rounds: backfillMs.map((wallMs, index) => wallMs / updateMs[index]),
      },
    ],
    data: {
      rows,
      rounds,
      serverVersion,
      ratio,
      limit: RATIO_LIMIT,
      peakMb,
      results: { update, backfill, workers },
    },
  });
}
