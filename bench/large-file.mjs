// How long `migrate up` takes on one large data migration, beside psql on the same file.
// Usage: node bench/large-file.mjs [--rounds 1] [--files 500] [--quick] (--files is the size in MB)
import { closeSync, fsyncSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { IS_QUICK, readArguments } from './support/arguments.mjs';
import { EVDB } from './support/build.mjs';
import { withSession } from './support/event-schema.mjs';
import { timeNodeWithUsage, timeProcess } from './support/process.mjs';
import { round, toMegabytes, writeReport } from './support/report.mjs';
import { figureOf, ratioOf } from './support/rows.mjs';
import { interleave, median } from './support/statistics.mjs';
import { withWorkspace } from './support/workspace.mjs';

/** Where no row says another. */
const OTHER = { over: '`psql -1 -f`', target: 0.7, isFloor: true };
const TABLE =
  'create table item (id integer, name text, note text, price numeric, made_at timestamptz);\n';

const { rounds, files } = readArguments({ rounds: 1, files: [500] });
const [megabytes] = files;

/** How the same rows are written; each makes one piece of a file from the row it begins with. */
const ALL_FORMS = {
  copy: {
    row: '11 copy',
    head: 'copy item from stdin;\n',
    piece: (first) => rowsFrom(first, 1000, (values) => `${values.join('\t')}\n`).join(''),
    tail: '\\.\n',
  },
  'inserts of 100 rows': {
    row: '11 inserts',
    piece: (first) =>
      `insert into item values\n${rowsFrom(first, 100, (values) => `(${literals(values)})`).join(',\n')};\n`,
  },
  'inserts of 1 row': {
    piece: (first) =>
      rowsFrom(first, 1000, (values) => `insert into item values (${literals(values)});\n`).join(
        '',
      ),
  },
};
const FORMS = Object.fromEntries(
  Object.entries(ALL_FORMS).filter(([, { row }]) => row !== undefined || !IS_QUICK),
);

await withWorkspace(async (workspace) => {
  const results = {};
  let isWarm = false;
  for (const [form, { head = '', piece, tail = '' }] of Object.entries(FORMS)) {
    const directory = join(workspace.directory, 'migrations');
    const { path, rows } = writeFile(directory, { head, piece, tail });
    const flags = ['migrate', 'up', '--migrations-dir', directory];
    const psqlFlags = ['-X', '-q', '-1', '-v', 'ON_ERROR_STOP=1', '-f', path];
    const contenders = {
      evdb: (url) =>
        timeNodeWithUsage([EVDB, ...flags, '--url', url], { cwd: workspace.directory }),
      psql: (url) => timeProcess('psql', [...psqlFlags, url], { cwd: workspace.directory }),
    };
    const runs = Object.fromEntries(
      Object.entries(contenders).map(([name, run]) => [
        name,
        (index) => runOnFreshDatabase(workspace, `${name}_${index}`, { run, rows }),
      ]),
    );
    // A new cluster has no write-ahead log to use again: whoever comes first would have to make it.
    if (!isWarm) await runs.psql('warm');
    isWarm = true;
    results[form] = await interleave(runs, rounds, (index, name, { wallMs }) =>
      console.log(`${form}, round ${index + 1} of ${rounds}: ${name} ${round(wallMs / 1000)} s`),
    );
    rmSync(directory, { recursive: true });
  }
  report(workspace.serverVersion, results);
});

function writeFile(directory, { head, piece, tail }) {
  mkdirSync(directory);
  const path = join(directory, '001_items.sql');
  const file = openSync(path, 'w');
  let size = writeSync(file, TABLE + head);
  let rows = 0;
  while (size < megabytes * 1e6) {
    const text = piece(rows);
    rows += head ? 1000 : (text.match(/\(/g)?.length ?? 0);
    size += writeSync(file, text);
  }
  writeSync(file, tail);
  // Else the system writes it out while the first contender runs, which is always the same one.
  fsyncSync(file);
  closeSync(file);
  return { path, rows };
}

function rowsFrom(first, count, render) {
  return Array.from({ length: count }, (_, index) => {
    const id = first + index;
    const note = `note ${id} of an item that somebody once wrote down é`;
    return render([id, `item ${id}`, note, `${id % 1000}.5`, '2026-01-01 10:00:00+00']);
  });
}

function literals([id, name, note, price, madeAt]) {
  return `${id}, '${name}', '${note}', ${price}, '${madeAt}'`;
}

async function runOnFreshDatabase(workspace, database, { run, rows }) {
  const url = await workspace.createDatabase(database);
  await workspace.checkpoint();
  const result = await run(url);
  const [{ n }] = await withSession(url, (sql) => sql`select count(*)::int as n from item`);
  if (n !== rows) throw new Error(`${database}: ${n} of ${rows} rows are there`);
  await workspace.dropDatabase(database);
  return result;
}

function report(serverVersion, results) {
  const lines = [];
  const figures = [];
  const peaks = [];
  for (const [form, { evdb, psql }] of Object.entries(results)) {
    const times = {
      evdb: evdb.map(({ wallMs }) => wallMs),
      psql: psql.map(({ wallMs }) => wallMs),
    };
    const rssMb = Math.max(...evdb.map(({ peakRssBytes }) => toMegabytes(peakRssBytes)));
    peaks.push(rssMb);
    const cpuMs = median(evdb.map(({ userMs, systemMs }) => userMs + systemMs));
    lines.push([
      form,
      ...[median(times.evdb), cpuMs, median(times.psql)].map((ms) => round(ms / 1000)),
      round(rssMb),
    ]);
    const { row = { what: `a file of ${megabytes} MB, ${form}: speed`, ...OTHER } } = FORMS[form];
    const options = { unit: 's', isSpeed: true };
    figures.push(ratioOf(row, inSeconds(times.evdb), inSeconds(times.psql), options));
  }
  figures.push(figureOf('11 memory', peaks));
  writeReport('large-file', {
    title: `One data migration of ${megabytes} MB, ${rounds} rounds, PostgreSQL ${serverVersion}`,
    head: ['written as', 'evdb s', 'its CPU s', 'psql -1 s', 'peak MB'],
    rows: lines,
    figures,
    data: { rounds, megabytes, serverVersion, results },
  });
}

function inSeconds(times) {
  return times.map((ms) => ms / 1000);
}
