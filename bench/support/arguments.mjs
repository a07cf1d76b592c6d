import { parseArgs } from 'node:util';

/**
 * Reads `--rounds <n>`, `--files <n>[,<n>…]` and `--inherit-env`.
 *
 * @param {{ rounds: number, files: number[] }} defaults
 * @returns {{ rounds: number, files: number[] }} `--inherit-env` is for process.mjs, which reads it itself
 */
export function readArguments(defaults) {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string' },
      files: { type: 'string' },
      'inherit-env': { type: 'boolean' },
    },
  });
  return {
    rounds: values.rounds === undefined ? defaults.rounds : parseCount('--rounds', values.rounds),
    files:
      values.files === undefined
        ? defaults.files
        : values.files.split(',').map((text) => parseCount('--files', text)),
  };
}

/** @param {string} flag @param {string} text */
function parseCount(flag, text) {
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text);
  throw new Error(`${flag}: "${text}" is not a count from 1 to 999999`);
}
