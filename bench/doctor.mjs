// What `evdb doctor` takes on a database with many tables, also while somebody holds a lock.
// Usage: node bench/doctor.mjs [--rounds 5] [--files 2000] (--files is the number of tables)
import { resolveConfig, withInspection } from '../dist/lib/index.js';
import { runDoctor } from '../dist/lib/index.ops.js';
import { readArguments } from './support/arguments.mjs';
import { withSession } from './support/event-schema.mjs';
import { createManyObjects } from './support/many-objects.mjs';
import { EVDB, timeProcess } from './support/process.mjs';
import { round, writeReport } from './support/report.mjs';
import { interleave, median } from './support/statistics.mjs';
import { withWorkspace } from './support/workspace.mjs';

const RUN_LIMIT_MS = 3000;
const CHECK_LIMIT_MS = 1000;

const { rounds, files } = readArguments({ rounds: 5, files: [2000] });
const [tables] = files;

await withWorkspace(async (workspace) => {
  console.log(`making ${tables} tables with ${tables * 5} indexes`);
  const url = await createManyObjects(workspace, 'doctor', tables);
  await workspace.checkpoint();
  const results = await interleave(
    {
      'evdb doctor': () => runCommand(workspace, url),
      'evdb doctor, a table locked': () =>
        withSession(url, async (sql) => {
          await sql.unsafe('begin; lock table table_1, table_2 in access exclusive mode');
          return runCommand(workspace, url);
        }),
    },
    rounds,
    (index, name, { wallMs }) =>
      console.log(`round ${index + 1} of ${rounds}: ${name}, ${round(wallMs)} ms`),
  );
  const checks = await measureChecks(url, rounds);
  report(workspace.serverVersion, results, checks);
});

function runCommand(workspace, url) {
  return timeProcess(process.execPath, [EVDB, 'doctor'], {
    cwd: workspace.directory,
    env: { EVDB_URL: url },
  });
}

/** The longest of its rounds for each check, and what it came to. */
async function measureChecks(url, count) {
  const { connection } = await resolveConfig({ flags: { url }, env: {} });
  const checks = new Map();
  for (let index = 0; index < count; index++) {
    const done = await withInspection(connection.options, (session) => runDoctor(session));
    for (const { check, status, findings, durationMs } of done.checks) {
      if (findings.some(({ reason }) => reason.includes('was cancelled'))) {
        throw new Error(`${check} was cancelled: its time is not what it takes`);
      }
      const before = checks.get(check);
      checks.set(check, {
        status,
        findings: findings.length,
        maxMs: Math.max(before?.maxMs ?? 0, durationMs),
      });
    }
  }
  return Object.fromEntries(checks);
}

function report(serverVersion, results, checks) {
  const times = Object.fromEntries(
    Object.entries(results).map(([name, runs]) => [name, runs.map(({ wallMs }) => wallMs)]),
  );
  const slowest = Object.entries(checks).sort(([, a], [, b]) => b.maxMs - a.maxMs);
  writeReport('doctor', {
    title: `doctor on ${tables} tables and ${tables * 5} indexes, PostgreSQL ${serverVersion}`,
    head: ['what', 'ms', 'findings'],
    rows: [
      ...Object.entries(times).map(([name, ms]) => [name, round(median(ms)), '']),
      ...slowest.map(([name, { maxMs, findings }]) => [`  ${name}`, round(maxMs), findings]),
    ],
    targets: [
      ...Object.entries(times).map(([name, ms]) => ({
        name,
        value: median(ms),
        limit: RUN_LIMIT_MS,
        unit: ' ms',
      })),
      {
        name: `slowest check (${slowest[0]?.[0]})`,
        value: slowest[0]?.[1].maxMs ?? 0,
        limit: CHECK_LIMIT_MS,
        unit: ' ms',
      },
    ],
    data: { serverVersion, rounds, tables, times, checks },
  });
}
