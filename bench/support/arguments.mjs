import { parseArgs } from 'node:util';

/** Every benchmark knows every option, because run.mjs hands the same ones to all of them. */
const COUNTS = [
  'schemas',
  'databases',
  'concurrency',
  'rounds',
  'seconds',
  'clients',
  'users',
  'events',
  'rows',
  'minutes',
];

/** Whether only what the fourteen rows of docs/performance.md need is measured: `--quick`. */
export const IS_QUICK = process.argv.includes('--quick');

/** Whether the folder of the run is left to whoever started it: `--keep`. */
export const IS_KEPT = process.argv.includes('--keep');

/**
 * Which contender comes first in the first round: `--turn <n>`. Where each round is a run of its own,
 * they take turns all the same.
 */
export const TURN = Number(process.argv[process.argv.indexOf('--turn') + 1]) || 0;

/**
 * Reads `--rounds <n>`, `--files <n>[,<n>…]`, the other counts, `--quick`, `--keep`, `--turn <n>`, `--build <folder>`,
 * `--inherit-env` and `--plain-client`.
 *
 * @template {Record<string, number | number[]>} Defaults
 * @param {Defaults} defaults what the benchmark uses; an option that it does not name is left out
 * @returns {Defaults} the flags are read where they are needed: IS_QUICK here, build.mjs, process.mjs, load.mjs
 */
export function readArguments(defaults) {
  const { values } = parseArgs({
    options: {
      ...Object.fromEntries([...COUNTS, 'files'].map((name) => [name, { type: 'string' }])),
      build: { type: 'string' },
      quick: { type: 'boolean' },
      keep: { type: 'boolean' },
      turn: { type: 'string' },
      'inherit-env': { type: 'boolean' },
      'plain-client': { type: 'boolean' },
    },
  });
  return Object.fromEntries(
    Object.entries(defaults).map(([name, usual]) => {
      const text = values[name];
      if (text === undefined) return [name, usual];
      return [
        name,
        Array.isArray(usual)
          ? text.split(',').map((part) => parseCount(`--${name}`, part))
          : parseCount(`--${name}`, text),
      ];
    }),
  );
}

/** @param {string} flag @param {string} text */
function parseCount(flag, text) {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new Error(`${flag}: "${text}" is not a count from 1 to 999999999`);
}
