import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { IS_KEPT } from './arguments.mjs';
import { importLibrary } from './build.mjs';
import { interruption } from './process.mjs';

const SIGNALS = ['SIGINT', 'SIGTERM'];

/**
 * @typedef {object} Workspace
 * @property {string} directory an empty folder, removed at the end
 * @property {string} serverVersion
 * @property {(name: string) => Promise<string>} createDatabase gives the URL of a new, empty one
 * @property {(name: string) => Promise<void>} dropDatabase
 * @property {(url: string) => Promise<number>} countTables how many of the migrations' tables exist
 * @property {() => Promise<void>} checkpoint so that no run pays for the writes of another
 */

/**
 * Runs work with a temporary folder and a PostgreSQL server of its own, with durable commits.
 *
 * @param {(workspace: Workspace) => Promise<void>} work
 * @param {{ binariesDir?: string }} [options] of another PostgreSQL than the one evdb brings
 */
export async function withWorkspace(work, { binariesDir } = {}) {
  const { ensureEmbeddedServer, stopEmbeddedServer } = await importLibrary('index.js');
  const directory = mkdtempSync(join(tmpdir(), 'evdb-bench-'));
  // Run by root the server belongs to an ordinary user, who has to get in.
  chmodSync(directory, 0o755);
  const serverDirectory = join(directory, '.evdb');
  const onSignal = () => interruption.abort(new Error('interrupted'));
  for (const signal of SIGNALS) process.on(signal, onSignal);
  try {
    const server = await ensureEmbeddedServer({ directory: serverDirectory, binariesDir });
    await work(await openWorkspace(directory, server));
  } finally {
    await stopEmbeddedServer({ directory: serverDirectory });
    if (!IS_KEPT) rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
    for (const signal of SIGNALS) process.off(signal, onSignal);
  }
}

/**
 * @param {string} directory
 * @param {{ url: string, version: string }} server
 * @returns {Promise<Workspace>}
 */
async function openWorkspace(directory, { url, version }) {
  const run = (sql) => query(url, sql);
  await requireDurable(run);
  return {
    directory,
    serverVersion: version,
    createDatabase: async (name) => {
      await run(`create database ${name}`);
      const made = new URL(url);
      made.pathname = `/${name}`;
      return made.href;
    },
    dropDatabase: async (name) => {
      await run(`drop database ${name} with (force)`);
    },
    countTables: async (databaseUrl) => {
      const [row] = await query(
        databaseUrl,
        `select count(*)::int as tables from pg_class where relkind = 'r' and relname like 'item\\_%'`,
      );
      return row.tables;
    },
    checkpoint: async () => {
      await run('checkpoint');
    },
  };
}

/** A comparison of commits means nothing where they do not wait for the disk. */
async function requireDurable(run) {
  const [row] = await run(
    `select current_setting('fsync') as fsync, current_setting('synchronous_commit') as commits`,
  );
  if (row.fsync !== 'on' || row.commits !== 'on') throw new Error('commits are not durable');
}

/** @param {string} url @param {string} sql */
async function query(url, sql) {
  const { default: postgres } = await import('postgres');
  const sqlClient = postgres(url, { max: 1, onnotice: () => undefined });
  try {
    return await sqlClient.unsafe(sql);
  } finally {
    await sqlClient.end();
  }
}
