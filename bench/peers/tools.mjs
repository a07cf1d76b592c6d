import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BUILD, EVDB } from '../support/build.mjs';
import { ensureDbmate } from '../support/fetched.mjs';
import { describeBuild } from '../support/machine.mjs';
import { ensurePeers, saidVersion, versionOf, whyNoPrisma } from './fetched.mjs';
import { WRITERS } from './folders.mjs';

/**
 * @typedef {object} Tool
 * @property {string} name
 * @property {string} version
 * @property {string} way how it is run, in words
 * @property {(folder: string, scripts: import('./folders.mjs').Script[]) => void} write
 * @property {Record<'up' | 'down' | 'status' | 'version', Command | undefined>} commands
 *
 * @typedef {(place: { folder: string, url: string, count: number }) => { command: string, args: string[], env?: Record<string, string> }} Command
 */

/**
 * The tools that can run here, and why the others cannot.
 *
 * @returns {{ tools: Tool[], skipped: Record<string, string> }}
 */
export function findTools() {
  const skipped = {};
  const tools = [evdb()];
  const add = (name, found, make) => {
    if (found === undefined || 'missing' in found)
      skipped[name] = found?.missing ?? 'it is not on the PATH';
    else tools.push(make(found));
  };
  const program = (name) => {
    const version = saidVersion(name);
    return version === undefined ? undefined : { version };
  };
  add('psql', program('psql'), psql);
  add('dbmate', ensureDbmate(), dbmate);
  const peers = ensurePeers();
  for (const [name, make] of Object.entries(NODE_TOOLS))
    add(name, peers, ({ folder }) => make(folder));
  add(
    'sqitch',
    program('sqitch') ?? { missing: 'it is not installed (Debian: sqitch, libdbd-pg-perl)' },
    sqitch,
  );
  skipped['Prisma Migrate'] = 'folder' in peers ? whyNoPrisma(peers.folder) : peers.missing;
  return { tools, skipped };
}

const node = (...args) => ({ command: process.execPath, args });

function evdb() {
  const run =
    (...args) =>
    ({ folder, url }) =>
      node(EVDB, 'migrate', ...args, '--migrations-dir', folder, '--url', url);
  return {
    ...{ name: 'evdb', version: describeBuild(BUILD), write: WRITERS.evdb },
    way: '`evdb migrate up`',
    commands: {
      up: run('up'),
      down: (place) => run('down', '--steps', String(place.count), '--confirm')(place),
      status: run('status'),
      version: () => node(EVDB, '--version'),
    },
  };
}

/** One session, no lock, no checksum: what the server needs. */
function psql({ version }) {
  const run =
    (file) =>
    ({ folder, url }) => ({
      command: 'psql',
      args: ['-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', join(folder, file), url],
    });
  return {
    ...{ name: 'psql', version, write: WRITERS.psql },
    way: 'one session; each file between `begin` and `commit`, with a row of a table; it knows no status and applies all again',
    commands: {
      up: run('all.psql'),
      down: run('down.psql'),
      status: undefined,
      version: () => ({ command: 'psql', args: ['--version'] }),
    },
  };
}

function dbmate({ path }) {
  const run =
    (...args) =>
    ({ folder, url }) => ({
      command: path,
      args: ['--url', url, '--migrations-dir', folder, '--no-dump-schema', ...args],
    });
  return {
    ...{ name: 'dbmate', version: saidVersion(path), write: WRITERS.dbmate },
    way: '`dbmate --no-dump-schema migrate`, its binary without the wrapper of npm',
    commands: {
      up: run('migrate'),
      // It rolls back one at a time.
      down: ({ count, ...place }) => {
        const { command, args } = run('rollback')(place);
        return {
          command: 'sh',
          args: ['-ec', `for i in $(seq ${count}); do "$0" "$@"; done`, command, ...args],
        };
      },
      status: run('status'),
      version: () => ({ command: path, args: ['--version'] }),
    },
  };
}

