// What `evdb report --out` takes on a database with many tables: time, memory, and the size of its page.
// Usage: node bench/report.mjs [--rounds 5] [--files 2000] (--files is the number of tables)
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { readArguments } from './support/arguments.mjs';
import { EVDB } from './support/build.mjs';
import { createManyObjects } from './support/many-objects.mjs';
import { timeNodeWithUsage } from './support/process.mjs';
import { round, toMegabytes, writeReport } from './support/report.mjs';
import { interleave } from './support/statistics.mjs';
import { withWorkspace } from './support/workspace.mjs';

const LIMITS = { ms: 6000, memoryMb: 200, pageMb: 1.5 };

const { rounds, files } = readArguments({ rounds: 5, files: [2000] });
const [tables] = files;

await withWorkspace(async (workspace) => {
  console.log(`making ${tables} tables with ${tables * 5} indexes`);
  const url = await createManyObjects(workspace, 'report', tables);
  await workspace.checkpoint();
  const { directory, serverVersion } = workspace;
  const write = () =>
    timeNodeWithUsage([EVDB, 'report', '--out', 'report.html'], {
      cwd: directory,
      env: { EVDB_URL: url },
    });
  const { report: runs } = await interleave({ report: write }, rounds, (index, _name, { wallMs }) =>
    console.log(`round ${index + 1} of ${rounds}: ${round(wallMs)} ms`),
  );
  const measured = {
    ms: runs.map(({ wallMs }) => wallMs),
    memoryMb: runs.map(({ peakRssBytes }) => toMegabytes(peakRssBytes)),
    pageMb: [toMegabytes(statSync(join(directory, 'report.html')).size)],
  };
  const names = { ms: 'time, ms', memoryMb: 'peak memory, MB', pageMb: 'the page, MB' };
  const parts = Object.keys(LIMITS);
  writeReport('report', {
    title: `report on ${tables} tables and ${tables * 5} indexes, PostgreSQL ${serverVersion}`,
    head: ['what', 'most', 'limit'],
    rows: parts.map((part) => [names[part], round(Math.max(...measured[part])), LIMITS[part]]),
    figures: parts.map((part) => ({
      what: `report, ${tables} tables: ${names[part]}`,
      target: LIMITS[part],
      rounds: measured[part],
    })),
    data: { serverVersion, rounds, tables, measured },
  });
});
