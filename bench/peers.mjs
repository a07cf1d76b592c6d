// evdb beside other tools for migrations, and psql as the limit, in one run on one server: how long they take to
// apply 30, 200 and 1,000 small migrations, to find nothing to do, to tell the status, to roll back and to
// start; how much memory they need; what is left when they are killed amid a migration; and who waits for whom
// where a table is being read. Each result is checked in the catalog.
// Usage: node bench/peers.mjs [--rounds 3] [--files 30,200,1000] [--only evdb,dbmate] [--write]
// --write puts the tables into docs/peers.md.
import { mkdirSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { folderOf, killAndHurry, killOnce, meetReader } from './peers/disturbed.mjs';
import { MANY, writePage } from './peers/page.mjs';
import { run } from './peers/run.mjs';
import { findTools } from './peers/tools.mjs';
import { smallScripts } from './support/files.mjs';
import { describeMachine } from './support/machine.mjs';
import { writeReport } from './support/report.mjs';
import { interleave, median } from './support/statistics.mjs';
import { withWorkspace } from './support/workspace.mjs';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    files: { type: 'string', default: '30,200,1000' },
    only: { type: 'string' },
    write: { type: 'boolean', default: false },
    keep: { type: 'boolean' },
    build: { type: 'string' },
  },
});
const rounds = Number(values.rounds);
const counts = values.files.split(',').map(Number);

const SCENARIOS = { killed: killOnce, hurried: killAndHurry, reader: meetReader };

const { default: postgres } = await import('postgres');

await withWorkspace(async (workspace) => {
  const { serverVersion } = workspace;
  const found = findTools();
  const chosen = values.only?.split(',');
  const tools = found.tools.filter(({ name }) => !chosen || chosen.includes(name));
  for (const [name, reason] of Object.entries(found.skipped))
    console.log(`${name}: not run, ${reason}`);
  const figures = Object.fromEntries(tools.map(({ name }) => [name, {}]));
  for (const tool of tools) {
    for (const [what, scenario] of Object.entries(SCENARIOS))
      figures[tool.name][what] = await onDatabase(workspace, tool, what, scenario);
    console.log(`${tool.name}: ${JSON.stringify(figures[tool.name])}`);
  }
  const about = tools.map(({ name, version, way }) => ({ name, version, way }));
  const machine = describeMachine();
  for (const [index, count] of counts.entries()) {
    await measureCount(workspace, { tools, count, figures });
    // After each, so that a run that is ended early has written what it found.
    const result = { about, skipped: found.skipped, figures, rounds, serverVersion };
    const done = { ...result, counts: counts.slice(0, index + 1) };
    if (values.write) writePage({ ...done, machine });
    report(done);
  }
});

/** One count for all tools: the rounds take turns, each on a fresh database. */
async function measureCount(workspace, { tools, count, figures }) {
  const { directory } = workspace;
  const scripts = smallScripts(count);
  const contenders = Object.fromEntries(
    tools.map((tool) => {
      const folder = folderOf(directory, tool.name, count);
      tool.write(folder, scripts);
      return [tool.name, (index) => measureOnce(workspace, { tool, folder, count, index })];
    }),
  );
  const times = count >= MANY ? 1 : rounds;
  const results = await interleave(contenders, times, (index, name, { up }) =>
    console.log(`${count} files, round ${index + 1} of ${times}: ${name} ${Math.round(up)} ms`),
  );
  for (const [name, runs] of Object.entries(results)) {
    const of = (key) => {
      const known = runs.map((one) => one[key]).filter((value) => value !== undefined);
      return known.length > 0 ? median(known) : undefined;
    };
    const keys = ['up', 'again', 'status', 'down', 'version', 'peakMb'];
    figures[name][count] = Object.fromEntries(keys.map((key) => [key, of(key)]));
  }
}

async function measureOnce(workspace, { tool, folder, count, index }) {
  const database = `${tool.name}_${count}_${index}`.replaceAll('-', '_').toLowerCase();
  const url = await workspace.createDatabase(database);
  const place = { folder, url, count };
  const expectTables = async (wanted) => {
    const tables = await workspace.countTables(url);
    if (tables !== wanted) throw new Error(`${database}: ${tables} tables instead of ${wanted}`);
  };
  const timed = async (command) =>
    command === undefined ? undefined : (await run(command(place), folder)).wallMs;
  await workspace.checkpoint();
  const up = await run(tool.commands.up(place), folder);
  await expectTables(count);
  // psql knows of nothing that it has been done.
  const again = tool.name === 'psql' ? undefined : await timed(tool.commands.up);
  await expectTables(count);
  // dbmate rolls back one at a time: of few they say enough.
  const isFew = count === counts[0];
  const status = isFew ? await timed(tool.commands.status) : undefined;
  const down = isFew ? await timed(tool.commands.down) : undefined;
  if (down !== undefined) await expectTables(0);
  const version = isFew ? await timed(tool.commands.version) : undefined;
  return { ...{ up: up.wallMs, again, status, down, version }, peakMb: up.peakRssBytes / 1e6 };
}

async function onDatabase(workspace, tool, what, scenario) {
  const database = `${tool.name}_${what}`.replaceAll('-', '_').toLowerCase();
  const url = await workspace.createDatabase(database);
  const folder = folderOf(workspace.directory, tool.name, what);
  mkdirSync(folder, { recursive: true });
  const open = (max = 1) => postgres(url, { max, onnotice: () => undefined });
  const sql = open();
  try {
    return await scenario(tool, { sql, open, url, folder });
  } finally {
    await sql.end();
  }
}

function report({ figures, counts: all, serverVersion, ...data }) {
  const [few] = all;
  const cell = (value) => (value === undefined ? '' : String(Math.round(value)));
  writeReport('peers', {
    title: `tools for migrations, PostgreSQL ${serverVersion}, ms`,
    head: ['tool', ...all.map((count) => `apply ${count}`), 'again', 'status', 'down', 'start'],
    rows: Object.entries(figures).map(([name, one]) => [
      name,
      ...all.map((count) => cell(one[count].up)),
      ...['again', 'status', 'down', 'version'].map((key) => cell(one[few][key])),
    ]),
    figures: [],
    data: { figures, counts: all, serverVersion, ...data },
  });
}
