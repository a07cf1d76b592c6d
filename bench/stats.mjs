// What the commands of `evdb stats` take beside their own SQL in psql.
// Usage: node bench/stats.mjs [--rounds 5] [--files 2000] [--quick] (--files is the number of tables)
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { IS_QUICK, readArguments } from './support/arguments.mjs';
import { EVDB, importLibrary } from './support/build.mjs';
import { createManyObjects } from './support/many-objects.mjs';
import { timeProcess } from './support/process.mjs';
import { round, writeReport } from './support/report.mjs';
import { ratioOf } from './support/rows.mjs';
import { recordStatements, timeScript } from './support/sql-alone.mjs';
import { interleave, median } from './support/statistics.mjs';
import { withWorkspace } from './support/workspace.mjs';

const { resolveConfig, withInspection } = await importLibrary('index.js');
const ops = await importLibrary('index.ops.js');

const RATIO_LIMIT = 1.5;

/** Counters of a benchmark are always young. */
const ANY_AGE = { minimumAgeMs: 0 };

/** What reads each topic, and what its command needs beside. */
const TOPICS = {
  indexes: { read: ops.readIndexes },
  unused: {
    read: (session) => ops.readUnusedIndexes(session, ANY_AGE),
    args: ['--min-age', '0s'],
  },
  duplicates: { read: ops.readDuplicateIndexes },
  invalid: { read: ops.readInvalidObjects },
  'missing-fk': { read: ops.readMissingForeignKeyIndexes },
  tables: { read: ops.readTables },
  sequences: { read: ops.readSequences },
  partitions: { read: ops.readPartitions },
  locks: { read: ops.readLocks },
  activity: { read: ops.readActivity },
  connections: { read: ops.readConnections },
  vacuum: { read: ops.readVacuum },
  cache: { read: ops.readCache },
  replication: { read: ops.readReplication },
};

const { rounds, files } = readArguments({ rounds: 5, files: [2000] });
const [tables] = files;

await withWorkspace(async (workspace) => {
  console.log(`making ${tables} tables with ${tables * 5} indexes`);
  const url = await createManyObjects(workspace, 'stats', tables);
  await workspace.checkpoint();
  const { connection } = await resolveConfig({ flags: { url }, env: {} });
  const runEvdb = (args) =>
    timeProcess(process.execPath, [EVDB, ...args], {
      cwd: workspace.directory,
      env: { EVDB_URL: url },
    });
  const contenders = {};
  for (const [topic, { read, args = [] }] of Object.entries(TOPICS)) {
    const script = join(workspace.directory, `${topic}.sql`);
    writeFileSync(script, await recordStatements(connection.options, read));
    contenders[`${topic}: psql`] = () => timeScript(script, url);
    if (!IS_QUICK) contenders[`${topic}: report`] = () => timeReport(connection.options, read);
    contenders[`${topic}: command`] = () => runEvdb(['stats', topic, ...args]);
  }
  const results = await interleave(contenders, rounds, (index, name, { wallMs }) =>
    console.log(`round ${index + 1} of ${rounds}: ${name}, ${round(wallMs)} ms`),
  );
  report(workspace.serverVersion, results);
});

/** Connects and reads, as the command does once Node.js has started. */
async function timeReport(options, read) {
  const startedAt = performance.now();
  await withInspection(options, (session) => read(session));
  return { wallMs: performance.now() - startedAt };
}

function report(serverVersion, results) {
  const times = Object.fromEntries(
    Object.entries(results).map(([name, runs]) => [name, median(runs.map(({ wallMs }) => wallMs))]),
  );
  const topics = Object.keys(TOPICS);
  const wallMs = (topic, who) => results[`${topic}: ${who}`].map((run) => run.wallMs);
  writeReport('stats', {
    title: `stats on ${tables} tables and ${tables * 5} indexes, PostgreSQL ${serverVersion}, medians of ${rounds}`,
    head: ['topic', 'psql ms', 'command ms', 'report ms'],
    rows: topics.map((topic) => [
      topic,
      round(times[`${topic}: psql`]),
      round(times[`${topic}: command`]),
      IS_QUICK ? '' : round(times[`${topic}: report`]),
    ]),
    figures: [
      ...topics.map((topic) =>
        ratioOf('13', wallMs(topic, 'command'), wallMs(topic, 'psql'), {
          part: `\`stats ${topic}\``,
          unit: 'ms',
        }),
      ),
      ...(IS_QUICK ? [] : topics).map((topic) =>
        ratioOf(
          {
            what: `stats ${topic}, ${tables} tables, in a process that runs`,
            over: 'its SQL in psql',
            target: RATIO_LIMIT,
          },
          wallMs(topic, 'report'),
          wallMs(topic, 'psql'),
          { unit: 'ms' },
        ),
      ),
    ],
    data: { rounds, tables, serverVersion, results },
  });
}
