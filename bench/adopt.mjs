// How long taking over many migrations from other tools takes, beside reading their files.
// Usage: node bench/adopt.mjs [--rounds 5] [--files 1000] (--files is the number of migrations)
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readArguments } from './support/arguments.mjs';
import { EVDB, importLibrary } from './support/build.mjs';
import { timeProcess } from './support/process.mjs';
import { round, writeReport } from './support/report.mjs';
import { median } from './support/statistics.mjs';
import { withWorkspace } from './support/workspace.mjs';

const evdb = await importLibrary('index.js');

const LIMIT_S = 2;

/** What each tool's files and table hold for one migration; sqlx has checksums to verify. */
const TOOLS = {
  dbmate: {
    folder: 'db/migrations',
    table: 'create table schema_migrations (version varchar primary key)',
    file: (version) => [
      `${version}_item.sql`,
      `-- migrate:up\n${body(version)}\n-- migrate:down\ndrop table item_${version};\n`,
    ],
    row: ({ version }) => `('${version}')`,
    into: 'schema_migrations',
  },
  sqlx: {
    folder: 'migrations',
    table:
      'create table _sqlx_migrations (version bigint primary key, description text not null, installed_on timestamptz not null default now(), success boolean not null, checksum bytea not null, execution_time bigint not null)',
    file: (version) => [`${version}_item.sql`, body(version)],
    row: ({ version, text }) =>
      `(${version}, 'item', now(), true, '\\x${createHash('sha384').update(text).digest('hex')}', 1000)`,
    into: '_sqlx_migrations',
  },
};

function body(version) {
  return `-- a table and its index
create table item_${version} (
    id integer generated always as identity primary key,
    name text not null,
    created_at timestamptz not null default now()
);
create index item_${version}_name_idx on item_${version} (name);
`;
}

const { rounds, files } = readArguments({ rounds: 5, files: [1000] });
const [count] = files;

await withWorkspace(async (workspace) => {
  const rows = [];
  const figures = [];
  const data = {};
  for (const [tool, shape] of Object.entries(TOOLS)) {
    const root = join(workspace.directory, tool);
    const results = await measure(tool, { shape, root, workspace });
    data[tool] = results;
    const [adopt, command, read, create] = ['adoptMs', 'commandMs', 'readMs', 'createMs'].map(
      (name) => median(results.map((result) => result[name])),
    );
    rows.push([tool, ...[adopt, command, read, create].map((ms) => round(ms, 0))]);
    figures.push({
      what: `${tool}: taking over ${count} migrations, without reading them`,
      target: LIMIT_S,
      unit: 's',
      rounds: results.map(({ adoptMs, readMs }) => (adoptMs - readMs) / 1000),
    });
  }
  writeReport('adopt', {
    title: `Taking over ${count} migrations, PostgreSQL ${workspace.serverVersion}, median of ${rounds} rounds`,
    head: [
      'tool',
      'in a process, ms',
      'whole command, ms',
      'reading the files, ms',
      'creating as many, ms',
    ],
    rows,
    figures,
    data,
  });
});

async function measure(tool, { shape, root, workspace }) {
  const migrations = writeFiles(shape, root);
  const results = [];
  for (let index = 0; index < rounds; index++) {
    const url = await makeDatabase(`${tool}_${index}`, { shape, migrations, workspace });
    const readMs = timeReading(join(root, shape.folder));
    const { connection } = await evdb.resolveConfig({ flags: { url }, env: {} });
    const options = { connection: connection.options, directory: join(root, 'evdb'), root };
    await workspace.checkpoint();
    const startedAt = performance.now();
    const { adopted } = await evdb.adoptMigrations({ ...options, from: tool });
    const adoptMs = performance.now() - startedAt;
    if (adopted.length !== count) throw new Error(`${tool}: ${adopted.length} of ${count}`);
    await evdb.undoAdoption(options);
    const { wallMs: commandMs } = await timeProcess(
      process.execPath,
      [EVDB, 'migrate', 'adopt', '--from', tool, '--write-to', 'evdb'],
      { cwd: root, env: { EVDB_URL: url } },
    );
    const createMs = timeCreating(join(root, 'evdb'), join(root, 'copy'));
    rmSync(join(root, 'evdb'), { recursive: true });
    results.push({ adoptMs, commandMs, readMs, createMs });
    console.log(`round ${index + 1} of ${rounds}: ${tool}, ${round(adoptMs, 0)} ms`);
  }
  return results;
}

function writeFiles({ folder, file }, root) {
  mkdirSync(join(root, folder), { recursive: true });
  writeFileSync(join(root, 'package.json'), '{}\n');
  return Array.from({ length: count }, (_, index) => {
    const version = String(20240101000000 + index);
    const [name, text] = file(version);
    writeFileSync(join(root, folder, name), text);
    return { version, text };
  });
}

async function makeDatabase(name, { shape, migrations, workspace }) {
  const url = await workspace.createDatabase(name);
  const { default: postgres } = await import('postgres');
  const sql = postgres(url, { max: 1, onnotice: () => undefined });
  await sql.unsafe(shape.table);
  await sql.unsafe(`insert into ${shape.into} values ${migrations.map(shape.row).join(', ')}`);
  await sql.end();
  return url;
}

function timeReading(folder) {
  const startedAt = performance.now();
  for (const name of readdirSync(folder)) readFileSync(join(folder, name));
  return performance.now() - startedAt;
}

/** What the file system alone takes for the files that adopting writes. */
function timeCreating(folder, copy) {
  const names = readdirSync(folder);
  const startedAt = performance.now();
  mkdirSync(copy);
  for (const name of names) writeFileSync(join(copy, name), '-- as long as a small script\n');
  const createMs = performance.now() - startedAt;
  rmSync(copy, { recursive: true });
  return createMs;
}
