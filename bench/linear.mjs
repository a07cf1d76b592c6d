// Whether what reads migrations costs the same a file however many there are: `migrate up`, `migrate
// status`, `migrate validate` and `lint`.
// Usage: node bench/linear.mjs [--rounds 3] [--files 1000,2500,5000,10000]
import { join } from 'node:path';
import { readArguments } from './support/arguments.mjs';
import { EVDB } from './support/build.mjs';
import { writeMigrations } from './support/files.mjs';
import { figuresOfGrowth, GROWTH_HEAD, renderGrowth, summariseGrowth } from './support/growth.mjs';
import { timeNodeWithUsage } from './support/process.mjs';
import { round, writeReport } from './support/report.mjs';
import { interleave } from './support/statistics.mjs';
import { withWorkspace } from './support/workspace.mjs';

/** In this order: from the second on everything is applied. */
const COMMANDS = {
  'migrate up': ['migrate', 'up'],
  'migrate status': ['migrate', 'status', '--check'],
  'migrate validate': ['migrate', 'validate'],
  lint: ['lint'],
};

const { rounds, files } = readArguments({ rounds: 3, files: [1000, 2500, 5000, 10_000] });
const sizes = [...new Set(files)].sort((a, b) => a - b);

await withWorkspace(async (workspace) => {
  for (const count of sizes) writeMigrations(join(workspace.directory, `files-${count}`), count);
  const runs = Object.fromEntries(
    sizes.map((count) => [count, (index) => runAll(workspace, count, index)]),
  );
  const results = await interleave(runs, rounds, (index, count, used) =>
    console.log(
      `round ${index + 1} of ${rounds}: ${count} files, ${Object.entries(used)
        .map(([command, { wallMs }]) => `${command} ${round(wallMs / 1000)} s`)
        .join(', ')}`,
    ),
  );
  report(workspace.serverVersion, results);
});

async function runAll(workspace, count, index) {
  const url = await workspace.createDatabase(`linear_${count}_${index}`);
  await workspace.checkpoint();
  const flags = ['--migrations-dir', join(workspace.directory, `files-${count}`)];
  const used = {};
  for (const [command, args] of Object.entries(COMMANDS)) {
    const options = { cwd: workspace.directory, env: { EVDB_URL: url } };
    used[command] = await timeNodeWithUsage([EVDB, ...args, ...flags], options);
  }
  return used;
}

function report(serverVersion, results) {
  const summaries = Object.keys(COMMANDS).map((command) =>
    summariseGrowth(
      command,
      sizes.map((size) => ({ size, runs: results[size].map((used) => used[command]) })),
    ),
  );
  writeReport('linear', {
    title: `cost by number of files, ${rounds} rounds, PostgreSQL ${serverVersion} (an added file: against the size before it; growth: of its time; CPU: of evdb alone, without the server)`,
    head: GROWTH_HEAD,
    rows: summaries.flatMap((lines) => renderGrowth(lines, 'files')),
    figures: summaries.flatMap((lines) => figuresOfGrowth(lines, 'files')),
    data: { sizes, rounds, serverVersion, summaries, results },
  });
}
