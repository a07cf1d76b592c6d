import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { BUILD } from './build.mjs';
import { describeMachine } from './machine.mjs';
import { renderQuantity, renderTable, settle } from './table.mjs';

/**
 * Prints a table and the figures, and writes everything into `bench/results/<name>.json`. A missed
 * target is told, and fails nothing: what a time means depends on the machine.
 *
 * @param {string} name
 * @param {{ title: string, head: string[], rows: (string | number)[][], figures: import('./table.mjs').Figure[], data: object }} report
 *   the first column is text, the others are numbers
 */
export function writeReport(name, { title, head, rows, figures, data }) {
  const settled = figures.map(settle);
  const lines = [head, ...rows.map((row) => row.map(String))];
  console.log(`\n${title}\n`);
  console.log(
    renderTable(
      lines,
      head.map((_, column) => column > 0),
    ),
  );
  if (settled.length > 0) console.log('');
  for (const figure of settled) console.log(describeFigure(figure));
  const directory = fileURLToPath(new URL('../results/', import.meta.url));
  mkdirSync(directory, { recursive: true });
  const body = {
    benchmark: name,
    at: new Date().toISOString(),
    build: BUILD,
    node: process.version,
    machine: describeMachine(),
    figures: settled,
    ...data,
  };
  writeFileSync(`${directory}${name}.json`, `${JSON.stringify(body, null, 2)}\n`);
  console.log(`\nwritten: bench/results/${name}.json`);
}

/** @param {import('./table.mjs').Settled} figure */
function describeFigure({ row, what, over, target, isFloor, unit, now, isMet, missing }) {
  const name = `${row === undefined ? '' : `${row}  `}${what}${over === undefined ? '' : ` / ${over}`}`;
  if (missing !== undefined) return `${name}: not measured, ${missing}`;
  const value = `${name}: ${renderQuantity(now, unit)}`;
  if (target === undefined) return value;
  const bound = `at ${isFloor ? 'least' : 'most'} ${renderQuantity(target, unit)}`;
  return `${value}, target ${bound}: ${isMet ? 'met' : 'MISSED'}`;
}

/** @param {number} value */
export function round(value, digits = 2) {
  return value.toFixed(digits);
}

/** @param {number} bytes */
export function toMegabytes(bytes) {
  return bytes / 1e6;
}