const NODE_TOOLS = {
  'node-pg-migrate': (folder) => {
    const path = join(folder, 'node_modules/node-pg-migrate/bin/node-pg-migrate.js');
    const run =
      (...args) =>
      ({ folder: migrations, url }) => ({
        ...node(path, ...args, '--migrations-dir', migrations),
        env: { DATABASE_URL: url },
      });
    return {
      ...{ name: 'node-pg-migrate', version: versionOf(folder, 'node-pg-migrate') },
      write: WRITERS['node-pg-migrate'],
      way: '`node-pg-migrate up`; all migrations in one transaction, as it does by default',
      commands: {
        up: run('up'),
        down: (place) => run('down', String(place.count))(place),
        status: undefined,
        version: () => node(path, '--version'),
      },
    };
  },
  postgrator: (folder) => {
    const path = writeProgram(
      folder,
      'run-postgrator.mjs',
      `import Postgrator from 'postgrator';
const [, , folder, url, target] = process.argv;
const client = new pg.Client({ connectionString: url });
await client.connect();
const postgrator = new Postgrator({
  migrationPattern: folder + '/*', driver: 'pg', database: new URL(url).pathname.slice(1),
  execQuery: (text) => client.query(text),
});
try {
  if (target === 'status') console.log(await postgrator.getDatabaseVersion(), await postgrator.getMaxVersion());
  else await postgrator.migrate(target);
} finally {
  await client.end();
}`,
    );
    const run =
      (target) =>
      ({ folder: migrations, url }) =>
        node(path, migrations, url, target);
    return {
      ...{ name: 'postgrator', version: versionOf(folder, 'postgrator') },
      write: WRITERS.postgrator,
      way: 'its library with `pg`, in a program of a few lines',
      commands: { up: run('max'), down: run('000'), status: run('status'), version: undefined },
    };
  },
  'graphile-migrate': (folder) => {
    const path = join(folder, 'node_modules/graphile-migrate/dist/cli.js');
    const run =
      (...args) =>
      ({ url }) => ({
        ...node(path, ...args), // The shadow database is not touched, but has to be named.
        env: { DATABASE_URL: url, SHADOW_DATABASE_URL: `${url}_shadow` },
      });
    return {
      ...{ name: 'graphile-migrate', version: versionOf(folder, 'graphile-migrate') },
      write: WRITERS['graphile-migrate'],
      way: '`graphile-migrate migrate` on committed migrations',
      commands: {
        ...{ up: run('migrate'), down: undefined, status: run('status') },
        version: () => node(path, '--version'),
      },
    };
  },
  Drizzle: (folder) => {
    const path = writeProgram(
      folder,
      'run-drizzle.mjs',
      `import { drizzle } from 'drizzle-orm/node-postgres';
import { migrate } from 'drizzle-orm/node-postgres/migrator';
const [, , migrationsFolder, url] = process.argv;
const client = new pg.Client({ connectionString: url });
await client.connect();
try {
  await migrate(drizzle(client), { migrationsFolder });
} finally {
  await client.end();
}`,
    );
    const run = ({ folder: migrations, url }) => node(path, migrations, url);
    return {
      ...{ name: 'Drizzle', version: versionOf(folder, 'drizzle-orm'), write: WRITERS.Drizzle },
      way: '`migrate()` of drizzle-orm with `pg`, in a program of a few lines; all migrations in one transaction',
      commands: { up: run, down: undefined, status: undefined, version: undefined },
    };
  },
};

function sqitch({ version }) {
  const run =
    (...args) =>
    ({ folder, url }) => ({
      command: 'sqitch',
      args: ['--chdir', folder, ...args, url.replace(/^postgres(?:ql)?:/, 'db:pg:')],
    });
  return {
    ...{ name: 'sqitch', version, write: WRITERS.sqitch },
    way: '`sqitch deploy`, which starts one psql for each change; its scripts begin and commit themselves',
    commands: {
      up: run('deploy'),
      down: run('revert', '-y'),
      status: run('status'),
      version: () => ({ command: 'sqitch', args: ['--version'] }),
    },
  };
}

/** A program beside the fetched tools, which it imports. */
function writeProgram(folder, name, text) {
  const path = join(folder, name);
  writeFileSync(path, `import pg from 'pg';\n${text}\n`);
  return path;
}
