// What the short commands, and the entries of the library, cost beside an empty Node process.
// Usage: node bench/startup.mjs [--rounds 40] [--files 1000] [--inherit-env]
import { join } from 'node:path';
import { readArguments } from './support/arguments.mjs';
import { writeMigrations } from './support/files.mjs';
import { EVDB, INHERITS_ENV, timeNodeWithUsage, timeProcess } from './support/process.mjs';
import { round, writeReport } from './support/report.mjs';
import { interleave, median, medianRatio } from './support/statistics.mjs';
import { withWorkspace } from './support/workspace.mjs';

const LIMITS = { 'evdb --version': 1.25, 'evdb migrate status': 2.2 };
const BASE = 'node -e 0';
const ENTRIES = ['evdb', 'evdb/events', 'evdb/ops', 'evdb/lint'];

const { rounds, files } = readArguments({ rounds: 40, files: [1000] });
const [count] = files;

if (process.env.NODE_EXTRA_CA_CERTS && !INHERITS_ENV) {
  console.log(
    'NODE_EXTRA_CA_CERTS is left out, because it slows the start of Node 20 itself down;',
  );
  console.log('--inherit-env measures with it, and gives lower ratios.');
}

await withWorkspace(async (workspace) => {
  const options = {
    cwd: workspace.directory,
    env: { EVDB_URL: await workspace.createDatabase('startup') },
  };
  writeMigrations(join(workspace.directory, 'migrations'), count);
  await timeProcess(process.execPath, [EVDB, 'migrate', 'up'], options);
  // Exits 3 unless every file is applied, so what is measured is what the title says.
  await timeProcess(process.execPath, [EVDB, 'migrate', 'status', '--check'], options);
  const commands = {
    [BASE]: ['-e', '0'],
    'evdb --version': [EVDB, '--version'],
    'evdb migrate status': [EVDB, 'migrate', 'status'],
    ...Object.fromEntries(ENTRIES.flatMap((entry) => loadsOf(entry))),
  };
  const results = await interleave(
    mapValues(commands, (args) => () => timeProcess(process.execPath, args, options)),
    rounds,
  );
  // In rounds of their own, because the hook costs a little.
  const usage = await interleave(
    mapValues(commands, (args) => () => timeNodeWithUsage(args, options)),
    Math.max(1, Math.round(rounds / 4)),
  );
  report(workspace.serverVersion, results, usage);
});

/** What a program pays to have an entry of the library, as CommonJS and as an ES module. */
function loadsOf(entry) {
  const from = JSON.stringify(new URL(`../dist/${fileOf(entry)}`, import.meta.url).pathname);
  const imported = from.replace('/dist/commonjs/', '/dist/lib/');
  return [
    [`require('${entry}')`, ['-e', `require(${from})`]],
    [`import '${entry}'`, ['--input-type=module', '-e', `import ${imported}`]],
  ];
}

function fileOf(entry) {
  const [, part] = entry.split('/');
  return part === undefined ? 'commonjs/index.js' : `commonjs/index.${part}.js`;
}

function report(serverVersion, results, usage) {
  const times = mapValues(results, (runs) => runs.map(({ wallMs }) => wallMs));
  const { [BASE]: base, ...others } = times;
  const ratios = mapValues(others, (ms) => medianRatio(ms, base));
  const cpuOf = (name) => usage[name].map(({ userMs, systemMs }) => userMs + systemMs);
  writeReport('startup', {
    title: `start-up, ${count} applied files, ${rounds} rounds, ${INHERITS_ENV ? "the shell's" : 'a clean'} environment`,
    head: [
      'command',
      'median ms',
      'fastest ms',
      'slowest ms',
      'CPU ms',
      '/ node -e 0',
      'CPU ratio',
    ],
    rows: Object.entries(times).map(([name, ms]) => [
      name,
      round(median(ms), 1),
      round(Math.min(...ms), 1),
      round(Math.max(...ms), 1),
      round(median(cpuOf(name)), 1),
      name in ratios ? round(ratios[name]) : '',
      name in ratios ? round(medianRatio(cpuOf(name), cpuOf(BASE))) : '',
    ]),
    targets: Object.entries(LIMITS).map(([name, limit]) => ({
      name: `wall time of ${name} / ${BASE}`,
      value: ratios[name],
      limit,
    })),
    data: {
      files: count,
      rounds,
      serverVersion,
      inheritsEnv: INHERITS_ENV,
      ratios,
      results,
      usage,
    },
  });
}

/** @template V @param {Record<string, V>} object @param {(value: V, key: string) => unknown} map */
function mapValues(object, map) {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [key, map(value, key)]));
}
