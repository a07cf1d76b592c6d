import { mkdirSync, writeFileSync } from 'node:fs';
import { arch, availableParallelism, cpus, loadavg, platform, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';

/**
 * @typedef {object} Target
 * @property {string} name
 * @property {number} value
 * @property {number} limit at most this
 * @property {boolean} [isFloor] at least the limit, then
 * @property {string} [unit]
 */

/** What the machine did before the benchmark loaded it. */
const LOAD_BEFORE = loadavg()[0];

/**
 * Prints tables and targets, and writes everything into `bench/results/<name>.json`. A missed
 * target is told, and fails nothing: what a time means depends on the machine.
 *
 * @param {string} name
 * @param {{ title: string, head: string[], rows: (string | number)[][], targets: Target[], data: object }} report
 */
export function writeReport(name, { title, head, rows, targets, data }) {
  console.log(`\n${title}\n`);
  console.log(renderTable([head, ...rows.map((row) => row.map(String))]));
  if (targets.length > 0) console.log('');
  for (const target of targets) {
    const { name: what, value, limit, unit = '' } = target;
    const bound = `at ${target.isFloor ? 'least' : 'most'} ${limit}${unit}`;
    const verdict = isMet(target) ? 'met' : 'MISSED';
    console.log(`${what}: ${round(value)}${unit}, target ${bound}: ${verdict}`);
  }
  const directory = fileURLToPath(new URL('../results/', import.meta.url));
  mkdirSync(directory, { recursive: true });
  const body = {
    benchmark: name,
    at: new Date().toISOString(),
    machine: describeMachine(),
    targets: targets.map((target) => ({ ...target, isMet: isMet(target) })),
    ...data,
  };
  writeFileSync(`${directory}${name}.json`, `${JSON.stringify(body, null, 2)}\n`);
  console.log(`\nwritten: bench/results/${name}.json`);
}

/** @param {Target} target */
function isMet({ value, limit, isFloor = false }) {
  return isFloor ? value >= limit : value <= limit;
}

function describeMachine() {
  return {
    node: process.version,
    platform: `${platform()} ${arch()}`,
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    loadBefore: LOAD_BEFORE,
  };
}

/** @param {string[][]} lines the first is the head; all columns but the first are numbers */
function renderTable(lines) {
  const widths = lines[0].map((_, column) => Math.max(...lines.map((line) => line[column].length)));
  const rendered = lines.map((line) =>
    line
      .map((text, column) =>
        column === 0 ? text.padEnd(widths[column]) : text.padStart(widths[column]),
      )
      .join('  ')
      .trimEnd(),
  );
  return [rendered[0], '-'.repeat(rendered[0].length), ...rendered.slice(1)].join('\n');
}

/** @param {number} value */
export function round(value, digits = 2) {
  return value.toFixed(digits);
}

/** @param {number} bytes */
export function toMegabytes(bytes) {
  return bytes / 1e6;
}
