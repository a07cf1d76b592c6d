// Whether what looks at a database costs the same a table however many there are: `schema dump`, `schema
// diff`, `types`, `doctor` and `stats`.
// Usage: node bench/many-tables.mjs [--rounds 3] [--files 1000,4000,10000] (--files is the number of tables)
import { join } from 'node:path';
import { readArguments } from './support/arguments.mjs';
import { EVDB } from './support/build.mjs';
import { figuresOfGrowth, GROWTH_HEAD, renderGrowth, summariseGrowth } from './support/growth.mjs';
import { createManyObjects } from './support/many-objects.mjs';
import { timeNodeWithUsage } from './support/process.mjs';
import { round, writeReport } from './support/report.mjs';
import { interleave } from './support/statistics.mjs';
import { withWorkspace } from './support/workspace.mjs';

const { rounds, files } = readArguments({ rounds: 3, files: [1000, 4000, 10_000] });
const sizes = [...new Set(files)].sort((a, b) => a - b);

/** The dump is what the diff then reads. */
const COMMANDS = {
  'schema dump': (dump) => ['schema', 'dump', '--file', dump],
  'schema diff': (dump) => ['schema', 'diff', '--from', `file:${dump}`, '--to', 'live'],
  types: (dump) => ['types', '--out', `${dump}.ts`],
  doctor: () => ['doctor'],
  'stats tables': () => ['stats', 'tables'],
  'stats indexes': () => ['stats', 'indexes'],
};

await withWorkspace(async (workspace) => {
  const contenders = {};
  for (const size of sizes) {
    console.log(`making ${size} tables with ${size * 5} indexes`);
    const url = await createManyObjects(workspace, `tables_${size}`, size);
    const dump = join(workspace.directory, `${size}.sql`);
    for (const [command, argsOf] of Object.entries(COMMANDS)) {
      contenders[`${command}, ${size}`] = () =>
        timeNodeWithUsage([EVDB, ...argsOf(dump)], {
          cwd: workspace.directory,
          env: { EVDB_URL: url },
        });
    }
    await contenders[`schema dump, ${size}`]();
  }
  await workspace.checkpoint();
  const results = await interleave(contenders, rounds, (index, name, { wallMs }) =>
    console.log(`round ${index + 1} of ${rounds}: ${name} tables, ${round(wallMs, 0)} ms`),
  );
  report(workspace.serverVersion, results);
});

function report(serverVersion, results) {
  const summaries = Object.keys(COMMANDS).map((command) =>
    summariseGrowth(
      command,
      sizes.map((size) => ({ size, runs: results[`${command}, ${size}`] })),
    ),
  );
  writeReport('many-tables', {
    title: `cost by number of tables, each with five indexes, ${rounds} rounds, PostgreSQL ${serverVersion} (an added table: against the size before it; growth: of its time; CPU: of evdb alone, without the server)`,
    head: GROWTH_HEAD,
    rows: summaries.flatMap((lines) => renderGrowth(lines, 'tables')),
    figures: summaries.flatMap((lines) => figuresOfGrowth(lines, 'tables')),
    data: { sizes, rounds, serverVersion, summaries, results },
  });
}
