// Prints how src is cut into files, beside what is wanted: `npm run measures -- [--json] [--list] [--check]`.
//   --json   as JSON, with every file, folder and circle behind a figure
//   --list   names those behind the figures that do not hold
//   --check  exits 1 where a figure does not hold
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { rolldown } from 'rolldown';

const root = fileURLToPath(new URL('..', import.meta.url));
const { values: flags } = parseArgs({
  options: {
    json: { type: 'boolean' },
    list: { type: 'boolean' },
    check: { type: 'boolean' },
  },
});

const { measureSources, readSourceFiles } = await loadMeasures();
const measures = measureSources(readSourceFiles());
console.log(flags.json ? JSON.stringify(measures, null, 2) : renderMeasures(measures));
if (flags.check && measures.some(({ holds }) => !holds)) process.exitCode = 1;

/** What the architecture test uses too; Node 20 does not run TypeScript. */
async function loadMeasures() {
  // As deep below the root as the source, which looks for src from there.
  const folder = join(root, '.cache', `measures-${process.pid}`);
  const bundle = await rolldown({
    input: {
      measures: join(root, 'test/support/measures.ts'),
      'source-files': join(root, 'test/support/source-files.ts'),
    },
    platform: 'node',
  });
  try {
    await bundle.write({ dir: folder, entryFileNames: '[name].mjs', chunkFileNames: '[name].mjs' });
    const load = (name) => import(pathToFileURL(join(folder, `${name}.mjs`)).href);
    return { ...(await load('measures')), ...(await load('source-files')) };
  } finally {
    await bundle.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

function renderMeasures(measures) {
  const rows = measures.map(({ name, value, wanted, unit, holds }) => [
    name,
    `${value}${unit}`,
    `${wanted}${unit}`,
    holds ? 'holds' : 'does not hold',
  ]);
  const table = [['measure', 'now', 'wanted', ''], ...rows];
  const widths = table[0].map((_, i) => Math.max(...table.map((row) => row[i].length)));
  const lines = table.map((row) =>
    row
      .map((cell, i) => (i === 1 ? cell.padStart(widths[i]) : cell.padEnd(widths[i])))
      .join('  ')
      .trimEnd(),
  );
  const places = flags.list
    ? measures
        .filter(({ holds, places }) => !holds && places.length > 0)
        .flatMap(({ name, places }) => ['', `${name}:`, ...places.map((place) => `  ${place}`)])
    : [];
  return [...lines, ...places].join('\n');
}
