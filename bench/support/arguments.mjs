import { parseArgs } from 'node:util';

/** Every benchmark knows every option, because run.mjs hands the same ones to all of them. */
const COUNTS = ['rounds', 'seconds', 'clients', 'users', 'events', 'rows', 'minutes'];

/**
 * Reads `--rounds <n>`, `--files <n>[,<n>…]`, the other counts, `--inherit-env` and `--plain-client`.
 *
 * @template {Record<string, number | number[]>} Defaults
 * @param {Defaults} defaults what the benchmark uses; an option that it does not name is left out
 * @returns {Defaults} `--inherit-env` and `--plain-client` are for process.mjs and load.mjs, which
 *   read them themselves
 */
export function readArguments(defaults) {
  const { values } = parseArgs({
    options: {
      ...Object.fromEntries([...COUNTS, 'files'].map((name) => [name, { type: 'string' }])),
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
