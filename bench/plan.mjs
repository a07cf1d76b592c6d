// What `evdb migrate plan` takes for 50 statements on a database with many tables.
// Usage: node bench/plan.mjs [--rounds 5] [--files 2000] (--files is the number of tables)
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readArguments } from './support/arguments.mjs';
import { EVDB } from './support/build.mjs';
import { createManyObjects } from './support/many-objects.mjs';
import { timeProcess } from './support/process.mjs';
import { round, writeReport } from './support/report.mjs';
import { interleave, median } from './support/statistics.mjs';
import { withWorkspace } from './support/workspace.mjs';

const LIMIT_MS = 2000;
const STATEMENTS = 50;

/** What is changed in a table, each in its turn. */
const CHANGES = [
  (table) => `alter table ${table} add column note text`,
  (table) => `alter table ${table} alter column name set not null`,
  (table) => `create index on ${table} (amount)`,
  (table) => `alter table ${table} alter column amount type numeric(12, 2)`,
  (table) => `alter table ${table} add constraint ${table}_amount_check check (amount > 0)`,
];

const { rounds, files } = readArguments({ rounds: 5, files: [2000] });
const [tables] = files;

await withWorkspace(async (workspace) => {
  console.log(`making ${tables} tables with ${tables * 5} indexes`);
  const url = await createManyObjects(workspace, 'plan', tables);
  await workspace.checkpoint();
  const folder = join(workspace.directory, 'migrations');
  mkdirSync(folder);
  writeFileSync(join(folder, '001_changes.sql'), `${listStatements().join(';\n')};\n`);
  const plan = (...args) =>
    timeProcess(process.execPath, [EVDB, 'migrate', 'plan', ...args], {
      cwd: workspace.directory,
      env: { EVDB_URL: url },
    });
  const results = await interleave(
    { plan: () => plan(), 'plan --trace': () => plan('--trace') },
    rounds,
    (index, name, { wallMs }) =>
      console.log(`round ${index + 1} of ${rounds}: ${name}, ${round(wallMs)} ms`),
  );
  report(workspace.serverVersion, results);
});

/** Every 30th table has a name that needs quoting, every 50th is partitioned. */
function listStatements() {
  const names = Array.from({ length: tables }, (_, index) => index + 1)
    .filter((number) => number % 30 !== 0 && number % 50 !== 0)
    .slice(0, STATEMENTS)
    .map((number) => `table_${number}`);
  return names.map((table, index) => CHANGES[index % CHANGES.length](table));
}

function report(serverVersion, results) {
  const times = Object.fromEntries(
    Object.entries(results).map(([name, runs]) => [name, runs.map(({ wallMs }) => wallMs)]),
  );
  writeReport('plan', {
    title: `a plan of ${STATEMENTS} statements on ${tables} tables and ${tables * 5} indexes, PostgreSQL ${serverVersion}, medians of ${rounds}`,
    head: ['command', 'ms'],
    rows: Object.entries(times).map(([name, ms]) => [name, round(median(ms))]),
    figures: [
      {
        what: `\`migrate plan\` of ${STATEMENTS} statements, ${tables} tables`,
        target: LIMIT_MS,
        unit: 'ms',
        rounds: times.plan,
      },
    ],
    data: { rounds, tables, statements: STATEMENTS, serverVersion, times },
  });
}
