// What `evdb doctor` takes on a database with many tables, beside its SQL in psql, also while somebody
// holds a lock.
// Usage: node bench/doctor.mjs [--rounds 5] [--files 2000] [--quick] (--files is the number of tables)
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { IS_QUICK, readArguments } from './support/arguments.mjs';
import { EVDB, importLibrary } from './support/build.mjs';
import { withSession } from './support/event-schema.mjs';
import { createManyObjects } from './support/many-objects.mjs';
import { timeProcess } from './support/process.mjs';
import { round, writeReport } from './support/report.mjs';
import { ratioOf } from './support/rows.mjs';
import { recordStatements, timeScript } from './support/sql-alone.mjs';
import { interleave, median } from './support/statistics.mjs';
import { withWorkspace } from './support/workspace.mjs';

const { resolveConfig, withInspection } = await importLibrary('index.js');
const { runDoctor } = await importLibrary('index.ops.js');

const PSQL = 'its SQL in psql';
const DOCTOR = 'evdb doctor';
const RUN_LIMIT_MS = 3000;
const CHECK_LIMIT_MS = 1000;

const { rounds, files } = readArguments({ rounds: 5, files: [2000] });
const [tables] = files;

await withWorkspace(async (workspace) => {
  console.log(`making ${tables} tables with ${tables * 5} indexes`);
  const url = await createManyObjects(workspace, 'doctor', tables);
  await workspace.checkpoint();
  const { connection } = await resolveConfig({ flags: { url }, env: {} });
  const script = join(workspace.directory, 'doctor.sql');
  writeFileSync(script, await recordStatements(connection.options, runDoctor));
  const locked = () =>
    withSession(url, async (sql) => {
      await sql.unsafe('begin; lock table table_1, table_2 in access exclusive mode');
      return runCommand(workspace, url);
    });
  const results = await interleave(
    {
      [PSQL]: () => timeScript(script, url),
      [DOCTOR]: () => runCommand(workspace, url),
      ...(IS_QUICK ? {} : { 'evdb doctor, a table locked': locked }),
    },
    rounds,
    (index, name, { wallMs }) =>
      console.log(`round ${index + 1} of ${rounds}: ${name}, ${round(wallMs)} ms`),
  );
  const checks = IS_QUICK ? {} : await measureChecks(connection.options, rounds);
  report(workspace.serverVersion, results, checks);
});

function runCommand(workspace, url) {
  return timeProcess(process.execPath, [EVDB, 'doctor'], {
    cwd: workspace.directory,
    env: { EVDB_URL: url },
  });
}

/** The longest of its rounds for each check, and what it came to. */
async function measureChecks(options, count) {
  const checks = new Map();
  for (let index = 0; index < count; index++) {
    const done = await withInspection(options, (session) => runDoctor(session));
    for (const { check, status, summary, durationMs } of done.checks) {
      const findings = done.findings.filter(({ code }) => code === check);
      if (status === 'unknown' && summary.includes('was cancelled')) {
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
    figures: [
      ratioOf('13', times[DOCTOR], times[PSQL], { part: '`doctor`', unit: 'ms' }),
      ...Object.entries(times)
        .filter(([name]) => name !== PSQL)
        .map(([name, ms]) => ({
          what: `${name}, ${tables} tables`,
          target: RUN_LIMIT_MS,
          unit: 'ms',
          rounds: ms,
        })),
      ...slowest.slice(0, 1).map(([name, { maxMs }]) => ({
        what: `doctor, ${tables} tables: slowest check (${name})`,
        target: CHECK_LIMIT_MS,
        unit: 'ms',
        rounds: [maxMs],
      })),
    ],
    data: { serverVersion, rounds, tables, times, checks },
  });
}
