// What a fleet takes: nothing pending on 1,000 schemas of one database and on 200 databases; one small
// migration on all of them, compared with the same statements over the same number of plain sessions; and a
// new member with the event schema.
// Usage: node bench/fleet.mjs [--rounds 3] [--schemas 1000] [--databases 200] [--concurrency 8]
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readArguments } from './support/arguments.mjs';
import { EVDB, importLibrary } from './support/build.mjs';
import { timeNodeWithUsage } from './support/process.mjs';
import { round, toMegabytes, writeReport } from './support/report.mjs';
import { figureOf, ratioOf } from './support/rows.mjs';
import { median } from './support/statistics.mjs';
import { withWorkspace } from './support/workspace.mjs';

const { resolveConfig, withWriting } = await importLibrary('index.js');
const { addTenant, runFleet, planWaves } = await importLibrary('index.ops.js');

const { rounds, schemas, databases, concurrency } = readArguments({
  ...{ rounds: 3, schemas: 1000, databases: 200, concurrency: 8 },
});

const SMALL = 'create table note_N (id bigint primary key, text text not null);\n';
const PLAIN_LEDGER = `create table if not exists public.plain_ledger (
  target_schema text, version bigint, kind text, text text, primary key (target_schema, version, kind)
)`;

const EVENT_MIGRATIONS = fileURLToPath(new URL('../migrations', import.meta.url));

await withWorkspace(async (workspace) => {
  const { directory, serverVersion, createDatabase } = workspace;
  const url = await createDatabase('fleet');
  const write = (path, text) => writeFileSync(join(directory, path), text);
  mkdirSync(join(directory, 'migrations'));
  write('package.json', '{ "name": "bench" }');
  write('migrations/001_first.sql', 'create table first (id bigint primary key);\n');
  write('migrations/001_first.down.sql', 'drop table first;\n');
  const fleets = {
    schemas: { query: `select 's_' || i as schema from generate_series(1, ${schemas}) as i` },
    databases: {
      query: `select 'db_' || i as database from generate_series(1, ${databases}) as i`,
    },
  };
  write('evdb.config.json', JSON.stringify({ fleets }));
  for (let i = 1; i <= databases; i++) await createDatabase(`db_${i}`);
  const evdb = (...args) =>
    timeNodeWithUsage([EVDB, ...args, '--concurrency', String(concurrency)], {
      cwd: directory,
      env: { EVDB_URL: url },
    });
  const up = (fleet) => evdb('migrate', 'up', '--fleet', fleet);
  const first = { schemas: await up('schemas'), databases: await up('databases') };
  const runs = { schemas: [], databases: [], small: [], plain: [], add: [] };
  for (let index = 0; index < rounds; index++) {
    await workspace.checkpoint();
    runs.schemas.push(await up('schemas'));
    runs.databases.push(await up('databases'));
    const name = String(index + 2).padStart(3, '0');
    await workspace.checkpoint();
    runs.plain.push(await runPlainly(url, index));
    await workspace.checkpoint();
    write(`migrations/${name}_note.sql`, SMALL.replace('N', String(index)));
    write(`migrations/${name}_note.down.sql`, `drop table note_${index};\n`);
    runs.small.push(await up('schemas'));
    runs.add.push(await addMember(url, index));
    console.log(
      `round ${index + 1} of ${rounds}: nothing pending ${round(runs.schemas.at(-1).wallMs / 1000)} s and ${round(runs.databases.at(-1).wallMs / 1000)} s, small ${round(runs.small.at(-1).wallMs / 1000)} s, plain ${round(runs.plain.at(-1).wallMs / 1000)} s, add ${round(runs.add.at(-1).wallMs)} ms`,
    );
  }
  report({ serverVersion, first, runs });
});

/**
 * What the server has to do at least: the migration and three rows about it, one message a member, over as many
 * sessions that stay open.
 */
async function runPlainly(url, index) {
  const connection = await connectionOf(url);
  const members = Array.from({ length: schemas }, (_, at) => ({ name: `s_${at + 1}`, labels: {} }));
  await withWriting(connection, (session) => session.run(PLAIN_LEDGER));
  const table = SMALL.replace('note_N', `plain_${index}`);
  const startedAt = performance.now();
  const options = { waves: planWaves(members, {}), concurrency };
  const { stopped } = await runFleet(options, ({ name }, { keeper }) =>
    withWriting({ ...connection, keeper }, async (session) => {
      const rows = ['now', 'text', 'history'].map(
        (kind) =>
          `insert into public.plain_ledger values ('${name}', ${index}, '${kind}', '${table.trim()}');`,
      );
      await session.run(
        `begin; set local search_path = ${name}; ${table} ${rows.join(' ')} commit`,
      );
    }),
  );
  if (stopped) throw new Error(stopped.reason);
  return { wallMs: performance.now() - startedAt };
}

async function connectionOf(url) {
  const config = await resolveConfig({ flags: { url }, env: {} });
  return config.connection.options;
}

/** In a process that has added one already, as a program that makes tenants has. */
async function addMember(url, index) {
  const config = await resolveConfig({
    flags: { url, migrationsDir: EVENT_MIGRATIONS },
    env: {},
  });
  if (index === 0) await addTenant({ kind: 'schema', config: { ...config, schema: 'warm_up' } });
  const startedAt = performance.now();
  await addTenant({ kind: 'schema', config: { ...config, schema: `event_${index}` } });
  return { wallMs: performance.now() - startedAt };
}

function report({ serverVersion, first, runs }) {
  const of = (name) => runs[name].map(({ wallMs }) => wallMs);
  const line = (what, times) => [
    what,
    ...[median(times), Math.min(...times), Math.max(...times)].map((ms) => round(ms)),
  ];
  const peak = runs.schemas.map(({ peakRssBytes }) => toMegabytes(peakRssBytes));
  writeReport('fleet', {
    title: `fleets, ${schemas} schemas and ${databases} databases, ${concurrency} at a time, ${rounds} rounds, PostgreSQL ${serverVersion}`,
    head: ['what', 'median ms', 'fastest ms', 'slowest ms'],
    rows: [
      line(`nothing pending, ${schemas} schemas`, of('schemas')),
      line(`nothing pending, ${databases} databases`, of('databases')),
      line(`one small migration, ${schemas} schemas`, of('small')),
      line('the same statements, plainly', of('plain')),
      line('a new member with the event schema', of('add')),
    ],
    figures: [
      figureOf(
        { what: `nothing pending, ${schemas} schemas`, target: 6000, unit: 'ms' },
        of('schemas'),
      ),
      figureOf(
        { what: `nothing pending, ${databases} databases`, target: 6000, unit: 'ms' },
        of('databases'),
      ),
      figureOf({ what: 'peak memory', target: 150, unit: 'MB' }, peak),
      ratioOf(
        { what: 'one small migration', over: 'the same statements', target: 1.3 },
        of('small'),
        of('plain'),
        { unit: 'ms' },
      ),
      figureOf({ what: 'a new member with the event schema', target: 150, unit: 'ms' }, of('add')),
    ],
    data: { rounds, schemas, databases, concurrency, serverVersion, first, runs },
  });
}
