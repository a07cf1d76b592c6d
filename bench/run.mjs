// Runs the benchmarks and prints one table of what they found: `npm run bench`.
//
//   npm run bench                          the fourteen rows of docs/performance.md, in a short form, and
//                                          writes them there
//   npm run bench -- --slow                the slow ones alone: how costs grow; writes them there too
//   npm run bench -- --all                 all that each benchmark measures, and the slow ones
//   npm run bench -- --only 4,7            some rows, or benchmarks by their name; writes nothing
//   npm run bench -- --compare ../before   measures the build of another checkout in the same rounds, one
//                                          after the other, and shows it in a column of its own
//   npm run bench -- --rounds 5            so many rounds instead of 3; with fewer nothing is written
//
// A benchmark is a script beside this one. To join, it takes what it measures from support/build.mjs
// (the folder of the build is an argument, and older builds have to work too), reads its arguments with
// support/arguments.mjs, hands its figures to writeReport (their shape: Figure in support/table.mjs,
// made by figureOf and ratioOf of support/rows.mjs, where the fourteen rows stand), and has a line in
// BENCHMARKS below. A figure with a row stands in the first table, any other in the second.
import { spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { BUILD } from './support/build.mjs';
import { describeBuild, describeMachine, measureSyncMs, readVersions } from './support/machine.mjs';
import { BASE_ENV } from './support/process.mjs';
import { missingFigures } from './support/rows.mjs';
import {
  countMet,
  mergeTurns,
  renderConditions,
  renderFigures,
  replacePart,
  setBefore,
} from './support/table.mjs';

/**
 * @typedef {object} Benchmark
 * @property {string} name of its script and of its results
 * @property {number[]} [rows] that it measures; one without is slow, and runs with `--slow` and `--all` only
 * @property {string[]} [short] what it gets in each round of the short form
 * @property {string[]} [long] what it gets in each round of `--all`
 * @property {boolean} [keepsFiles] whose files are removed at the end of all, because making files is
 *   what is measured: for some minutes ext4 looks at every deleted inode before it gives a new one
 *
 * @type {Benchmark[]}
 */
const BENCHMARKS = [
  {
    name: 'migrate-up',
    rows: [1, 2, 3],
    short: ['--rounds', '1'],
    long: ['--rounds', '2'],
    keepsFiles: true,
  },
  {
    name: 'embedded',
    rows: [14],
    short: ['--rounds', '7'],
    long: ['--rounds', '20'],
    keepsFiles: true,
  },
  { name: 'linear', keepsFiles: true },
  { name: 'startup', rows: [4], short: ['--rounds', '10'], long: ['--rounds', '20'] },
  { name: 'lint', rows: [5, 6], short: ['--rounds', '7'], long: ['--rounds', '14'] },
  { name: 'pool', rows: [7, 8], short: ['--rounds', '2'], long: ['--rounds', '5'] },
  {
    name: 'event-registration',
    rows: [9, 10],
    short: ['--rounds', '1', '--seconds', '4'],
    long: ['--rounds', '2'],
  },
  { name: 'large-file', rows: [11], short: ['--rounds', '1'], long: ['--rounds', '1'] },
  { name: 'event-search', rows: [12], short: ['--rounds', '2'], long: ['--rounds', '3'] },
  { name: 'stats', rows: [13], short: ['--rounds', '3'], long: ['--rounds', '5'] },
  { name: 'doctor', rows: [13], short: ['--rounds', '3'], long: ['--rounds', '5'] },
  { name: 'report' },
  { name: 'many-tables' },
  { name: 'adopt' },
  { name: 'event-audit' },
  { name: 'event-growth' },
  { name: 'audit-cleanup' },
  { name: 'backfill' },
  { name: 'backfill-load' },
  { name: 'repeatables' },
  { name: 'event-rules' },
  { name: 'plan' },
  { name: 'schema-dump' },
  { name: 'registrar' },
  { name: 'monitor' },
  { name: 'fleet' },
];

const ROUNDS = 3;
const DOCUMENT = 'docs/performance.md';
const root = fileURLToPath(new URL('..', import.meta.url));
const results = join(root, 'bench/results');

const options = readOptions();
const chosen = BENCHMARKS.filter(isChosen);
if (chosen.length === 0) throw new Error(`--only: nothing is called ${options.only}`);
const kept = mkdtempSync(join(tmpdir(), 'evdb-bench-'));
// The server of who is root belongs to an ordinary user, who has to get in.
chmodSync(kept, 0o755);
/** A benchmark that is interrupted ends its server itself; then nothing more is started. */
const interruption = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => interruption.abort());
process.exitCode = await run();

