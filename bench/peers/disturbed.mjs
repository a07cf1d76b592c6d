import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { stripVTControlCharacters } from 'node:util';
import { start } from './run.mjs';

const PATIENCE_MS = 60_000;
const HOLD_MS = 6_000;
const ASK_EVERY_MS = 50;

const KILLED = [
  {
    name: 'first',
    up: 'create table first_table (id integer);\n',
    down: 'drop table first_table;\n',
  },
  {
    name: 'halves',
    up: 'create table one_half (id integer);\nselect pg_sleep(4);\ncreate table other_half (id integer);\n',
    down: 'drop table one_half;\ndrop table other_half;\n',
  },
  { name: 'last', up: 'create table last_table (id integer);\n', down: 'drop table last_table;\n' },
];

const TABLES = ['first_table', 'one_half', 'other_half', 'last_table'];

/**
 * The process gets SIGKILL amid the second of three migrations. Once the server has let go of what was running,
 * the tables and locks are looked at, and the same command runs again.
 *
 * @param {import('./tools.mjs').Tool} tool
 * @param {{ sql: import('postgres').Sql, url: string, folder: string }} place
 */
export async function killOnce(tool, { sql, url, folder }) {
  const { command, killedAt } = await kill(tool, { sql, url, folder });
  const others = `select from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and state <> 'idle'`;
  await until(async () => (await sql.unsafe(others)).length === 0, `${tool.name} is gone`);
  const letGoMs = performance.now() - killedAt;
  const left = await listTables(sql);
  const [{ locks }] = await sql.unsafe(
    `select count(*)::int as locks from pg_locks where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())`,
  );
  return { letGoMs, locks, left, ...(await runAgain(command, { sql, folder })) };
}

/** The same, and the command runs again at once, while the server is still at what was killed. */
export async function killAndHurry(tool, { sql, url, folder }) {
  const { command } = await kill(tool, { sql, url, folder });
  return runAgain(command, { sql, folder });
}

async function kill(tool, { sql, url, folder }) {
  tool.write(folder, KILLED);
  const command = tool.commands.up({ folder, url, count: KILLED.length });
  const running = start(command, folder);
  const sleeping = `select from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'`;
  await until(async () => (await sql.unsafe(sleeping)).length > 0, `${tool.name} sleeps`);
  running.child.kill('SIGKILL');
  const killedAt = performance.now();
  await running.ended;
  return { command, killedAt };
}

async function runAgain(command, { sql, folder }) {
  const { exitCode, wallMs, said } = await start(command, folder).ended;
  const tables = await listTables(sql);
  const isWhole = TABLES.every((name) => tables.includes(name));
  return { exitCode, wallMs, message: messageOf(said, folder), isWhole };
}

async function listTables(sql) {
  const rows = await sql`select relname from pg_class where relname = any(${TABLES})`;
  return rows.map(({ relname }) => relname);
}

/** The line that says what is wrong, else the last one. */
function messageOf(said, folder) {
  const lines = stripVTControlCharacters(said)
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !/^at /.test(line));
  const found =
    lines.find((line) => /\berror: /i.test(line)) ??
    lines.find((line) => /fail|lock|exist|interrupt|duplicate/i.test(line));
  return (found ?? lines.at(-1) ?? '').replaceAll(folder, '…').slice(0, 160);
}

const ALTER = [
  {
    name: 'busy',
    up: 'alter table busy add column note text;\n',
    down: 'alter table busy drop column note;\n',
  },
];

/**
 * A transaction that has read the table is open for six seconds; meanwhile the migration changes the table,
 * and queries of an application read it.
 */
export async function meetReader(tool, { sql, open, url, folder }) {
  await sql.unsafe('create table busy as select g as id from generate_series(1, 1000) as g');
  tool.write(folder, ALTER);
  const reader = open();
  await reader.unsafe('begin; select count(*) from busy');
  const startedAt = performance.now();
  const released = sleep(HOLD_MS).then(() => reader.unsafe('commit'));
  const asking = ask(open);
  const running = start(tool.commands.up({ folder, url, count: 1 }), folder);
  const ran = await running.ended;
  const doneMs = performance.now() - startedAt;
  await released;
  const longestMs = await asking.stop();
  const [{ altered }] = await sql.unsafe(
    `select exists (select from pg_attribute where attrelid = 'busy'::regclass and attname = 'note') as altered`,
  );
  await reader.end();
  return {
    doneMs,
    longestMs,
    exitCode: ran.exitCode,
    altered,
    heldMs: HOLD_MS,
    message: messageOf(ran.said, folder),
  };
}

/** A new query each time, over connections of its own, as from an application with a pool. */
function ask(open) {
  const sql = open(40);
  const asked = [];
  let isOver = false;
  let longestMs = 0;
  const asking = (async () => {
    while (!isOver) {
      const startedAt = performance.now();
      asked.push(
        sql.unsafe('select id from busy limit 1').then(() => {
          longestMs = Math.max(longestMs, performance.now() - startedAt);
        }),
      );
      await sleep(ASK_EVERY_MS);
    }
    await Promise.all(asked);
  })();
  return {
    stop: async () => {
      isOver = true;
      await asking;
      await sql.end();
      return longestMs;
    },
  };
}

async function until(isSo, what) {
  const endsAt = performance.now() + PATIENCE_MS;
  while (!(await isSo())) {
    if (performance.now() > endsAt) throw new Error(`waited in vain: ${what}`);
    await sleep(20);
  }
}

/** A folder of its own for each. */
export function folderOf(directory, ...parts) {
  return join(
    directory,
    ...parts.map((part) => String(part).replaceAll(/\W+/g, '-').toLowerCase()),
  );
}
