import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { BUILD, EVDB } from './build.mjs';
import { timeProcess } from './process.mjs';

const MIGRATIONS = join(BUILD, 'migrations');
const COPY = 'bench_copy';

/**
 * Makes a database that holds the whole event schema and what the script then adds.
 *
 * @param {import('./workspace.mjs').Workspace} workspace
 * @param {string} name
 * @param {string} file a script of bench/sql
 * @param {Record<string, number>} values for its `:name`s
 * @returns {Promise<string>} its URL
 */
export async function createEventDatabase(workspace, name, file, values) {
  const url = await workspace.createDatabase(name);
  await timeProcess(
    process.execPath,
    [EVDB, 'migrate', 'up', '--migrations-dir', MIGRATIONS, '--url', url],
    { cwd: workspace.directory },
  );
  await withSession(url, async (sql) => {
    await sql.unsafe(renderScript(file, values));
    await sql.unsafe('vacuum (analyze)');
  });
  return url;
}

/** @param {string} file @param {Record<string, number>} values */
function renderScript(file, values) {
  const text = readFileSync(new URL(`../sql/${file}`, import.meta.url), 'utf8');
  return text.replace(/(?<!:):([a-z_]+)\b/g, (all, name) => (name in values ? values[name] : all));
}

/**
 * Runs work on a fresh copy of a database, and drops the copy: every run starts from the same state,
 * and nothing has to be undone.
 *
 * @template Result
 * @param {import('./workspace.mjs').Workspace} workspace
 * @param {string} templateUrl nobody may be connected to it
 * @param {(url: string) => Promise<Result>} work
 * @returns {Promise<Result>}
 */
export async function withCopy(workspace, templateUrl, work) {
  const url = await cloneDatabase(templateUrl);
  try {
    await workspace.checkpoint();
    return await work(url);
  } finally {
    await workspace.dropDatabase(COPY);
  }
}

/** Files are copied as they are: writing each page to the log as well takes several times longer. */
async function cloneDatabase(templateUrl) {
  const url = new URL(templateUrl);
  const template = url.pathname.slice(1);
  url.pathname = '/postgres';
  await withSession(url.href, (sql) =>
    sql.unsafe(`create database ${COPY} template ${template} strategy file_copy`),
  );
  url.pathname = `/${COPY}`;
  return url.href;
}

/**
 * Runs work with one session of its own.
 *
 * @template Result
 * @param {string} url
 * @param {(sql: import('postgres').Sql) => Promise<Result>} work
 * @returns {Promise<Result>}
 */
export async function withSession(url, work) {
  const { default: postgres } = await import('postgres');
  const sql = postgres(url, { max: 1, idle_timeout: 0, onnotice: () => undefined });
  try {
    return await work(sql);
  } finally {
    await sql.end();
  }
}

/**
 * @param {import('postgres').Sql} sql
 * @param {string} statement
 * @returns {Promise<{ wallMs: number, rows: import('postgres').Row[], count: number }>} count as the server tells it
 */
export async function timeStatement(sql, statement) {
  const startedAt = performance.now();
  const rows = await sql.unsafe(statement);
  return { wallMs: performance.now() - startedAt, rows: [...rows], count: rows.count };
}