function readOptions() {
  const { values } = parseArgs({
    options: {
      all: { type: 'boolean', default: false },
      slow: { type: 'boolean', default: false },
      only: { type: 'string' },
      compare: { type: 'string' },
      rounds: { type: 'string', default: String(ROUNDS) },
      'inherit-env': { type: 'boolean', default: false },
      'plain-client': { type: 'boolean', default: false },
    },
  });
  const rounds = Number(values.rounds);
  if (!Number.isInteger(rounds) || rounds < 1) throw new Error('--rounds: not a count from 1');
  return { ...values, rounds, only: values.only?.split(','), before: compared(values.compare) };
}

function compared(folder) {
  return folder === undefined ? undefined : resolve(folder);
}

async function run() {
  const build = ['scripts/build.mjs', '--if-stale', '--no-check'];
  const { status } = spawnSync(process.execPath, build, { cwd: root, stdio: 'inherit' });
  if (status !== 0) return 1;
  rmSync(results, { recursive: true, force: true });
  mkdirSync(join(results, 'rounds'), { recursive: true });
  // Fetches what is missing, before anything is measured.
  const conditions = {
    at: new Date().toISOString(),
    rounds: options.rounds,
    machine: describeMachine(),
    syncMs: measureSyncMs(),
    versions: readVersions(BUILD),
    before: options.before && describeBuild(options.before),
    isClean: !options['inherit-env'],
  };
  const outcomes = [];
  try {
    for (const benchmark of chosen) {
      if (!interruption.signal.aborted) outcomes.push(await measure(benchmark));
    }
  } finally {
    rmSync(kept, { recursive: true, force: true, maxRetries: 3 });
  }
  return interruption.signal.aborted ? 130 : tell(conditions, outcomes);
}

/** @param {Benchmark} benchmark */
function isChosen({ name, rows }) {
  if (options.only === undefined) return options.all || (rows === undefined) === options.slow;
  return options.only.some((one) => one === name || rows?.includes(Number(one)));
}

/**
 * All rounds of a benchmark: in each the build before and the build now have a turn.
 *
 * @param {Benchmark} benchmark
 */
async function measure(benchmark) {
  const startedAt = performance.now();
  const { before } = options;
  const builds = [...(before === undefined ? [] : [['before', before]]), ['now', BUILD]];
  const turns = { before: [], now: [] };
  const outcome = { serverVersion: undefined, reasons: {} };
  // A slow one, alone, interleaves its contenders itself: what it sets up takes the most of its time.
  const rounds = benchmark.rows || before !== undefined ? options.rounds : 1;
  for (let round = 1; round <= rounds; round++) {
    for (const [label, build] of builds) {
      if (outcome.reasons[label] !== undefined || interruption.signal.aborted) continue;
      console.log(`\n=== ${benchmark.name}, round ${round} of ${rounds}, ${label} ===`);
      const turn = await runTurn(benchmark, { build, label, round });
      if ('reason' in turn) outcome.reasons[label] = turn.reason;
      else {
        turns[label].push(turn.report.figures);
        outcome.serverVersion ??= turn.report.serverVersion;
      }
    }
  }
  const minutes = (performance.now() - startedAt) / 60_000;
  console.log(`\n${benchmark.name} took ${minutes.toFixed(1)} min`);
  const figuresOf = (label) =>
    outcome.reasons[label] === undefined
      ? mergeTurns(turns[label])
      : missingFigures(benchmark, outcome.reasons[label]);
  const now = figuresOf('now');
  return {
    ...outcome,
    figures: before === undefined ? now : setBefore(now, figuresOf('before')),
  };
}

