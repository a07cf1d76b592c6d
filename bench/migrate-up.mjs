// How long `migrate up` takes on many small migrations, beside psql and dbmate on the same SQL, and on
// the few that a test suite applies to a fresh database, as a whole process beside dbmate.
// Usage: node bench/migrate-up.mjs [--rounds 5] [--files 1000]
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { readArguments } from './support/arguments.mjs';
import { EVDB } from './support/build.mjs';
import { ensureDbmate } from './support/fetched.mjs';
import { writeDbmateMigrations, writeMigrations, writePsqlScript } from './support/files.mjs';
import { timeNodeWithUsage, timeProcess } from './support/process.mjs';
import { round, toMegabytes, writeReport } from './support/report.mjs';
import { missingFigure, ratioOf } from './support/rows.mjs';
import { interleave, median, medianRatio } from './support/statistics.mjs';
import { withWorkspace } from './support/workspace.mjs';

/** The row of each contender. */
const ROW_OF = { psql: '1', dbmate: '2' };
const FEW = 30;
/** Of the few in each round: they are over soon. */
const REPEATS = 8;
const RSS_LIMIT_MB = 150;

const { rounds, files } = readArguments({ rounds: 5, files: [1000] });
const [count] = files;

await withWorkspace(async (workspace) => {
  const { contenders, skipped } = prepareContenders(workspace.directory, count);
  for (const [name, reason] of Object.entries(skipped)) {
    console.log(`${name} is left out: ${reason}`);
  }
  const few = prepareContenders(workspace.directory, FEW).contenders;
  const fewResults = await compare(workspace, {
    contenders: Object.fromEntries(Object.entries(few).filter(([name]) => name !== 'psql')),
    count: FEW,
    rounds: rounds * REPEATS,
  });
  const results = await compare(workspace, { contenders, count, rounds });
  report(workspace.serverVersion, { results, fewResults, skipped });
});

/**
 * @param {string} root
 * @param {number} files
 */
function prepareContenders(root, files) {
  const directory = join(root, String(files));
  const evdbFiles = join(directory, 'migrations');
  const upPaths = writeMigrations(evdbFiles, files);
  const flags = [EVDB, 'migrate', 'up', '--migrations-dir', evdbFiles, '--url'];
  const options = { cwd: directory };
  const contenders = {
    // The hook that reads the memory costs a little, and would be much of a short run.
    evdb: (url) =>
      files === FEW
        ? timeProcess(process.execPath, [...flags, url], options)
        : timeNodeWithUsage([...flags, url], options),
  };
  const skipped = {};
  if (spawnSync('psql', ['--version']).status === 0) {
    const script = join(directory, 'psql.sql');
    writePsqlScript(script, upPaths);
    const psqlFlags = ['-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', script];
    contenders.psql = (url) => timeProcess('psql', [...psqlFlags, url], options);
  } else {
    skipped.psql = 'psql is not on the PATH';
  }
  const dbmate = ensureDbmate();
  if ('path' in dbmate) {
    const dbmateFiles = join(directory, 'dbmate');
    writeDbmateMigrations(dbmateFiles, files);
    const dbmateFlags = ['--migrations-dir', dbmateFiles, '--no-dump-schema', 'migrate'];
    contenders.dbmate = (url) => timeProcess(dbmate.path, ['--url', url, ...dbmateFlags], options);
  } else {
    skipped.dbmate = dbmate.missing;
  }
  return { contenders, skipped };
}

/**
 * Each run on a fresh database. None is dropped before the end: for some minutes ext4 looks at every
 * inode that was deleted before it gives a new one, so that whoever comes after the removal of
 * thousands of files needs three times as long for its own.
 */
function compare(workspace, { contenders, count: files, rounds: times }) {
  const runs = Object.fromEntries(
    Object.entries(contenders).map(([name, run]) => [
      name,
      (index) => runOnFreshDatabase(workspace, `${name}_${files}_${index}`, { run, files }),
    ]),
  );
  return interleave(runs, times, (index, name, { wallMs }) =>
    console.log(`${files} files, round ${index + 1} of ${times}: ${name} ${round(wallMs)} ms`),
  );
}

async function runOnFreshDatabase(workspace, database, { run, files }) {
  const url = await workspace.createDatabase(database);
  await workspace.checkpoint();
  const result = await run(url);
  const tables = await workspace.countTables(url);
  if (tables !== files) throw new Error(`${database}: ${tables} of ${files} tables were made`);
  return result;
}

function report(serverVersion, { results, fewResults, skipped }) {
  const secondsOf = (runs) => runs.map(({ wallMs }) => wallMs / 1000);
  const times = mapValues(results, secondsOf);
  const few = mapValues(fewResults, secondsOf);
  const { evdb } = results;
  const cpuMs = median(evdb.map(({ userMs, systemMs }) => userMs + systemMs));
  const line = (files, all, name) => [
    `${name}, ${files} files`,
    round(median(all[name]), 3),
    round(Math.min(...all[name]), 3),
    round(Math.max(...all[name]), 3),
    round((median(all[name]) / files) * 1000),
    name === 'evdb' ? '' : round(medianRatio(all.evdb, all[name])),
  ];
  writeReport('migrate-up', {
    title: `migrate up, ${rounds} rounds, PostgreSQL ${serverVersion}, durable commits (${count} files: evdb itself used ${round(cpuMs / 1000)} s of processor time)`,
    head: ['contender', 'median s', 'fastest s', 'slowest s', 'ms a file', 'evdb / it'],
    rows: [
      ...Object.keys(times).map((name) => line(count, times, name)),
      ...Object.keys(few).map((name) => line(FEW, few, name)),
    ],
    figures: [
      ...Object.entries(ROW_OF).map(([name, row]) => figureFor(row, name, { times, skipped })),
      figureFor('3', 'dbmate', { times: few, skipped }),
      {
        what: `peak memory of \`migrate up\`, ${count} migrations`,
        target: RSS_LIMIT_MB,
        unit: 'MB',
        isPeak: true,
        rounds: evdb.map(({ peakRssBytes }) => toMegabytes(peakRssBytes)),
      },
    ],
    data: { files: count, rounds, serverVersion, skipped, results, fewResults },
  });
}

function figureFor(row, name, { times, skipped }) {
  if (name in skipped) return missingFigure(row, skipped[name]);
  return ratioOf(row, times.evdb, times[name], { unit: 's' });
}

/** @template V @param {Record<string, V>} object @param {(value: V) => unknown} map */
function mapValues(object, map) {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [key, map(value)]));
}
