// What the short commands, and the entries of the library, cost beside an empty Node process.
// Usage: node bench/startup.mjs [--rounds 40] [--files 1000] [--inherit-env] [--quick]
// Node 24 is the one that EVDB_BENCH_NODE names, else one from npm.
import { join } from 'node:path';
import { IS_QUICK, readArguments } from './support/arguments.mjs';
import { BUILD, EVDB } from './support/build.mjs';
import { ensureNode24 } from './support/fetched.mjs';
import { writeMigrations } from './support/files.mjs';
import { INHERITS_ENV, timeNodeWithUsage, timeProcess } from './support/process.mjs';
import { round, writeReport } from './support/report.mjs';
import { missingFigure, ratioOf } from './support/rows.mjs';
import { interleave, median, medianRatio } from './support/statistics.mjs';
import { withWorkspace } from './support/workspace.mjs';

const BASE = 'node -e 0';
const VERSION = 'evdb --version';
const VERSION_LIMIT = 1.25;
const COMPLETION = 'evdb complete -- migrate up --to';
const COMPLETION_LIMIT = 1.5;
const STATUS = 'evdb migrate status';
const UP = 'evdb migrate up';
const ON_24 = ', Node 24';
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
  const short = {
    [BASE]: ['-e', '0'],
    [STATUS]: [EVDB, 'migrate', 'status'],
    [UP]: [EVDB, 'migrate', 'up'],
  };
  const commands = IS_QUICK
    ? short
    : {
        ...short,
        [VERSION]: [EVDB, '--version'],
        // What a shell asks at a Tab: here for the versions of the folder.
        [COMPLETION]: [EVDB, 'complete', '--', 'migrate', 'up', '--to', ''],
        ...Object.fromEntries(ENTRIES.flatMap((entry) => loadsOf(entry))),
      };
  const contenders = mapValues(
    commands,
    (args) => () => timeProcess(process.execPath, args, options),
  );
  const node24 = ensureNode24();
  if ('path' in node24) {
    for (const [name, args] of Object.entries(short)) {
      contenders[`${name}${ON_24}`] = () => timeProcess(node24.path, args, options);
      // What a first run leaves behind for the next ones is there.
      await contenders[`${name}${ON_24}`]();
    }
  }
  const results = await interleave(contenders, rounds);
  // In rounds of their own, because the hook costs a little.
  const usage = IS_QUICK
    ? {}
    : await interleave(
        mapValues(commands, (args) => () => timeNodeWithUsage(args, options)),
        Math.max(1, Math.round(rounds / 4)),
      );
  report(workspace.serverVersion, { results, usage, missing24: node24.missing });
});

/** What a program pays to have an entry of the library, as CommonJS and as an ES module. */
function loadsOf(entry) {
  const from = JSON.stringify(join(BUILD, 'dist', fileOf(entry)));
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

function report(serverVersion, { results, usage, missing24 }) {
  const times = mapValues(results, (runs) => runs.map(({ wallMs }) => wallMs));
  const baseOf = (name) => (name.endsWith(ON_24) ? `${BASE}${ON_24}` : BASE);
  const ratioOn = (name) =>
    name === baseOf(name) ? '' : medianRatio(times[name], times[baseOf(name)]);
  const cpuOf = (name) => usage[name].map(({ userMs, systemMs }) => userMs + systemMs);
  const unit = 'ms';
  writeReport('startup', {
    title: `start-up, ${count} applied files, ${rounds} rounds, ${INHERITS_ENV ? "the shell's" : 'a clean'} environment`,
    head: [
      'command',
      'median ms',
      'fastest ms',
      'slowest ms',
      '/ node -e 0',
      'CPU ms',
      'CPU ratio',
    ],
    rows: Object.entries(times).map(([name, ms]) => [
      name,
      round(median(ms), 1),
      round(Math.min(...ms), 1),
      round(Math.max(...ms), 1),
      ratioOn(name) === '' ? '' : round(ratioOn(name)),
      ...(name in usage
        ? [round(median(cpuOf(name)), 1), round(medianRatio(cpuOf(name), cpuOf(BASE)))]
        : ['', '']),
    ]),
    figures: [
      ratioOf('4 status', times[STATUS], times[BASE], { unit }),
      ratioOf('4 up', times[UP], times[BASE], { unit }),
      ...Object.entries({ '4 status, Node 24': STATUS, '4 up, Node 24': UP }).map(([row, name]) =>
        missing24
          ? missingFigure(row, missing24)
          : ratioOf(row, times[`${name}${ON_24}`], times[`${BASE}${ON_24}`], { unit }),
      ),
      ...(IS_QUICK
        ? []
        : [
            ratioOf(
              { what: '`--version`', over: '`node -e 0`', target: VERSION_LIMIT },
              times[VERSION],
              times[BASE],
              { unit },
            ),
            ratioOf(
              { what: 'a Tab in the shell', over: '`node -e 0`', target: COMPLETION_LIMIT },
              times[COMPLETION],
              times[BASE],
              { unit },
            ),
          ]),
    ],
    data: {
      files: count,
      rounds,
      serverVersion,
      inheritsEnv: INHERITS_ENV,
      results,
      usage,
    },
  });
}

/** @template V @param {Record<string, V>} object @param {(value: V, key: string) => unknown} map */
function mapValues(object, map) {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [key, map(value, key)]));
}
