import { join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

const { build } = parseArgs({ options: { build: { type: 'string' } }, strict: false }).values;

/**
 * The folder whose `bin`, `dist` and `migrations` are measured: this checkout, or what `--build`
 * names. A benchmark takes what it measures from here only, so that another build can be measured by it.
 */
export const BUILD = resolve(
  typeof build === 'string' ? build : fileURLToPath(new URL('../..', import.meta.url)),
);

export const EVDB = join(BUILD, 'bin/evdb.js');

/**
 * A module of the measured library.
 *
 * @param {string} name such as `index.js` or `index.ops.js`
 */
export function importLibrary(name) {
  return import(pathToFileURL(join(BUILD, 'dist/lib', name)).href);
}
