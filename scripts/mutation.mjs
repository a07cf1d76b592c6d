// Changes the code of a room in small ways, one at a time, and says which changes no test notices:
//   npm run test:mutation -- [room…] [--file part] [--again] [--write]
// test/mutation/ has the rooms, with the tests that cover each, and the changes that make no
// difference. Results are kept in .cache/mutation, so that only what has changed since is tried
// again; --again tries everything. --file tries a part of a room and keeps no results. --write puts
// the scores into docs/proof.md.
import { readdirSync, readFileSync } from 'node:fs';
import { relative } from 'node:path';
import { parseArgs } from 'node:util';
import { Stryker } from '@stryker-mutator/core';
import { readSection, readTable, renderTable, writeSection } from './proof-page.mjs';

/** Less is not good enough, in percent. */
const LEAST_SCORE = 85;

const rooms = readJson('test/mutation/rooms.json');
const equivalents = readJson('test/mutation/equivalent.json');
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    file: { type: 'string' },
    again: { type: 'boolean' },
    write: { type: 'boolean' },
  },
});
const unknown = positionals.filter((name) => !(name in rooms));
if (unknown.length > 0) {
  console.error(`no such room: ${unknown.join(', ')}; known are ${Object.keys(rooms).join(', ')}`);
  process.exit(2);
}

const HEAD = ['room', 'mutants', 'found', 'equivalent', 'not found', 'score', 'measured'];
const measured = [];
for (const name of positionals.length > 0 ? positionals : Object.keys(rooms)) {
  measured.push(report(name, await mutate(name)));
}
console.log(`\n${renderTable(HEAD, measured)}`);
if (values.write) writeScores();
const low = measured.filter((row) => Number.parseFloat(row[5]) < LEAST_SCORE);
if (low.length > 0) {
  console.error(`below ${LEAST_SCORE} %: ${low.map(([name]) => name).join(', ')}`);
  process.exitCode = 1;
}

function readJson(path) {
  return JSON.parse(readFileSync(path, 'utf8'));
}

async function mutate(name) {
  const { files, tests } = rooms[name];
  const wanted = values.file ? listFiles(files).filter((one) => one.includes(values.file)) : files;
  process.env.EVDB_MUTATION_TESTS = JSON.stringify(tests.flatMap(listTests));
  return await new Stryker({
    testRunner: 'room',
    plugins: ['./test/mutation/test-runner.mjs'],
    mutate: wanted,
    coverageAnalysis: 'perTest',
    // What runs while a module loads, such as a table of constants, would need a new process each.
    ignoreStatic: true,
    concurrency: 1,
    incremental: !values.file,
    incrementalFile: `.cache/mutation/${name.replaceAll('/', '-')}.json`,
    force: values.again === true,
    tempDirName: '.cache/mutation/work',
    ignorePatterns: ['/.cache', '/dist', '/bench'],
    reporters: ['progress-append-only'],
    // It would be read with an interface of TypeScript that version 7 no longer has.
    tsconfigFile: 'none',
    disableTypeChecks: false,
    allowConsoleColors: false,
  }).runMutationTest();
}

function listTests(path) {
  return path.endsWith('.ts') ? [path] : listFiles([`${path}/**`]).filter(isWithoutServer);
}

function isWithoutServer(path) {
  return /\/[^./]+\.test\.ts$/.test(path);
}

/** The files of a folder, for patterns such as `src/text/*.ts`, and those named. */
function listFiles(patterns) {
  return patterns.flatMap((pattern) => {
    const [, folder, deep] = /^(.*?)\/(\*\*)?(?:\/?\*\.ts)?$/.exec(pattern) ?? [];
    if (folder === undefined) return [pattern];
    const names = readdirSync(folder, { recursive: deep !== undefined });
    return names.filter((file) => file.endsWith('.ts')).map((file) => `${folder}/${file}`);
  });
}

/** Prints what was not found, and returns the row of the table. */
function report(name, results) {
  const count = (...states) => results.filter(({ status }) => states.includes(status)).length;
  const notFound = results.filter(({ status }) => ['Survived', 'NoCoverage'].includes(status));
  const isListed = ({ file, before, after }) =>
    equivalents.some((one) => one.file === file && one.before === before && one.after === after);
  const [equivalent, open] = partition(notFound.map(describe), isListed);
  console.log(`\n${name}: ${open.length} not found`);
  for (const { place, before, after, isCovered } of open) {
    console.log(`${place}${isCovered ? '' : ' (no test comes here)'}\n  - ${before}\n  + ${after}`);
  }
  const found = count('Killed', 'Timeout');
  // Rounded down: what is not good enough must not look so.
  const score = Math.floor((1000 * found) / (found + open.length)) / 10;
  const numbers = [found + notFound.length, found, equivalent.length, open.length];
  const today = new Date().toISOString().slice(0, 10);
  return [name, ...numbers.map(String), `${score.toFixed(1)} %`, today];
}

function partition(all, isFirst) {
  return [all.filter(isFirst), all.filter((one) => !isFirst(one))];
}

/** A change, as the line of the source where it begins, before and after. */
function describe({ fileName, location: { start, end }, replacement, status }) {
  const file = relative(process.cwd(), fileName);
  // Lines and columns count from 1.
  const lines = readFileSync(fileName, 'utf8').split('\n');
  const first = lines[start.line - 1] ?? '';
  const rest = (lines[end.line - 1] ?? '').slice(end.column - 1);
  const after = `${first.slice(0, start.column - 1)}${replacement}${rest}`;
  return {
    file,
    place: `${file}:${start.line}:${start.column}`,
    before: first.trim(),
    after: after.replaceAll(/\s+/g, ' ').trim(),
    isCovered: status !== 'NoCoverage',
  };
}

/** The rows of rooms that were not measured now stay. */
function writeScores() {
  const rows = new Map(readTable(readSection('mutation')).map((row) => [row[0], row]));
  for (const row of measured) rows.set(row[0], row);
  const ordered = Object.keys(rooms).flatMap((name) => (rows.has(name) ? [rows.get(name)] : []));
  writeSection('mutation', renderTable(HEAD, ordered));
}
