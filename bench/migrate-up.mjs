// How long `migrate up` takes on many small migrations, beside psql and dbmate on the same SQL.
// Usage: node bench/migrate-up.mjs [--rounds 5] [--files 1000]
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { readArguments } from './support/arguments.mjs';
import { ensureDbmate } from './support/dbmate.mjs';
import { writeDbmateMigrations, writeMigrations, writePsqlScript } from './support/files.mjs';
import { EVDB, timeNodeWithUsage, timeProcess } from './support/process.mjs';
import { round, toMegabytes, writeReport } from './support/report.mjs';
import { interleave, median, medianRatio } from './support/statistics.mjs';
import { withWorkspace } from './support/workspace.mjs';

const RATIO_LIMITS = { psql: 0.9, dbmate: 0.8 };
const RSS_LIMIT_MB = 150;

const { rounds, files } = readArguments({ rounds: 5, files: [1000] });
const [count] = files;

await withWorkspace(async (workspace) => {
  const { contenders, skipped } = prepareContenders(workspace.directory);
  for (const { name, reason } of skipped) console.log(`${name} is left out: ${reason}`);
  const runs = Object.fromEntries(
    Object.entries(contenders).map(([name, run]) => [
      name,
      (index) => runOnFreshDatabase(workspace, `${name}_${index}`, run),
    ]),
  );
  const results = await interleave(runs, rounds, (index, name, { wallMs }) =>
    console.log(`round ${index + 1} of ${rounds}: ${name} ${round(wallMs / 1000)} s`),
  );
  report(workspace.serverVersion, results, skipped);
});

/** @param {string} directory */
function prepareContenders(directory) {
  const evdbFiles = join(directory, 'migrations');
  const upPaths = writeMigrations(evdbFiles, count);
  const flags = ['migrate', 'up', '--migrations-dir', evdbFiles];
  const contenders = {
    evdb: (url) => timeNodeWithUsage([EVDB, ...flags, '--url', url], { cwd: directory }),
  };
  const skipped = [];
  if (spawnSync('psql', ['--version']).status === 0) {
    const script = join(directory, 'psql.sql');
    writePsqlScript(script, upPaths);
    const psqlFlags = ['-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', script];
    contenders.psql = (url) => timeProcess('psql', [...psqlFlags, url], { cwd: directory });
  } else {
    skipped.push({ name: 'psql', reason: 'it is not on the PATH' });
  }
  const dbmate = ensureDbmate();
  if ('path' in dbmate) {
    const dbmateFiles = join(directory, 'dbmate');
    writeDbmateMigrations(dbmateFiles, count);
    const dbmateFlags = ['--migrations-dir', dbmateFiles, '--no-dump-schema', 'migrate'];
    contenders.dbmate = (url) =>
      timeProcess(dbmate.path, ['--url', url, ...dbmateFlags], { cwd: directory });
  } else {
    skipped.push({ name: 'dbmate', reason: dbmate.missing });
  }
  return { contenders, skipped };
}

async function runOnFreshDatabase(workspace, database, run) {
  const url = await workspace.createDatabase(database);
  await workspace.checkpoint();
  const result = await run(url);
  const tables = await workspace.countTables(url);
  if (tables !== count) throw new Error(`${database}: ${tables} of ${count} tables were made`);
  await workspace.dropDatabase(database);
  return result;
}

function report(serverVersion, results, skipped) {
  const times = Object.fromEntries(
    Object.entries(results).map(([name, runs]) => [name, runs.map(({ wallMs }) => wallMs)]),
  );
  const ratios = Object.fromEntries(
    Object.keys(RATIO_LIMITS)
      .filter((name) => name in times)
      .map((name) => [name, medianRatio(times.evdb, times[name])]),
  );
  const peakRssMb = Math.max(...results.evdb.map(({ peakRssBytes }) => toMegabytes(peakRssBytes)));
  const cpuMs = median(results.evdb.map(({ userMs, systemMs }) => userMs + systemMs));
  writeReport('migrate-up', {
    title: `migrate up, ${count} files, ${rounds} rounds, PostgreSQL ${serverVersion}, durable commits (evdb itself used ${round(cpuMs / 1000)} s of processor time)`,
    head: ['contender', 'median s', 'fastest s', 'slowest s', 'ms a file', 'evdb / it'],
    rows: Object.entries(times).map(([name, ms]) => [
      name,
      round(median(ms) / 1000),
      round(Math.min(...ms) / 1000),
      round(Math.max(...ms) / 1000),
      round(median(ms) / count),
      name in ratios ? round(ratios[name]) : '',
    ]),
    targets: [
      ...Object.entries(ratios).map(([name, value]) => ({
        name: `wall time of evdb / ${name}`,
        value,
        limit: RATIO_LIMITS[name],
      })),
      { name: 'peak memory of evdb', value: peakRssMb, limit: RSS_LIMIT_MB, unit: ' MB' },
    ],
    data: { files: count, rounds, serverVersion, skipped, ratios, results },
  });
}
