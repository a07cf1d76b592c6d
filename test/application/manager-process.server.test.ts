import { execFile } from 'node:child_process';
import { mkdir, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'vitest';
import { findHome } from '../../src/embedded/home.ts';
import { stopEmbeddedServer } from '../../src/embedded/stop.ts';
import { test as base } from '../support/fixture.ts';
import { whyNoOwnServer } from '../support/own-server.ts';
import { scrubEnvironment } from '../support/run-cli.ts';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));

interface Application {
  dir: string;
  /** Runs a file of the application, with nothing but these variables; gives what it printed. */
  start(file: string, text: string, env?: Record<string, string>): Promise<unknown>;
}

/** A project that has evdb installed, as it is built. */
const test = base.extend<{ application: Application }>({
  application: async ({ project }, use) => {
    await mkdir(join(project.dir, 'node_modules'));
    await symlink(root, join(project.dir, 'node_modules/evdb'), 'junction');
    await use({
      dir: project.dir,
      start: async (file, text, env = {}) => {
        const path = await project.write(file, text);
        const { stdout } = await run(process.execPath, [path], {
          cwd: project.dir,
          env: { ...scrubEnvironment(process.env), ...env },
          timeout: 50_000,
        });
        return JSON.parse(stdout);
      },
    });
  },
});

const USE = `
  await databaseManager.initialize();
  const { rows } = await databaseManager.getPool().query('select current_database() as name, 1 as n');
  const health = await databaseManager.health();
  await databaseManager.close();
  console.log(JSON.stringify({ rows, status: health.status }));`;

test('is configured by the environment of its process, and lets it end', async ({
  application,
  emptyDb,
}) => {
  const url = new URL(emptyDb.url);
  const variables: Record<string, string>[] = [
    { EVDB_URL: emptyDb.url },
    { DATABASE_URL: emptyDb.url },
    {
      DB_HOST: url.hostname,
      DB_PORT: url.port,
      DB_NAME: emptyDb.name,
      DB_USER: url.username,
      DB_PASSWORD: decodeURIComponent(url.password),
    },
  ];
  const text = `import { databaseManager } from 'evdb';${USE}`;
  for (const env of variables) {
    expect(await application.start('app.mjs', text, env)).toEqual({
      rows: [{ name: emptyDb.name, n: 1 }],
      status: 'ok',
    });
  }
});

test('reads .env of the folder that its process works in', async ({
  application,
  project,
  emptyDb,
}) => {
  await project.write('.env', `EVDB_URL=${emptyDb.url}\n`);
  const text = `(async () => { const { databaseManager } = require('evdb');${USE} })();`;
  expect(await application.start('app.cjs', text)).toMatchObject({ status: 'ok' });
});

test('starts the embedded server where the environment asks for it, and only then', async ({
  application,
  skip,
}) => {
  const reason = whyNoOwnServer();
  skip(reason !== undefined, reason);
  const text = `
    import { databaseManager } from 'evdb';
    const error = await databaseManager.initialize().catch(({ code }) => code);
    process.env.EVDB_URL = 'embedded:';
    const pool = await databaseManager.initialize();
    const [row] = await pool.sql\`select count(*)::int as n from pg_tables where schemaname = 'public'\`;
    await databaseManager.close();
    console.log(JSON.stringify([error, row]));`;
  const directory = join(application.dir, '.evdb');
  try {
    expect(await application.start('app.mjs', text)).toEqual(['NOT_CONFIGURED', { n: 0 }]);
  } finally {
    await stopEmbeddedServer({ directory });
    const home = findHome(directory);
    if (home) await rm(home, { recursive: true, force: true });
  }
});

test('is the same for import and for require', async ({ application }) => {
  const imported = await application.start(
    'app.mjs',
    `import * as evdb from 'evdb';
     console.log(JSON.stringify(Object.entries(evdb).map(([name, value]) => [name, typeof value])));`,
  );
  const required = await application.start(
    'app.cjs',
    `const evdb = require('evdb');
     console.log(JSON.stringify(Object.entries(evdb).map(([name, value]) => [name, typeof value])));`,
  );
  expect(required).toEqual(imported);
  const both = await application.start(
    'both.mjs',
    `import { createRequire } from 'node:module';
     import { DatabasePool, EvdbError } from 'evdb';
     const evdb = createRequire(import.meta.url)('evdb');
     console.log(JSON.stringify([evdb.DatabasePool === DatabasePool, evdb.EvdbError === EvdbError]));`,
  );
  expect(both).toEqual([true, true]);
  const names = Object.fromEntries(imported as [string, string][]);
  expect(names).toMatchObject({
    DatabasePool: 'function',
    DatabaseManager: 'function',
    databaseManager: 'object',
    QueryError: 'function',
    renderPrometheus: 'function',
  });
});

test('loads the driver, the parser and the config finder only where they are used', async ({
  application,
}) => {
  const text = `
    import { createRequire } from 'node:module';
    // The library is CommonJS, so this is where all of it is listed.
    const loaded = () => Object.keys(createRequire(import.meta.url).cache).join('\\n');
    const { DatabasePool } = await import('evdb');
    const pool = new DatabasePool({ connectionString: 'postgres://127.0.0.1:1/x' });
    process.stderr.write(loaded() + '\\n--- used\\n');
    await pool.warm().catch(() => undefined);
    process.stderr.write(loaded());
    await pool.close();
    console.log(JSON.stringify(pool.metrics().total));`;
  const path = join(application.dir, 'app.mjs');
  expect(await application.start('app.mjs', text)).toBe(0);
  const { stderr } = await run(process.execPath, [path], { cwd: application.dir });
  const [atImport = '', atUse = ''] = stderr.split('--- used');
  for (const heavy of ['postgres', 'libpg-query', 'cosmiconfig', 'ora', 'commander']) {
    expect(atImport).not.toContain(`node_modules/${heavy}/`);
  }
  expect(atUse).toContain('node_modules/postgres/');
});
