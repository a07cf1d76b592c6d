// What 300 repeatables that have not changed add to a `migrate up` with nothing to do.
// Usage: node bench/repeatables.mjs [--rounds 20] [--files 300]
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readArguments } from './support/arguments.mjs';
import { EVDB } from './support/build.mjs';
import { writeMigrations } from './support/files.mjs';
import { timeProcess } from './support/process.mjs';
import { round, writeReport } from './support/report.mjs';
import { interleave, median } from './support/statistics.mjs';
import { withWorkspace } from './support/workspace.mjs';

const LIMIT_MS = 20;
const MIGRATIONS = 30;

const {
  rounds,
  files: [count],
} = readArguments({ rounds: 20, files: [300] });

await withWorkspace(async (workspace) => {
  const without = await prepare(workspace, 'without', 0);
  const withAll = await prepare(workspace, 'with_all', count);
  // The first start of a folder compiles what the others find cached.
  for (const run of [without, withAll]) await run();
  const results = await interleave({ without, 'with them': withAll }, rounds);
  report(workspace.serverVersion, results);
});

/** A folder that is applied, and what runs `migrate up` in it once more. */
async function prepare(workspace, name, repeatables) {
  const cwd = join(workspace.directory, name);
  const directory = join(cwd, 'migrations');
  writeMigrations(directory, MIGRATIONS);
  if (repeatables > 0) mkdirSync(join(directory, 'repeatable'));
  for (let index = 0; index < repeatables; index++) {
    const file = join(directory, 'repeatable', `view_${index}.sql`);
    writeFileSync(file, viewSql(index));
  }
  const url = await workspace.createDatabase(name);
  const up = () => timeProcess(process.execPath, [EVDB, 'migrate', 'up', '--url', url], { cwd });
  await up();
  return up;
}

/** Each needs the one before, as views do. */
function viewSql(index) {
  const source = index === 0 ? '(select 1 as id, now() as seen_at) as t' : `view_${index - 1}`;
  return `-- What is seen ${index} times.
create or replace view view_${index} as
select
    id,
    seen_at
from ${source}
where id > 0;
comment on view view_${index} is 'Number ${index} of the views';
`;
}

function report(serverVersion, results) {
  const [without, withAll] = Object.values(results).map((runs) => runs.map(({ wallMs }) => wallMs));
  const addedMs = withAll.map((wallMs, index) => wallMs - without[index]);
  writeReport('repeatables', {
    title: `migrate up with nothing to do, ${rounds} rounds, PostgreSQL ${serverVersion}`,
    head: ['', 'median ms', 'more ms', 'limit'],
    rows: [
      ['no repeatables', round(median(without)), '', ''],
      [
        `${count} repeatables, unchanged`,
        round(median(withAll)),
        round(median(addedMs)),
        `${LIMIT_MS}`,
      ],
    ],
    figures: [
      {
        what: `${count} unchanged repeatables in a \`migrate up\` with nothing to do`,
        target: LIMIT_MS,
        unit: 'ms',
        rounds: addedMs,
      },
    ],
    data: { count, rounds, serverVersion, limitMs: LIMIT_MS, results },
  });
}
