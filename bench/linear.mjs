// Whether `migrate up` and `migrate status` cost the same a file however many there are.
// Usage: node bench/linear.mjs [--rounds 3] [--files 1000,2500,5000,10000]
import { join } from 'node:path';
import { readArguments } from './support/arguments.mjs';
import { EVDB } from './support/build.mjs';
import { writeMigrations } from './support/files.mjs';
import { timeNodeWithUsage } from './support/process.mjs';
import { round, toMegabytes, writeReport } from './support/report.mjs';
import { interleave, median } from './support/statistics.mjs';
import { withWorkspace } from './support/workspace.mjs';

/** Linear is 1; noise takes its part. */
const GROWTH_LIMIT = 1.3;

const { rounds, files } = readArguments({ rounds: 3, files: [1000, 2500, 5000, 10_000] });
const sizes = [...new Set(files)].sort((a, b) => a - b);

await withWorkspace(async (workspace) => {
  for (const count of sizes) writeMigrations(join(workspace.directory, `files-${count}`), count);
  const runs = Object.fromEntries(
    sizes.map((count) => [`${count} files`, (index) => runOne(workspace, count, index)]),
  );
  const results = await interleave(runs, rounds, (index, name, { up, status }) =>
    console.log(
      `round ${index + 1} of ${rounds}: ${name}, up ${round(up.wallMs / 1000)} s, status ${round(status.wallMs)} ms`,
    ),
  );
  report(workspace.serverVersion, results);
});

async function runOne(workspace, count, index) {
  const database = `linear_${count}_${index}`;
  const url = await workspace.createDatabase(database);
  await workspace.checkpoint();
  const flags = ['--migrations-dir', join(workspace.directory, `files-${count}`), '--url', url];
  const run = (command, ...more) =>
    timeNodeWithUsage([EVDB, 'migrate', command, ...flags, ...more], { cwd: workspace.directory });
  const up = await run('up');
  const status = await run('status', '--check');
  return { up, status };
}

function report(serverVersion, results) {
  const summary = ['up', 'status'].flatMap((command) => summarise(command, results));
  const rows = summary.map(({ command, count, wallMs, cpuMs, peakRssMb, added }) => [
    `${command}, ${count} files`,
    round(wallMs / 1000),
    round(wallMs / count, 3),
    ...(added
      ? [round(added.wallMs, 3), round(added.cpuMs, 3), `× ${round(added.cpuGrowth)}`]
      : ['', '', '']),
    round(cpuMs / 1000),
    round(peakRssMb, 0),
  ]);
  writeReport('linear', {
    title: `cost by number of files, ${rounds} rounds (an added file: against the size before it; CPU: of evdb alone, without the server; growth: of the CPU for an added file)`,
    head: [
      'command',
      'wall s',
      'ms a file',
      'ms an added file',
      'CPU ms an added file',
      'growth',
      'CPU s',
      'peak MB',
    ],
    rows,
    figures: summary
      .filter(({ added }) => added)
      .map(({ command, count, added }) => ({
        what: `\`migrate ${command}\`, an added file among ${count}: processor time`,
        over: `among ${sizes[1]}`,
        target: GROWTH_LIMIT,
        rounds: [added.cpuGrowth],
      })),
    data: { sizes, rounds, serverVersion, summary, results },
  });
}

/** One line a size; `added` is what each file beyond the size before cost, constant when linear. */
function summarise(command, results) {
  const lines = sizes.map((count) => {
    const measured = results[`${count} files`].map((run) => run[command]);
    return {
      command,
      count,
      wallMs: median(measured.map(({ wallMs }) => wallMs)),
      cpuMs: median(measured.map(({ userMs, systemMs }) => userMs + systemMs)),
      peakRssMb: Math.max(...measured.map(({ peakRssBytes }) => toMegabytes(peakRssBytes))),
    };
  });
  const costs = lines.slice(1).map((line, index) => {
    const files = line.count - lines[index].count;
    return {
      wallMs: (line.wallMs - lines[index].wallMs) / files,
      cpuMs: (line.cpuMs - lines[index].cpuMs) / files,
    };
  });
  return lines.map((line, index) => {
    const cost = costs[index - 1];
    if (!cost) return line;
    return { ...line, added: { ...cost, cpuGrowth: cost.cpuMs / costs[0].cpuMs } };
  });
}