/** @param {Benchmark} benchmark */
async function runTurn(benchmark, { build, label, round }) {
  const { name, rows, short, long = ['--rounds', '1'], keepsFiles } = benchmark;
  const args = [join('bench', `${name}.mjs`), '--build', build, '--turn', String(round - 1)];
  if (rows && !options.all) args.push('--quick', ...short);
  else if (rows || options.before) args.push(...long);
  if (keepsFiles) args.push('--keep');
  for (const flag of ['inherit-env', 'plain-client']) if (options[flag]) args.push(`--${flag}`);
  const { exitCode, said } = await runScript(args);
  if (exitCode !== 0) return { reason: findReason(said) ?? `it ended with ${exitCode}` };
  const path = join(results, `${name}.json`);
  copyFileSync(path, join(results, 'rounds', `${name}-${round}-${label}.json`));
  return { report: JSON.parse(readFileSync(path, 'utf8')) };
}

/** Its standard error is shown and kept. */
function runScript(args) {
  return new Promise((done, fail) => {
    const child = spawn(process.execPath, args, {
      cwd: root,
      env: { ...BASE_ENV, ...chosenNode(), TMPDIR: kept },
      stdio: ['ignore', 'inherit', 'pipe'],
      signal: interruption.signal,
    });
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text) => {
      said = (said + text).slice(-8000);
      process.stderr.write(text);
    });
    child.once('error', (error) => {
      if (!interruption.signal.aborted) fail(error);
    });
    child.once('close', (exitCode, signal) => done({ exitCode: signal ?? exitCode, said }));
  });
}

function chosenNode() {
  const { EVDB_BENCH_NODE } = process.env;
  return EVDB_BENCH_NODE === undefined ? {} : { EVDB_BENCH_NODE };
}

/** What the error said, in one line. */
function findReason(said) {
  const [, reason] = /^(?:\w*Error|\w*Error \[\w+\]): (.+)$/m.exec(said) ?? [];
  return reason ?? said.trim().split('\n').at(-1)?.slice(0, 200);
}

function tell(conditions, outcomes) {
  const serverVersion = outcomes.find((one) => one.serverVersion)?.serverVersion;
  const all = { ...conditions, versions: { ...conditions.versions, PostgreSQL: serverVersion } };
  const figures = outcomes.flatMap((outcome) => outcome.figures);
  const isWanted = ({ row }) => options.only === undefined || row === undefined || isRowChosen(row);
  const tables = {
    rows: figures.filter((figure) => figure.row !== undefined && isWanted(figure)),
    others: figures.filter(({ row }) => row === undefined),
  };
  const said = renderConditions(all);
  writeFileSync(join(results, 'run.json'), `${JSON.stringify({ ...all, figures }, null, 2)}\n`);
  console.log(`\n${said}\n`);
  for (const part of Object.values(tables)) {
    if (part.length > 0) console.log(`${renderFigures(part)}\n`);
  }
  const { met, rows } = countMet(tables.rows);
  console.log(`${met} of ${rows} rows met; everything that was measured: bench/results/run.json`);
  if (options.only === undefined && options.rounds >= ROUNDS) writeDocument(said, tables);
  return outcomes.some(({ reasons }) => Object.keys(reasons).length > 0) ? 1 : 0;
}

function isRowChosen(row) {
  const names = BENCHMARKS.filter(({ rows }) => rows?.includes(row)).map(({ name }) => name);
  return options.only.some((one) => Number(one) === row || names.includes(one));
}

/** Each table is written only where all that it holds was measured. */
function writeDocument(said, { rows, others }) {
  const path = join(root, DOCUMENT);
  const part = (figures) => `${said}\n\n${renderFigures(figures, { isMarkdown: true })}`;
  const count = countMet(rows);
  const summary = `${count.met} of ${count.rows} rows are met; a row with several figures counts if all of them are met.`;
  let text = readFileSync(path, 'utf8');
  if (!options.slow) text = replacePart(text, 'rows', `${part(rows)}\n\n${summary}`);
  if (options.slow || options.all) text = replacePart(text, 'others', part(others));
  writeFileSync(path, text);
  console.log(`written: ${DOCUMENT}`);
}
